"""Hypothesis strategies for grids, shared by the tests of properties."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import to_lonlat, to_xyz


def _edges(low: float, parts: list[float], span: float) -> np.ndarray:
    sizes = np.array(parts) / np.sum(parts) * span
    return low + np.concatenate([[0], np.cumsum(sizes)])


@st.composite
def rectilinear_grids(draw: st.DrawFn, whole_globe: bool = False) -> Grid:
    """Uneven rectilinear grids, axes either way round, longitudes from anywhere."""
    sizes = st.floats(1, 3)
    x = draw(st.lists(sizes, min_size=3, max_size=12))
    y = draw(st.lists(sizes, min_size=2, max_size=9))
    if whole_globe:
        lon_b = _edges(draw(st.sampled_from([-180.0, 0.0, -7.3])), x, 360)
        lat_b = _edges(-90, y, 180)
    else:
        lon_b = _edges(draw(st.floats(-360, 360)), x, draw(st.floats(5, 300)))
        south = draw(st.floats(-90, 60))
        lat_b = _edges(south, y, draw(st.floats(2, 90 - south)))
    if draw(st.booleans()):
        lat_b = lat_b[::-1]
    if draw(st.booleans()):
        lon_b = lon_b[::-1]
    return Grid.from_corners(lon_b, np.clip(lat_b, -90, 90))


@st.composite
def rotated_grids(draw: st.DrawFn) -> Grid:
    """Patches of a longitude-latitude net with its pole anywhere: any side, pole, dateline."""
    ny, nx = draw(st.integers(3, 9)), draw(st.integers(3, 11))
    height, width = draw(st.floats(5, 60)), draw(st.floats(5, 70))
    u, v = np.meshgrid(
        np.linspace(-width / 2, width / 2, nx + 1), np.linspace(-height / 2, height / 2, ny + 1)
    )
    xyz = to_xyz(u, v)
    for axis in (0, 1, 2):
        angle = np.radians(draw(st.floats(0, 360)))
        i, j = [k for k in range(3) if k != axis]
        turned = xyz.copy()
        turned[..., i] = np.cos(angle) * xyz[..., i] - np.sin(angle) * xyz[..., j]
        turned[..., j] = np.sin(angle) * xyz[..., i] + np.cos(angle) * xyz[..., j]
        xyz = turned
    return Grid.from_corners(*to_lonlat(xyz))
