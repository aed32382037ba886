"""GradCAM (Selvaraju et al. 2017), adapted to a decoder in two variants; the paper covers only convolutional networks.

`gradcam`, as published with Chefer's code (Transformer-MM-Explainability), uses the last layer's attention. The weight
of head h is `w_h` = mean of dS/dA_h over all N x N entries, and the map is `max(0, mean_h w_h A_h)` at row p_t. S is
the token's logit. N is p_t + 1, the length of the prefix; in the last layer, only row p_t affects S.

`feature_gradcam` uses the features F [P, d] of the patches after a middle layer's input norm. The weight of channel c
is `w_c` = mean over the patches of max(0, dS/dF_c), and the map is `max(0, sum_c w_c F_c)`.
"""

from collections.abc import Generator

import torch

from .answer import Answer, Logits, Passes, TokenRelevancy
from .attention_hooks.decoder_call import DecoderCall
from .attention_hooks.record import LocalGradients, local_gradients
from .attention_hooks.replace import without_weight_gradients


def gradcam(answer: Answer, passes: Passes) -> Generator[Logits | TokenRelevancy]:
    """Compute GradCAM of the last layer's attention with one forward pass, and one backward pass through that layer for
    all tokens at once.
    """
    call, rows = answer.call(), []

    def weigh(gradients: LocalGradients) -> None:
        size = (answer.positions + 1).to(gradients.g.device) ** 2
        w = gradients.g.sum(-1) / size[:, None]
        rows.append((w[..., None] * gradients.a).mean(1).clamp(min=0))

    logits = local_gradients(call, answer.positions, answer.tokens, len(call.decoder.layers) - 1, weigh)
    passes.forward += 1
    passes.backward += 1
    yield Logits(logits)
    for t in answer.token_indices:
        yield answer.relevancy(t, rows[0][t])


def feature_gradcam(answer: Answer, passes: Passes, *, layer: int | None = None) -> Generator[Logits | TokenRelevancy]:
    """Compute GradCAM of a layer's features with one forward pass, then one backward pass per token from its logit down
    to `layer` (default: layer L // 2 of L).

    The model runs with its own attention, because no attention matrix is needed.
    """
    call = answer.call()
    F, logits = _features(call, answer.positions, len(call.decoder.layers) // 2 if layer is None else layer)
    passes.forward += 1
    yield Logits(logits.detach())
    columns = answer.reading.patch_columns.to(F.device)
    patches = F.detach()[0, columns].float()
    for k, t in enumerate(answer.token_indices):
        is_last = k + 1 == len(answer.token_indices)
        (gradient,) = torch.autograd.grad(logits[t, answer.ids[t]], F, retain_graph=not is_last)
        passes.backward += 1
        w = gradient[0, columns].float().clamp(min=0).mean(0)
        yield TokenRelevancy(t, (patches @ w).clamp(min=0).cpu())


def input_norm_of(layer: torch.nn.Module) -> torch.nn.Module | None:
    """Return the norm of a layer's input, or None if it has none."""
    norms = (getattr(layer, name, None) for name in ("input_layernorm", "operator_norm"))
    return next((norm for norm in norms if norm is not None), None)


def _features(call: DecoderCall, positions: torch.Tensor, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the normalised input features [1, n, d] of `layer`, and logits [t, vocabulary] whose graph leads back to
    these features.
    """
    norm = input_norm_of(call.decoder.layers[layer])
    if norm is None:
        raise ValueError(f"{type(call.decoder).__name__} has no input norm in its layers, which feature GradCAM needs")
    features: list[torch.Tensor] = []

    def capture(module: torch.nn.Module, args: object, output: torch.Tensor) -> torch.Tensor:
        features.append(output.detach().requires_grad_())
        return features[0]

    handle = norm.register_forward_hook(capture)
    try:
        parts = without_weight_gradients(call.decoder), without_weight_gradients(call.lm_head)
        with parts[0], parts[1], torch.enable_grad():
            states = call.decoder(**{**call.arguments, "use_cache": False}).last_hidden_state
            logits = call.logits(states[0, positions.to(states.device)])
    finally:
        handle.remove()
    return features[0], logits
