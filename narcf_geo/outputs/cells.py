"""Cell edges of a longitude-latitude grid, as every output file and map needs them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from narcf_geo.constants import EARTH_RADIUS
from narcf_geo.errors import NarcfError


def cell_edges(data: xr.DataArray | xr.Dataset, name: str) -> np.ndarray:
    """Return the ``n + 1`` edges, degrees, of the ``n`` cells along ``lat`` or ``lon``.

    From ``<name>_bnds`` where the data has it, else half-way between the centres.

    Raises
    ------
    NarcfError
        When the axis is missing, not monotonic, has gaps between its bounds, or a single cell
        without bounds.
    """
    if name not in data.coords or data[name].ndim != 1:
        raise NarcfError(
            f"expected a one-dimensional coordinate {name!r}, found {sorted(map(str, data.coords))}"
        )
    centres = np.asarray(data[name].values, dtype=float)
    bounds_name = f"{name}_bnds"
    if bounds_name in data.coords or (isinstance(data, xr.Dataset) and bounds_name in data):
        bounds = np.asarray(data[bounds_name].values, dtype=float)
        if centres.size > 1 and centres[0] > centres[-1]:
            bounds = np.sort(bounds, axis=1)[:, ::-1]
        else:
            bounds = np.sort(bounds, axis=1)
        if not np.allclose(bounds[1:, 0], bounds[:-1, 1], atol=1e-6):
            raise NarcfError(f"expected cells that touch, found gaps or overlap in {bounds_name!r}")
        edges = np.append(bounds[:, 0], bounds[-1, 1])
    elif centres.size > 1:
        steps = np.diff(centres)
        middle = centres[:-1] + steps / 2
        edges = np.concatenate([[centres[0] - steps[0] / 2], middle, [centres[-1] + steps[-1] / 2]])
        if name == "lat":
            edges = np.clip(edges, -90.0, 90.0)
    else:
        raise NarcfError(f"expected {bounds_name!r} beside a single {name} cell, found none")
    steps = np.diff(edges)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise NarcfError(f"expected {name!r} to rise or fall along its axis; sort the data by it")
    return edges


def regular_step(edges: np.ndarray, name: str) -> float:
    """Return the one spacing, degrees, of equally spaced edges.

    Raises
    ------
    NarcfError
        When the spacing varies: a raster has one cell size.
    """
    step = float(edges[-1] - edges[0]) / (edges.size - 1)
    if not np.allclose(np.diff(edges), step, rtol=0, atol=1e-4 * abs(step)):
        raise NarcfError(
            f"expected equally spaced {name} cells for a GeoTIFF, found steps from "
            f"{np.abs(np.diff(edges)).min():g} to {np.abs(np.diff(edges)).max():g} degrees; "
            "regrid to a regular grid first"
        )
    return step


def cell_area(data: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """Return the area of each cell, m2, (lat, lon), on the authalic sphere."""
    sines = np.sin(np.deg2rad(cell_edges(data, "lat")))
    width = np.deg2rad(np.abs(np.diff(cell_edges(data, "lon"))))
    area = EARTH_RADIUS**2 * np.abs(np.diff(sines))[:, None] * width[None, :]
    return xr.DataArray(
        area,
        coords={"lat": data["lat"], "lon": data["lon"]},
        dims=("lat", "lon"),
        attrs={"units": "m2", "standard_name": "cell_area"},
    )
