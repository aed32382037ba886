"""Measure the peak memory of a block of code, relative to the memory in use at its start."""

import ctypes
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_INTERVAL_S = 0.002


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Callable[[], int]]:
    """Yield a function that returns the peak so far, in bytes above the memory in use at the start.

    The function also works after the context ends.

    On a GPU the allocator tracks the peak. On a CPU a thread asks the C library for the allocated bytes every 2 ms, so
    shorter peaks are missed. Without glibc's `mallinfo2`, the thread reads the resident set size instead, which also
    misses allocations from memory that the process had already reserved.
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
        while not done.wait(_INTERVAL_S):
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
    except OSError:  # without /proc (macOS), only the process's peak so far is known; macOS reports it in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
