"""Grids of even cells in a box, and grids of given edges in a coordinate reference system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.sizes import require_room
from narcf_geo.grid.globe import Placed, area_of_use, placed
from narcf_geo.grid.grid import Grid
from narcf_geo.grid.projection import (
    Projection,
    checked_crs,
    crs_name,
    crs_units,
    is_lonlat,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from pyproj import CRS

MOST_CELLS = 1_000_000_000
"""Of a projected grid, whose corners are kept one by one."""


def regular(
    west: float,
    south: float,
    east: float,
    north: float,
    resolution: float | tuple[float, float],
    crs: CRS | str | int | None = None,
) -> Grid:
    """Return the grid of even cells that fills a box; see `Grid.regular`."""
    edges = even_edges(west, south, east, north, resolution, crs)
    return Grid(*edges) if crs is None or is_lonlat(checked_crs(crs)) else projected(crs, *edges)


def even_edges(
    west: float,
    south: float,
    east: float,
    north: float,
    resolution: float | tuple[float, float],
    crs: CRS | str | int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges along x and y of even cells that fill a box; see `Grid.regular`."""
    found = None if crs is None else checked_crs(crs)
    plain = found is None or is_lonlat(found)
    try:
        dx, dy = np.broadcast_to(np.asarray(resolution, "float64"), 2).tolist()
    except (TypeError, ValueError):
        raise UsageError(f"expected one cell size or two, found {resolution!r}") from None
    if plain and east <= west:
        east += 360
    box = f"west {west:.10g}, south {south:.10g}, east {east:.10g}, north {north:.10g}"
    sizes = np.array([dx, dy, north - south, east - west])
    unit = "" if plain or found is None else f" (in {crs_units(found)} of {crs_name(found)})"
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise UsageError(
            "expected a box from west to east and from south to north, and a positive "
            f"resolution, found {box}, resolution {resolution}{unit}"
        )
    if plain and not (-90 <= south < north <= 90 and east - west <= 360):
        raise UsageError(
            f"expected a box within 360 degrees of longitude and -90..90 of latitude and a "
            f"positive resolution, found {box}, resolution {resolution}"
        )
    if (sizes[2:] / (dy, dx) > 1e15).any():
        raise UsageError(
            f"expected larger cells, found a resolution of {resolution} for {box}{unit}"
        )
    nx, ny = round((east - west) / dx), round((north - south) / dy)
    off = abs(nx * dx - (east - west)), abs(ny * dy - (north - south))
    allowed = (1e-6, 1e-6) if plain else (1e-6 * dx, 1e-6 * dy)
    if off[0] > allowed[0] or off[1] > allowed[1]:
        raise UsageError(
            f"expected a resolution that divides the box, found {resolution} for {box}{unit}; "
            "move an edge of the box or choose another resolution"
        )
    if not plain and nx * ny > MOST_CELLS:
        raise UsageError(
            f"expected at most {MOST_CELLS:,} cells, found {ny:,} x {nx:,} for {box}, resolution "
            f"{resolution}{unit}; choose larger cells or a smaller box"
        )
    require_cells(nx, ny, f"{box}, resolution {resolution}{unit}", each=16 if plain else 64)
    return np.linspace(west, east, nx + 1), np.linspace(south, north, ny + 1)


def require_cells(columns: int, rows: int, where: str, each: int = 16) -> None:
    """Refuse a grid of which not even one field fits into memory.

    Parameters
    ----------
    columns, rows : int
        Of its cells.
    where : str
        What it is, for the message.
    each : int
        Bytes that a cell takes: by default its value and covered fraction.

    Raises
    ------
    UsageError
        When they do not; the message says how many cells it has, and their size.
    """
    require_room(
        each * (columns + 1) * (rows + 1),
        f"{where}: expected fewer or larger cells, found {rows:,} x {columns:,} cells, which",
        UsageError,
    )


def projected(
    crs: CRS | str | int,
    x_b: ArrayLike,
    y_b: ArrayLike,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    dims: tuple[str, str] | None = None,
) -> Grid:
    """Return the grid of given edges in a reference system; see `Grid.projected`."""
    found = checked_crs(crs)
    if is_lonlat(found):
        return Grid.from_corners(x_b, y_b, lon=x, lat=y, dims=dims)
    plane = Projection(found.to_wkt(), x_b, y_b, x, y)  # type: ignore[arg-type]
    return in_plane(plane, placed(plane), dims)


def in_plane(plane: Projection, where: Placed, dims: tuple[str, str] | None = None) -> Grid:
    """Return the grid of a projection whose cells have been placed on the globe."""
    places = where.lon_b, where.lat_b, where.lon, where.lat
    if not all(np.isfinite(v).all() for v in places):
        raise NarcfError(_off_the_globe(plane, np.isfinite(where.lon_b + where.lat_b)))
    return Grid(*places, dims=dims or plane.usual_dims, projection=plane)


def _off_the_globe(plane: Projection, found: np.ndarray) -> str:
    row, column = np.argwhere(~found)[0] if not found.all() else (0, 0)
    box = area_of_use(plane.crs)
    use = (
        "are the units right?"
        if box is None
        else "it is made for x {:.10g} to {:.10g}, y {:.10g} to {:.10g}".format(
            *(box[k] for k in (0, 2, 1, 3))
        )
    )
    return (
        f"expected x and y inside {plane.name}, found a corner at x {plane.x_b[column]:.10g}, "
        f"y {plane.y_b[row]:.10g} {plane.units} that has no longitude and latitude; {use}"
    )
