"""One evaluated answer as rows of the table: a row a sample and token."""

import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import torch

from ..calibration.entropy import bernoulli, kernel_density, sum_normalised
from ..head.answer_sample import SampleAnswer
from ..head.datasets import Sample
from ..head.fastrm import FastRM
from ..head.scores import STEPS, count
from ..models.answer_pieces import AnswerText

_counts = pa.list_(pa.int32(), STEPS)
# (name, type, meaning); the meaning goes into the file as the field's metadata
_FIELDS = (
    ("data", pa.string(), "data set"),
    ("sample", pa.string(), "the data set's own id"),
    ("image", pa.string(), "file name of the picture"),
    ("imagePath", pa.string(), "where the picture was read"),
    ("question", pa.string(), "as the data set has it"),
    ("rightAnswers", pa.list_(pa.string()), "the data set's; empty where they are withheld"),
    ("answer", pa.string(), "the model's own, greedy"),
    ("score", pa.float32(), "how right the answer is by the data set's rule, 0 to 1; null where that is not known"),
    ("ended", pa.bool_(), "the answer ended by itself"),
    ("token", pa.int32(), "index in the answer; null in the one row of an answer of no tokens"),
    ("tokens", pa.int32(), "tokens of the answer"),
    ("tokenId", pa.int32(), "vocabulary id"),
    ("text", pa.string(), "the token as it reads in the answer"),
    ("word", pa.int32(), "number of the word that it belongs to"),
    ("logProb", pa.float32(), "log-probability of the token, nats, raw logits"),
    ("patches", pa.int32(), "patches of the picture"),
    ("entropySumNats", pa.float32(), "of the head's map, p = score / sum of scores"),
    ("entropyKdeNats", pa.float32(), "of the head's map, p = kernel density of the scores"),
    ("entropyBernoulliNats", pa.float32(), "of the head's map, mean binary entropy of its probabilities"),
    ("baselineEntropySumNats", pa.float32(), "as entropySumNats, of the relevancy map that the head imitates"),
    ("baselineEntropyKdeNats", pa.float32(), "as entropyKdeNats, of that map"),
    ("peak", pa.float32(), "largest relevancy of a patch"),
    ("imageShare", pa.float32(), "share of all relevancy that lies on patches"),
    ("reproduced", pa.bool_(), "the differentiated pass found this token likeliest; else its map explains another"),
    ("positive", pa.int32(), "patches that the labelling threshold calls relevant"),
    ("truePositive", _counts, "of those, how many the head names at classification thresholds 0, 0.01, ... 1"),
    ("falsePositive", _counts, "how many others it names at those thresholds"),
    ("decodeMs", pa.float32(), "the answer's time without any map, over its tokens"),
    ("headMs", pa.float32(), "the head's maps of the answer, over its tokens"),
    ("baselineMs", pa.float32(), "the relevancy maps of the answer, over its tokens"),
)
SCHEMA = pa.schema([pa.field(name, kind, metadata={"meaning": meaning}) for name, kind, meaning in _FIELDS])


def answer_rows(
    data: str, sample: Sample, answer: SampleAnswer, score: float | None, head: FastRM, tokenizer: Any
) -> list[dict[str, Any]]:
    """The rows of one answer."""
    t = len(answer.ids)
    shared = {
        "data": data,
        "sample": sample.id,
        "image": sample.image.name,
        "imagePath": str(sample.image.absolute()),
        "question": sample.question,
        "rightAnswers": list(sample.answers),
        "answer": answer.text,
        "score": score,
        "ended": answer.ended,
        "tokens": t,
        "patches": len(answer.patch_states),
    }
    if t == 0:
        return [shared]
    start = time.perf_counter()
    with torch.inference_mode():
        device = head.query.weight.device
        maps = head(answer.query_states.float().to(device), answer.patch_states.float().to(device)).cpu()
    head_ms = (time.perf_counter() - start) * 1000
    pieces = AnswerText(tokenizer)
    columns: dict[str, Sequence[Any]] = {
        "token": range(t),
        "tokenId": answer.ids,
        "logProb": answer.log_probs,
        "entropySumNats": sum_normalised(maps).tolist(),
        "entropyKdeNats": kernel_density(maps).tolist(),
        "entropyBernoulliNats": bernoulli(maps).tolist(),
        **_baseline_columns(maps, answer, head.facts.labelling_threshold),
    }
    times = {
        "decodeMs": answer.decode_ms / t,
        "headMs": head_ms / t,
        "baselineMs": answer.label_ms / t if answer.labels else None,
    }
    rows = [{**shared, **times, **{name: column[k] for name, column in columns.items()}} for k in range(t)]
    for row in rows:
        row["text"], row["word"] = pieces.add(row["tokenId"])
    rows[-1]["text"] += pieces.rest()
    return rows


def _baseline_columns(maps: torch.Tensor, answer: SampleAnswer, threshold: float) -> dict[str, Sequence[Any]]:
    labels = answer.labels
    if labels is None:
        return {}
    counts = count(maps, labels.relevancy, threshold)
    return {
        "baselineEntropySumNats": sum_normalised(labels.relevancy).tolist(),
        "baselineEntropyKdeNats": kernel_density(labels.relevancy).tolist(),
        "peak": labels.relevancy.amax(1).tolist(),
        "imageShare": labels.image_share.tolist(),
        "reproduced": (labels.likeliest == torch.tensor(answer.ids)).tolist(),
        "positive": counts.positive.tolist(),
        "truePositive": counts.true_positive.tolist(),
        "falsePositive": counts.false_positive.tolist(),
    }
