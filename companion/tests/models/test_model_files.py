"""Tests that incomplete model folders are refused with the file's name, and that weights keep their identity."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from patchlight.models.loading import LoadOptions, load
from patchlight.models.model_files import IncompleteFiles, check_safetensors, weight_files, weights_identity
from tests.helpers.tiny_models import save, tiny

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 14000\n".format("0" * 64)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("complete")
    save(tiny("llava"), folder)
    return folder


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model in several files, with an index."""
    folder = tmp_path_factory.mktemp("sharded")
    lvlm = tiny("llava")
    save(lvlm, folder)
    (folder / "model.safetensors").unlink()
    lvlm.model.save_pretrained(folder, max_shard_size="50KB")  # type: ignore[attr-defined]
    assert len(weight_files(folder)) > 2
    return folder


@pytest.fixture
def folder(complete: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(complete, tmp_path / "model"))


@pytest.fixture
def shards(sharded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sharded, tmp_path / "model"))


def refusal(folder: Path) -> str:
    """Load the folder, and return the one line that the command prints instead of a traceback."""
    with pytest.raises((ValueError, OSError)) as caught:
        load(LoadOptions(model=str(folder), device="cpu"))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_both_forms_of_a_complete_model_load(complete: Path, sharded: Path):
    for folder in (complete, sharded):
        assert load(LoadOptions(model=str(folder), device="cpu")).unused == ()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_git_lfs_pointer_is_named_with_its_remedy(name: str, folder: Path):
    (folder / name).write_text(POINTER)
    message = refusal(folder)
    assert str(folder / name) in message
    assert "Git LFS pointer to the file of 14,000 bytes" in message
    assert f"`git lfs pull` in {folder}" in message


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", "processor_config.json"])
def test_an_empty_file_is_named(name: str, folder: Path):
    (folder / name).write_bytes(b"")
    assert f"{folder / name} is empty: download it again" in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "processor_config.json", "generation_config.json"])
def test_a_json_file_that_is_cut_off_is_named(name: str, folder: Path):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    assert f"{folder / name} is incomplete or damaged: it is not JSON" in refusal(folder)


def test_half_downloaded_weights_are_named_with_both_sizes(folder: Path):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    expected = f"{path} is incomplete: it has {len(content) * 2 // 3:,} of {len(content):,} bytes: download it again"
    assert expected in refusal(folder)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_weights_cut_off_anywhere_are_refused(data: st.DataObject, complete: Path, tmp_path: Path):
    content = (complete / "model.safetensors").read_bytes()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(IncompleteFiles, match=r"cut\.safetensors"):
        check_safetensors(cut)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_other_content_is_refused(content: bytes, tmp_path: Path):
    path = tmp_path / "any.safetensors"
    path.write_bytes(content)
    with pytest.raises(IncompleteFiles, match=r"any\.safetensors"):
        check_safetensors(path)


def test_weights_with_bytes_after_the_last_tensor_are_damaged(folder: Path):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes() + b"more")
    assert f"{path} is damaged" in refusal(folder)


def test_a_shard_that_is_cut_off_is_named(shards: Path):
    path = weight_files(shards)[1]
    path.write_bytes(path.read_bytes()[:-100])
    assert f"{path} is incomplete" in refusal(shards)


def test_missing_shards_are_counted_and_named(shards: Path):
    files = weight_files(shards)
    files[1].unlink()
    expected = f"1 of the {len(files)} files in model.safetensors.index.json are missing ({files[1].name})"
    assert expected in refusal(shards)


@pytest.mark.parametrize("names", [["tokenizer.json", "tokenizer_config.json"], ["processor_config.json"]], ids=str)
def test_a_missing_tokenizer_or_processor_is_reported_in_one_line(names: list[str], folder: Path):
    for name in names:
        (folder / name).unlink()
    assert "files are missing or damaged" in refusal(folder)


def test_a_folder_without_a_config_is_refused(folder: Path):
    (folder / "config.json").unlink()
    assert "has no config.json" in refusal(folder)


def test_a_folder_without_weights_says_what_is_expected(folder: Path):
    (folder / "model.safetensors").unlink()
    assert "expected model.safetensors, or model.safetensors.index.json" in refusal(folder)


def test_an_adapter_is_refused_instead_of_ignored(folder: Path):
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    assert "merge it into its base model" in refusal(folder)


def test_the_identity_does_not_depend_on_the_files(complete: Path, sharded: Path, tmp_path: Path):
    copy = Path(shutil.copytree(complete, tmp_path / "another-name"))
    save_file(load_file(copy / "model.safetensors"), copy / "model.safetensors", {"format": "pt", "made": "elsewhere"})
    assert len({weights_identity(weight_files(folder)) for folder in (complete, sharded, copy)}) == 1
    halves = load(LoadOptions(model=str(complete), device="cpu", dtype="bfloat16"))
    assert halves.weights == weights_identity(weight_files(complete))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_copy_saved_in_a_wider_dtype_has_the_same_identity(dtype: torch.dtype, complete: Path, tmp_path: Path):
    halves = {name: value.to(dtype) for name, value in load_file(complete / "model.safetensors").items()}
    identities = set()
    for number, weights in enumerate((halves, {name: value.float() for name, value in halves.items()})):
        (tmp_path / str(number)).mkdir()
        save_file(weights, tmp_path / str(number) / "model.safetensors")
        identities.add(weights_identity(weight_files(tmp_path / str(number))))
    assert len(identities) == 1


@pytest.mark.parametrize("kind", ["llava", "llava-next", "qwen2.5-vl", "idefics3", "gemma3"])
def test_a_copy_saved_by_another_version_of_transformers_has_the_same_identity(kind: str, tmp_path: Path):
    """It may name tensors differently, and keep buffers and tied weights that others leave out."""
    lvlm = tiny(kind)
    lvlm.model.config.tie_word_embeddings = lvlm.model.config.text_config.tie_word_embeddings = True
    lvlm.model.tie_weights()  # type: ignore[attr-defined]
    save(lvlm, tmp_path)
    identities = [weights_identity(weight_files(tmp_path))]
    weights = load_file(tmp_path / "model.safetensors")
    older = {
        name.replace("vision_tower.", "vision_tower.vision_model.")
        .replace("language_model.model.", "model.language_model.")
        .replace("model.visual.", "visual."): value
        for name, value in weights.items()
    }
    older["lm_head.weight"] = next(value for name, value in weights.items() if "embed_tokens.weight" in name).clone()
    older["vision_tower.vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    save_file(older, tmp_path / "model.safetensors")
    identities.append(weights_identity(weight_files(tmp_path)))
    assert len(set(identities)) == 1


@pytest.mark.parametrize("change", ["one value", "dtype", "name", "one tensor less"])
def test_other_weights_have_another_identity(change: str, complete: Path, tmp_path: Path):
    weights = load_file(complete / "model.safetensors")
    name = sorted(weights)[3]
    if change == "one value":
        weights[name].view(-1)[-1] += 1
    elif change == "dtype":
        weights[name] = weights[name].half()
    else:
        value = weights.pop(name)
        if change == "name":
            weights[f"{name}2"] = value
    save_file(weights, tmp_path / "model.safetensors")
    assert weights_identity(weight_files(tmp_path)) != weights_identity(weight_files(complete))


def test_a_fine_tuned_large_tensor_has_another_identity(tmp_path: Path):
    """Only a part of a large tensor is read, but training changes every row that takes part in it."""
    torch.manual_seed(0)
    large = torch.randn(2048, 1024)
    identities = set()
    for number, value in enumerate((large, large + 1e-4 * torch.randn(2048, 1) * torch.randn(1, 1024))):
        (tmp_path / str(number)).mkdir()
        save_file({"weight": value}, tmp_path / str(number) / "model.safetensors")
        identities.add(weights_identity(weight_files(tmp_path / str(number))))
    assert len(identities) == 2
