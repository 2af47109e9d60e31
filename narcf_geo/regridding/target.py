"""What may stand for a target grid: a grid, a resolution, another dataset, a name, or a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import xarray as xr

from narcf_geo.core.errors import MissingFileError, NarcfError, UsageError
from narcf_geo.fields.formats import Opening, open_format
from narcf_geo.grid import Cells, Grid, Mesh, cells_of
from narcf_geo.regridding.extent import degrees_extent, plane_extent

if TYPE_CHECKING:
    from pyproj import CRS

POLYGONS = (".gpkg", ".shp", ".geojson", ".json", ".fgb", ".gml", ".kml")
"""Suffixes of files of polygons."""

Box: TypeAlias = tuple[float, float, float, float]
"""West, south, east and north, in degrees or in units of a coordinate reference system."""

Target: TypeAlias = (
    Grid | Mesh | float | Sequence[float] | xr.Dataset | xr.DataArray | str | os.PathLike[str] | Any
)
"""A grid or mesh, a resolution (one, or along longitude and latitude), a dataset, a GeoDataFrame,
a name or a path."""


def target_grid(
    target: Target,
    source: Cells,
    bounds: Box | None = None,
    crs: CRS | str | int | None = None,
) -> Cells:
    """Return the grid or mesh that `target` stands for.

    Parameters
    ----------
    target : Grid, Mesh, float, pair of float, xarray.Dataset, GeoDataFrame, str or path
        A resolution, for both directions or (longitude, latitude), fills `bounds`; of a dataset or
        a file the grid is taken, of a GeoDataFrame the polygons. A text is the path of a file, a
        grid description of CDO among them, or else a name as CDO has them: ``r360x180``,
        ``global_1``, ``n80``, ``t63grid``.
    source : Grid or Mesh
        Where the data come from.
    bounds : tuple of float, optional
        West, south, east and north, for a resolution; by default the extent of `source`, moved
        outwards to whole cells.
    crs : pyproj.CRS, str or int, optional
        Reference system of a resolution and of `bounds`, such as ``"EPSG:3035"``; both are in
        degrees when not given.

    Raises
    ------
    UsageError
        When `target` is none of these, a resolution is not positive, bounds or a reference system
        stand beside a whole grid, or `source` reaches beyond what `crs` can show.
    MissingFileError
        When there is no such file.

    Examples
    --------
    >>> target_grid((5, 2.5), Grid.regular(-101, 41, -89, 49, 1))
    Grid(4 x 4 cells of 2.5 x 5 degree, latitude 40 to 50, longitude -105 to -85)
    >>> target_grid(1e5, Grid.regular(0, 45, 10, 55, 1), crs="EPSG:3035").shape
    (12, 9)
    """
    steps = _resolution(target)
    if steps is not None:
        if crs is None:
            return Grid.regular(*(bounds or degrees_extent(source, *steps)), steps)
        return _on_plane(bounds, steps, crs) if bounds else _around(source, steps, crs)
    if bounds is not None or crs is not None:
        what = "bounds" if bounds is not None else "a reference system"
        raise UsageError(f"expected {what} only beside a resolution, found it beside a whole grid")
    if isinstance(target, Grid | Mesh):
        return target
    if isinstance(target, xr.Dataset | xr.DataArray):
        return cells_of(target)
    if hasattr(target, "geometry"):
        return Mesh.from_polygons(target)
    if isinstance(target, str | os.PathLike):
        return _grid_of_text(os.fspath(target))
    raise UsageError(
        "expected a Grid or Mesh to regrid to, a resolution in degrees, a dataset, a GeoDataFrame "
        f"or a path, found {type(target).__name__}"
    )


def opened_polygons(target: Target) -> Any:
    """Return the named regions of a file of polygons, and any other target as it is."""
    if isinstance(target, str | os.PathLike) and Path(target).suffix.lower() in POLYGONS:
        from narcf_geo.fields.regions import open_regions

        return open_regions(target)
    return target


def _around(source: Cells, steps: tuple[float, float], crs: CRS | str | int) -> Cells:
    """Return even cells in a reference system around a source."""
    box = plane_extent(source, crs, *steps)
    try:
        return _on_plane(box, steps, crs)
    except NarcfError as error:
        # Whole cells around a map of the world reach beyond it.
        west, south, east, north = box
        smaller = west + steps[0], south + steps[1], east - steps[0], north - steps[1]
        raise UsageError(
            f"{error}; the target was the extent of the source, moved outwards to whole cells: "
            "give bounds, such as {:.10g} {:.10g} {:.10g} {:.10g}".format(*smaller)
        ) from None


def _on_plane(box: Box, steps: tuple[float, float], crs: CRS | str | int) -> Cells:
    """Return even cells in a reference system; those off the globe, as of a map of it, are none."""
    from narcf_geo.grid.build import even_edges
    from narcf_geo.grid.planes import cells_in_plane
    from narcf_geo.grid.projection import Projection, checked_crs, is_lonlat

    found = checked_crs(crs)
    edges = even_edges(*box, steps, found)
    return Grid(*edges) if is_lonlat(found) else cells_in_plane(Projection(found.to_wkt(), *edges))


def _grid_of_text(text: str) -> Cells:
    """Return the cells of the file at a path, or of a name."""
    from narcf_geo.grid.description import described_grid, is_description
    from narcf_geo.grid.names import KNOWN, named_grid

    path = Path(text)
    if not path.exists():
        named = named_grid(text)
        if named is None:
            raise MissingFileError(f"{text}: no such file, and no name of a grid, such as {KNOWN}")
        return named
    if path.suffix.lower() in POLYGONS:
        return Mesh.from_polygons(opened_polygons(path))
    if is_description(path):
        return described_grid(path)
    with open_format(path, how=Opening(decode_times=False)) as ds:
        return cells_of(ds)


def _resolution(target: Target) -> tuple[float, float] | None:
    """Return longitude and latitude steps; None for what is no number or pair of numbers."""
    taken = str | os.PathLike | Grid | Mesh | xr.Dataset | xr.DataArray
    if isinstance(target, taken) or hasattr(target, "geometry"):
        return None
    try:
        steps = np.asarray(target, "float64")
    except (TypeError, ValueError):
        return None
    if steps.shape not in ((), (1,), (2,)):
        return None
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        raise UsageError(f"expected a positive resolution, found {target}")
    dlon, dlat = np.broadcast_to(steps, 2).tolist()
    return dlon, dlat
