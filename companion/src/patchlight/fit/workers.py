"""Labels pictures one after the other, or several at a time in processes of one thread each.

The passes of a small model are so short that a second thread hardly shortens them. Forked processes share the model's
memory and label as many pictures at a time as there are of them.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import NamedTuple

import torch

from ..models.loading import Loaded
from .labelling import LabelledPicture, label_picture
from .options import LabelOptions
from .pictures import Picture
from .questions import Questioner

_MOST_WEIGHTS = 10**8
_MOST_WORKERS = 8
_AHEAD = 2
_SET_DEATH_SIGNAL = 1


def suggested_workers(loaded: Loaded) -> int:
    """Return how many processes are to label: on Linux without CUDA, for a model with at most 100 MB of weights, one
    per core, at most 8; else 1, this process.

    A larger model keeps the threads of one process busy, and the passes of several processes would need more memory.
    """
    weights = sum(tensor.numel() * tensor.element_size() for tensor in loaded.model.parameters())
    # With CUDA, a process that differentiates starts a thread per GPU, and these do not survive a fork.
    if not _can_fork(loaded) or weights > _MOST_WEIGHTS or torch.cuda.device_count() > 0:
        return 1
    return min(_MOST_WORKERS, len(os.sched_getaffinity(0)))


def check_workers(loaded: Loaded, workers: int) -> None:
    """Raise ValueError if this number of processes cannot label."""
    if workers < 1:
        raise ValueError(f"--workers is {workers}: use 1 or more")
    if workers > 1 and not _can_fork(loaded):
        raise ValueError(
            f"--workers {workers} works on Linux for a model on the CPU only, and this one is on {loaded.device.type} "
            f"under {sys.platform}: leave --workers out"
        )


def label_pictures(
    loaded: Loaded, pictures: Sequence[Picture], questioner: Questioner, options: LabelOptions, *, workers: int
) -> Generator[LabelledPicture, None, None]:
    """Label pictures with `label_picture` and yield them in their order.

    With one worker, this process labels a picture when it is asked for it. With more, processes label up to two
    pictures each ahead. When the iterator is closed, they finish the pictures in progress and end; when this process is
    killed, they end at once. Raises what `label_picture` raises, or ChildProcessError if a worker dies.
    """
    workers = min(workers, len(pictures))
    if workers < 2:
        for picture in pictures:
            yield label_picture(loaded, picture, questioner, options)
        return
    executor = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("fork"),
        initializer=_start,
        initargs=(os.getpid(), _Job(loaded, questioner, options)),
    )
    try:
        rest = iter(pictures)
        ahead = deque(executor.submit(_label, picture) for picture in islice(rest, _AHEAD * workers))
        while ahead:
            labelled = ahead.popleft().result()
            ahead.extend(executor.submit(_label, picture) for picture in islice(rest, 1))
            yield labelled
    except BrokenProcessPool:
        raise ChildProcessError(
            "a process that labels pictures was killed, perhaps because the memory is full. The same command with "
            "--workers 1 needs less of it, and continues from what is labelled"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)


class _Job(NamedTuple):
    """What a worker needs to label a picture."""

    loaded: Loaded
    questioner: Questioner
    options: LabelOptions


_jobs: list[_Job] = []


def _start(parent: int, job: _Job) -> None:
    """Prepare a worker. The fork has copied the job; nothing is sent."""
    # The kernel kills the worker when its parent dies: it would wait for pictures forever.
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    _jobs.append(job)


def _label(picture: Picture) -> LabelledPicture:
    loaded, questioner, options = _jobs[-1]
    # Ctrl-C reaches every process. It ends a picture in progress, and is nothing to a worker that waits for one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return label_picture(loaded, picture, questioner, options)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _can_fork(loaded: Loaded) -> bool:
    # macOS has `fork` too, but its libraries do not survive it.
    return loaded.device.type == "cpu" and sys.platform == "linux"
