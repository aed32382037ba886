"""GradCAM (Selvaraju et al. 2017) carried over to a decoder, in two variants; the paper knows convolutions only.

`gradcam`, as shipped beside Chefer's code (Transformer-MM-Explainability): of the last layer's attention, head h
weighs `w_h` = mean of dS/dA_h over all N x N entries, map `max(0, mean_h w_h A_h)` at row p_t. S is the token's logit.
N is p_t + 1, the prefix alone; of the last layer only row p_t acts on S.

`feature_gradcam`: of the features F [P, d] at the patches that a middle layer's input norm gives, channel c weighs
`w_c` = mean over the patches of max(0, dS/dF_c); map `max(0, sum_c w_c F_c)`.
"""

from collections.abc import Generator
from typing import Any

import torch

from .answer import Answer, Passes, Said, Weights
from .attention_hooks.decoder_call import DecoderCall
from .attention_hooks.record import LocalSlopes, local_slopes
from .attention_hooks.replace import without_weight_gradients


def gradcam(answer: Answer, passes: Passes) -> Generator[Said | Weights]:
    """One forward pass, and one backward pass through the last layer for all tokens at once."""
    call, found = answer.call(), []

    def look(slopes: LocalSlopes) -> None:
        size = (answer.positions + 1).to(slopes.g.device) ** 2
        w = slopes.g.sum(-1) / size[:, None]
        found.append((w[..., None] * slopes.a).mean(1).clamp(min=0))

    logits = local_slopes(call, answer.positions, answer.tokens, len(call.decoder.layers) - 1, look)
    passes.forward += 1
    passes.backward += 1
    yield Said(logits)
    for t in answer.wanted:
        yield answer.weights(t, found[0][t])


def feature_gradcam(answer: Answer, passes: Passes, *, layer: int | None = None) -> Generator[Said | Weights]:
    """One forward pass, and a backward pass a token from its logit down to `layer` (of L, the one at L // 2).

    The attention is the model's own: no matrix of it is needed.
    """
    call = answer.call()
    F, logits = _features(call, answer.positions, len(call.decoder.layers) // 2 if layer is None else layer)
    passes.forward += 1
    yield Said(logits.detach())
    columns = answer.reading.patch_columns.to(F.device)
    patches = F.detach()[0, columns].float()
    for k, t in enumerate(answer.wanted):
        is_last = k + 1 == len(answer.wanted)
        (slope,) = torch.autograd.grad(logits[t, answer.ids[t]], F, retain_graph=not is_last)
        passes.backward += 1
        w = slope[0, columns].float().clamp(min=0).mean(0)
        yield Weights(t, (patches @ w).clamp(min=0).cpu())


def _features(call: DecoderCall, positions: torch.Tensor, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised features [1, n, d] that `layer` starts from, and logits [t, vocabulary] whose graph ends at them."""
    norm: Any = getattr(call.decoder.layers[layer], "input_layernorm", None)
    if norm is None:
        raise ValueError(f"{type(call.decoder).__name__} has no norm before its layers: feature GradCAM reads it")
    found: list[torch.Tensor] = []

    def take(module: torch.nn.Module, given: object, output: torch.Tensor) -> torch.Tensor:
        found.append(output.detach().requires_grad_())
        return found[0]

    handle = norm.register_forward_hook(take)
    try:
        parts = without_weight_gradients(call.decoder), without_weight_gradients(call.lm_head)
        with parts[0], parts[1], torch.enable_grad():
            states = call.decoder(**{**call.arguments, "use_cache": False}).last_hidden_state
            logits = call.lm_head(states[0, positions.to(states.device)])
    finally:
        handle.remove()
    return found[0], logits
