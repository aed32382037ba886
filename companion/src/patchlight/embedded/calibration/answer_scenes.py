"""The embedded model's calibration: questions of unseen scenes, answered and mapped by the graphs that the page runs.

The pictures are shipped, so that any of the answers can be had again in the page: what the model reads here is the
decoded WebP file, not the rendering that it was made from.
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
from ...head.shards import Rank, ShardPlan, claim
from ...models.answer_pieces import AnswerText
from ...models.pictures import open_upright
from ..browser.browser_model import BrowserModel, Read
from ..training.packing import PATCHES, prompt_pieces
from ..world.questions import answer_text, normalize_answer
from ..world.render import render_seed
from ..world.scenes import split_seed
from .question_sets import SetQuestion, ask_sets

SPLIT = "calibration"


@dataclass(frozen=True, kw_only=True)
class CalibrationSize:
    """How much is asked, and what the pictures may weigh."""

    scenes: int
    """Of the split `calibration`, which nothing else reads."""
    questions_each: int = 4
    """Of a scene and of each of the three sets."""
    answer_tokens: int = 96
    """The longest answer; the page's own limit."""
    seed: int = 5
    """Of the questions."""
    webp_quality: int = 85
    """At 336 px square a picture is 5 kB, and a channel's value off by 1.5 of 255 in the mean."""
    checked_answers: int = 100
    """Had again from the PyTorch model."""
    shard_scenes: int = 32
    """What a kill loses at most."""


class AnsweredScene(NamedTuple):
    """`webp` is the picture's file; a row of `answers` has the fields of `_ANSWER`, `words` among
    them: the number of the word that a token belongs to."""

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
    """Answer what is missing in `work` and return its shards, all there; `read_scenes` reads them.

    Raises ValueError where `work` holds the answers of another model, head or size.
    """
    facts = browser.manifest
    wanted = {"model": facts["revision"], "head": facts["head"]["revision"], **asdict(size)}
    del wanted["checked_answers"]  # which changes nothing of what is kept here
    claim(work, wanted)
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
    """All of them, in order."""
    return [AnsweredScene(**row) for shard in range(len(plan)) for row in pq.read_table(plan.path(shard)).to_pylist()]


def encode_picture(image: np.ndarray, quality: int) -> bytes:
    """[h, w, 3] uint8 to a WebP file; the same pixels always give the same bytes."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(file, "WEBP", quality=quality, method=6)
    return file.getvalue()


def decode_picture(file: bytes) -> np.ndarray:
    """[h, w, 3] uint8, as the page's model is shown it."""
    return np.array(open_upright(file))


class SeenPicture(NamedTuple):
    """A picture that the decoder has read; `patches` [P, d] are the image tokens' last hidden states."""

    prefix: Read
    patches: np.ndarray


def see_picture(browser: BrowserModel, tokenizer: PreTrainedTokenizerFast, pixels: np.ndarray) -> SeenPicture:
    """What the page does once an image: `pixels` [336, 336, 3] uint8."""
    before = prompt_pieces(tokenizer).before
    embeds = np.concatenate([browser.embeddings(before), browser.image_features(pixels)], axis=1)
    prefix = browser.read(embeds)
    return SeenPicture(prefix, prefix.states[len(before) : len(before) + PATCHES])


def answer_question(
    browser: BrowserModel,
    tokenizer: PreTrainedTokenizerFast,
    seen: SeenPicture,
    asked: SetQuestion,
    *,
    answer_tokens: int,
) -> dict[str, Any]:
    """Greedy answer, its tokens' log-probabilities and their maps' entropies in nats."""
    pieces, question = prompt_pieces(tokenizer), asked.question
    after = [*tokenizer.backend_tokenizer.encode(question.text, add_special_tokens=False).ids, *pieces.after]
    found = browser.answer_after(seen.prefix, after, limit=answer_tokens)
    t = len(found.ids)
    queries = found.states[len(after) - 1 :][:t]
    maps = torch.from_numpy(browser.relevancy(queries, seen.patches)) if t else torch.empty(0, PATCHES)
    text = AnswerText(tokenizer)
    pairs = [text.add(token) for token in found.ids]
    reference = answer_text(question.words)
    return {
        "set": asked.set,
        "kind": question.kind,
        "variety": question.variety,
        "question": question.text,
        "reference": reference,
        "answer": text.answer.strip(),
        "correct": normalize_answer(text.answer) == normalize_answer(reference),
        "tokens": [piece for piece, _ in pairs],
        "words": [word for _, word in pairs],
        "logProbs": found.log_probs,
        "entropySum": sum_normalised(maps).tolist(),
        "entropyKde": kernel_density(maps).tolist(),
        "entropyBernoulli": bernoulli(maps).tolist(),
    }


def _answer_scene(
    browser: BrowserModel, tokenizer: PreTrainedTokenizerFast, number: int, size: CalibrationSize
) -> AnsweredScene:
    scene, rendered = render_seed(split_seed(SPLIT, number))
    webp = encode_picture(rendered.image, size.webp_quality)
    seen = see_picture(browser, tokenizer, decode_picture(webp))
    answers = [
        answer_question(browser, tokenizer, seen, asked, answer_tokens=size.answer_tokens)
        for asked in ask_sets(scene, size.seed, each=size.questions_each)
    ]
    return AnsweredScene(number, webp, answers)
