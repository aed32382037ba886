"""Answers and explains questions about unseen scenes for the calibration, with the graphs that the page runs.

The images ship with the page, so that any answer can be reproduced there. The model therefore reads the decoded WebP
file here, not the original rendering.
"""

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from ...calibration.entropy import bernoulli, kernel_density, sum_normalised
from ...head.shards import Rank, ShardPlan
from ...head.work_folder import claimed
from ...models.answer_pieces import AnswerText
from ...models.pictures import open_upright
from ..browser.browser_model import BrowserModel, DecoderState
from ..training.packing import PATCHES, prompt_pieces
from ..world.questions import answer_text, normalize_answer
from ..world.render import render_seed
from ..world.scenes import split_seed
from .question_sets import SetQuestion, ask_sets

SPLIT = "calibration"


@dataclass(frozen=True, kw_only=True)
class CalibrationSize:
    """How many questions to ask, and how to encode the images."""

    scenes: int
    """Scenes from the split `calibration`, which nothing else uses."""
    questions_each: int = 4
    """Questions per scene in each of the three sets."""
    answer_tokens: int = 96
    """Maximum answer length, in tokens; the page has the same limit."""
    seed: int = 5
    """Seed of the questions."""
    webp_quality: int = 85
    """At 85, a 336 x 336 image takes 5 kB, and the mean error of a channel value is 1.5 of 255."""
    checked_answers: int = 100
    """Answers that are compared with the PyTorch model."""
    shard_scenes: int = 32
    """Scenes per shard; an interruption loses at most one shard."""


class AnsweredScene(NamedTuple):
    """A scene's image file and the answers about the scene; each answer has the fields of `_ANSWER`.

    An answer's `words` holds, for each token, the index of the word that the token belongs to.
    """

    scene: int
    webp: bytes
    answers: list[dict[str, Any]]


_ANSWER = pa.struct(
    [
        ("set", pa.string()),
        ("kind", pa.string()),
        ("variety", pa.string()),
        ("question", pa.string()),
        ("reference", pa.string()),
        ("answer", pa.string()),
        ("correct", pa.bool_()),
        ("tokens", pa.list_(pa.string())),
        ("words", pa.list_(pa.int32())),
        ("logProbs", pa.list_(pa.float32())),
        ("entropySum", pa.list_(pa.float32())),
        ("entropyKde", pa.list_(pa.float32())),
        ("entropyBernoulli", pa.list_(pa.float32())),
    ]
)
_PART = pa.schema([("scene", pa.int32()), ("webp", pa.binary()), ("answers", pa.list_(_ANSWER))])


def answer_scenes(
    browser: BrowserModel, tokenizer: PreTrainedTokenizerFast, work: Path, size: CalibrationSize
) -> ShardPlan:
    """Answer the questions about all scenes that are missing from `work`. Returns the shards for `read_scenes`.

    Raises ValueError if `work` contains answers from another model, head or size, or is in use.
    """
    facts = browser.manifest
    config = {"model": facts["revision"], "head": facts["head"]["revision"], **asdict(size)}
    del config["checked_answers"]  # does not affect the stored answers
    with claimed(work, config):
        (work / "parts").mkdir(exist_ok=True)
        plan = ShardPlan(work / "parts", "parquet", size.scenes, size.shard_scenes)
        plan.sweep(Rank())
        missing = plan.missing(Rank())
        with tqdm(total=sum(len(plan.items_of(shard)) for shard in missing), desc="calibrate", unit="scene") as bar:
            for shard in missing:
                rows: list[dict[str, Any]] = []
                for number in plan.items_of(shard):
                    rows.append(_answer_scene(browser, tokenizer, number, size)._asdict())
                    bar.update()
                part = pa.Table.from_pylist(rows, schema=_PART)
                plan.write(shard, lambda path, part=part: pq.write_table(part, path))
    return plan


def read_scenes(plan: ShardPlan) -> list[AnsweredScene]:
    """Read all answered scenes in order."""
    return [AnsweredScene(**row) for shard in range(len(plan)) for row in pq.read_table(plan.path(shard)).to_pylist()]


def encode_webp(image: np.ndarray, quality: int) -> bytes:
    """Encode an image [h, w, 3] uint8 as a WebP file; the same pixels always give the same bytes."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(file, "WEBP", quality=quality, method=6)
    return file.getvalue()


def decode_webp(file: bytes) -> np.ndarray:
    """Decode an image file to [h, w, 3] uint8, as the page's model sees it."""
    return np.array(open_upright(file))


class EncodedImage(NamedTuple):
    """The decoder's state after reading an image. patches [P, d]: last hidden states of the image tokens."""

    prefix: DecoderState
    patches: np.ndarray


def read_image(browser: BrowserModel, tokenizer: PreTrainedTokenizerFast, pixels: np.ndarray) -> EncodedImage:
    """Read an image once for all questions about it, as the page does. pixels [336, 336, 3] uint8."""
    before = prompt_pieces(tokenizer).before
    embeds = np.concatenate([browser.embeddings(before), browser.image_features(pixels)], axis=1)
    prefix = browser.read(embeds)
    return EncodedImage(prefix, prefix.states[len(before) : len(before) + PATCHES])


def answer_question(
    browser: BrowserModel,
    tokenizer: PreTrainedTokenizerFast,
    image: EncodedImage,
    item: SetQuestion,
    *,
    answer_tokens: int,
) -> dict[str, Any]:
    """Answer greedily; returns the fields of `_ANSWER`, with log-probabilities and map entropies in nats."""
    pieces, question = prompt_pieces(tokenizer), item.question
    after = [*tokenizer.backend_tokenizer.encode(question.text, add_special_tokens=False).ids, *pieces.after]
    answer = browser.answer_after(image.prefix, after, limit=answer_tokens)
    t = len(answer.ids)
    queries = answer.states[len(after) - 1 :][:t]
    maps = torch.from_numpy(browser.relevancy(queries, image.patches)) if t else torch.empty(0, PATCHES)
    text = AnswerText(tokenizer)
    pairs = [text.add(token) for token in answer.ids]
    reference = answer_text(question.words)
    return {
        "set": item.set,
        "kind": question.kind,
        "variety": question.variety,
        "question": question.text,
        "reference": reference,
        "answer": text.answer.strip(),
        "correct": normalize_answer(text.answer) == normalize_answer(reference),
        "tokens": [piece for piece, _ in pairs],
        "words": [word for _, word in pairs],
        "logProbs": answer.log_probs,
        "entropySum": sum_normalised(maps).tolist(),
        "entropyKde": kernel_density(maps).tolist(),
        "entropyBernoulli": bernoulli(maps).tolist(),
    }


def _answer_scene(
    browser: BrowserModel, tokenizer: PreTrainedTokenizerFast, number: int, size: CalibrationSize
) -> AnsweredScene:
    scene, rendered = render_seed(split_seed(SPLIT, number))
    webp = encode_webp(rendered.image, size.webp_quality)
    image = read_image(browser, tokenizer, decode_webp(webp))
    answers = [
        answer_question(browser, tokenizer, image, item, answer_tokens=size.answer_tokens)
        for item in ask_sets(scene, size.seed, each=size.questions_each)
    ]
    return AnsweredScene(number, webp, answers)
