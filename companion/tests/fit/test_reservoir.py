"""Tests the bounded space for labelled pictures: its size, that the choice is random and fair, and that it is restored."""

from pathlib import Path

import pytest
import torch

from patchlight.fit.labelling import LabelledPicture
from patchlight.fit.pictures import Picture, PictureSet
from patchlight.fit.reservoir import NoSpace, Reservoir
from patchlight.fit.run_folder import check_pictures
from patchlight.head.shard_content import ShardContent
from tests.helpers.sample_answers import random_answer

PATCHES, D, TOKENS = 9, 8, 3


def labelled(number: int) -> LabelledPicture:
    random = torch.Generator().manual_seed(number)
    states, queries = torch.randn(PATCHES, D, generator=random), torch.randn(TOKENS, D, generator=random)
    content = ShardContent()
    content.add("What?", "00", random_answer(states, queries, random), None)
    return LabelledPicture(content.encode(), [], [[3, 3]])


def size_of_one(folder: Path) -> int:
    reservoir = Reservoir(folder, disk_bytes=10**9, held=1, seed=0)
    reservoir.add(0, labelled(0))
    return reservoir.bytes


def fill(folder: Path, disk_bytes: int, numbers: range, seed: int) -> Reservoir:
    reservoir = Reservoir(folder, disk_bytes=disk_bytes, held=10, seed=seed)
    for number in numbers:
        groups = reservoir.add(number, labelled(number))
        assert (groups != []) == (reservoir.entries[number].role == "training")
        assert sum(path.stat().st_size for path in (folder / "pictures").iterdir()) <= disk_bytes
    return reservoir


def test_the_files_stay_within_the_space_and_every_picture_has_an_equal_chance(tmp_path: Path):
    space = 45 * size_of_one(tmp_path / "one")
    kept: list[int] = []
    for seed in range(6):
        reservoir = fill(tmp_path / str(seed), space, range(70), seed)
        assert reservoir.count("check") == reservoir.count("test") == 10
        assert reservoir.count("training") == 50
        assert len(reservoir.on_disk("check")) == len(reservoir.on_disk("test")) == 10
        assert 22 <= len(reservoir.on_disk("training")) <= 25
        kept += reservoir.on_disk("training")
    # The first and the last half of the 50 are kept equally often: of about 147, each should have 73, with a standard
    # deviation of about 4, since half of the pictures are kept.
    assert abs(sum(number < 45 for number in kept) - sum(number >= 45 for number in kept)) < 36


def test_a_reservoir_is_restored_from_its_journal_and_continues_as_if_never_stopped(tmp_path: Path):
    space = 45 * size_of_one(tmp_path / "one")
    whole = fill(tmp_path / "whole", space, range(60), 1)
    fill(tmp_path / "killed", space, range(50), 1)
    (tmp_path / "killed" / "pictures" / "000099.safetensors").write_bytes(b"not in the journal")
    continued = fill(tmp_path / "killed", space, range(50, 60), 1)
    assert continued.entries == whole.entries
    assert sorted(continued.on_disk("training")) == sorted(whole.on_disk("training"))
    for path, other in zip(continued.paths("training"), whole.paths("training"), strict=True):
        assert path.read_bytes() == other.read_bytes()
    assert not (tmp_path / "killed" / "pictures" / "000099.safetensors").exists()


def test_a_damaged_or_missing_file_is_labelled_again(tmp_path: Path):
    reservoir = fill(tmp_path, 10**9, range(30), 0)
    first, second, *_ = reservoir.paths("training")
    first.write_bytes(b"damaged")
    second.unlink()
    restored = Reservoir(tmp_path, disk_bytes=10**9, held=10, seed=0)
    missing = set(reservoir.entries) - set(restored.entries)
    assert missing == {int(first.stem), int(second.stem)}
    assert not first.exists()


def test_a_picture_without_usable_tokens_keeps_its_reason_only(tmp_path: Path):
    reservoir = Reservoir(tmp_path, disk_bytes=10**9, held=10, seed=0)
    assert reservoir.add(0, LabelledPicture(None, ["a.jpg: cannot read this image"], [])) == []
    assert reservoir.entries[0].role is None
    assert reservoir.entries[0].problems == ["a.jpg: cannot read this image"]
    assert reservoir.bytes == 0
    again = Reservoir(tmp_path, disk_bytes=10**9, held=10, seed=0)
    assert again.entries == reservoir.entries


def test_space_for_too_few_held_out_pictures_is_refused_with_what_is_needed(tmp_path: Path):
    space = 20 * size_of_one(tmp_path / "one")
    with pytest.raises(NoSpace, match=r"one of them takes [\d.e-]+ MB, so pass --disk \dMB or more"):
        fill(tmp_path / "small", space, range(30), 0)


def test_a_reservoir_with_less_space_than_before_makes_room_when_it_is_restored(tmp_path: Path):
    size = size_of_one(tmp_path / "one")
    fill(tmp_path / "run", 60 * size, range(60), 1)
    less = Reservoir(tmp_path / "run", disk_bytes=45 * size, held=10, seed=1)
    assert less.bytes <= 45 * size
    kept = sorted(less.on_disk("training"))
    assert kept == sorted(fill(tmp_path / "small", 45 * size, range(60), 1).on_disk("training"))
    assert kept == sorted(Reservoir(tmp_path / "run", disk_bytes=45 * size, held=10, seed=1).on_disk("training"))


@pytest.mark.parametrize("name", ["a\u2028b", "a\u2029b", "a\u0085b", "a\udcffb"])
def test_any_name_of_a_file_survives_a_restart(tmp_path: Path, name: str):
    reservoir = fill(tmp_path, 10**9, range(2), 0)
    problem = f"{name}.jpg: cannot read this image"
    reservoir.add(2, LabelledPicture(None, [problem], []))
    again = Reservoir(tmp_path, disk_bytes=10**9, held=10, seed=0)
    assert again.entries == reservoir.entries
    assert again.entries[2].problems == [problem]
    picture = Picture(name, tmp_path, "00")
    for _ in range(2):
        check_pictures(tmp_path, PictureSet([picture], {}))
    with pytest.raises(ValueError, match="1 changed"):
        check_pictures(tmp_path, PictureSet([picture._replace(sha256="01")], {}))
