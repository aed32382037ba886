"""The inner step of exact Chefer relevancy, compiled for the CPU by numba, which is an optional dependency.

All arrays must be contiguous. A strided view compiles too, but its inner loops are not vectorised, and take five times
as long.
"""

import numba
import numpy as np


@numba.njit(cache=True, fastmath=True, nogil=True)
def clamp_and_softmax_backward(a, start, g, r, relevancy):
    """Process one block of rows of all heads: `relevancy += r max(0, g a)`, then overwrite `g` with the gradient of the
    scores.

    a [heads, n, n] and r [n]: all rows; g [heads, rows, columns]: the block, which starts at row `start`; relevancy
    [columns].
    """
    for h in range(g.shape[0]):
        for i in range(g.shape[1]):
            a_row, g_row, weight = a[h, start + i], g[h, i], r[start + i]
            total = np.float32(0.0)
            for j in range(g.shape[2]):
                p = a_row[j] * g_row[j]
                total += p
                relevancy[j] += weight * max(p, np.float32(0.0))
                g_row[j] = p
            for j in range(g.shape[2]):
                g_row[j] -= a_row[j] * total
