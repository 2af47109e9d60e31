"""Positions along a space-filling curve, which put neighbours next to each other.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def z_order(vertices: Any, parts: Any) -> Any:
    """Position of each part's centre along a space-filling curve through the cube."""
    code = np.empty(parts.shape[0], np.int64)
    for i in range(parts.shape[0]):
        z = np.int64(0)
        for axis in range(3):
            middle = 0.0
            for k in range(4):
                middle += vertices[parts[i, k], axis]
            bits = np.int64((middle * 0.125 + 0.5) * 2097151.0)
            # Spread 21 bits over every third bit.
            bits = (bits | bits << 32) & 0x1F00000000FFFF
            bits = (bits | bits << 16) & 0x1F0000FF0000FF
            bits = (bits | bits << 8) & 0x100F00F00F00F00F
            bits = (bits | bits << 4) & 0x10C30C30C30C30C3
            bits = (bits | bits << 2) & 0x1249249249249249
            z |= bits << axis
        code[i] = z
    return code


@nb.njit(cache=True, nogil=True)
def z_order_of_index(owner: Any, columns: int) -> Any:
    """Position of each part's cell along a space-filling curve through rows and columns."""
    code = np.empty(owner.shape[0], np.int64)
    for i in range(owner.shape[0]):
        z = np.int64(0)
        row = owner[i] // columns
        for axis, bits in enumerate((owner[i] - row * columns, row)):
            # Spread 31 bits over every second bit.
            bits = (bits | bits << 16) & 0x0000FFFF0000FFFF
            bits = (bits | bits << 8) & 0x00FF00FF00FF00FF
            bits = (bits | bits << 4) & 0x0F0F0F0F0F0F0F0F
            bits = (bits | bits << 2) & 0x3333333333333333
            bits = (bits | bits << 1) & 0x5555555555555555
            z |= bits << axis
        code[i] = z
    return code
