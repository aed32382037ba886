"""Bars columns of a decoder's input in every layer, and measures how likely the tokens of an answer remain.

Nothing is painted and no column moves: the image is encoded once, the positions stay, and the other rows of every layer
no longer see the barred columns. No gradients and no attention weights are needed, so this works with any attention
implementation, and with models whose layers rule Chefer relevancy out.

A model hands its decoder one of two kinds of mask. A mask of padding `[1, n]`, from which the decoder builds the mask of
each layer: a barred column is set to 0 there, as if it were padding in the middle. Positions do not shift, because they
are numbered before the decoder runs or by counting columns, and layers without attention set the padding's states to 0.
Or finished masks `[1, 1, n, n]`, one per kind of layer, where the image's columns see each other: there, a barred column
is closed to all rows but its own. Its own row would otherwise see nothing if it comes first, and a softmax over nothing
is NaN; no other row reads what it computes.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from ..models.language_model import decoder_arguments
from .attention_hooks.decoder_call import DecoderCall

MOST_COLUMNS = 8192
"""Most columns in one pass, of all sequences of a batch together; a batch that does not fit in memory is halved."""


class BarredPasses(NamedTuple):
    """What is left of an answer of t tokens in k passes, on the CPU.

    log_probs `[k, t]` float32, in nats; likeliest `[k, t]`: id of the most likely token.
    """

    log_probs: torch.Tensor
    likeliest: torch.Tensor


def own_call(model: Any, decoder: nn.Module, inputs: Mapping[str, Any]) -> DecoderCall:
    """Capture the call that `model.model(**inputs)` makes to its decoder, with masks for the model's own attention."""
    return DecoderCall(model, decoder, decoder_arguments(model, decoder, inputs))


@torch.no_grad()
def barred_passes(
    call: DecoderCall,
    positions: torch.Tensor,
    token_ids: torch.Tensor,
    barred: torch.Tensor,
    *,
    autocast: torch.dtype | None = None,
    most_columns: int = MOST_COLUMNS,
) -> BarredPasses:
    """Run the sequence of `call` once per row of `barred` `[k, n]` bool, True where a column is barred.

    positions `[t]`: the column whose logits predict each token; token_ids `[t]`. Several rows run in one pass, as long
    as they have at most `most_columns` columns together; half as many if the GPU's memory is too small. `autocast` sets
    a lower precision for matrix products. Raises ValueError if the decoder has a kind of mask that is not known.
    """
    columns = call.arguments["inputs_embeds"].shape[1]
    size, start, parts = max(1, min(len(barred), most_columns // columns)), 0, []
    while start < len(barred):
        try:
            parts.append(_pass(call, positions, token_ids, barred[start : start + size], autocast))
            start += size
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size //= 2
    if not parts:
        none = torch.zeros(0, len(token_ids))
        return BarredPasses(none, none.long())
    return BarredPasses(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _pass(
    call: DecoderCall, positions: torch.Tensor, token_ids: torch.Tensor, barred: torch.Tensor, autocast: Any
) -> BarredPasses:
    device = call.arguments["inputs_embeds"].device
    arguments = _repeated(call.arguments, barred.to(device))
    with torch.autocast(device.type, dtype=autocast or torch.bfloat16, enabled=autocast is not None):
        states = call.decoder(**{**arguments, "use_cache": False}).last_hidden_state
    log_probs, likeliest = [], []
    for row in states:  # one at a time: the logits of all rows would be the largest tensor of the pass
        scores = call.logits(row[positions.to(row.device)]).float().log_softmax(-1)
        log_probs.append(scores.gather(1, token_ids.to(scores.device)[:, None])[:, 0].cpu())
        likeliest.append(scores.argmax(-1).cpu())
    return BarredPasses(torch.stack(log_probs), torch.stack(likeliest))


def _repeated(arguments: Mapping[str, Any], barred: torch.Tensor) -> dict[str, Any]:
    """Return the decoder's arguments for a batch of the same sequence, with one row of `barred` `[k, n]` for each."""
    count = len(barred)
    repeated: dict[str, Any] = {"attention_mask": None}
    for name, value in arguments.items():
        match name:
            case "attention_mask" | "past_key_values":
                continue
            case "position_ids" if value is not None and value.ndim == 3:  # one row for time, height and width each
                repeated[name] = value.expand(-1, count, -1)
            case "deepstack_visual_embeds" if value is not None:  # rows for the image tokens of all sequences in turn
                repeated[name] = [rows.repeat(count, 1) for rows in value]
            case _ if isinstance(value, torch.Tensor) and value.ndim > 1 and value.shape[0] == 1:
                repeated[name] = value.expand(count, *value.shape[1:])
            case _:
                repeated[name] = value
    repeated["attention_mask"] = _barred_mask(arguments.get("attention_mask"), barred)
    return repeated


def _barred_mask(mask: Any, barred: torch.Tensor, *, is_finished: bool = False) -> Any:
    """Close the barred columns of a mask of any kind. is_finished: whether None means a causal mask."""
    count, n = barred.shape
    if isinstance(mask, dict):
        return {kind: _barred_mask(part, barred, is_finished=True) for kind, part in mask.items()}
    if mask is None and is_finished:
        mask = torch.ones(1, 1, n, n, dtype=torch.bool, device=barred.device).tril()
    if mask is None:
        return (~barred).long()
    if not isinstance(mask, torch.Tensor) or mask.ndim not in (2, 4):
        raise ValueError(f"cannot bar columns of a mask of type {type(mask).__name__}")
    if mask.ndim == 2:
        return mask.expand(count, n).masked_fill(barred.to(mask.device), 0)
    closed = barred[:, None, None, :] & ~torch.eye(n, dtype=torch.bool, device=barred.device)
    lowest = 0 if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
    return mask.expand(count, -1, n, n).masked_fill(closed.to(mask.device), lowest)
