"""Cell areas on the sphere compared with those on the WGS 84 ellipsoid.

    python benchmarks/ellipsoid_areas.py

See docs/decisions/areas-on-the-sphere.md.
"""

from __future__ import annotations

import numpy as np
from pyproj import Geod

from narcf_geo.grid import Grid

WGS84 = Geod(ellps="WGS84")
PIECES = 200


def true_area(lon: np.ndarray, lat: np.ndarray) -> float:
    """Return the area in m2 of a ring of geodesics on the ellipsoid."""
    return abs(float(WGS84.polygon_area_perimeter(lon, lat)[0]))


def true_box(west: float, south: float, east: float, north: float) -> float:
    """Return the area in m2 between two meridians and two parallels on the ellipsoid."""
    along, up = np.linspace(west, east, PIECES), np.linspace(south, north, PIECES)
    lon = np.concatenate([along, np.full(PIECES, east), along[::-1], np.full(PIECES, west)])
    lat = np.concatenate([np.full(PIECES, south), up, np.full(PIECES, north), up[::-1]])
    return true_area(lon, lat)


def main() -> None:
    """Print the table."""
    for south in (0, 30, 45, 60, 75, 89):
        area = Grid.from_corners([0, 1], [south, south + 1]).area.item()
        print(f"1 degree at {south} N: {area / true_box(0, south, 1, south + 1) - 1:+.2%}")
    places = (("EPSG:3035", 2.7e6, 1.6e6), ("EPSG:3035", 4.3e6, 3.2e6), ("EPSG:3035", 4.6e6, 5.2e6),
              ("EPSG:5070", 0.0, 3e5), ("EPSG:5070", 0.0, 3e6))  # fmt: skip
    for crs, x, y in places:
        grid = Grid.regular(x, y, x + 1e4, y + 1e4, 1e4, crs=crs)
        ring = [np.append(c[0], c[1, ::-1]) for c in grid.corners()]
        change = grid.area.item() / true_area(*ring) - 1
        print(f"{crs}, 10 km, at {grid.lat[0, 0]:.0f} N: {change:+.2%}")
    for name, (west, south, east, north) in {
        "25 to 50 N, 125 to 65 W": (-125, 25, -65, 50),
        "the globe": (-180, -90, 180, 90),
    }.items():
        rows = (true_box(0, lat, 1, lat + 1) * (east - west) for lat in range(south, north))
        area = Grid.regular(west, south, east, north, 1).area.sum()
        print(f"{name}: {area / sum(rows) - 1:+.2%}")


if __name__ == "__main__":
    main()
