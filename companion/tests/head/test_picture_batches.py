"""Tests batches that are grouped by picture: every token is equally likely, and the logits are those of each token alone."""

from pathlib import Path

import pytest
import torch

from patchlight.head.picture_batches import PictureBatches, by_picture, logits_by_picture
from tests.head.test_training import planted_head, write_samples


def test_every_token_is_equally_likely_however_many_its_picture_has(tmp_path: Path):
    samples = write_samples(tmp_path / "samples", questions=8)
    # One picture has 15 tokens and three have 3: fewer and more than the 4 that a batch takes of one.
    samples.columns["image"] = torch.tensor([0] * 15 + [1] * 3 + [2] * 3 + [3] * 3)
    batches = PictureBatches(by_picture(samples, torch.arange(24)), batch=12, picture_tokens=4)
    random = torch.Generator().manual_seed(0)
    drawn = torch.cat([picture.rows for _ in range(4000) for picture in batches.draw(random)])
    shares = torch.bincount(drawn, minlength=24) / len(drawn)
    # 48,000 draws: a share of 1/24 has a standard deviation of about 0.001. Batches end within a picture's tokens, which
    # favours pictures with few tokens by less than that.
    torch.testing.assert_close(shares, torch.full((24,), 1 / 24), rtol=0, atol=0.005)


@pytest.mark.parametrize("picture_tokens", [1, 2, 16])
def test_a_batch_is_full_and_takes_few_tokens_of_one_picture_at_a_time(tmp_path: Path, picture_tokens: int):
    samples = write_samples(tmp_path / "samples")
    pictures = by_picture(samples, torch.arange(len(samples)))
    batches = PictureBatches(pictures, batch=20, picture_tokens=picture_tokens)
    batch = batches.draw(torch.Generator().manual_seed(1))
    assert torch.cat([picture.places for picture in batch]).tolist() == list(range(20))
    assert len({picture.image for picture in batch}) > 1
    for picture in batch:
        assert len(picture.rows) <= picture_tokens
        assert len(set(picture.rows.tolist())) == len(picture.rows)
        assert set(samples.columns["image"][picture.rows].tolist()) == {picture.image}
    again = batches.draw(torch.Generator().manual_seed(1))
    assert all(torch.equal(one.rows, other.rows) for one, other in zip(batch, again, strict=True))


def test_new_pictures_are_drawn_once_before_any_other(tmp_path: Path):
    samples = write_samples(tmp_path / "samples")
    pictures = by_picture(samples, torch.arange(len(samples)))
    new = pictures[:3]
    batches = PictureBatches(pictures[3:], batch=5, picture_tokens=2, first=new)
    random = torch.Generator().manual_seed(0)
    drawn = [batches.draw(random) for _ in range(batches.first_batches + 1)]
    expected = torch.cat([picture.rows for picture in new]).tolist()
    rows = torch.cat([picture.rows for batch in drawn for picture in batch]).tolist()
    assert sorted(rows[: len(expected)]) == sorted(expected)
    assert not set(rows[len(expected) :]) & set(expected)
    assert len(rows) == 5 * len(drawn)
    # A batch has tokens of several pictures, although the first picture alone could fill it.
    assert len({picture.image for picture in drawn[0]}) == 3


@pytest.mark.parametrize("ragged", [True, False])
def test_grouped_logits_equal_those_of_each_token_alone(tmp_path: Path, ragged: bool):
    samples, head = write_samples(tmp_path / "samples", ragged=ragged), planted_head()
    tokens = torch.tensor([7, 0, 60, 8, 1])
    seen = []
    for places, logits in logits_by_picture(head, by_picture(samples, tokens)):
        for place, row in zip(places.tolist(), logits, strict=True):
            token = tokens[place]
            states = samples.picture_states(int(samples.columns["image"][token])).float()
            alone = head.logits(samples.columns["query_states"][token][None].float(), states)[0]
            torch.testing.assert_close(row, alone)
            seen.append(place)
    assert sorted(seen) == [0, 1, 2, 3, 4]
