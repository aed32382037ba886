"""Turns an evaluated answer into rows of the evaluation table, one per token."""

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
# Name, type and meaning of each column. The meaning is stored as the field's metadata.
_FIELDS = (
    ("data", pa.string(), "dataset"),
    ("sample", pa.string(), "the dataset's id of the sample"),
    ("image", pa.string(), "file name of the image"),
    ("imagePath", pa.string(), "path that the image was read from"),
    ("question", pa.string(), "the dataset's question, without suffix"),
    ("split", pa.string(), "POPE's split; null for other datasets"),
    ("answerType", pa.string(), "VQAv2's answer type: yes/no, number or other; null if the files do not say"),
    ("structuralType", pa.string(), "GQA's structural type; null if the files do not say"),
    ("semanticType", pa.string(), "GQA's semantic type; null if the files do not say"),
    ("rightAnswers", pa.list_(pa.string()), "the dataset's answers; empty if they are withheld"),
    ("answer", pa.string(), "the model's greedy answer: its tokens' texts, joined, without surrounding spaces"),
    ("score", pa.float32(), "score of the answer by the dataset's rule, 0 to 1; null if unknown"),
    ("ended", pa.bool_(), "whether the answer ended with an end token"),
    ("token", pa.int32(), "index of the token in the answer; null if the answer has no tokens (one row)"),
    ("tokens", pa.int32(), "number of tokens in the answer"),
    ("tokenId", pa.int32(), "vocabulary id of the token"),
    ("text", pa.string(), "text that the token adds to the answer"),
    ("word", pa.int32(), "number of the token's word"),
    ("logProb", pa.float32(), "log-probability of the token in nats, from raw logits"),
    ("patches", pa.int32(), "number of patches"),
    ("entropySumNats", pa.float32(), "entropy of the head's map in nats, p = score / sum of scores"),
    ("entropyKdeNats", pa.float32(), "entropy of the head's map in nats, p = kernel density of the scores"),
    ("entropyBernoulliNats", pa.float32(), "mean binary entropy of the probabilities in the head's map, in nats"),
    ("baselineEntropySumNats", pa.float32(), "like entropySumNats, for the teacher's map"),
    ("baselineEntropyKdeNats", pa.float32(), "like entropyKdeNats, for the teacher's map"),
    ("peak", pa.float32(), "maximum of the teacher's map"),
    ("imageShare", pa.float32(), "share of the teacher's relevancy that is on patches"),
    (
        "reproduced",
        pa.bool_(),
        "whether this token was the most likely in the differentiated pass; else the map explains another",
    ),
    ("positive", pa.int32(), "number of patches labelled relevant"),
    ("truePositive", _counts, "patches labelled and predicted relevant, at classification thresholds 0, 0.01, ... 1"),
    ("falsePositive", _counts, "patches predicted but not labelled relevant, at the same thresholds"),
    ("decodeMs", pa.float32(), "time of the answer without maps in ms, per token"),
    ("headMs", pa.float32(), "time of the head's maps in ms, per token"),
    ("baselineMs", pa.float32(), "time of the teacher's maps in ms, per token"),
)
SCHEMA = pa.schema([pa.field(name, kind, metadata={"meaning": meaning}) for name, kind, meaning in _FIELDS])


def answer_rows(
    data: str, sample: Sample, answer: SampleAnswer, score: float | None, head: FastRM, tokenizer: Any
) -> list[dict[str, Any]]:
    """Return the rows of one answer: one per token, or a single row without token columns if it has no tokens."""
    t = len(answer.ids)
    shared = {
        "data": data,
        "sample": sample.id,
        "image": sample.image.name,
        "imagePath": str(sample.image.absolute()),
        "question": sample.question,
        "split": sample.groups.split,
        "answerType": sample.groups.answer_type,
        "structuralType": sample.groups.structural_type,
        "semanticType": sample.groups.semantic_type,
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
