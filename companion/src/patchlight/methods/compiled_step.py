"""The inner step of exact Chefer relevancy, compiled for the CPU by numba, which is an optional dependency."""

import numba
import numpy as np


@numba.njit(cache=True, fastmath=True, nogil=True)
def clamp_and_softmax_backward(a, g, r, relevancy):
    """Process one row block of all heads [h, rows, n]: `relevancy += r max(0, g a)`, then overwrite `g` with the
    gradient of the scores.
    """
    for h in range(a.shape[0]):
        for i in range(a.shape[1]):
            total = np.float32(0.0)
            weight = r[i]
            for j in range(a.shape[2]):
                p = a[h, i, j] * g[h, i, j]
                total += p
                relevancy[j] += weight * max(p, np.float32(0.0))
                g[h, i, j] = p
            for j in range(a.shape[2]):
                g[h, i, j] -= a[h, i, j] * total
