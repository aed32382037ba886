"""Splits a long job into shards. Each shard is a fixed range of items, written to a temporary file that is then
renamed.

A killed process loses only its current shard, and a later run, with any number of processes, writes the missing shards.
Processes that share a folder divide the shards by rank, as set by accelerate and torchrun.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .whole_files import write_whole


@dataclass(frozen=True)
class Rank:
    """This process's rank among the processes that share the work."""

    rank: int = 0
    ranks: int = 1
    """Number of processes."""
    local: int = 0
    """Rank on this machine, which selects the GPU."""

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.ranks:
            raise ValueError(f"rank {self.rank} is out of range: with {self.ranks} processes use 0 to {self.ranks - 1}")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Rank":
        """Read RANK, WORLD_SIZE and LOCAL_RANK, as set by accelerate and torchrun. If they are unset, there is a single
        process.
        """
        rank, ranks = int(environment.get("RANK", 0)), int(environment.get("WORLD_SIZE", 1))
        return cls(rank, ranks, int(environment.get("LOCAL_RANK", rank)))

    def device(self, name: str) -> str:
        """Resolve `auto` to one GPU per process if there are several processes and a GPU; else return `name`."""
        import torch

        if name != "auto" or self.ranks == 1 or not torch.cuda.is_available():
            return name
        return f"cuda:{self.local % torch.cuda.device_count()}"


@dataclass(frozen=True)
class ShardPlan:
    """A split of `items` items into shards of `size` items, each stored as `<number>.<suffix>` in a folder."""

    folder: Path
    suffix: str
    items: int
    size: int

    @classmethod
    def of(cls, folder: Path, suffix: str, manifest: Mapping[str, Any]) -> "ShardPlan":
        """Return the plan that a collection's manifest describes."""
        return cls(folder, suffix, manifest["samples"], manifest["shardSamples"])

    def __len__(self) -> int:
        return -(-self.items // self.size)

    def path(self, shard: int) -> Path:
        return self.folder / f"{shard:05d}.{self.suffix}"

    def items_of(self, shard: int) -> range:
        return range(shard * self.size, min((shard + 1) * self.size, self.items))

    def missing(self, rank: Rank) -> list[int]:
        """Return this rank's shards that are not written yet."""
        return [shard for shard in self.of_rank(rank) if not self.path(shard).exists()]

    def finished(self, rank: Rank) -> list[int]:
        """Return this rank's shards that are written."""
        return [shard for shard in self.of_rank(rank) if self.path(shard).exists()]

    def of_rank(self, rank: Rank) -> range:
        return range(rank.rank, len(self), rank.ranks)

    def write(self, shard: int, write: Callable[[Path], None]) -> None:
        """Write a shard atomically; `write` fills a temporary file."""
        write_whole(self.path(shard), write)

    def sweep(self, rank: Rank) -> None:
        """Remove temporary files that killed processes left behind for this rank's shards. The folder must be locked:
        otherwise they could belong to a process that is still writing.
        """
        for shard in self.of_rank(rank):
            for temporary in self.folder.glob(f".{shard:05d}.*"):
                temporary.unlink(missing_ok=True)
