"""Writes one shard of training samples (`sample_store.py`): tokens gathered in memory, then stored in one file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from .ablation import Ablation
from .answer_sample import SampleAnswer
from .sample_store import METADATA_KEY


class ShardContent:
    """The samples of one shard, gathered in memory before writing. teacher: what labelled them (`TEACHERS`); None if
    unknown.
    """

    def __init__(self, teacher: str | None = None) -> None:
        self._teacher = teacher
        self._ablations: list[Ablation] = []
        self._states: list[torch.Tensor] = []
        self._prompts: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._relevancy: list[torch.Tensor] = []
        self._prompt_relevancy: list[torch.Tensor] = []
        self._columns: dict[str, list[torch.Tensor]] = {}
        self._questions: list[dict[str, Any]] = []

    @property
    def tokens(self) -> int:
        """Number of tokens added so far."""
        return sum(len(part) for part in self._columns.get("token", []))

    def add(self, sample_id: str, image_sha256: str | None, answer: SampleAnswer, score: float | None) -> None:
        """Add an answered and labelled sample. score: how correct the answer is, 0 to 1; None if unknown."""
        labels, t = answer.labels, len(answer.ids)
        assert labels is not None
        self._questions.append({"id": sample_id, "imageSha256": image_sha256, "answer": answer.text, "score": score})
        if t == 0:
            return
        # Consecutive questions are often about one image, whose states rarely depend on the question, because it
        # follows the image.
        if not (self._states and torch.equal(self._states[-1], answer.patch_states)):
            self._states.append(answer.patch_states)
        self._prompts.append((torch.tensor(answer.prompt_ids), answer.prompt_states))
        relevancy, peak = scaled(labels.relevancy)
        prompt_relevancy, prompt_peak = scaled(labels.prompt_relevancy)
        columns = {
            "token": torch.tensor(answer.ids, dtype=torch.long),
            "position": torch.arange(t),
            "log_prob": torch.tensor(answer.log_probs, dtype=torch.float32),
            "query_states": answer.query_states,
            "peak": peak,
            "prompt_peak": prompt_peak,
            "image_share": labels.image_share,
            "reproduced": labels.likeliest == torch.tensor(answer.ids, dtype=torch.long),
            "image": torch.full((t,), len(self._states) - 1),
            "prompt": torch.full((t,), len(self._prompts) - 1),
            "question": torch.full((t,), len(self._questions) - 1),
        }
        if labels.ablation is not None:
            columns["deltas"] = labels.ablation.deltas
            self._ablations.append(labels.ablation)
        for name, value in columns.items():
            self._columns.setdefault(name, []).append(value)
        self._relevancy.append(relevancy.flatten())
        self._prompt_relevancy.append(prompt_relevancy.flatten())

    def skip(self, sample_id: str, image_sha256: str | None, reason: str) -> None:
        """Record a sample that could not be answered or explained. image_sha256: None if the image cannot be read."""
        self._questions.append({"id": sample_id, "imageSha256": image_sha256, "skipped": reason})

    def write(self, path: Path) -> None:
        """Write the shard to a file."""
        path.write_bytes(self.encode())

    def encode(self) -> bytes:
        """Return the shard as the bytes of a safetensors file. Its metadata lists the questions in order: id and image,
        and answer and score or why the sample was skipped. It names the teacher, too.
        """
        metadata = shard_metadata(self._teacher, self._questions)
        tensors = {name: torch.cat(parts) for name, parts in self._columns.items()}
        if tensors:
            tensors["query_states"] = _storable(tensors["query_states"])
            tensors["image_states"] = _storable(torch.cat(self._states))
            tensors["relevancy"] = torch.cat(self._relevancy)
            tensors["patches"] = torch.tensor([len(states) for states in self._states])
            tensors |= prompt_tensors(self._prompts, self._prompt_relevancy)
            tensors |= mask_tensors(self._ablations)
        tensors["question_count"] = torch.tensor(len(self._questions))
        return save(tensors, metadata)


def scaled(relevancy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return maps `[t, p]` scaled to a maximum of 1, in fp16, and the maxima `[t]`."""
    peak = relevancy.amax(1)
    return (relevancy / peak.clamp(min=1e-30)[:, None]).half(), peak


def prompt_tensors(
    prompts: Sequence[tuple[torch.Tensor, torch.Tensor]], relevancy: Sequence[torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return the tensors of a shard that hold its prompts, each given as ids `[m]` and states `[m, d]`, and the scaled
    maps over them, flat.
    """
    return {
        "prompt_states": _storable(torch.cat([states for _, states in prompts])),
        "prompt_tokens": torch.cat([ids for ids, _ in prompts]),
        "prompt_lengths": torch.tensor([len(ids) for ids, _ in prompts]),
        "prompt_relevancy": torch.cat(list(relevancy)),
    }


def mask_tensors(ablations: Sequence[Ablation]) -> dict[str, torch.Tensor]:
    """Return the tensors of a shard that hold the masks of its answered questions, in their order; none without any."""
    if not ablations:
        return {}
    packed = [np.packbits(ablation.masks.numpy(), axis=1).ravel() for ablation in ablations]
    return {
        "masks": torch.from_numpy(np.concatenate(packed)),
        "mask_patches": torch.tensor([ablation.masks.shape[1] for ablation in ablations]),
    }


def shard_metadata(teacher: str | None, questions: Sequence[Mapping[str, Any]] = ()) -> dict[str, str]:
    """Return a shard's metadata. It is a single entry, because safetensors writes several in a random order, and the
    same samples should always give the same bytes.
    """
    return {METADATA_KEY: json.dumps({"teacher": teacher, "questions": questions}, ensure_ascii=False)}


def _storable(states: torch.Tensor) -> torch.Tensor:
    """Convert states to fp16 unless that overflows."""
    half = states.half()
    return half if half.isfinite().all() else states
