"""Error of regridding NARR to 1 degree for the four fields of Valcke et al. (2022).

    python benchmarks/analytic_fields.py [--json OUT.json]

The source values are means over NARR cells and the truth means over target cells, both of a
10 x 10 refinement of each cell weighted by area. Errors are relative to the truth, over the
target cells within 28-62 N, 125-65 W.

Valcke, S., Piacentini, A., Jonville, G., 2022. Benchmarking regridding libraries used in Earth
system modelling. Mathematical and Computational Applications 27(2), 31.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from regrid import TARGET, narr

from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import great_circle_area
from narcf_geo.regridding import regrid

Array = NDArray[np.float64]
REFINEMENT = 10


def sinusoid(lon: Array, lat: Array) -> Array:
    return 2 - np.cos(np.pi * np.arccos(np.cos(lon) * np.cos(lat)) / (1.2 * np.pi))


def harmonic(lon: Array, lat: Array) -> Array:
    return 2 + np.sin(2 * lat) ** 16 * np.cos(16 * lon)


def vortex(lon: Array, lat: Array) -> Array:
    lon0, lat0, radius, width, time = 5.5, 0.2, 3.0, 5.0, 6.0
    across = np.cos(lat) * np.cos(lon - lon0)
    x = np.sin(lat0) * across - np.cos(lat0) * np.sin(lat)
    y = np.cos(lat) * np.sin(lon - lon0)
    z = np.sin(lat0) * np.sin(lat) + np.cos(lat0) * across
    rho = radius * np.cos(np.arcsin(z))
    speed = 1.5 * np.sqrt(3) / np.cosh(rho) ** 2 * np.tanh(rho)
    omega = np.where(rho == 0, 0, speed / np.where(rho == 0, 1, rho))
    return 2 * (1 + np.tanh(rho / width * np.sin(np.arctan2(y, x) - omega * time)))


def gulfstream(lon: Array, lat: Array) -> Array:
    start, end, fading = np.deg2rad([(-80, 25), (-1.8, 50), (-25.5, 55.5)])
    far, near = np.hypot(*(end - start)), np.hypot(*(fading - start))
    dx, dy = (lon + np.pi) % (2 * np.pi) - np.pi - start[0], lat - start[1]
    distance, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    strength = np.where(distance > far, 0.0, 1.3)
    fade = np.cos(np.pi / 2 * (distance - near) / (far - near))
    strength = np.where(distance > near, strength * fade, strength)
    stream = 1000 * np.sin(
        0.4 * (0.5 * distance + angle) + 0.007 * np.cos(50 * angle) + 0.37 * np.pi
    )
    return sinusoid(lon, lat) + (np.maximum(stream, 999) - 999) * strength


FIELDS: dict[str, Callable[[Array, Array], Array]] = {
    f.__name__: f for f in (sinusoid, harmonic, vortex, gulfstream)
}


def refined(corners: Array) -> Array:
    """Corners of each cell divided into `REFINEMENT` by `REFINEMENT`, along great circles."""
    for axis in range(2):
        n = corners.shape[axis] - 1
        at = np.arange(n * REFINEMENT + 1) / REFINEMENT
        low = np.minimum(at.astype(int), n - 1)
        share = np.expand_dims(at - low, [i for i in range(3) if i != axis])
        a, b = np.take(corners, low, axis), np.take(corners, low + 1, axis)
        corners = (1 - share) * a + share * b
    return corners / np.linalg.norm(corners, axis=-1, keepdims=True)


def cell_means(lon_b: Array, lat_b: Array) -> dict[str, Array]:
    lon, lat = np.deg2rad(lon_b), np.deg2rad(lat_b)
    xyz = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    fine = refined(xyz)
    middle = fine[1:, 1:] + fine[1:, :-1] + fine[:-1, 1:] + fine[:-1, :-1]
    lon, lat = (
        np.arctan2(middle[..., 1], middle[..., 0]),
        np.arctan2(middle[..., 2], np.hypot(middle[..., 0], middle[..., 1])),
    )
    fine_lat = np.rad2deg(np.arcsin(fine[..., 2]))
    area = great_circle_area(np.rad2deg(np.arctan2(fine[..., 1], fine[..., 0])), fine_lat)
    ny, nx = lon_b.shape[0] - 1, lon_b.shape[1] - 1

    def sums(values: Array) -> Array:
        return values.reshape(ny, REFINEMENT, nx, REFINEMENT).sum(axis=(1, 3))

    return {name: sums(f(lon, lat) * area) / sums(area) for name, f in FIELDS.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    source, target = Grid.from_corners(*narr()), Grid.regular(*TARGET)
    means = cell_means(*source.corners())
    ds = xr.Dataset({name: (("y", "x"), values) for name, values in means.items()})
    lon, lat = np.meshgrid(target.lon, target.lat)
    box = (lat > 28) & (lat < 62) & (lon > -125) & (lon < -65)
    truth = {name: values[box] for name, values in cell_means(*target.corners()).items()}
    results: dict[str, dict[str, dict[str, float]]] = {name: {} for name in FIELDS}
    print(f"{'field':12}{'method':16}{'mean error':>12}{'largest':>12}")
    for method in ("conservative", "bilinear", "nearest_s2d"):
        out = regrid(ds, target, source=source, method=method)
        for name in FIELDS:
            error = np.abs(out[name].values[box] / truth[name] - 1)
            results[name][method] = {"mean": float(error.mean()), "max": float(error.max())}
    for name, methods in results.items():
        for method, error in methods.items():
            print(f"{name:12}{method:16}{error['mean']:12.1e}{error['max']:12.1e}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
