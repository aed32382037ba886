"""Splits a long job into shards. Each shard is a fixed range of items, written to a temporary file that is then
renamed.

A killed process loses only its current shard, and a later run, with any number of processes, writes the missing shards.
Processes that share a folder divide the shards by rank, as set by accelerate and torchrun.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST_FILE = "manifest.json"


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

    def __len__(self) -> int:
        return -(-self.items // self.size)

    def path(self, shard: int) -> Path:
        return self.folder / f"{shard:05d}.{self.suffix}"

    def items_of(self, shard: int) -> range:
        return range(shard * self.size, min((shard + 1) * self.size, self.items))

    def missing(self, rank: Rank) -> list[int]:
        """Return this rank's shards that are not written yet."""
        return [shard for shard in range(rank.rank, len(self), rank.ranks) if not self.path(shard).exists()]

    def write(self, shard: int, write: Callable[[Path], None]) -> None:
        """Write a shard atomically: `write` fills a temporary file, which is then renamed."""
        temporary = self.folder / f".{shard:05d}.{os.getpid()}"
        try:
            write(temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.rename(self.path(shard))
        finally:
            temporary.unlink(missing_ok=True)

    def sweep(self, rank: Rank) -> None:
        """Remove temporary files that killed processes left behind for this rank's shards."""
        for shard in range(rank.rank, len(self), rank.ranks):
            for temporary in self.folder.glob(f".{shard:05d}.*"):
                if not _is_running(int(temporary.suffix[1:])):
                    temporary.unlink(missing_ok=True)


def claim(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Claim a folder for this work by writing its manifest, or check that an existing manifest is the same.

    Raises ValueError, naming the first fields that differ, if the folder belongs to other work. Processes may call this
    at the same time, since they write the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MANIFEST_FILE
    if path.exists():
        existing = json.loads(path.read_text())
        expected = json.loads(json.dumps(manifest))
        names = [name for name in {**existing, **expected} if existing.get(name) != expected.get(name)]
        if names:
            shown = "; ".join(f"{name}: {existing.get(name)!r}, now {expected.get(name)!r}" for name in names[:3])
            raise ValueError(
                f"{folder} was started with other options ({shown}): use the same options or another folder"
            )
        return
    temporary = folder / f".{MANIFEST_FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    temporary.rename(path)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a folder's manifest. Raises ValueError if there is none."""
    path = folder / MANIFEST_FILE
    if not path.exists():
        raise ValueError(
            f"{folder} has no {MANIFEST_FILE}: pass a folder written by `patchlight collect` or `patchlight evaluate`"
        )
    return json.loads(path.read_text())


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
