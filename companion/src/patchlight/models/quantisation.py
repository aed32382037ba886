"""How many bits the weights of a quantised model take, from its config alone."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn


class Quantisation(NamedTuple):
    """How a checkpoint's linear layers are stored. bits: bits per weight, including scales and zero points. decoder:
    whether only the language model's layers are quantised. skipped: names of modules that are not quantised.
    """

    method: str
    bits: float
    decoder: bool
    skipped: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} with {self.bits:.3g} bits per weight"

    def covers(self, name: str, module: nn.Module) -> bool:
        """Whether a module's weight is quantised: that of a linear layer other than the output layer."""
        if not isinstance(module, nn.Linear) or name.endswith("lm_head"):
            return False
        if self.decoder and not re.search(r"(language_model|text_model)\..*layers\.", name):
            return False
        return not any(_names(skipped, name) for skipped in self.skipped)


def quantisation_of(config: Any) -> Quantisation | None:
    """Return the quantisation of a model's config, or None if it has none, or one whose bits are unknown."""
    stated = getattr(config, "quantization_config", None)
    if stated is None:
        return None
    facts: Mapping[str, Any] = stated if isinstance(stated, Mapping) else stated.to_dict()
    stated_method = facts.get("quant_method") or "bitsandbytes"
    # A loaded model's config has an enum, a checkpoint's a string.
    method = str(getattr(stated_method, "value", stated_method)).lower()
    bits = _bits(method, facts)
    if bits is None:
        return None
    skipped = [
        name
        for field in ("llm_int8_skip_modules", "modules_to_not_convert", "ignore", "ignored_layers")
        for name in facts.get(field) or []
    ]
    return Quantisation(method, bits, method in ("gptq", "auto-round"), tuple(map(str, skipped)))


def _bits(method: str, facts: Mapping[str, Any]) -> float | None:
    match method:
        case "bitsandbytes" if facts.get("load_in_4bit") or facts.get("_load_in_4bit"):
            # One scale per 64 weights: float32, or 8 bits with a float32 scale per 256 of them.
            return 4 + (8 / 64 + 32 / (64 * 256) if facts.get("bnb_4bit_use_double_quant") else 32 / 64)
        case "bitsandbytes" if facts.get("load_in_8bit") or facts.get("_load_in_8bit"):
            return 8
        case "gptq" | "awq" | "auto-round" if isinstance(bits := facts.get("bits", facts.get("w_bit")), int):
            group = facts.get("group_size", facts.get("q_group_size", 128)) or 128
            # One fp16 scale and one zero point per group; -1 is a group per output, whose share is negligible.
            return bits + ((16 + bits) / group if group > 0 else 0)
        case "compressed-tensors":
            groups = [(group.get("weights") or {}) for group in (facts.get("config_groups") or {}).values()]
            sizes = [weights["num_bits"] for weights in groups if isinstance(weights.get("num_bits"), int)]
            # With groups of 128 weights, a scale takes at most a quarter of a bit per weight.
            return max(sizes) + 0.25 if sizes else None
        case "fp8" | "fbgemm_fp8" | "eetq":
            return 8
        case "mxfp4":
            return 4.25
    return None


def _names(skipped: str, module: str) -> bool:
    """Whether an entry in a list of modules that are not quantised names this one: a part of its name, or `re:` and a
    pattern.
    """
    if skipped.startswith("re:"):
        return re.match(skipped[3:], module) is not None
    return skipped in module
