"""Labels pictures in several processes.

The passes of a small model are so short that a second thread hardly shortens them. Processes of one thread each share
the model's memory, and label as many pictures at a time as there are of them.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset

from ..models.loading import Loaded
from ..models.memory import required_bytes
from .labelling import LabelledPicture, label_picture
from .options import LabelOptions
from .pictures import Picture
from .questions import Questioner

_MOST_WEIGHTS = 4e9
_MOST_PROCESSES = 8
_AHEAD = 2
_SET_DEATH_SIGNAL = 1


def suggested_workers(loaded: Loaded) -> int:
    """Return the number of processes to label with: on Linux, for a model on the CPU with at most 4 GB of weights, one
    per core, at most 8; else 1, this process.

    A larger model keeps the threads of one process busy, and the passes of several processes would need more memory.
    """
    is_small = required_bytes(loaded.model, loaded.dtype).weights <= _MOST_WEIGHTS
    if _can_fork(loaded) and is_small:
        return min(_MOST_PROCESSES, len(os.sched_getaffinity(0)))
    return 1


def check_workers(loaded: Loaded, workers: int) -> None:
    """Raise ValueError if the pictures cannot be labelled with this number of processes."""
    if workers < 1:
        raise ValueError(f"--workers is {workers}: use 1 or more")
    if workers > 1 and not _can_fork(loaded):
        raise ValueError(
            f"--workers {workers} works on Linux for a model on the CPU only, and this one is on {loaded.device.type} "
            f"under {sys.platform}: leave --workers out"
        )


def label_pictures(
    loaded: Loaded, pictures: Sequence[Picture], questioner: Questioner, options: LabelOptions, *, workers: int
) -> Iterator[LabelledPicture]:
    """Label pictures with `label_picture` and yield them in their order. With one worker, this process does it, each
    picture when it is asked for; others label up to 2 pictures each in advance.

    Raises ChildProcessError if a worker dies.
    """
    processes = min(workers, len(pictures))
    of_processes: dict[str, Any] = {
        "num_workers": processes,
        "multiprocessing_context": "fork",
        "prefetch_factor": _AHEAD,
        "worker_init_fn": _end_with_parent,
    }
    loader = DataLoader(
        _Labelled(loaded, pictures, questioner, options),
        batch_size=None,
        collate_fn=_unchanged,
        **(of_processes if processes > 1 else {}),
    )
    try:
        yield from loader
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise ChildProcessError(
            "a process that labels pictures was killed, most likely because the memory is full: run the same command "
            "again with --workers 1; it continues from what is labelled"
        ) from error


class _Labelled(Dataset[LabelledPicture]):
    """Pictures that are labelled when they are read."""

    def __init__(
        self, loaded: Loaded, pictures: Sequence[Picture], questioner: Questioner, options: LabelOptions
    ) -> None:
        self._loaded, self._pictures, self._questioner, self._options = loaded, pictures, questioner, options

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> LabelledPicture:
        return label_picture(self._loaded, self._pictures[index], self._questioner, self._options)


def _can_fork(loaded: Loaded) -> bool:
    # macOS has `fork` too, but its libraries do not survive it.
    return loaded.device.type == "cpu" and sys.platform == "linux"


def _unchanged(labelled: Any) -> Any:
    return labelled


def _end_with_parent(worker: int) -> None:
    """Let the kernel kill this worker when its parent is killed: it would keep the lock of the output folder."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
