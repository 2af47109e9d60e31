"""Parallels against great circles as cell edges: by how much areas and weights differ.

    python benchmarks/regrid_edges.py

Prints the table of docs/regridding.md.
"""

from __future__ import annotations

import numpy as np

from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import great_circle_area
from narcf_geo.regridding import compute_weights, conservative_weights

LATITUDES = (0, 30, 45, 60, 75, 85)
RESOLUTIONS = (2.5, 1.0, 0.5, 0.25, 0.05)


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


def main() -> None:
    print("| cells | " + " | ".join(f"{k} N" for k in LATITUDES) + " |")
    print("|---" * (len(LATITUDES) + 1) + "|")
    for resolution in RESOLUTIONS:
        pairs = [edge_differences(k, resolution) for k in LATITUDES]
        print(f"| {resolution:g} | " + " | ".join(f"{a:.0e} / {w:.0e}" for a, w in pairs) + " |")


if __name__ == "__main__":
    main()
