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
from transformers import AutoConfig, BitsAndBytesConfig, Blip2Config, LlavaConfig, SmolVLMProcessor
from transformers.models.smolvlm import processing_smolvlm

from patchlight.embedded.build import revision
from patchlight.models import loading
from patchlight.models.decoding import UnsupportedGeneration
from patchlight.models.families.registry import UnsupportedFamily
from patchlight.models.loading import Loaded, LoadOptions, NotEnoughMemory, folder_revision, load, required_bytes
from patchlight.models.quantisation import quantisation_of
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


def test_required_bytes_match_the_loaded_weights() -> None:
    for kind in KINDS:
        model: Any = tiny(kind).model
        tensors = [*model.parameters(), *model.buffers()]
        for dtype in (torch.float32, torch.bfloat16):
            expected = required_bytes(model.config, dtype).weights
            # 512 bytes of tolerance: position and frequency tables keep their own dtypes.
            assert expected == pytest.approx(sum(t.numel() for t in tensors) * dtype.itemsize, abs=512), kind


def test_tied_weights_are_counted_once() -> None:
    config = tiny("llava").model.config
    untied = required_bytes(config, torch.float32).weights
    config.tie_word_embeddings = True
    values = config.text_config.vocab_size * config.text_config.hidden_size
    assert required_bytes(config, torch.float32).weights == untied - 4 * values


def test_llava_7b_in_half_precision_requires_14_gb() -> None:
    """7.06 billion weights; 32 layers x 32 heads x 128 x 2 x 2 bytes = 0.5 MB per position."""
    expected = required_bytes(LlavaConfig(), torch.float16)
    assert expected.weights == pytest.approx(14.1e9, rel=0.01)
    assert expected.cache == 4096 * 524288


def test_a_model_too_large_for_memory_is_rejected_before_its_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LlavaConfig().save_pretrained(tmp_path)  # there are no weights, so reading them would fail
    monkeypatch.setattr(loading, "free_bytes", lambda _device: 6_000_000_000)
    with pytest.raises(NotEnoughMemory, match=r"needs 16\.3 GB \(14\.1 GB for weights.*cpu has 6 GB free"):
        load_folder(tmp_path, dtype="float16")


def test_free_memory_is_positive_and_below_the_machine_s_total() -> None:
    free = loading.free_bytes(torch.device("cpu"))
    assert free is not None
    total = next(
        int(line.split()[1]) * 1024 for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line
    )
    assert 0 < free < total


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


def test_required_bytes_does_not_modify_the_config(tmp_path: Path) -> None:
    saved("gemma3", tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    before = config.to_dict()
    required_bytes(config, torch.bfloat16)
    assert config.to_dict() == before


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


def with_quantisation(**facts: Any) -> LlavaConfig:
    config: Any = LlavaConfig()
    config.quantization_config = facts
    return config


@pytest.mark.parametrize(
    ("facts", "gigabytes"),
    [
        # Of 7.06 billion weights, 6.78 are in linear layers, 0.13 in the output layer, 0.13 in the embeddings.
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4.4),
        ({"load_in_4bit": True, "bnb_4bit_use_double_quant": True}, 4.1),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 7.4),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 4.1),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, 4.6),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, 7.7),
        ({"quant_method": "fp8"}, 7.4),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4}}},
                "ignore": ["lm_head", "re:.*vision_tower.*"],
            },
            4.7,
        ),
        ({"quant_method": "unheard-of"}, 14.1),
    ],
    ids=str,
)
def test_a_quantised_model_is_estimated_by_its_bits(facts: dict[str, Any], gigabytes: float) -> None:
    assert required_bytes(with_quantisation(**facts), torch.float16).weights == pytest.approx(gigabytes * 1e9, rel=0.03)


def test_the_quantisation_of_a_loaded_model_is_that_of_its_checkpoint() -> None:
    config: Any = LlavaConfig()
    config.quantization_config = BitsAndBytesConfig(load_in_8bit=True)
    assert quantisation_of(config) == quantisation_of(with_quantisation(quant_method="bitsandbytes", load_in_8bit=True))


def test_layers_that_are_left_out_of_the_quantisation_count_in_full() -> None:
    facts = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    whole = required_bytes(with_quantisation(**facts), torch.float16).weights
    partly = with_quantisation(**facts, llm_int8_skip_modules=["vision_tower", "lm_head"])
    assert required_bytes(partly, torch.float16).weights > whole + 0.3e9


def test_a_4_bit_model_is_not_refused_where_it_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_quantisation(quant_method="bitsandbytes", load_in_4bit=True).save_pretrained(tmp_path)
    monkeypatch.setattr(loading, "free_bytes", lambda _device: 8_000_000_000)
    # It fits, so the missing weights are what is reported.
    with pytest.raises(OSError, match="has no weights"):
        load_folder(tmp_path, dtype="float16")
    monkeypatch.setattr(loading, "free_bytes", lambda _device: 4_000_000_000)
    with pytest.raises(NotEnoughMemory, match=r"float16 and bitsandbytes with 4\.5 bits per weight needs 6\.\d+ GB"):
        load_folder(tmp_path, dtype="float16")


def test_a_missing_package_for_quantised_weights_is_named(tmp_path: Path) -> None:
    saved("llava", tmp_path)
    edit(tmp_path / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(ValueError, match=r"cannot be loaded without another package: .*bitsandbytes"):
        load_folder(tmp_path)


def test_grouped_queries_need_a_smaller_cache() -> None:
    config = LlavaConfig(text_config={"model_type": "llama", "num_key_value_heads": 8})
    assert required_bytes(config, torch.float16).cache == required_bytes(LlavaConfig(), torch.float16).cache // 4
