"""Rows of a model's vocabulary layer as bytes: an Arrow IPC stream, format version 1.

`row . state` is a token's logit for a last hidden state, so with the rows of an answer's tokens the page makes token
activation maps by itself. `src/contract/unembedding.ts` is the other end; docs/protocol.md is the description.
"""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ..models.loading import Loaded
from .run import FP16_LARGEST

UNEMBEDDING_KEY = b"patchlight.unembedding"
UNEMBEDDING_VERSION = 1


def has_unembedding(model: Any) -> bool:
    """Whether the vocabulary layer is one matrix at hand, without a bias: its rows say all then."""
    layer = model.lm_head
    weight = getattr(layer, "weight", None)
    is_matrix = isinstance(weight, torch.Tensor) and weight.is_floating_point() and not weight.is_meta
    return is_matrix and getattr(layer, "bias", None) is None


@torch.no_grad()
def unembedding_bytes(loaded: Loaded, ids: Sequence[int]) -> bytes:
    """One batch of ids and their rows [d]: fp16 where it holds every value, else float32."""
    weight: torch.Tensor = loaded.model.lm_head.weight
    found = weight[torch.tensor(ids, device=weight.device)].float().cpu().numpy()
    if float(np.abs(found).max(initial=0)) <= FP16_LARGEST:
        found = found.astype(np.float16)
    header = {
        "formatVersion": UNEMBEDDING_VERSION,
        "model": {"name": loaded.name, "revision": loaded.revision},
        "hiddenSize": found.shape[1],
    }
    rows = pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), found.shape[1])
    batch = pa.record_batch([pa.array(ids, pa.int32()), rows], names=["tokenId", "row"])
    batch = batch.replace_schema_metadata({UNEMBEDDING_KEY: json.dumps(header).encode()})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue()
