"""Tests the masks of the ablation teacher, and what it estimates from them, against plain versions."""

import math

import numpy as np
import pytest
import torch

from patchlight.head.ablation import (
    CELLS,
    MASKS,
    Ablation,
    has_effect,
    mask_seed,
    patch_effects,
    region_masks,
)
from patchlight.models.reading import Frame, Rect

SQUARE = Frame("image", Rect(0, 0, 336, 336), 24, 24, 336, 336)


def test_each_mask_bars_half_of_the_cells_of_a_shifted_grid():
    masks = region_masks([SQUARE], seed=3).view(MASKS, 24, 24)
    side = round(24 / math.sqrt(CELLS))
    corners = set()
    for mask in masks.numpy():
        rows = np.flatnonzero((mask[1:] != mask[:-1]).any(1)) + 1
        columns = np.flatnonzero((mask[:, 1:] != mask[:, :-1]).any(0)) + 1
        # All borders lie on one grid: cells are barred as a whole.
        assert len({int(row) % side for row in rows}) == len({int(column) % side for column in columns}) == 1
        top, left = int(rows[0]) % side, int(columns[0]) % side
        corners.add((top, left))
        tops, lefts = [0, *range(top or side, 24, side)], [0, *range(left or side, 24, side)]
        cells = [mask[row, column] for row in tops for column in lefts]
        assert sum(cells) in (len(cells) // 2, -(-len(cells) // 2))
    assert len(corners) > MASKS / 3
    share = masks.float().mean((1, 2))
    # Cells at the border are cut, so that half of the cells are not quite half of the patches.
    assert share.min() > 0.4
    assert share.max() < 0.6
    assert masks.float().mean(0).min() > 0.1  # each patch is barred in some masks and left in others
    assert masks.float().mean(0).max() < 0.9


def test_masks_depend_on_the_seed_only():
    assert torch.equal(region_masks([SQUARE], seed=5), region_masks([SQUARE], seed=5))
    assert not torch.equal(region_masks([SQUARE], seed=5), region_masks([SQUARE], seed=6))
    assert mask_seed(b"ab", b"c") != mask_seed(b"a", b"bc")
    assert 0 <= mask_seed(b"ab") < 2**63


def test_frames_of_one_image_lose_the_same_places_and_another_image_its_own():
    detail = Frame("detail", Rect(10, 0, 480, 320), 16, 24, 672, 448)
    overview = Frame("overview", Rect(10, 0, 480, 320), 8, 12, 336, 224)
    other = SQUARE._replace(image=1)
    masks = region_masks([detail, other, overview], seed=1, cells=6)
    first, second = masks[:, : 16 * 24].view(-1, 16, 24), masks[:, -8 * 12 :].view(-1, 8, 12)
    # A patch of the overview shows the place of 2 x 2 patches of the detail: unless a border cuts them, both are alike.
    quarters = first.view(-1, 8, 2, 12, 2).float().mean((2, 4))
    whole = (quarters == 0) | (quarters == 1)
    assert whole.float().mean() > 0.5
    assert (quarters.bool()[whole] == second[whole]).all()
    assert masks[:, 16 * 24 : -8 * 12].float().mean() == pytest.approx(0.5, abs=0.1)


def test_an_image_of_few_patches_has_a_cell_for_each():
    frame = Frame("image", Rect(0, 0, 28, 28), 2, 2, 28, 28)
    assert (region_masks([frame], seed=0).sum(1) == 2).all()
    one = Frame("image", Rect(0, 0, 28, 28), 1, 1, 28, 28)
    assert set(region_masks([one], seed=0).sum(1).tolist()) == {0, 1}


def planted(patches: int, tokens: int, seed: int) -> tuple[Ablation, torch.Tensor]:
    """Return an ablation whose falls are sums of known effects, and noise."""
    random = torch.Generator().manual_seed(seed)
    masks = torch.rand(MASKS, patches, generator=random) < 0.5
    effects = torch.randn(tokens, patches, generator=random)
    falls = effects @ masks.float().T + 0.1 * torch.randn(tokens, MASKS, generator=random)
    return Ablation(masks, falls), effects


@pytest.mark.parametrize("patches", [6, 90])
def test_effects_equal_a_ridge_regression_with_an_intercept(patches: int):
    ablation, _ = planted(patches, 3, 0)
    X, d = ablation.masks.double().numpy(), ablation.deltas.double().numpy()
    centred = X - X.mean(0)
    penalty = np.linalg.eigvalsh(centred @ centred.T).mean()
    # Ridge as least squares with a row for each penalised coefficient; the intercept, the last, has none.
    above = np.hstack([X, np.ones((MASKS, 1))])
    below = np.hstack([np.sqrt(penalty) * np.eye(patches), np.zeros((patches, 1))])
    for falls, row in zip(d, patch_effects(ablation).double().numpy(), strict=True):
        solution, *_ = np.linalg.lstsq(np.vstack([above, below]), np.append(falls, np.zeros(patches)), rcond=None)
        # Solved in float64, stored in float32.
        np.testing.assert_allclose(row, np.clip(solution[:-1], 0, None), atol=1e-6)


def test_effects_are_those_that_were_planted_if_there_are_fewer_patches_than_masks():
    ablation, effects = planted(6, 20, 1)
    found = patch_effects(ablation)
    assert np.corrcoef(found.flatten(), effects.clamp(min=0).flatten())[0, 1] > 0.95
    assert (found >= 0).all()
    assert (found[effects < -0.5] == 0).float().mean() > 0.9


def test_tokens_without_an_effect_have_an_empty_map():
    ablation, _ = planted(9, 4, 2)
    ablation.deltas[1], ablation.deltas[2, 5] = 0.25, torch.nan
    ablation.deltas[3] = 1 + 1e-5 * torch.randn(MASKS)
    assert has_effect(ablation.deltas).tolist() == [True, False, False, False]
    effects = patch_effects(ablation)
    assert effects.isfinite().all()
    assert (effects.amax(1) > 0).tolist() == [True, False, False, False]
    same = Ablation(torch.ones(MASKS, 9, dtype=torch.bool), ablation.deltas)
    assert (patch_effects(same) == 0).all()
