"""Regrid a file: NetCDF, Zarr, GeoTIFF or GRIB in; NetCDF, Zarr or GeoTIFF out."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from narcf_geo.core.errors import MissingFileError, UsageError
from narcf_geo.core.files import atomic_path, require_replaceable
from narcf_geo.fields.formats import Opening, open_format
from narcf_geo.grid import Cells, cells_of
from narcf_geo.grid.layouts import geometry_names
from narcf_geo.regridding.job import Job
from narcf_geo.regridding.meshes import as_rows, fields_as_rows, without_rows
from narcf_geo.regridding.options import Options, RegridOptions
from narcf_geo.regridding.plan import CELL_AREA, plan
from narcf_geo.regridding.raster import bands
from narcf_geo.regridding.regridder import regridded, regridded_names, valid
from narcf_geo.regridding.summary import Summary, integral_units, integrals
from narcf_geo.regridding.target import Box, target_grid

if TYPE_CHECKING:
    from pyproj import CRS

RASTERS = (".tif", ".tiff")


def regrid_file(
    source_path: str | os.PathLike[str],
    target_path: str | os.PathLike[str],
    *,
    grid: Cells | float | Sequence[float] | None = None,
    like: str | os.PathLike[str] | None = None,
    bounds: Box | None = None,
    crs: CRS | str | int | None = None,
    weights: str | os.PathLike[str] | None = None,
    variables: Sequence[str] | None = None,
    **options: Unpack[RegridOptions],
) -> list[Summary]:
    """Regrid the variables of a file, block by block, and write the result whole.

    Parameters
    ----------
    source_path : path
        NetCDF, Zarr or GeoTIFF; any other format of `narcf_geo.open_fields` too.
    target_path : path
        ``.nc``, ``.zarr`` or ``.tif`` (one variable with at most one more dimension). An older file
        is replaced when the new one is whole.
    grid : Grid, float or pair of float, optional
        The target: a `Grid`, or a resolution in degrees or in units of `crs`, one for both
        directions or (longitude, latitude).
    like : path or str, optional
        A file whose grid is the target, a grid description of CDO, or one of its names, such as
        ``r360x180``; instead of `grid`.
    bounds : tuple of float, optional
        West, south, east, north for a resolution, in the same unit; the extent of the source, moved
        outwards to whole cells, when not given.
    crs : pyproj.CRS, str or int, optional
        Reference system of a resolution, such as ``"EPSG:3035"``.
    weights : path, optional
        A weight file to read, or to write when it is absent.
    variables : sequence of str, optional
        Those to regrid; all numeric ones on the grid when not given.
    **options
        Those of `regrid`: `method`, `quantity`, `categorical`, `min_coverage`, `percentile`,
        `source_mask`, `target_mask`, `max_distance`, `extrapolate`.

    Returns
    -------
    list of Summary
        One a variable.

    Raises
    ------
    UsageError
        For options that exclude each other, output formats that cannot hold the result, and an
        output that is one of the inputs or holds one.
    MissingFileError
        When there is no such file.
    NarcfError
        For files that cannot be read or have no grid.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> import numpy as np
    >>> from narcf_geo.grid import Grid
    >>> fine = Grid.regular(-100, 40, -96, 44, 1)
    >>> nee = xr.Dataset({"nee": (fine.dims, np.full(fine.shape, -1.5))}, fine.coords())
    >>> nee.to_netcdf(folder / "nee.nc")
    >>> summary = regrid_file(folder / "nee.nc", folder / "coarse.nc", grid=2)[0]
    >>> summary.coverage, round(summary.integral_after / summary.integral_before, 9)
    (1.0, 1.0)
    """
    started = time.perf_counter()
    asked = Options(**options)
    source_path, target_path = Path(source_path), Path(target_path)
    _require_format(target_path)
    if not source_path.exists():
        raise MissingFileError(f"{source_path}: no such file")
    inputs = [Path(p) for p in (source_path, like, weights) if p is not None]
    require_replaceable(target_path, inputs, store=target_path.suffix == ".zarr")
    with _opened(source_path) as ds:
        if variables:
            missing = sorted(set(variables) - set(map(str, ds.data_vars)))
            if missing:
                raise UsageError(
                    f"expected variables among {sorted(map(str, ds.data_vars))} of {source_path}, "
                    f"found {missing}"
                )
        source = cells_of(ds)
        goal = _target(source, grid, like, bounds, crs)
        ds, source = fields_as_rows(ds.drop_vars(geometry_names(ds)), source)
        target = as_rows(goal)
        names = list(variables) if variables else regridded_names(ds, source.dims)
        others = [n for n in ds.data_vars if n in regridded_names(ds, source.dims)]
        ds = ds.drop_vars([n for n in others if n not in names])
        job = Job.of(source, target, weights, asked)
        tasks = plan(ds, names, asked)
        out = regridded(ds, job, tasks)
        hows = sorted({f"{task.method.name} ({task.quantity})" for task in tasks.values()})
        how = f"{', '.join(hows)}, min_coverage {asked.min_coverage:g}, to {target}"
        out = _described(out, source_path, names, how)
        sums = integrals(ds, out, tasks, job)
        values = _write(without_rows(out, goal), target_path, names, sums)
    seconds = time.perf_counter() - started
    return [
        Summary(
            variable=name,
            source_grid=repr(source),
            target_grid=repr(target),
            coverage=float(values[name, "coverage"]),
            integral_before=float(values.get((name, "before"), np.nan)),
            integral_after=float(values.get((name, "after"), np.nan)),
            units=integral_units(str(out[name].attrs.get("units", "")), task.quantity)
            if task.keeps_integral
            else "",
            seconds=seconds,
        )
        for name, task in tasks.items()
        if task.method != CELL_AREA
    ]


def _opened(path: Path) -> xr.Dataset:
    """Open a file lazily, its numeric variables as dask arrays of moderate chunks.

    Times stay the numbers they are, so that odd calendars and climatologies pass unchanged.
    """
    ds = open_format(path, how=Opening(chunks="auto", decode_times=False))
    if set(ds.data_vars) != {"band_data"} or "band" not in ds.dims:
        return valid(ds)
    raster = ds.rename(band_data=re.sub(r"\W", "_", path.stem))
    return valid(raster.squeeze("band", drop=True) if ds.sizes["band"] == 1 else raster)


def _require_format(path: Path) -> None:
    if path.suffix.lower() not in (".nc", ".nc4", ".zarr", *RASTERS):
        raise UsageError(f"expected an output ending in .nc, .zarr or .tif, found {path.name!r}")


def _target(
    source: Cells,
    grid: Cells | float | Sequence[float] | None,
    like: str | os.PathLike[str] | None,
    bounds: Box | None,
    crs: CRS | str | int | None,
) -> Cells:
    if like is None:
        if grid is None:
            raise UsageError("expected a grid (a resolution), or a file or name to be like")
        return target_grid(grid, source, bounds, crs)
    if grid is not None or bounds is not None or crs is not None:
        raise UsageError(
            "expected a grid (with bounds and a reference system), or a file to be like, found both"
        )
    return target_grid(like, source)


def _described(out: xr.Dataset, source_path: Path, names: Sequence[str], how: str) -> xr.Dataset:
    from narcf_geo.core.provenance import VERSION

    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = f"{stamp} narcf-geo {VERSION}: regridded from {source_path.name}, {how}"
    history = "\n".join(filter(None, [line, str(out.attrs.get("history", ""))]))
    out = out.assign_attrs(Conventions="CF-1.11", history=history)
    fields = {f for name in names for f in (name, f"{name}_valid_fraction")}
    pointed: set[str] = set()
    for name, variable in out.variables.items():
        if name not in fields:
            variable.encoding = {"_FillValue": None}
        for key in {"bounds", "grid_mapping"} & set(variable.attrs):
            variable.encoding[key] = variable.attrs.pop(key)
            pointed.add(str(variable.encoding[key]))
    for name in fields & set(out.variables):
        # xarray would count the grid mapping among them.
        beside = [str(c) for c in out[name].coords if c not in {*out.dims, *pointed}]
        out[name].encoding["coordinates"] = " ".join(sorted(beside)) or None
    return out


def _write(
    out: xr.Dataset, path: Path, names: Sequence[str], sums: dict[tuple[str, str], Any]
) -> dict[tuple[str, str], Any]:
    """Write `out` and compute `sums` in the same pass over the source."""
    import dask

    with atomic_path(path) as temporary:
        if path.suffix.lower() in RASTERS:
            raster = bands(out, names)
            raster, values = dask.compute(raster, sums)
            raster.rio.to_raster(temporary, driver="GTiff", compress="DEFLATE", tiled=True)
            return values
        if path.suffix == ".zarr":
            job = out.to_zarr(temporary, mode="w", compute=False, consolidated=False)
        else:
            fields = [f for name in names for f in (name, f"{name}_valid_fraction")]
            for field in fields:
                if field in out:
                    out[field].encoding.update(zlib=True, shuffle=True, complevel=1)
            job = out.to_netcdf(temporary, engine="netcdf4", compute=False)
        _, values = dask.compute(job, sums)
    return values
