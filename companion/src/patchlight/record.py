"""One question put to a LLaVA model in its Hugging Face folder, with its FastRM maps, kept as a run:
`python -m patchlight.record --model HF --head HEAD --image PICTURE --question TEXT --out FILE.run`.
"""

import argparse
import hashlib
import io
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageOps
from transformers import (
    AutoProcessor,
    BatchFeature,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from .head import WEIGHTS_FILE, FastRM, HeadFacts
from .llava_parts import patch_px, text_config, vision_config
from .model import load_model, model_inputs
from .wire import Alternative, End, Geometry, Head, Header, Map, PromptToken, RunWriter, Token

MAX_NEW_TOKENS, ALTERNATIVES = 96, 5


@torch.inference_mode()
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
    """Answer greedily, write the run, return the answer. Name and revision come from head and weights if not given."""
    model = load_model(hf_folder)
    processor: LlavaProcessor = AutoProcessor.from_pretrained(hf_folder)
    hidden_size = text_config(model).hidden_size
    head = FastRM.from_pretrained(head_folder, hidden_size=hidden_size, stage="post_norm")
    facts = head.facts
    picture = image_path.read_bytes()
    image, media_type = _open_image(picture)
    head_revision, revision = (
        _revision(head_folder / WEIGHTS_FILE),
        revision or _revision(hf_folder / "model.safetensors"),
    )
    header = Header(
        id=hashlib.sha256(
            b"\0".join([picture, question.encode(), revision.encode(), head_revision.encode()])
        ).hexdigest()[:12],
        createdAt=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        question=question,
        image={
            "mediaType": media_type,
            "name": image_path.name,
            "sha256": hashlib.sha256(picture).hexdigest(),
        },
        geometry=centre_crop_geometry(image.width, image.height, processor, patch_px(vision_config(model))),
        model={
            "name": name or facts.model,
            "revision": revision,
            "hiddenSize": hidden_size,
            "stage": "post_norm",
            "knows": knows,
            "family": "LLaVA-1.5",
            "dtype": "float32",
        },
        head=_head_facts(facts, head_revision),
        sampling={"maxNewTokens": max_new_tokens, "temperature": 0.0, "topP": 1.0, "seed": 0},
        recorded=True,
    )
    with out_path.open("wb") as sink, RunWriter(sink, header) as run:
        run.image(picture)
        return _answer(model, processor, head, image, question, run, max_new_tokens)


def _answer(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    head: FastRM,
    image: Image.Image,
    question: str,
    run: RunWriter,
    limit: int,
) -> str:
    asked = time.perf_counter()
    inputs = model_inputs(processor, image, question)
    ids = inputs["input_ids"][0]
    image_columns = ids == model.config.image_token_id
    words = AnswerWords(processor.tokenizer)
    patches = torch.empty(0)
    first_token_ms, reason = 0.0, "length"
    for index, step in enumerate(_greedy_steps(model, inputs, limit)):
        if index == 0:
            patches = step.states[image_columns]
            first_token_ms = _ms_since(asked)
            run.states(patches.numpy())
            spelt = [
                PromptToken(token, str(processor.tokenizer.decode(token))) for token in ids[~image_columns].tolist()
            ]
            run.prompt(spelt, step.states[~image_columns].numpy())
        if step.token_id == processor.tokenizer.eos_token_id:
            reason = "stop"
            break
        start = time.perf_counter()
        values = head(step.states[-1:], patches)[0].numpy()
        found = Map(values, "python", _ms_since(start))
        top = step.log_probs.topk(min(ALTERNATIVES, len(step.log_probs)))
        alternatives = [
            Alternative(token, words.text_of(token), score)
            for token, score in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]
        text, word = words.add(step.token_id)
        log_prob = step.log_probs[step.token_id].item()
        run.token(Token(index, step.token_id, text, word, log_prob, alternatives, step.states[-1].numpy(), found))
    run.end(End(reason, _ms_since(asked), first_token_ms))
    return words.answer


class _Step(NamedTuple):
    """states [s, d] after the final norm of the positions just fed; log_probs [V] of what follows them."""

    token_id: int
    states: torch.Tensor
    log_probs: torch.Tensor


def _greedy_steps(model: LlavaForConditionalGeneration, inputs: BatchFeature, limit: int) -> Iterator[_Step]:
    """At most `limit` tokens and, where it comes in time, the end token."""
    fed, cache = dict(inputs), None
    for _ in range(limit):
        out = model.model(**fed, past_key_values=cache, use_cache=True)
        cache, states = out.past_key_values, out.last_hidden_state[0]
        log_probs = torch.log_softmax(model.lm_head(states[-1]).float(), dim=-1)
        token = int(log_probs.argmax())
        yield _Step(token, states, log_probs)
        fed = {"input_ids": torch.tensor([[token]])}


class AnswerWords:
    """Each token as it reads in the answer so far. The texts joined are the answer as the tokenizer decodes it, with
    colons and semicolons close to their word too, which its clean-up forgets.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        self._tokenizer, self._ids, self.answer, self._word = tokenizer, [], "", -1

    def text_of(self, token_id: int) -> str:
        """What this token would add here; the end token, which is no text, by its name."""
        if token_id == self._tokenizer.eos_token_id:
            return str(self._tokenizer.eos_token)
        whole = str(self._tokenizer.decode([*self._ids, token_id], skip_special_tokens=False))
        whole = whole.replace(" :", ":").replace(" ;", ";")
        if not whole.startswith(self.answer):
            raise ValueError(f"token {token_id} rewrites {self.answer!r} to {whole!r}")
        return whole[len(self.answer) :]

    def add(self, token_id: int) -> tuple[str, int]:
        """Text and word number of the answer's next token."""
        text = self.text_of(token_id)
        if self._word < 0 or not str(self._tokenizer.convert_ids_to_tokens(token_id)).startswith("##"):
            self._word += 1
        self._ids.append(token_id)
        self.answer += text
        return text, self._word


def centre_crop_geometry(width: int, height: int, processor: LlavaProcessor, patch: int) -> Geometry:
    """Where the model's square lies in a `width` x `height` source, through the processor's own roundings."""
    px = int(processor.image_processor.size["shortest_edge"])
    short = min(width, height)
    resized = [px if side == short else int(px * side / short) for side in (width, height)]
    x, y = ((side - px) // 2 for side in resized)
    across, down = width / resized[0], height / resized[1]
    return {
        "sourceWidthPx": width,
        "sourceHeightPx": height,
        "preprocessing": f"shorter side to {px} px (bicubic), centre crop",
        "frames": [
            {
                "name": "image",
                "crop": {"xPx": x * across, "yPx": y * down, "widthPx": px * across, "heightPx": px * down},
                "grid": {"rows": px // patch, "cols": px // patch},
                "modelWidthPx": px,
                "modelHeightPx": px,
            }
        ],
    }


def _head_facts(facts: HeadFacts, revision: str) -> Head:
    return {
        "name": facts.name,
        "revision": revision,
        "stage": facts.stage,
        "teacher": facts.teacher,
        "labellingThreshold": facts.labelling_threshold,
        "classificationThreshold": facts.classification_threshold,
    }


def _open_image(picture: bytes) -> tuple[Image.Image, str]:
    """Upright RGB and media type; a picture large enough for Pillow to warn of is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(picture), formats=("PNG", "JPEG", "WEBP"))
        media_type = Image.MIME[str(image.format)]
        return ImageOps.exif_transpose(image).convert("RGB"), media_type


def _revision(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer one question and keep the answer with its maps as a run.")
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder of the LLaVA model")
    parser.add_argument("--head", type=Path, required=True, help="folder of the FastRM head")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--question", required=True)
    parser.add_argument("--out", type=Path, required=True, help="the run's file")
    parser.add_argument("--name", help="the model's name in the run")
    parser.add_argument("--knows", default="", help="what the model can answer, in a sentence or two")
    given = parser.parse_args()
    print(
        record_run(given.model, given.head, given.image, given.question, given.out, name=given.name, knows=given.knows)
    )


if __name__ == "__main__":
    main()
