"""The most memory that was in use while something ran, above what was in use before."""

import ctypes
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_EVERY_S = 0.002


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Callable[[], int]]:
    """Gives a function that says, during the context or after it, the highest number of bytes so far above the start.

    A GPU's allocator keeps the peak itself. On a CPU a thread asks the C library every other millisecond what is allocated,
    so that shorter peaks are missed; where it cannot be asked (not glibc), the resident set is read instead, which
    also misses what is allocated from memory that the process had kept.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield lambda: torch.cuda.max_memory_allocated(device) - before
        return
    in_use = _allocated_bytes()
    before = highest = in_use()
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(_EVERY_S):
            highest = max(highest, in_use())

    def peak() -> int:
        nonlocal highest
        if not done.is_set():
            highest = max(highest, in_use())
        return highest - before

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def _allocated_bytes() -> Callable[[], int]:
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return _resident_bytes
    mallinfo2.restype = _Mallinfo2

    def allocated() -> int:
        info = mallinfo2()
        return info.uordblks + info.hblkhd

    return allocated


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:  # no /proc: the highest so far is all that is known, in bytes there
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
