"""Long work in shards: each is a fixed range of items, written aside and renamed when it is whole.

A killed run loses the shard it was at and doubles nothing; a later run, of however many processes, does what is
missing. Processes share a folder by rank, as accelerate and torchrun number them.
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
    """Which of several processes this is."""

    rank: int = 0
    ranks: int = 1
    local: int = 0
    """Number on this machine, which chooses its GPU."""

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.ranks:
            raise ValueError(f"rank {self.rank} of {self.ranks}: want 0 to {self.ranks - 1}")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Rank":
        """From RANK, WORLD_SIZE and LOCAL_RANK, which accelerate and torchrun set; alone where they do not."""
        rank, ranks = int(environment.get("RANK", 0)), int(environment.get("WORLD_SIZE", 1))
        return cls(rank, ranks, int(environment.get("LOCAL_RANK", rank)))

    def device(self, wanted: str) -> str:
        """With several processes and `auto`, each takes a GPU of its own where there are any."""
        import torch

        if wanted != "auto" or self.ranks == 1 or not torch.cuda.is_available():
            return wanted
        return f"cuda:{self.local % torch.cuda.device_count()}"


@dataclass(frozen=True)
class ShardPlan:
    """`items` things in shards of `size`, as files `<number>.<suffix>` of a folder."""

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
        """Shards that this rank has still to do."""
        return [shard for shard in range(rank.rank, len(self), rank.ranks) if not self.path(shard).exists()]

    def write(self, shard: int, write: Callable[[Path], None]) -> None:
        """`write` fills a file of another name, which then takes the shard's: it is there whole, or not at all."""
        aside = self.folder / f".{shard:05d}.{os.getpid()}"
        try:
            write(aside)
            with aside.open("rb") as file:
                os.fsync(file.fileno())
            aside.rename(self.path(shard))
        finally:
            aside.unlink(missing_ok=True)

    def sweep(self, rank: Rank) -> None:
        """Remove what killed runs left unfinished of this rank's shards."""
        for shard in range(rank.rank, len(self), rank.ranks):
            for aside in self.folder.glob(f".{shard:05d}.*"):
                if not _runs(int(aside.suffix[1:])):
                    aside.unlink(missing_ok=True)


def claim(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Make the folder this work's own: its manifest is written, or found to be the same.

    Raises ValueError that names the first fields that differ. Processes may race: they write the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MANIFEST_FILE
    if path.exists():
        found = json.loads(path.read_text())
        wanted = json.loads(json.dumps(manifest))
        differing = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
        if differing:
            told = "; ".join(f"{name} {found.get(name)!r}, asked for {wanted.get(name)!r}" for name in differing[:3])
            raise ValueError(
                f"{folder} was begun otherwise ({told}): go on with the same options, or choose a new folder"
            )
        return
    aside = folder / f".{MANIFEST_FILE}.{os.getpid()}"
    aside.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    aside.rename(path)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Raises ValueError where the folder has none."""
    path = folder / MANIFEST_FILE
    if not path.exists():
        raise ValueError(
            f"{folder}: no {MANIFEST_FILE} here; want a folder that `patchlight` collected or evaluated into"
        )
    return json.loads(path.read_text())


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
