"""TAM, token activation map (Li et al., ICCV 2025): how strongly each patch's own last hidden state predicts an answer
token, minus the part that the earlier text accounts for. Needs no gradient.

`a_j = max(0, lm_head(h_j)[y_t])`; the image map M holds the a_j of all patches. The earlier text's interference is
`I = sum_i u_i M_i`, with `u_i = a_i / sum a` and M_i the raw image map for the id of token i; tokens with the id y_t
are left out. `alpha = <M, I> / <I, I>` and `M <- max(0, M - alpha I)`. Then M and the text's scores are min-max scaled
together, and a 3 x 3 rank-Gaussian filter smooths each frame's grid: the nine values are sorted in ascending order and
weighted by `exp(-k^2 / 2 sigma^2)` for rank offsets k = -4..4, with sigma = std / mean of the nine; the result is 0 if
their mean is not positive.

Choices made here, as in the page (src/math/methods/token-activation.ts): each text column counts once, for one token. A
prompt token uses its own column, and an answer token the column that predicted it. So the prompt's last column counts
for the first answer token, and p_t itself is left out. At an edge, the grid is mirrored about its outermost row or
column.
"""

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from ..models.reading import Frame
from .answer import Answer, Logits, Passes, TokenRelevancy


class TamStates(NamedTuple):
    """The inputs of TAM.

    patches [P, d], prompt [m, d] and query [T, d]: last hidden states, `post_norm`; query t predicted answer token t.
    prompt_ids [m] and answer_ids [T]: token ids of the prompt's text and of the answer.
    """

    patches: torch.Tensor
    prompt: torch.Tensor
    query: torch.Tensor
    prompt_ids: Sequence[int]
    answer_ids: Sequence[int]


def token_activation(answer: Answer, passes: Passes) -> Generator[Logits | TokenRelevancy]:
    """Compute TAM with one forward pass, using the model's own attention."""
    reading, call = answer.reading, answer.call()
    with torch.no_grad():
        states = call.decoder(**{**call.arguments, "use_cache": False}).last_hidden_state[0]
        query = states[answer.positions.to(states.device)]
        logits = call.logits(query)
    passes.forward += 1
    yield Logits(logits)
    inputs = TamStates(
        states[reading.patch_columns.to(states.device)],
        states[reading.prompt_columns.to(states.device)],
        query,
        reading.inputs["input_ids"][0, reading.prompt_columns].tolist(),
        answer.ids,
    )
    activations = TokenActivations(inputs, call.lm_head, reading.frames)
    for t in answer.token_indices:
        yield activations.map_of(t)


class TokenActivations:
    """The maps of one answer's tokens. The activations of each token id are computed once, when first needed."""

    def __init__(self, states: TamStates, lm_head: Any, frames: Sequence[Frame]):
        self._states, self._lm_head, self._frames = states, lm_head, frames
        self._raw: dict[int, torch.Tensor] = {}

    @torch.no_grad()
    def map_of(self, t: int) -> TokenRelevancy:
        """Return the map of answer token t. Values are in 0..1 before the patches are smoothed; the last prompt value
        is 0.
        """
        states, target = self._states, self._states.answer_ids[t]
        ids = [*states.prompt_ids[:-1], *states.answer_ids[:t]]
        text = torch.cat([states.prompt[:-1], states.query[:t]])
        scores = self._activations(text, target)
        M = self._without_interference(self._raw_map(target), scores, ids, target)
        low, high = _extremes(M, scores)
        M, scores = ((part - low) / (high - low) if high > low else part * 0 for part in (M, scores))
        m = len(states.prompt_ids)
        prompt = F.pad(scores[: m - 1], (0, 1)).float()
        return TokenRelevancy(t, self._smoothed(M.numpy()), prompt, scores[m - 1 :].float())

    def _without_interference(
        self, M: torch.Tensor, scores: torch.Tensor, ids: Sequence[int], target: int
    ) -> torch.Tensor:
        u = scores * torch.tensor([token != target for token in ids])
        total = u.sum()
        if total <= 0:
            return M
        weight: dict[int, float] = {}
        for token, share in zip(ids, (u / total).tolist(), strict=True):
            weight[token] = weight.get(token, 0.0) + share
        interference = torch.zeros_like(M)
        for token, share in weight.items():
            if share > 0:
                interference += share * self._raw_map(token)
        square = interference @ interference
        if square <= 0:
            return M
        return (M - (M @ interference) / square * interference).clamp(min=0)

    def _raw_map(self, token: int) -> torch.Tensor:
        if token not in self._raw:
            self._raw[token] = self._activations(self._states.patches, token)
        return self._raw[token]

    def _activations(self, states: torch.Tensor, token: int) -> torch.Tensor:
        """max(0, lm_head(h)[token]) for each state h, float64 on the CPU."""
        row = self._lm_head.weight[token].to(states.device, torch.float32)
        logits = states.float() @ row
        if self._lm_head.bias is not None:
            logits = logits + self._lm_head.bias[token].float().to(logits.device)
        return logits.clamp(min=0).double().cpu()

    def _smoothed(self, M: np.ndarray) -> torch.Tensor:
        parts, start = [], 0
        for frame in self._frames:
            stop = start + frame.rows * frame.cols
            parts.append(rank_gaussian(M[start:stop].reshape(frame.rows, frame.cols)).reshape(-1))
            start = stop
        return torch.from_numpy(np.concatenate(parts)).float()


def rank_gaussian(grid: np.ndarray) -> np.ndarray:
    """Smooth a grid [rows, cols] float64. A single row or column is repeated at its edges instead of mirrored."""
    for axis in (0, 1):
        width = [(0, 0), (0, 0)]
        width[axis] = (1, 1)
        grid = np.pad(grid, width, mode="reflect" if grid.shape[axis] > 1 else "edge")
    nine = np.sort(np.lib.stride_tricks.sliding_window_view(grid, (3, 3)).reshape(*np.subtract(grid.shape, 2), 9), -1)
    mean = nine.mean(-1, keepdims=True)
    sigma = np.divide(nine.std(-1, keepdims=True), mean, out=np.zeros_like(mean), where=mean > 0)
    k = np.arange(-4, 5)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(k == 0, 1.0, np.exp(-(k**2) / (2 * sigma**2)))
    return np.where(mean[..., 0] > 0, (nine * weights).sum(-1) / weights.sum(-1), 0.0)


def _extremes(*parts: torch.Tensor) -> tuple[float, float]:
    together = torch.cat(parts)
    return float(together.min()), float(together.max())
