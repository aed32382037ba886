"""Writes src/math/methods/fixtures/token-activation.json: `python -m tests.makers.activation_fixture`.

The fixture contains token activation maps of random states, as a reference for the page's implementation. They are
computed in float64 by a plain NumPy implementation of docs/methods.md, which forms the matrices that the page avoids:
all logits at once, windows padded by `np.pad`, alpha from a general least-squares solver.
"""

import json

import numpy as np

from tests.helpers.paths import ROOT

FIXTURE = ROOT / "src" / "math" / "methods" / "fixtures" / "token-activation.json"
HIDDEN, VOCABULARY = 10, 7
GRIDS = [(4, 5), (1, 3), (2, 2)]
# Ids repeat within the prompt, within the answer and across both; a token does not interfere with itself.
PROMPT_IDS, ANSWER_IDS = [0, 3, 1, 3, 5], [2, 3, 2, 6, 4]


def rank_gaussian(grid: np.ndarray) -> np.ndarray:
    """Apply the 3 x 3 rank Gaussian filter: weights exp(-k^2 / 2 sigma^2) over the ranks k, sigma = std / mean."""
    rows, cols = grid.shape
    # NumPy cannot mirror an axis of length 1; repeat its value instead.
    padded = np.pad(grid, [(1, 1), (0, 0)], mode="reflect" if rows > 1 else "edge")
    padded = np.pad(padded, [(0, 0), (1, 1)], mode="reflect" if cols > 1 else "edge")
    filtered = np.zeros_like(grid)
    for row in range(rows):
        for col in range(cols):
            window = np.sort(padded[row : row + 3, col : col + 3], axis=None)
            if window.mean() <= 0:
                continue
            sigma = window.std() / window.mean()
            if sigma == 0:
                filtered[row, col] = window[4]
                continue
            weights = np.exp(-(np.arange(-4, 5) ** 2) / (2 * sigma**2))
            filtered[row, col] = np.average(window, weights=weights)
    return filtered


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
    """Return the map of answer token t: values [P], prompt [m], answer [t]."""
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
        # Round to values that float32 represents exactly, so that both sides start from the same numbers.
        return (random.standard_normal((rows, HIDDEN)) * 64).round() / 64

    states = {"patchStates": numbers(patches), "promptStates": numbers(len(PROMPT_IDS))}
    queries, lm_head = numbers(len(ANSWER_IDS)), numbers(VOCABULARY)
    queries[0] = states["promptStates"][-1]
    # Give all patches of the last frame the same state, a negative multiple of one token's `lm_head` row, so that some
    # windows contain only equal values and others only zeros.
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
