"""Tests loading models from folders created here; unsupported models are rejected before their weights are read."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Blip2Config, LlavaConfig, SmolVLMProcessor
from transformers.models.smolvlm import processing_smolvlm

from patchlight.embedded.build import revision
from patchlight.models.decoding import UnsupportedGeneration
from patchlight.models.families.registry import UnsupportedFamily
from patchlight.models.loading import Loaded, LoadOptions, folder_revision, load
from tests.helpers.paths import EMBEDDED
from tests.helpers.tiny_models import KINDS, Tiny, save, tiny

IMAGE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (90, 200, 3), dtype=np.uint8))


def saved(kind: str, folder: Path) -> Tiny:
    lvlm = tiny(kind)
    save(lvlm, folder)
    return lvlm


def load_folder(folder: Path, **options: Any) -> Loaded:
    return load(LoadOptions(model=str(folder), device="cpu", **options))


def assert_same_inputs(lvlm: Tiny, processor: Any) -> None:
    actual = lvlm.family.read(lvlm.model, processor, IMAGE, "What is it?")
    expected = lvlm.family.read(lvlm.model, lvlm.processor, IMAGE, "What is it?")
    assert actual.frames == expected.frames
    assert set(actual.inputs) == set(expected.inputs)
    for name, value in expected.inputs.items():
        assert torch.equal(actual.inputs[name], value), name


def edit(path: Path, **changes: Any) -> None:
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, **changes}))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gemma3-crops"])
def test_a_saved_model_loads_with_its_processor_and_metadata(kind: str, tmp_path: Path) -> None:
    lvlm = saved(kind, tmp_path / "some-model")
    loaded = load_folder(tmp_path / "some-model")
    assert_same_inputs(lvlm, loaded.processor)
    actual, expected = (dict(model.named_parameters()) for model in (loaded.model, lvlm.model))  # type: ignore[attr-defined]
    assert set(actual) == set(expected)
    assert all(torch.equal(actual[name], expected[name]) for name in expected)
    assert loaded.family.name == lvlm.family.name
    assert (loaded.name, loaded.hidden_size, loaded.dtype) == ("some-model", 32, torch.float32)
    assert loaded.device == torch.device("cpu")


def test_the_embedded_model_loads_like_any_other() -> None:
    loaded = load_folder(EMBEDDED)
    assert loaded.family.name == "LLaVA-1.5"
    assert loaded.revision == revision(EMBEDDED)
    # Saved in fp16 and converted to float32 for the CPU, the precision that the browser uses.
    assert loaded.dtype == loaded.model.dtype == torch.float32


def test_images_are_prepared_with_pillow(tmp_path: Path) -> None:
    saved("llava", tmp_path)
    assert type(load_folder(tmp_path).processor.image_processor).__name__.endswith("Pil")


def test_an_unsupported_family_is_rejected_before_its_weights_are_read(tmp_path: Path) -> None:
    Blip2Config().save_pretrained(tmp_path)
    with pytest.raises(UnsupportedFamily, match="blip-2"):
        load_folder(tmp_path)


@pytest.mark.parametrize("model", ["/no/such/folder", "./folder", "~/folder", "a/b/c"])
def test_a_missing_folder_is_reported_as_missing(model: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"there is no folder {model}"):
        load(LoadOptions(model=model))


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    lvlm: Any = saved("llava", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(lvlm.model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_folder(tmp_path)


@pytest.mark.parametrize("model_type", ["llava", "unheard-of"])
def test_code_in_the_repository_is_not_run(model_type: str, tmp_path: Path) -> None:
    saved("llava", tmp_path)
    ran = tmp_path / "ran"
    (tmp_path / "own.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Own: pass\n")
    own = {"AutoConfig": "own.Own", "AutoModelForImageTextToText": "own.Own", "AutoProcessor": "own.Own"}
    edit(tmp_path / "config.json", auto_map=own, model_type=model_type)
    edit(tmp_path / "processor_config.json", auto_map=own)
    if model_type == "llava":
        load_folder(tmp_path)  # the custom code is ignored
    else:
        with pytest.raises(ValueError, match=r"trust_remote_code|model_type"):
            load_folder(tmp_path)
    assert not ran.exists()


def test_a_model_with_unsupported_generation_options_is_rejected_by_name(tmp_path: Path) -> None:
    saved("llava", tmp_path)
    edit(tmp_path / "generation_config.json", no_repeat_ngram_size=3)
    with pytest.raises(UnsupportedGeneration, match="no_repeat_ngram_size"):
        load_folder(tmp_path)


def test_a_model_loads_in_the_requested_dtype(tmp_path: Path) -> None:
    saved("llava", tmp_path)
    loaded = load_folder(tmp_path, dtype="bfloat16")
    assert loaded.dtype == loaded.model.dtype == torch.bfloat16


def test_a_folder_s_revision_depends_only_on_its_weights(tmp_path: Path) -> None:
    saved("llava", tmp_path / "a")
    saved("qwen2.5-vl", tmp_path / "b")
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    edit(tmp_path / "c" / "config.json", note="another file")
    a, b, c = (folder_revision(tmp_path / name) for name in "abc")
    assert a == c != b
    assert len(a) == 12


def test_a_hub_repository_of_qwen_loads_without_video_support(tmp_path: Path) -> None:
    """As on the Hub, the files name the library's own processor class, which needs torchvision."""
    lvlm = saved("qwen2.5-vl", tmp_path)
    as_on_the_hub(tmp_path, "Qwen2_5_VLProcessor")
    assert_same_inputs(lvlm, load_folder(tmp_path).processor)


def test_a_hub_repository_of_smolvlm_reads_images_like_the_library_s_own_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lvlm = saved("smolvlm", tmp_path)
    as_on_the_hub(tmp_path, "SmolVLMProcessor")
    processor = load_folder(tmp_path).processor
    assert_same_inputs(lvlm, processor)

    # The library's processor needs num2words and a video processor, but uses neither for images.
    monkeypatch.setattr(processing_smolvlm, "num2words", SimpleNamespace())
    monkeypatch.setattr(SmolVLMProcessor, "check_argument_for_proper_class", lambda *_: None)
    no_videos = SimpleNamespace(num_frames=1, fps=1)
    images, tokenizer, template = processor.image_processor, processor.tokenizer, processor.chat_template
    original = SmolVLMProcessor(images, tokenizer, no_videos, image_seq_len=4, chat_template=template)
    assert_same_inputs(lvlm, original)


def as_on_the_hub(folder: Path, processor_class: str) -> None:
    stored = json.loads((folder / "processor_config.json").read_text())
    images = stored.pop("image_processor")
    (folder / "preprocessor_config.json").write_text(json.dumps({**images, "processor_class": processor_class}))
    (folder / "processor_config.json").write_text(json.dumps({**stored, "processor_class": processor_class}))
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))


@pytest.mark.parametrize("kind", ["llava", "llava-siglip-gemma", "llava-next"])
def test_an_older_repository_without_image_token_settings_loads(kind: str, tmp_path: Path) -> None:
    lvlm = saved(kind, tmp_path)
    stored = json.loads((tmp_path / "processor_config.json").read_text())
    for name in ("patch_size", "vision_feature_select_strategy", "num_additional_image_tokens"):
        stored.pop(name, None)
    (tmp_path / "processor_config.json").write_text(json.dumps(stored))
    assert_same_inputs(lvlm, load_folder(tmp_path).processor)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"dtype": "int8"}, "int8"),
        ({"device": "cpu", "device_map": "auto"}, "device_map"),
        ({"model": str(EMBEDDED), "revision": "main"}, "revision"),
    ],
    ids=str,
)
def test_contradictory_options_are_rejected(options: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        LoadOptions(**{"model": "some/model", **options})


@pytest.mark.parametrize("options", [{"device": "toaster"}, {"device": "cuda:77"}, {"device_map": "auto"}], ids=str)
def test_a_missing_device_is_rejected_by_name(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    LlavaConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=next(iter(options.values())).split(":")[0]):
        load(LoadOptions(model=str(tmp_path), **options))


@pytest.mark.parametrize("form", ["pair", "mapping"])
@pytest.mark.parametrize("kind", ["llava", "llava-siglip-gemma", "llava-next", "idefics3", "gemma3", "qwen2.5-vl"])
def test_sizes_that_are_no_numbers_load_like_numbers(kind: str, form: str, tmp_path: Path) -> None:
    """Configs like InternVL's have pairs, and processors also mappings. transformers' towers compute with numbers."""

    def spelt(size: int) -> Any:
        return [size, size] if form == "pair" else {"height": size, "width": size}

    lvlm = saved(kind, tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    for name in {"patch_size", "image_size", "temporal_patch_size"} & set(stored["vision_config"]):
        stored["vision_config"][name] = [stored["vision_config"][name]] * 2
    (tmp_path / "config.json").write_text(json.dumps(stored))
    processor = json.loads((tmp_path / "processor_config.json").read_text())
    for part in (processor, processor["image_processor"]):
        part.update({name: spelt(part[name]) for name in ("patch_size", "merge_size") if part.get(name)})
    (tmp_path / "processor_config.json").write_text(json.dumps(processor))
    loaded = load_folder(tmp_path)
    assert_same_inputs(lvlm, loaded.processor)
    assert loaded.model.config.vision_config.patch_size == lvlm.model.config.vision_config.patch_size


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("config", [14, 28], "patch_size of the vision tower is 14 x 28, but only squares are supported"),
        ("config", 0, "patch_size of the vision tower is 0, expected at least 1"),
        ("config", None, "patch_size of the vision tower cannot be read: expected a number, or a height and a width"),
        ("config", {"height": 14, "width": 14}, r"config.json of .* has a value that transformers cannot use"),
        ("config", "14", r"config.json of .* has a value that transformers cannot use \(.*'patch_size'.*: correct it"),
        ("processor", [14, 28], "^patch_size of the processor is 14 x 28, but only squares are supported"),
        ("processor", "14", "^patch_size of the processor cannot be read: expected a number"),
        ("processor", 0, "^patch_size of the processor is 0, expected at least 1"),
    ],
)
def test_a_patch_size_that_cannot_be_used_is_refused_by_name(
    part: str, value: Any, message: str, tmp_path: Path
) -> None:
    saved("llava", tmp_path)
    path = tmp_path / ("config.json" if part == "config" else "processor_config.json")
    stored = json.loads(path.read_text())
    (stored["vision_config"] if part == "config" else stored)["patch_size"] = value
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=message):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("text_config", {"num_attention_heads": 0}, "has a value that transformers cannot use"),
        ("vision_config", {"hidden_size": None}, "has a value that transformers cannot use"),
        ("text_config", {"vocab_size": -5}, "describes a model that cannot be built"),
    ],
)
def test_a_config_of_no_model_is_refused(part: str, values: dict[str, Any], message: str, tmp_path: Path) -> None:
    saved("llava", tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    stored[part].update(values)
    (tmp_path / "config.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=rf"config\.json of .* {message} \(.*\): correct it"):
        load_folder(tmp_path)


def test_a_missing_package_for_quantised_weights_is_named(tmp_path: Path) -> None:
    saved("llava", tmp_path)
    edit(tmp_path / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(ValueError, match=r"cannot be loaded without another package: .*bitsandbytes"):
        load_folder(tmp_path)
