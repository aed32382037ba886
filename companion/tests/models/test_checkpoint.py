"""Tests that a checkpoint whose tensors are not those of the model is refused, with the tensors' names."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from patchlight.cli.main import main
from patchlight.head.fastrm import FastRM, HeadFacts
from patchlight.models.checkpoint import WrongWeights
from patchlight.models.loading import Loaded, LoadOptions, load
from patchlight.models.model_files import INDEX_FILE, weight_files
from tests.helpers.question_files import write_questions
from tests.helpers.tiny_models import KINDS, save, tiny

Weights = dict[str, Tensor]
FACTS = HeadFacts(
    hidden_size=32, stage="post_norm", teacher="Chefer relevancy, exact", model="model", model_revision="0"
)


def load_folder(folder: Path) -> Loaded:
    return load(LoadOptions(model=str(folder), device="cpu"))


def saved(folder: Path, change: Callable[[Weights], Weights], kind: str = "llava") -> Path:
    save(tiny(kind), folder)
    path = folder / "model.safetensors"
    save_file({name: value.contiguous() for name, value in change(load_file(path)).items()}, path, {"format": "pt"})
    return folder


def without(part: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: value for name, value in weights.items() if part not in name}


def renamed(old: str, new: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name.replace(old, new): value for name, value in weights.items()}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gemma3-crops"])
def test_a_missing_layer_is_refused_in_every_family(kind: str, tmp_path: Path):
    # GLM's two projections are one tensor; LFM2 names its parts differently.
    mlp, first = ("feed_forward", "w1") if kind == "lfm2-vl" else ("mlp", "down_proj")
    count = 2 if kind == "glm-4v" else 3
    folder = saved(tmp_path, without(f"layers.1.{mlp}"), kind)
    with pytest.raises(
        WrongWeights, match=rf"{count} tensors of the model missing \(.*layers\.1\.{mlp}\.{first}\.weight"
    ):
        load_folder(folder)


def test_a_missing_projector_is_named(tmp_path: Path):
    with pytest.raises(WrongWeights, match=r"4 tensors of the model missing \(.*multi_modal_projector\.linear_1\.bias"):
        load_folder(saved(tmp_path, without("projector")))


def test_renamed_tensors_are_named_on_both_sides(tmp_path: Path):
    with pytest.raises(WrongWeights) as caught:
        load_folder(saved(tmp_path, renamed("linear_1", "first")))
    message = str(caught.value)
    assert "2 tensors of the model missing (model.multi_modal_projector.linear_1.bias, " in message
    assert "2 tensors of the checkpoint unexpected (" in message
    assert "multi_modal_projector.first.bias" in message


def test_a_long_list_of_names_is_cut_and_counted(tmp_path: Path):
    with pytest.raises(WrongWeights, match=r"\d\d tensors of the model missing \(.* and \d+ more\)") as caught:
        load_folder(saved(tmp_path, renamed("vision_tower", "tower")))
    assert len(str(caught.value)) < 1500


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path: Path):
    def cut(weights: Weights) -> Weights:
        return {name: value[:, :-1] if "linear_2.weight" in name else value for name, value in weights.items()}

    with pytest.raises(
        WrongWeights, match=r"1 tensor of another shape \(.*linear_2\.weight \[32, 31\] instead of \[32"
    ):
        load_folder(saved(tmp_path, cut))


def test_a_tensor_that_no_shard_holds_is_named(tmp_path: Path):
    lvlm = tiny("llava")
    save(lvlm, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    lvlm.model.save_pretrained(tmp_path, max_shard_size="50KB")  # type: ignore[attr-defined]
    path = weight_files(tmp_path)[1]
    weights = load_file(path)
    lost, _ = weights.popitem()
    save_file(weights, path, {"format": "pt"})
    assert lost in json.loads((tmp_path / INDEX_FILE).read_text())["weight_map"]
    with pytest.raises(WrongWeights, match="1 tensor of the model missing"):
        load_folder(tmp_path)


def test_the_weights_of_another_family_are_refused(tmp_path: Path):
    save(tiny("llava"), tmp_path / "llava")
    save(tiny("qwen2.5-vl"), tmp_path / "qwen")
    shutil.copy(tmp_path / "qwen" / "model.safetensors", tmp_path / "llava")
    with pytest.raises(WrongWeights, match=r"missing.*unexpected"):
        load_folder(tmp_path / "llava")


def test_a_checkpoint_with_more_layers_than_its_config_is_refused(tmp_path: Path):
    """The first layers alone would answer, as another model."""
    folder = saved(tmp_path, lambda weights: weights)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 1
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WrongWeights, match=r"tensors of the checkpoint unexpected \(.*layers\.1\."):
        load_folder(folder)


def test_an_unexpected_tensor_of_an_existing_module_is_refused(tmp_path: Path):
    """An attention bias, for example, that the config's model does not add."""

    def biased(weights: Weights) -> Weights:
        name = next(
            name for name in weights if name.endswith("layers.0.self_attn.q_proj.weight") and "vision" not in name
        )
        return weights | {name.replace("weight", "bias"): torch.zeros(32)}

    with pytest.raises(WrongWeights, match=r"1 tensor of the checkpoint unexpected \(.*q_proj\.bias\)"):
        load_folder(saved(tmp_path, biased))


def test_a_part_that_the_model_does_not_have_is_named_and_left_out(tmp_path: Path):
    loaded = load_folder(saved(tmp_path, lambda weights: weights | {"score_head.weight": torch.zeros(2, 32)}))
    assert loaded.unused == ("score_head.weight",)


EMBEDDINGS = (
    "patch_embedding.weight",
    "patch_embeddings.projection.weight",
    "patch_conv.weight",
    "patch_embedder.input_proj.weight",
)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gemma3-crops"])
def test_recomputed_buffers_of_older_checkpoints_are_accepted(kind: str, tmp_path: Path):
    def older(weights: Weights) -> Weights:
        attention = next(
            name.removesuffix("q_proj.weight")
            for name in weights
            if name.endswith((".0.self_attn.q_proj.weight", ".1.self_attn.q_proj.weight")) and "vision" not in name
        )
        buffers = {f"{attention}rotary_emb.inv_freq": torch.ones(4)}
        for name in weights:
            embedding = next((part for part in EMBEDDINGS if name.endswith(part)), None)
            if embedding is not None:
                buffers[name.replace(embedding, "position_ids")] = torch.arange(17)[None]
            elif name.endswith("patch_embed.proj.weight"):
                buffers[name.replace("patch_embed.proj.weight", "rotary_pos_emb.inv_freq")] = torch.ones(8)
        assert len(buffers) == 2
        return weights | buffers

    assert load_folder(saved(tmp_path, older, kind)).unused == ()


def test_tied_weights_are_not_missing(tmp_path: Path):
    lvlm = tiny("llava")
    lvlm.model.config.tie_word_embeddings = lvlm.model.config.text_config.tie_word_embeddings = True
    lvlm.model.tie_weights()  # type: ignore[attr-defined]
    save(lvlm, tmp_path)
    assert not any("lm_head" in name for name in load_file(tmp_path / "model.safetensors"))
    model = load_folder(tmp_path).model
    assert torch.equal(model.lm_head.weight, lvlm.model.lm_head.weight)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path):
    def spoilt(weights: Weights) -> Weights:
        return {name: torch.full_like(w, value) if "linear_2.weight" in name else w for name, w in weights.items()}

    with pytest.raises(WrongWeights, match=r"NaN or infinite, in 1 tensor \(.*linear_2\.weight\)"):
        load_folder(saved(tmp_path, spoilt))


@pytest.mark.parametrize(
    ("kind", "architecture", "example"),
    [
        ("llava", "LlavaLlamaForCausalLM", "llava-hf/llava-1.5-7b-hf"),
        ("llava_llama", "LlavaLlamaForCausalLM", "llava-hf/llava-1.5-7b-hf"),
        ("llava_mistral", "LlavaMistralForCausalLM", "llava-hf/llava-v1.6-mistral-7b-hf"),
        ("llava_mpt", "LlavaMptForCausalLM", "https://huggingface.co/llava-hf"),
    ],
)
def test_the_original_layout_of_llava_is_recognised_by_its_config(
    kind: str, architecture: str, example: str, tmp_path: Path
):
    config = {"architectures": [architecture], "model_type": kind, "mm_vision_tower": "openai/clip-vit-large-patch14"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WrongWeights, match=f"original layout.*{example}"):
        load_folder(tmp_path)


def test_the_original_layout_of_llava_is_recognised_by_its_tensors(tmp_path: Path):
    with pytest.raises(WrongWeights, match=r"names of the original LLaVA code: .*llava-hf/llava-1\.5-7b-hf"):
        load_folder(saved(tmp_path, renamed("multi_modal_projector.linear_", "mm_projector.")))


@pytest.mark.parametrize("command", ["serve", "collect", "evaluate"])
def test_every_command_refuses_it_in_one_line(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model = saved(tmp_path / "model", without("projector"))
    data = ["--data", "jsonl", "--questions", str(write_questions(tmp_path, 2)), "--out", str(tmp_path / "out")]
    FastRM(32).save_pretrained(tmp_path / "head", FACTS)
    more = {
        "serve": ["--port", "0", "--no-open"],
        "collect": data,
        "evaluate": [*data, "--head", str(tmp_path / "head")],
    }
    assert main([command, "--model", str(model), "--device", "cpu", *more[command]]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("patchlight: ")
    assert "4 tensors of the model missing" in error
