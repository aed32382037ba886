"""Rows of a model's unembedding (`lm_head`) as an Arrow IPC stream, format version 1. The page reads it in
`src/contract/unembedding.ts`; docs/protocol.md specifies the format.

`row . state` is a token's logit for a last hidden state, so the rows of an answer's tokens are all the page needs to
compute token activation maps.
"""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ..models.loading import Loaded
from .run import FP16_MAX

UNEMBEDDING_KEY = b"patchlight.unembedding"
UNEMBEDDING_VERSION = 1


def has_unembedding(model: Any) -> bool:
    """Whether the unembedding is a single matrix in memory, without a bias, so its rows define all logits."""
    layer = model.lm_head
    weight = getattr(layer, "weight", None)
    is_matrix = isinstance(weight, torch.Tensor) and weight.is_floating_point() and not weight.is_meta
    return is_matrix and getattr(layer, "bias", None) is None


@torch.no_grad()
def unembedding_rows(model: Any, ids: Sequence[int]) -> np.ndarray:
    """Return the rows [n, d] of n token ids, as float32."""
    weight: torch.Tensor = model.lm_head.weight
    return weight[torch.tensor(ids, device=weight.device)].float().cpu().numpy()


def unembedding_bytes(loaded: Loaded, ids: Sequence[int]) -> bytes:
    """Return a stream of one batch with token ids and their rows [d], as fp16 if it can represent every value, else as
    float32.
    """
    rows = unembedding_rows(loaded.model, ids)
    if float(np.abs(rows).max(initial=0)) <= FP16_MAX:
        rows = rows.astype(np.float16)
    header = {
        "formatVersion": UNEMBEDDING_VERSION,
        "model": {"name": loaded.name, "revision": loaded.revision},
        "hiddenSize": rows.shape[1],
    }
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    batch = pa.record_batch([pa.array(ids, pa.int32()), column], names=["tokenId", "row"])
    batch = batch.replace_schema_metadata({UNEMBEDDING_KEY: json.dumps(header).encode()})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue()
