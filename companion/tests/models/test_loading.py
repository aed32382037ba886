"""Models come from folders made here; what cannot work is refused before its weights are looked for."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoConfig, Blip2Config, LlavaConfig, SmolVLMProcessor
from transformers.models.smolvlm import processing_smolvlm

from patchlight.embedded.pipeline import revision
from patchlight.models import loading
from patchlight.models.decoding import UnheededGeneration
from patchlight.models.families.registry import UnsupportedFamily
from patchlight.models.loading import DoesNotFit, Loaded, LoadOptions, folder_revision, load, wanted_bytes
from tests.helpers.paths import EMBEDDED
from tests.helpers.tiny_models import KINDS, Tiny, save, tiny

IMAGE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (90, 200, 3), dtype=np.uint8))


def saved(kind: str, folder: Path) -> Tiny:
    made = tiny(kind)
    save(made, folder)
    return made


def load_folder(folder: Path, **options: Any) -> Loaded:
    return load(LoadOptions(model=str(folder), device="cpu", **options))


def assert_reads_alike(made: Tiny, processor: Any) -> None:
    given = made.family.read(made.model, processor, IMAGE, "What is it?")
    wanted = made.family.read(made.model, made.processor, IMAGE, "What is it?")
    assert given.frames == wanted.frames
    assert set(given.inputs) == set(wanted.inputs)
    for name, value in wanted.inputs.items():
        assert torch.equal(given.inputs[name], value), name


def edit(path: Path, **changes: Any) -> None:
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, **changes}))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gemma3-crops"])
def test_a_saved_model_comes_back_with_its_processor_and_facts(kind: str, tmp_path: Path) -> None:
    made = saved(kind, tmp_path / "some-model")
    found = load_folder(tmp_path / "some-model")
    assert_reads_alike(made, found.processor)
    given, wanted = (dict(model.named_parameters()) for model in (found.model, made.model))  # type: ignore[attr-defined]
    assert set(given) == set(wanted)
    assert all(torch.equal(given[name], wanted[name]) for name in wanted)
    assert found.family.name == made.family.name
    assert (found.name, found.hidden_size, found.dtype) == ("some-model", 32, torch.float32)
    assert found.device == torch.device("cpu")


def test_the_embedded_model_s_folder_is_a_model_like_any_other() -> None:
    found = load_folder(EMBEDDED)
    assert found.family.name == "LLaVA-1.5"
    assert found.revision == revision(EMBEDDED)
    # Saved in fp16, and widened for the CPU: the browser's arithmetic.
    assert found.dtype == found.model.dtype == torch.float32


def test_pictures_are_prepared_by_pillow_whatever_else_is_there(tmp_path: Path) -> None:
    saved("llava", tmp_path)
    assert type(load_folder(tmp_path).processor.image_processor).__name__.endswith("Pil")


def test_the_wanted_bytes_are_those_of_the_weights_that_are_then_loaded() -> None:
    for kind in KINDS:
        model: Any = tiny(kind).model
        tensors = [*model.parameters(), *model.buffers()]
        for dtype in (torch.float32, torch.bfloat16):
            wanted = wanted_bytes(model.config, dtype).weights
            # Half a kilobyte: tables of positions and frequencies stay in their own dtypes.
            assert wanted == pytest.approx(sum(t.numel() for t in tensors) * dtype.itemsize, abs=512), kind


def test_weights_that_are_used_twice_are_counted_once() -> None:
    config = tiny("llava").model.config
    free = wanted_bytes(config, torch.float32).weights
    config.tie_word_embeddings = True
    rows = config.text_config.vocab_size * config.text_config.hidden_size
    assert wanted_bytes(config, torch.float32).weights == free - 4 * rows


def test_llava_7b_in_half_precision_wants_14_gb() -> None:
    """7.06 billion weights; 32 layers x 32 heads x 128 x 2 x 2 bytes = 0.5 MB a position."""
    wanted = wanted_bytes(LlavaConfig(), torch.float16)
    assert wanted.weights == pytest.approx(14.1e9, rel=0.01)
    assert wanted.cache == 4096 * 524288


def test_a_model_that_does_not_fit_says_so_in_gb_before_its_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LlavaConfig().save_pretrained(tmp_path)  # there are no weights to be found
    monkeypatch.setattr(loading, "free_bytes", lambda _device: 6_000_000_000)
    with pytest.raises(DoesNotFit, match=r"wants 16\.3 GB \(14\.1 GB of weights.*cpu has 6 GB free"):
        load_folder(tmp_path, dtype="float16")


def test_free_memory_is_some_and_less_than_the_machine_has() -> None:
    free = loading.free_bytes(torch.device("cpu"))
    assert free is not None
    total = next(
        int(line.split()[1]) * 1024 for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line
    )
    assert 0 < free < total


def test_another_family_is_refused_before_its_weights_are_looked_for(tmp_path: Path) -> None:
    Blip2Config().save_pretrained(tmp_path)
    with pytest.raises(UnsupportedFamily, match="blip-2"):
        load_folder(tmp_path)


@pytest.mark.parametrize("model", ["/no/such/folder", "./folder", "~/folder", "a/b/c"])
def test_a_folder_that_is_not_there_is_called_that(model: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"there is no folder {model}"):
        load(LoadOptions(model=model))


def test_weights_in_pickles_are_not_read(tmp_path: Path) -> None:
    made: Any = saved("llava", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(made.model.state_dict(), tmp_path / "pytorch_model.bin")
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
        load_folder(tmp_path)  # its own code is ignored
    else:
        with pytest.raises(ValueError, match=r"trust_remote_code|model_type"):
            load_folder(tmp_path)
    assert not ran.exists()


def test_a_model_whose_generation_is_not_done_here_is_refused_by_name(tmp_path: Path) -> None:
    saved("llava", tmp_path)
    edit(tmp_path / "generation_config.json", no_repeat_ngram_size=3)
    with pytest.raises(UnheededGeneration, match="no_repeat_ngram_size"):
        load_folder(tmp_path)


def test_dtype_can_be_chosen(tmp_path: Path) -> None:
    saved("llava", tmp_path)
    found = load_folder(tmp_path, dtype="bfloat16")
    assert found.dtype == found.model.dtype == torch.bfloat16


def test_a_folder_s_revision_is_its_weights(tmp_path: Path) -> None:
    saved("llava", tmp_path / "a")
    saved("qwen2.5-vl", tmp_path / "b")
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    edit(tmp_path / "c" / "config.json", note="another file")
    a, b, c = (folder_revision(tmp_path / name) for name in "abc")
    assert a == c != b
    assert len(a) == 12


def test_a_hub_repository_of_qwen_loads_without_its_video_half(tmp_path: Path) -> None:
    """Files as the hub's repositories have them: the library's own processor class, which wants torchvision."""
    made = saved("qwen2.5-vl", tmp_path)
    as_on_the_hub(tmp_path, "Qwen2_5_VLProcessor")
    assert_reads_alike(made, load_folder(tmp_path).processor)


def test_a_hub_repository_of_smolvlm_reads_pictures_as_the_library_s_own_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = saved("smolvlm", tmp_path)
    as_on_the_hub(tmp_path, "SmolVLMProcessor")
    given = load_folder(tmp_path).processor
    assert_reads_alike(made, given)

    # It asks for a package that spells numbers and for a video processor, neither of which it uses on a picture.
    monkeypatch.setattr(processing_smolvlm, "num2words", SimpleNamespace())
    monkeypatch.setattr(SmolVLMProcessor, "check_argument_for_proper_class", lambda *_: None)
    no_videos = SimpleNamespace(num_frames=1, fps=1)
    template = given.chat_template
    own = SmolVLMProcessor(given.image_processor, given.tokenizer, no_videos, image_seq_len=4, chat_template=template)
    assert_reads_alike(made, own)


def as_on_the_hub(folder: Path, processor_class: str) -> None:
    stored = json.loads((folder / "processor_config.json").read_text())
    images = stored.pop("image_processor")
    (folder / "preprocessor_config.json").write_text(json.dumps({**images, "processor_class": processor_class}))
    (folder / "processor_config.json").write_text(json.dumps({**stored, "processor_class": processor_class}))
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))


@pytest.mark.parametrize("kind", ["llava", "llava-siglip-gemma", "llava-next"])
def test_an_older_repository_that_does_not_say_how_to_count_tokens_is_read(kind: str, tmp_path: Path) -> None:
    made = saved(kind, tmp_path)
    stored = json.loads((tmp_path / "processor_config.json").read_text())
    for name in ("patch_size", "vision_feature_select_strategy", "num_additional_image_tokens"):
        stored.pop(name, None)
    (tmp_path / "processor_config.json").write_text(json.dumps(stored))
    assert_reads_alike(made, load_folder(tmp_path).processor)


def test_the_meta_device_leaves_the_config_alone(tmp_path: Path) -> None:
    saved("gemma3", tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    before = config.to_dict()
    wanted_bytes(config, torch.bfloat16)
    assert config.to_dict() == before


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"dtype": "int8"}, "int8"),
        ({"device": "cpu", "device_map": "auto"}, "device_map"),
        ({"model": str(EMBEDDED), "revision": "main"}, "revision"),
    ],
    ids=str,
)
def test_contradictory_options_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        LoadOptions(**{"model": "some/model", **options})


@pytest.mark.parametrize("options", [{"device": "toaster"}, {"device": "cuda:77"}, {"device_map": "auto"}], ids=str)
def test_a_device_that_is_not_there_is_refused_by_name(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    LlavaConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=next(iter(options.values())).split(":")[0]):
        load(LoadOptions(model=str(tmp_path), **options))
