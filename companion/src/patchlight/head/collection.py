"""Collects training samples for a FastRM head: a model's greedy answers to a dataset, labelled token by token."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..models.loading import Loaded, LoadOptions, load
from .answer_sample import AnswerOptions, answer_sample
from .answer_scores import SCORES
from .datasets import DataOptions, Sample, count_samples, question_files, read_samples
from .input_hashes import file_sha256, files_sha256, image_sha256
from .labels import TEACHERS, manifest_name
from .sample_store import shard_questions
from .shard_content import ShardContent
from .shards import Rank, ShardPlan
from .work_folder import claimed


@dataclass(frozen=True, kw_only=True)
class CollectOptions:
    """What to collect and how to store it."""

    model: LoadOptions
    data: DataOptions
    answers: AnswerOptions = field(default_factory=AnswerOptions)
    shard_samples: int = 32
    """Samples per shard. A shard is held in memory until it is written; a killed process loses at most one."""
    skip_bad: bool = False
    """Skip samples that cannot be read or explained, and record them in their shard. If False, the first one raises."""

    def __post_init__(self) -> None:
        if self.answers.teacher == "none":
            raise ValueError(
                "teacher none makes no labels, and a head needs them for training: use chefer, chefer-incremental, "
                "attention or ablation"
            )
        if self.shard_samples < 1:
            raise ValueError(f"shard_samples is {self.shard_samples}: use 1 or more")


def collect_samples(options: CollectOptions, out: Path, rank: Rank, *, loaded: Loaded | None = None) -> int:
    """Write this rank's missing shards to `out` and return the number of tokens labelled in this call.

    Pass `loaded` to reuse a model in memory. Raises ValueError if `out` was collected with other inputs or options, is
    in use by another process, or holds a damaged shard, or if the dataset is empty.
    """
    total = count_samples(options.data)
    if total == 0:
        raise ValueError(f"{options.data.questions} contains no samples")
    loaded = loaded or load(options.model)
    with claimed(out, collect_manifest(options, loaded, total), rank):
        plan = ShardPlan(out, "safetensors", total, options.shard_samples)
        plan.sweep(rank)
        check_finished(plan, rank, options.data, shard_questions)
        return _collect_missing(plan, rank, options, loaded)


def _collect_missing(plan: ShardPlan, rank: Rank, options: CollectOptions, loaded: Loaded) -> int:
    missing = plan.missing(rank)
    tokens = 0
    with tqdm(
        total=sum(len(plan.items_of(shard)) for shard in missing),
        desc=f"collect {options.data.kind}" + (f" {rank.rank}/{rank.ranks}" if rank.ranks > 1 else ""),
        unit="sample",
        position=rank.local,
    ) as bar:
        for shard, samples in in_shards(plan, missing, options.data):
            content = ShardContent(teacher_of(options.answers))
            for sample in samples:
                _add(content, loaded, sample, options)
                bar.update()
                bar.set_postfix(tokens=tokens + content.tokens)
            plan.write(shard, content.write)
            tokens += content.tokens
    return tokens


def check_finished(
    plan: ShardPlan, rank: Rank, data: DataOptions, questions_of: Callable[[Path], list[dict[str, Any]]]
) -> None:
    """Check that this rank's finished shards can be read and were made from the images that are there now.

    questions_of: reads the questions of a shard, each with `id` and `imageSha256`. Raises ValueError if a shard is
    damaged or an image has changed.
    """
    for shard, samples in in_shards(plan, plan.finished(rank), data):
        path = plan.path(shard)
        for entry, sample in zip(questions_of(path), samples, strict=True):
            then, now = entry["imageSha256"], image_sha256(sample.image)
            if then != now:
                raise ValueError(
                    f"{sample.image} has changed since {path} was made from it (sample {sample.id}; SHA-256 then: "
                    f"{_digits(then)}, now: {_digits(now)}): restore the image, or delete {path.name} to make it again"
                )


def _digits(sha256: str | None) -> str:
    return "unreadable" if sha256 is None else sha256[:12]


def in_shards(plan: ShardPlan, shards: list[int], data: DataOptions) -> Iterator[tuple[int, list[Sample]]]:
    """Yield each shard with its samples, reading the dataset once."""
    stream, position = read_samples(data), 0
    for shard in shards:
        items = plan.items_of(shard)
        for _ in range(items.start - position):
            next(stream)
        yield shard, [next(stream) for _ in items]
        position = items.stop


def collect_manifest(options: CollectOptions, loaded: Loaded, total: int) -> dict[str, Any]:
    """Describe the samples. Two collections with the same manifest hold the same samples."""
    teacher = options.answers.teacher
    assert teacher != "none"
    return {
        "formatVersion": 3,
        **model_facts(loaded),
        "stage": "post_norm",
        "teacher": TEACHERS[teacher],
        "method": manifest_name(teacher),
        **label_facts(options.answers, loaded),
        **data_facts(options.data, total),
        "maxNewTokens": options.answers.max_new_tokens,
        "suffix": options.answers.suffix,
        "shardSamples": options.shard_samples,
        "skipBad": options.skip_bad,
    }


def model_facts(loaded: Loaded) -> dict[str, Any]:
    """Return the manifest fields that describe a model."""
    return {
        "model": loaded.name,
        "modelRevision": loaded.revision,
        "modelWeights": loaded.weights,
        "family": loaded.family.name,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "hiddenSize": loaded.hidden_size,
    }


def label_facts(answers: AnswerOptions, loaded: Loaded) -> dict[str, Any]:
    """Return the manifest field that describes the labels' number format, if it is not the model's own."""
    if answers.teacher == "none":
        return {}
    precision = answers.label_precision(loaded)
    return {} if precision.autocast is None else {"labelPrecision": precision.name}


def data_facts(data: DataOptions, total: int) -> dict[str, Any]:
    """Return the manifest fields that describe a dataset. Files are recorded by name and content, without their
    folders, so that they can be moved. Shards record the contents of the images.
    """
    return {
        "data": data.kind,
        "questions": data.questions.name,
        "questionsSha256": files_sha256(question_files(data)),
        "annotations": data.annotations.name if data.annotations else None,
        "annotationsSha256": file_sha256(data.annotations) if data.annotations else None,
        "samples": total,
        "seed": data.seed,
    }


def teacher_of(answers: AnswerOptions) -> str | None:
    """Return what samples and heads call the teacher; None without one."""
    return None if answers.teacher == "none" else TEACHERS[answers.teacher]


def _add(content: ShardContent, loaded: Loaded, sample: Sample, options: CollectOptions) -> None:
    image = image_sha256(sample.image)
    try:
        answer = answer_sample(loaded, sample, options.answers)
    except ValueError as reason:
        if not options.skip_bad:
            raise
        content.skip(sample.id, image, str(reason))
        return
    score = SCORES[options.data.kind](answer.text, sample.answers) if sample.answers else None
    content.add(sample.id, image, answer, score)
