"""Exports the embedded model for the page: three ONNX graphs, the folded heads, the tokenizer and a manifest.

vision.onnx   pixel_values [1, 3, px, px] -> image_features [1, P, d]
embed.onnx    input_ids [1, s] -> inputs_embeds [1, s, d]
decoder.onnx  inputs_embeds [1, s, d], position_ids [1, s], past.i.key and past.i.value [1, h, p, hd] (p may be 0)
              -> logits [1, V] of the last position, last_hidden_state [1, s, d] after the final norm,
              present.i.key and present.i.value [1, h, p + s, hd],
              attention [L, h, p + s] of the last position, after the softmax
Weights are stored in fp16 and cast to float32 when the session is created; all arithmetic is float32.
"""

import hashlib
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.export import Dim
from transformers import AutoProcessor, DynamicCache, LlavaForConditionalGeneration, LlavaProcessor
from transformers.cache_utils import DynamicLayer

from ...head.export import head_facts, head_revision, write_browser_files
from ...head.fastrm import FastRM, read_text_head
from ...models.question_words import FILE as QUESTION_WORDS_FILE
from ..training.llava_parts import (
    attention_modules,
    image_px,
    key_value_shape,
    language_model,
    patch_px,
    text_config,
    vision_config,
    vision_tower,
    word_embeddings,
)
from ..training.model import PROMPT, load_model
from .other_heads import export_other_heads

GRAPHS = {"vision": "vision.onnx", "embed": "embed.onnx", "decoder": "decoder.onnx"}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
OPSET = 18
FP16_MAX = 65504.0


def export_browser_model(
    hf_folder: Path, head_folder: Path, out_folder: Path, *, name: str, knows: str, training: dict[str, Any]
) -> Path:
    """Write the model folder and return the path of its manifest.

    The other heads (`other_heads.py`) are exported too, if `hf_folder` has them.

    Raises ValueError if the head was trained for another hidden size or stage.
    """
    model = load_model(hf_folder, attention="eager")
    text = text_config(model)
    head = FastRM.from_pretrained(head_folder, hidden_size=text.hidden_size, stage="post_norm")
    (out_folder / "head").mkdir(parents=True, exist_ok=True)
    export_graphs(model, out_folder)
    head_files = write_browser_files(head, read_text_head(head_folder), out_folder / "head")
    for file in TOKENIZER_FILES:
        shutil.copyfile(hf_folder / file, out_folder / file)
    processor = AutoProcessor.from_pretrained(hf_folder)
    head_paths = {role: f"head/{name}" for role, name in head_files.items()}
    facts = head_facts(head, head_revision(head_folder))
    manifest = _manifest(model, processor, head_paths, facts, hf_folder, out_folder)
    manifest |= {"name": name, "knows": knows, "training": training}
    rows = text.num_hidden_layers * text.num_attention_heads
    others = export_other_heads(hf_folder, out_folder, hidden_size=text.hidden_size, attention_rows=rows)
    manifest |= {"otherHeads": others} if others else {}
    path = out_folder / "manifest.json"
    manifest |= _explain_section(path, manifest["files"][GRAPHS["decoder"]]["sha256"])
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return path


def _explain_section(path: Path, decoder_sha256: str) -> dict[str, Any]:
    """Return the `explain` section of the previous manifest if its graphs refer to the same decoder file."""
    previous = json.loads(path.read_text()) if path.exists() else {}
    decoder = previous.get("files", {}).get(GRAPHS["decoder"], {})
    is_valid = "explain" in previous and decoder.get("sha256") == decoder_sha256
    return {"explain": previous["explain"]} if is_valid else {}


class _Vision(nn.Module):
    """Runs the vision tower up to the configured layer, drops the class token and projects the patch states."""

    def __init__(self, model: LlavaForConditionalGeneration):
        super().__init__()
        self.tower = vision_tower(model)
        self.projector = model.model.multi_modal_projector
        layer = model.config.vision_feature_layer
        if not isinstance(layer, int) or model.config.vision_feature_select_strategy != "default":
            raise ValueError(
                f"expected features of one vision layer without the class token, got layer {layer} with strategy "
                f"{model.config.vision_feature_select_strategy!r}"
            )
        count = len(self.tower.encoder.layers)
        # Hidden state 0 is the first layer's input, so -1 is the output of the last layer.
        self.layers = self.tower.encoder.layers[: layer if layer >= 0 else count + 1 + layer]

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        x = self.tower.pre_layrnorm(self.tower.embeddings(pixel_values))
        for layer in self.layers:
            x = layer(x, None)
        return self.projector(x[:, 1:])


class _Decoder(nn.Module):
    """Prefill and decoding in one graph; the causal mask depends on the length of the past."""

    def __init__(self, model: LlavaForConditionalGeneration):
        super().__init__()
        self.language_model, self.lm_head = language_model(model), model.lm_head
        if self.language_model.config._attn_implementation != "eager":
            raise ValueError(
                f"expected eager attention for export, got {self.language_model.config._attn_implementation}"
            )

    def forward(self, inputs_embeds: torch.Tensor, position_ids: torch.Tensor, past: list[torch.Tensor]):
        layers = [DynamicLayer() for _ in past[::2]]
        for layer, keys, values in zip(layers, past[::2], past[1::2], strict=True):
            # Assign instead of calling update(), which concatenates with a tensor of rank 0 that ONNX cannot express.
            layer.keys, layer.values, layer.is_initialized = keys, values, True
            layer.dtype, layer.device = keys.dtype, keys.device
        cache = DynamicCache()
        cache.layers.extend(layers)
        rows: list[torch.Tensor] = []

        def keep_last_row(_module: nn.Module, _inputs: Any, outputs: tuple[torch.Tensor, torch.Tensor]) -> None:
            rows.append(outputs[1][0, :, -1])

        s, p = inputs_embeds.shape[1], past[0].shape[2]
        seen = torch.arange(p + s) <= p + torch.arange(s)[:, None]
        mask = torch.where(seen, 0.0, torch.finfo(torch.float32).min)[None, None]
        hooks = [part.register_forward_hook(keep_last_row) for part in attention_modules(self.language_model)]
        try:
            states = self.language_model(
                inputs_embeds=inputs_embeds,
                attention_mask=mask,
                position_ids=position_ids,
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
        finally:
            for hook in hooks:
                hook.remove()
        present = [part for layer in layers for part in (layer.keys, layer.values)]
        return self.lm_head(states[:, -1]), states, *present, torch.stack(rows)


@torch.no_grad()
def export_graphs(model: LlavaForConditionalGeneration, folder: Path) -> None:
    """Export the three graphs, one file each."""
    text, px = text_config(model), image_px(vision_config(model))
    pasts = [f"past.{i}.{part}" for i in range(text.num_hidden_layers) for part in ("key", "value")]
    presents = [name.replace("past", "present") for name in pasts]
    # The exporter treats a sample length of 1 as a constant.
    s, p = Dim("s", max=text.max_position_embeddings), Dim("p", max=text.max_position_embeddings)
    heads, width = key_value_shape(text)
    past = [torch.randn(1, heads, 7, width) for _ in pasts]
    _export(
        _Vision(model), (torch.randn(1, 3, px, px),), folder / GRAPHS["vision"], ["pixel_values"], ["image_features"]
    )
    _export(
        word_embeddings(model),
        (torch.zeros(1, 3, dtype=torch.long),),
        folder / GRAPHS["embed"],
        ["input_ids"],
        ["inputs_embeds"],
        ({1: s},),
    )
    _export(
        _Decoder(model),
        (torch.randn(1, 5, text.hidden_size), torch.arange(7, 12)[None], past),
        folder / GRAPHS["decoder"],
        ["inputs_embeds", "position_ids", *pasts],
        ["logits", "last_hidden_state", *presents, "attention"],
        ({1: s}, {1: s}, [{2: p} for _ in pasts]),
    )


def _export(
    module: nn.Module,
    sample: tuple[Any, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    dynamic: tuple[Any, ...] | None = None,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            sample,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=dynamic,
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise RuntimeError(f"torch.onnx.export returned no program for {path.name}")
    proto = program.model_proto
    store_weights_in_fp16(proto)
    onnx.checker.check_model(proto)
    names = [value.name for value in proto.graph.input], [value.name for value in proto.graph.output]
    if names != (inputs, outputs):
        raise RuntimeError(f"{path.name}: expected inputs and outputs {inputs}, {outputs}, got {names}")
    path.write_bytes(proto.SerializeToString())


def store_weights_in_fp16(proto: onnx.ModelProto, *, larger_than: int = 64) -> None:
    """Store float32 initializers of more than `larger_than` elements in fp16, and insert a Cast to float32 after each.

    Raises ValueError if a value exceeds the range of fp16.
    """
    casts = []
    for tensor in proto.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) <= larger_than:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > FP16_MAX:
            raise ValueError(
                f"{tensor.name} has values up to {np.abs(values).max():g}, above the fp16 maximum of {FP16_MAX:g}"
            )
        casts.append(helper.make_node("Cast", [f"{tensor.name}.fp16"], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}.fp16"))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    # Some names now refer to different tensors, so drop the inferred types; the runtime infers them again.
    del proto.graph.value_info[:]


def _manifest(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    head_paths: dict[str, str],
    facts: dict[str, Any],
    hf_folder: Path,
    folder: Path,
) -> dict[str, Any]:
    text, vision, image = text_config(model), vision_config(model), processor.image_processor
    tokenizer, (heads, width) = processor.tokenizer, key_value_shape(text)
    px, patch = image_px(vision), patch_px(vision)
    if image.size != {"shortest_edge": px} or not image.do_center_crop or int(image.resample) != 3:
        raise ValueError(
            f"expected preprocessing with shorter side {px}, bicubic (3) and a centre crop, got {image.size}, resample "
            f"{image.resample}, centre crop {image.do_center_crop}"
        )
    files = {}
    for relative in (*GRAPHS.values(), *head_paths.values(), *TOKENIZER_FILES):
        content = (folder / relative).read_bytes()
        files[relative] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    revision = hashlib.sha256(b"".join((folder / graph).read_bytes() for graph in GRAPHS.values())).hexdigest()[:12]
    return {
        "formatVersion": 1,
        "name": "",
        "revision": revision,
        "licence": "Apache-2.0",
        "knows": "",
        "model": {
            "hiddenSize": text.hidden_size,
            "layers": text.num_hidden_layers,
            "kvHeads": heads,
            "headDim": width,
            "vocabularySize": text.vocab_size,
            "maxPositions": text.max_position_embeddings,
            "hiddenStateStage": "post_norm",
        },
        "image": {
            "sizePx": px,
            "patchPx": patch,
            "grid": {"rows": px // patch, "cols": px // patch},
            "mean": list(image.image_mean),
            "std": list(image.image_std),
            "resample": "bicubic",
            "crop": "center",
            "description": preprocessing_in_words(px),
        },
        "prompt": {
            "template": PROMPT,
            "bosTokenId": tokenizer.bos_token_id,
            "eosTokenId": tokenizer.eos_token_id,
            "imageTokenId": model.config.image_token_id,
            "unkTokenId": tokenizer.unk_token_id,
            **json.loads((hf_folder / QUESTION_WORDS_FILE).read_text()),
            "maxQuestionTokens": 48,
            "maxNewTokens": 96,
            "caseFallback": "lower",
        },
        "graphs": GRAPHS,
        "head": head_paths | facts,
        "tokenizer": list(TOKENIZER_FILES),
        "files": files,
        "training": {},
    }


def preprocessing_in_words(px: int) -> str:
    """Describe the preprocessing. The page shows this text next to the part of the image that the model saw."""
    return f"shorter side to {px} px (bicubic), centre crop"
