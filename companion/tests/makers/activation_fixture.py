"""Writes src/math/methods/fixtures/token-activation.json: `python -m tests.makers.activation_fixture`.

Token activation maps by a plain NumPy reading of docs/methods.md, in float64, of made-up states: what the page's own
arithmetic is held to. Every matrix is written out where the page's form avoids it: all logits at once, the window's
padding by `np.pad`, alpha by a general least-squares solver.
"""

import json

import numpy as np

from tests.helpers.paths import ROOT

FIXTURE = ROOT / "src" / "math" / "methods" / "fixtures" / "token-activation.json"
HIDDEN, VOCABULARY = 10, 7
GRIDS = [(4, 5), (1, 3), (2, 2)]
# Ids come twice, within the prompt, within the answer and across: the same string is no interference.
PROMPT_IDS, ANSWER_IDS = [0, 3, 1, 3, 5], [2, 3, 2, 6, 4]


def rank_gaussian(grid: np.ndarray) -> np.ndarray:
    """3 x 3; weights exp(-k^2 / 2 sigma^2) over the ranks, sigma = std / mean."""
    rows, cols = grid.shape
    # NumPy cannot mirror a line of one: it stands beside itself.
    padded = np.pad(grid, [(1, 1), (0, 0)], mode="reflect" if rows > 1 else "edge")
    padded = np.pad(padded, [(0, 0), (1, 1)], mode="reflect" if cols > 1 else "edge")
    found = np.zeros_like(grid)
    for row in range(rows):
        for col in range(cols):
            window = np.sort(padded[row : row + 3, col : col + 3], axis=None)
            if window.mean() <= 0:
                continue
            sigma = window.std() / window.mean()
            if sigma == 0:
                found[row, col] = window[4]
                continue
            weights = np.exp(-(np.arange(-4, 5) ** 2) / (2 * sigma**2))
            found[row, col] = np.average(window, weights=weights)
    return found


def token_activation(
    patches: np.ndarray,
    prompt: np.ndarray,
    queries: np.ndarray,
    lm_head: np.ndarray,
    t: int,
    *,
    prompt_ids: list[int] = PROMPT_IDS,
    answer_ids: list[int] = ANSWER_IDS,
    grids: list[tuple[int, int]] = GRIDS,
) -> dict[str, list[float]]:
    """values [P], prompt [m], answer [t] of answer token t."""
    m, target = len(prompt_ids), answer_ids[t]
    columns = np.concatenate([prompt[:-1], queries[:t]])
    ids = prompt_ids[:-1] + answer_ids[:t]
    image_activations = np.maximum(0, patches @ lm_head.T)
    text = np.maximum(0, columns @ lm_head.T)[:, target]
    image = image_activations[:, target]
    others = [i for i, token in enumerate(ids) if token != target]
    weights = text[others] / text[others].sum()
    interference = image_activations[:, [ids[i] for i in others]] @ weights
    alpha = np.linalg.lstsq(interference[:, None], image, rcond=None)[0][0]
    image = np.maximum(0, image - alpha * interference)
    both = np.concatenate([image, text])
    both = (both - both.min()) / (both.max() - both.min())
    bounds = np.cumsum([0] + [rows * cols for rows, cols in grids])
    frames = [
        rank_gaussian(both[start:stop].reshape(grid))
        for start, stop, grid in zip(bounds, bounds[1:], grids, strict=False)
    ]
    text = both[len(image) :]
    return {
        "values": np.concatenate([frame.ravel() for frame in frames]).tolist(),
        "prompt": [*text[: m - 1].tolist(), 0.0],
        "answer": text[m - 1 :].tolist(),
    }


def main() -> None:
    random = np.random.default_rng(20260)
    patches = sum(rows * cols for rows, cols in GRIDS)

    def numbers(rows: int) -> np.ndarray:
        # Rounded to what float32 holds exactly, so that both sides start from the same numbers.
        return (random.standard_normal((rows, HIDDEN)) * 64).round() / 64

    states = {"patchStates": numbers(patches), "promptStates": numbers(len(PROMPT_IDS))}
    queries, lm_head = numbers(len(ANSWER_IDS)), numbers(VOCABULARY)
    queries[0] = states["promptStates"][-1]
    # The last frame all alike, and far from one token: windows of equal values and of nothing come about.
    states["patchStates"][-4:] = -lm_head[4] * 2
    maps = [
        token_activation(states["patchStates"], states["promptStates"], queries, lm_head, t)
        for t in range(len(ANSWER_IDS))
    ]
    fixture = {
        "hiddenSize": HIDDEN,
        "grids": [{"rows": rows, "cols": cols} for rows, cols in GRIDS],
        "promptIds": PROMPT_IDS,
        "answerIds": ANSWER_IDS,
        **{name: value.ravel().tolist() for name, value in (states | {"queryStates": queries}).items()},
        "unembedding": lm_head.tolist(),
        "maps": maps,
    }
    FIXTURE.parent.mkdir(exist_ok=True)
    FIXTURE.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
