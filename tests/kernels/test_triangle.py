"""The area of spherical triangles against the excess in extended precision."""

from __future__ import annotations

import numpy as np
import pytest

from narcf_geo.kernels.polygons import triangle_area


def vertex(lon: float, lat: float) -> np.ndarray:
    """A unit vector in extended precision."""
    lam, phi = (np.deg2rad(np.longdouble(v)) for v in (lon, lat))
    return np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])


def exact(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    """The spherical excess by l'Huilier's formula, sides from chords."""
    sides = [2 * np.arcsin(np.sqrt(((p - q) ** 2).sum()) / 2) for p, q in ((a, b), (b, c), (c, a))]
    half = sum(sides) / 2
    product = np.tan(half / 2)
    for side in sides:
        product = product * np.tan((half - side) / 2)
    return float(4 * np.arctan(np.sqrt(abs(product))))


@pytest.mark.parametrize("size", [0.3, 1.0, 1.7, 5.0, 40.0])
@pytest.mark.parametrize("place", [(10.0, 0.0), (-100.0, 48.0), (175.0, -70.0)])
def test_areas_of_triangles(size: float, place: tuple[float, float]) -> None:
    lon, lat = place
    height, sign = (size, 1) if lat + size < 90 else (-size, -1)
    corners = [vertex(lon, lat), vertex(lon + size, lat), vertex(lon + size / 3, lat + height)]
    polygon = np.array(corners, "float64")
    wanted = exact(*polygon.astype("longdouble"))
    assert triangle_area(polygon, 0, 1, 2) * sign == pytest.approx(wanted, rel=2e-11)
    # The other way round the sign is the other.
    assert triangle_area(polygon, 0, 2, 1) == pytest.approx(-wanted * sign, rel=2e-11)
