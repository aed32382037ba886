"""Evaluates a head on a dataset: the model answers each question, and a table compares the head's maps with its
teacher's.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from ..calibration.file import CALIBRATION_FILE
from ..head.answer_sample import AnswerOptions, answer_sample
from ..head.answer_scores import SCORES
from ..head.collection import check_finished, data_facts, in_shards, label_facts, model_facts
from ..head.datasets import DataOptions, Sample, count_samples
from ..head.export import head_facts, head_revision
from ..head.fastrm import FastRM, describe_match
from ..head.input_hashes import image_sha256
from ..head.labels import manifest_name
from ..head.shards import Rank, ShardPlan
from ..head.whole_files import write_json, write_whole
from ..head.work_folder import claimed, read_manifest
from ..models.loading import Loaded, LoadOptions, load
from .calibration import write_evaluation_calibration
from .summary import Skipped, summarise
from .table import SCHEMA, answer_rows

TABLE_FILE, SUMMARY_FILE, PARTS = "table.parquet", "summary.json", "parts"
_QUESTIONS = b"patchlight.questions"


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What to evaluate and on which dataset."""

    model: LoadOptions
    head: Path
    """Folder that `patchlight fit` or `patchlight train` wrote."""
    force_head: bool = False
    """Use the head even if it was trained on another model."""
    data: DataOptions
    answers: AnswerOptions = field(default_factory=AnswerOptions)
    """Teacher "none" skips the teacher's maps, and with them accuracy and F1."""
    shard_samples: int = 32
    """Samples per part. A killed process loses at most one part."""
    skip_bad: bool = False
    """Skip samples that cannot be read or explained. If False, the first one raises."""


def evaluate_head(
    options: EvaluateOptions, out: Path, rank: Rank, *, loaded: Loaded | None = None
) -> dict[str, Any] | None:
    """Evaluate this rank's missing shards. Once no shard is missing, write the table, the calibration file and the
    summary.

    Returns the summary, or None if other ranks are still working. Raises ValueError if `out` holds another evaluation,
    is in use or has a damaged part, if the dataset is empty, or if the head was trained for other hidden states or,
    unless it is forced, on another model.
    """
    total = count_samples(options.data)
    if total == 0:
        raise ValueError(f"{options.data.questions} contains no samples")
    loaded = loaded or load(options.model)
    head = FastRM.from_pretrained(options.head, model=loaded, force=options.force_head).to(loaded.device)
    if head.match is not None and head.match != "same":
        tqdm.write(f"warning: {describe_match(head.facts, head.match, loaded)}", file=sys.stderr)
    with claimed(out, _manifest(options, loaded, head, total), rank):
        (out / PARTS).mkdir(exist_ok=True)
        plan = ShardPlan(out / PARTS, "parquet", total, options.shard_samples)
        plan.sweep(rank)
        check_finished(plan, rank, options.data, _questions_of)
        _write_missing(plan, rank, options, loaded, head)
        if plan.missing(Rank()):
            return None
        return _finish(plan, out, options.data, head)


def _write_missing(plan: ShardPlan, rank: Rank, options: EvaluateOptions, loaded: Loaded, head: FastRM) -> None:
    missing = plan.missing(rank)
    with tqdm(
        total=sum(len(plan.items_of(shard)) for shard in missing),
        desc=f"evaluate {options.data.kind}" + (f" {rank.rank}/{rank.ranks}" if rank.ranks > 1 else ""),
        unit="sample",
        position=rank.local,
    ) as bar:
        for shard, samples in in_shards(plan, missing, options.data):
            rows: list[dict[str, Any]] = []
            questions: list[dict[str, Any]] = []
            for sample in samples:
                question = {"id": sample.id, "imageSha256": image_sha256(sample.image)}
                try:
                    rows += _rows(loaded, head, sample, options)
                except ValueError as reason:
                    if not options.skip_bad:
                        raise
                    tqdm.write(f"skipped: {reason}")
                    question["skipped"] = str(reason)
                questions.append(question)
                bar.update()
            schema = SCHEMA.with_metadata({_QUESTIONS: json.dumps(questions)})
            plan.write(shard, _writer(pa.Table.from_pylist(rows, schema=schema)))


def _writer(part: pa.Table) -> Callable[[Path], None]:
    return lambda path: pq.write_table(part, path)


def _finish(plan: ShardPlan, out: Path, data: DataOptions, head: FastRM) -> dict[str, Any]:
    """Write the table, the calibration file and the summary of a complete evaluation. Returns the summary."""
    questions = [question for shard in range(len(plan)) for question in _questions_of(plan.path(shard))]
    skipped = [Skipped(question["id"], question["skipped"]) for question in questions if "skipped" in question]
    write_whole(out / TABLE_FILE, lambda path: _join(plan, path, read_manifest(out)))
    summary = summarise(out / TABLE_FILE, data.kind, skipped, head.facts.classification_threshold)
    summary["calibration"] = write_evaluation_calibration(out / TABLE_FILE, out / CALIBRATION_FILE, read_manifest(out))
    write_json(out / SUMMARY_FILE, summary)
    return summary


def read_summary(folder: Path) -> dict[str, Any]:
    """Read the summary of a finished evaluation. Raises ValueError if there is none."""
    path = folder / SUMMARY_FILE
    if not path.exists():
        raise ValueError(f"{folder} has no {SUMMARY_FILE}: pass the folder of a finished `patchlight evaluate`")
    return json.loads(path.read_text())


def _rows(loaded: Loaded, head: FastRM, sample: Sample, options: EvaluateOptions) -> list[dict[str, Any]]:
    answer = answer_sample(loaded, sample, options.answers)
    score = SCORES[options.data.kind](answer.text, sample.answers) if sample.answers else None
    return answer_rows(options.data.kind, sample, answer, score, head, loaded.processor.tokenizer)


def _questions_of(part: Path) -> list[dict[str, Any]]:
    """Read the list of questions in a part: id, image and, if it was skipped, why. Raises ValueError if the part is
    damaged.
    """
    try:
        metadata = pq.read_schema(part).metadata
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"{part} is incomplete or damaged ({error}): delete it, and evaluate again to make it anew"
        ) from None
    return json.loads(metadata[_QUESTIONS])


def _join(plan: ShardPlan, path: Path, manifest: dict[str, Any]) -> None:
    """Join all parts, in order, into one table, with the evaluation's manifest as metadata."""
    schema = SCHEMA.with_metadata({"patchlight.evaluation": json.dumps(manifest)})
    with pq.ParquetWriter(path, schema) as table:
        for shard in range(len(plan)):
            table.write_table(pq.read_table(plan.path(shard)).cast(schema))


def _manifest(options: EvaluateOptions, loaded: Loaded, head: FastRM, total: int) -> dict[str, Any]:
    return {
        "formatVersion": 3,
        **model_facts(loaded),
        "head": head_facts(head, head_revision(options.head)),
        "method": "none" if options.answers.teacher == "none" else manifest_name(options.answers.teacher),
        **label_facts(options.answers, loaded),
        **data_facts(options.data, total),
        "maxNewTokens": options.answers.max_new_tokens,
        "suffix": options.answers.suffix,
        "shardSamples": options.shard_samples,
        "skipBad": options.skip_bad,
    }
