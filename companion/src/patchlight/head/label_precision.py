"""The number format of the matrix products that label answers.

Labels need one backward pass per token, which is mostly matrix products. Where the hardware multiplies bfloat16 faster
than float32, they are made in bfloat16; sums, softmax and the maps themselves stay in float32.
"""

from typing import Literal, NamedTuple

import torch

Precision = Literal["auto", "float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "float32", "bfloat16")


class LabelPrecision(NamedTuple):
    """autocast: lower format of the matrix products, None for the model's own. name: the format in use."""

    autocast: torch.dtype | None
    name: str


def label_precision(precision: Precision, dtype: torch.dtype, device: torch.device) -> LabelPrecision:
    """Choose the format for a model in `dtype` on `device`.

    "auto" is bfloat16 for a float32 model on hardware that multiplies it faster, otherwise the model's own format.
    Raises ValueError for "float32" if the model is in a lower format, because that would not make its labels exact.
    """
    own = str(dtype).removeprefix("torch.")
    if precision == "float32" and dtype != torch.float32:
        raise ValueError(f"labels in float32 need the model in float32, and it is in {own}: add --dtype float32")
    lowers = precision == "bfloat16" or (precision == "auto" and multiplies_bfloat16_faster(device))
    if dtype == torch.float32 and lowers:
        return LabelPrecision(torch.bfloat16, "bfloat16")
    if precision == "bfloat16" and dtype != torch.bfloat16:
        raise ValueError(f"labels in bfloat16 need the model in float32 or bfloat16, and it is in {own}")
    return LabelPrecision(None, own)


def multiplies_bfloat16_faster(device: torch.device) -> bool:
    """Whether the hardware has instructions for bfloat16 matrix products: AMX or AVX-512 on a CPU, tensor cores on a
    GPU.
    """
    if device.type == "cpu":
        supported = torch.cpu.get_capabilities()
        return bool(supported.get("amx_bf16") or supported.get("avx512_bf16"))
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
