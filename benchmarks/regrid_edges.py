"""Parallels against great circles as cell edges: by how much areas, weights and means differ.

    python benchmarks/regrid_edges.py

Prints the tables of docs/regridding.md.
"""

from __future__ import annotations

import numpy as np

from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import great_circle_area, to_lonlat, to_xyz
from narcf_geo.regridding import compute_weights, conservative_weights

LATITUDES = (0, 30, 45, 60, 75, 85)
RESOLUTIONS = (2.5, 1.0, 0.5, 0.25, 0.05)
WIDTHS = (1, 2, 5, 10, 30, 90)


def edge_differences(latitude: float, resolution: float) -> tuple[float, float]:
    """Relative difference of cell areas, and largest relative difference of weights from cells
    of half the size, between great circles and parallels as edges, just above a latitude."""
    box = (0.0, latitude, 2 * resolution, latitude + 2 * resolution)
    fine, coarse = Grid.regular(*box, resolution / 2), Grid.regular(*box, resolution)
    area = np.abs(great_circle_area(*coarse.corners()) / coarse.area - 1).max()
    parallels = compute_weights(fine, coarse).matrix().toarray()
    circles = conservative_weights(fine, coarse).toarray()
    inside = parallels > 0
    return float(area), float(np.abs(circles / np.where(inside, parallels, 1) - 1)[inside].max())


def turned_globe(step: float, angle: float = 50.0) -> Grid:
    """A global grid whose pole is turned by an angle: a curvilinear source."""
    lon, lat = np.meshgrid(np.arange(-180, 181, step), np.arange(-90, 91, step))
    xyz, a = to_xyz(lon, lat), np.radians(angle)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    return Grid.from_corners(*to_lonlat(xyz @ turn.T))


def shift_of_mean_latitude(source: Grid, width: float) -> float:
    """By how many degrees great circles move the mean latitude in a cell between 40 and 50 N."""
    target = Grid.from_corners([-width / 2, width / 2], [40.0, 50.0])
    latitude = source.centers()[1].ravel()
    means = []
    for edges in ("parallels", "great_circles"):
        weights = conservative_weights(source, target, edges=edges)
        means.append(float((weights @ latitude)[0] / weights.sum()))
    return means[1] - means[0]


def main() -> None:
    print("| cells | " + " | ".join(f"{k} N" for k in LATITUDES) + " |")
    print("|---" * (len(LATITUDES) + 1) + "|")
    for resolution in RESOLUTIONS:
        pairs = [edge_differences(k, resolution) for k in LATITUDES]
        print(f"| {resolution:g} | " + " | ".join(f"{a:.0e} / {w:.0e}" for a, w in pairs) + " |")
    source = turned_globe(0.5)
    print("\n| " + " | ".join(f"{w} wide" for w in WIDTHS) + " |")
    print("|---" * len(WIDTHS) + "|")
    shifts = [shift_of_mean_latitude(source, width) for width in WIDTHS]
    print("| " + " | ".join(f"{shift:.3f}" for shift in shifts) + " |")


if __name__ == "__main__":
    main()
