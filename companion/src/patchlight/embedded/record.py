"""Records a run: asks a model one question and saves the answer with its FastRM maps and, if the model's folder has a
FastRM+ head, with what attention adds to that head's logits.

python -m patchlight.embedded.record --model HF --head HEAD --image IMAGE --question TEXT --out FILE.run
"""

import argparse
import hashlib
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from ..head.export import head_revision
from ..head.fastrm import AttentionFeatures, FastRM, read_text_head
from ..models.decoding import Prefill
from ..models.image_header import read_image_info
from ..models.loading import LoadOptions, load
from ..models.pictures import open_upright
from ..models.reading import Lvlm
from ..models.sampling import Sampling
from ..wire.run import Map, RunWriter
from ..wire.run_header import Head, Header
from ..wire.run_rows import geometry_of, ms_since, write_answer
from .browser.other_heads import PLUS, read_plus_head
from .training.llava_parts import attention_modules, language_model

MAX_NEW_TOKENS = 96


def record_run(
    hf_folder: Path,
    head_folder: Path,
    image_path: Path,
    question: str,
    out_path: Path,
    *,
    name: str | None = None,
    revision: str | None = None,
    knows: str = "",
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> str:
    """Answer greedily, write the run and return the answer.

    hf_folder: the model in the Hugging Face layout. name: defaults to the model's name in the head's facts. revision:
    defaults to the revision of the loaded weights.
    """
    loaded = load(LoadOptions(model=str(hf_folder), device="cpu", dtype="float32"))
    head, text_head = FastRM.from_pretrained(head_folder, model=loaded), read_text_head(head_folder)
    plus = read_plus_head(hf_folder)
    content = image_path.read_bytes()
    image = open_upright(content)
    digest, revision = head_revision(head_folder), revision or loaded.revision
    started = time.perf_counter()
    reading = loaded.family.read(loaded.model, loaded.processor, image, question)
    sampling = Sampling(max_new_tokens=max_new_tokens)
    header = Header(
        id=hashlib.sha256(b"\0".join([content, question.encode(), revision.encode(), digest.encode()])).hexdigest()[
            :12
        ],
        createdAt=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        question=question,
        image={
            "mediaType": read_image_info(content).media_type,
            "name": image_path.name,
            "sha256": hashlib.sha256(content).hexdigest(),
        },
        geometry=geometry_of(reading, image),
        model={
            "name": name or head.facts.model,
            "revision": revision,
            "weights": loaded.weights,
            "hiddenSize": loaded.hidden_size,
            "stage": "post_norm",
            "knows": knows,
            "family": loaded.family.name,
            "dtype": "float32",
        },
        head=_head_facts(head, digest),
        sampling={"maxNewTokens": max_new_tokens, "temperature": 0.0, "topP": 1.0, "seed": 0},
        recorded=True,
    )
    attention = None
    if plus is not None:
        plus_head, features = plus
        header["attentionLogitsOf"] = {"name": plus_head.facts.name, "revision": head_revision(hf_folder / PLUS)}
        attention = _AttentionLogits(loaded.model, features, reading.patch_columns)
    with out_path.open("wb") as sink, RunWriter(sink, header, has_prompt_maps=text_head is not None) as run:
        run.image(content)
        return write_answer(
            run,
            model=loaded.model,
            tokenizer=loaded.processor.tokenizer,
            reading=reading,
            sampling=sampling,
            started=started,
            map_of=lambda query, prefill: _map(head, text_head, query, prefill),
            attention_logits=attention,
        )


class _AttentionLogits:
    """What attention adds to the logits [P] of FastRM+, for the last position of the latest pass.

    Raises TypeError if the model is not LLaVA.
    """

    def __init__(self, model: Lvlm, features: AttentionFeatures, patch_columns: Tensor):
        if not isinstance(model, LlavaForConditionalGeneration):
            raise TypeError(f"attention is recorded for LLaVA only, not for {type(model).__name__}")
        # Other implementations do not return the attention.
        model.set_attn_implementation({"text_config": "eager"})
        self._features, self._columns = features, patch_columns
        self._layers: dict[int, Tensor] = {}
        for index, part in enumerate(attention_modules(language_model(model))):
            part.register_forward_hook(partial(self._keep, index))

    def _keep(self, layer: int, _module: nn.Module, _inputs: Any, outputs: tuple[Tensor, Tensor]) -> None:
        self._layers[layer] = outputs[1][0, :, -1, self._columns]

    @torch.inference_mode()
    def __call__(self) -> np.ndarray:
        return self._features(torch.cat([self._layers[i] for i in sorted(self._layers)])).numpy()


@torch.inference_mode()
def _map(head: FastRM, text_head: FastRM | None, query_state: Tensor, prefill: Prefill) -> Map:
    start = time.perf_counter()
    values = head(query_state[None], prefill.patch_states)[0].numpy()
    prompt = None if text_head is None else text_head(query_state[None], prefill.prompt_states)[0].numpy()
    return Map(values, "python", ms_since(start), prompt)


def _head_facts(head: FastRM, revision: str) -> Head:
    facts, match = head.facts, head.match
    assert match is not None
    return {
        "name": facts.name,
        "revision": revision,
        "stage": facts.stage,
        "teacher": facts.teacher,
        "labellingThreshold": facts.labelling_threshold,
        "classificationThreshold": facts.classification_threshold,
        "trainedOn": {"name": facts.model, "revision": facts.model_revision},
        "match": match,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer one question and save the answer with its maps as a run.")
    parser.add_argument("--model", type=Path, required=True, help="model folder in the Hugging Face layout")
    parser.add_argument("--head", type=Path, required=True, help="folder with the FastRM head")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--question", required=True)
    parser.add_argument("--out", type=Path, required=True, help="run file to write")
    parser.add_argument("--name", help="name of the model in the run")
    parser.add_argument("--knows", default="", help="one or two sentences about what the model can answer")
    args = parser.parse_args()
    print(record_run(args.model, args.head, args.image, args.question, args.out, name=args.name, knows=args.knows))


if __name__ == "__main__":
    main()
