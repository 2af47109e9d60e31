"""Regrid a file: NetCDF, Zarr, GeoTIFF or GRIB in; NetCDF, Zarr or GeoTIFF out."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import MissingFileError, UsageError
from narcf_geo.core.files import atomic_path, require_replaceable
from narcf_geo.fields.formats import Opening, open_format
from narcf_geo.grid import Grid
from narcf_geo.regridding.regridder import Quantity, regrid, regridded_names, valid
from narcf_geo.regridding.target import Box, grid_of_file, target_grid
from narcf_geo.regridding.weights import Weights, compute_weights, source_areas
from narcf_geo.regridding.weights_file import stored_weights

RASTERS = (".tif", ".tiff")


@dataclass(frozen=True)
class Summary:
    """What became of one variable.

    Attributes
    ----------
    variable : str
    source_grid, target_grid : str
        What the grids are, for people.
    coverage : float
        Part of the target's area that valid source cells cover, 0..1, mean over time.
    integral_before, integral_after : float
        Area integral (sum for totals) of the source over the target, and of the valid target
        cells over their covered part; mean over time and other dimensions.
    units : str
        Of the integrals.
    seconds : float
        For all variables of the file together.
    """

    variable: str
    source_grid: str
    target_grid: str
    coverage: float
    integral_before: float
    integral_after: float
    units: str
    seconds: float


def regrid_file(
    source_path: str | os.PathLike[str],
    target_path: str | os.PathLike[str],
    *,
    grid: Grid | float | Sequence[float] | None = None,
    like: str | os.PathLike[str] | None = None,
    bounds: Box | None = None,
    method: str = "conservative",
    min_coverage: float = 0.5,
    quantity: Quantity = "mean",
    weights: str | os.PathLike[str] | None = None,
    variables: Sequence[str] | None = None,
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
        The target: a `Grid`, or a resolution in degrees, one for both directions or
        (longitude, latitude).
    like : path, optional
        A file whose grid is the target; instead of `grid`.
    bounds : tuple of float, optional
        West, south, east, north in degrees for a resolution; the extent of the source, moved
        outwards to whole cells, when not given.
    method, min_coverage, quantity
        As in `regrid`.
    weights : path, optional
        A weight file to read, or to write when it is absent.
    variables : sequence of str, optional
        Those to regrid; all numeric ones on the grid when not given.

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
    >>> fine = Grid.regular(-100, 40, -96, 44, 1)
    >>> nee = xr.Dataset({"nee": (fine.dims, np.full(fine.shape, -1.5))}, fine.coords())
    >>> nee.to_netcdf(folder / "nee.nc")
    >>> summary = regrid_file(folder / "nee.nc", folder / "coarse.nc", grid=2)[0]
    >>> summary.coverage, round(summary.integral_after / summary.integral_before, 9)
    (1.0, 1.0)
    """
    started = time.perf_counter()
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
        source = Grid.from_dataset(ds)
        target = _target(source, grid, like, bounds)
        made = (
            stored_weights(Path(weights), source, target, method)
            if weights
            else compute_weights(source, target, method)
        )
        names = list(variables) if variables else regridded_names(ds, source.dims)
        others = [n for n in ds.data_vars if n in regridded_names(ds, source.dims)]
        ds = ds.drop_vars([n for n in others if n not in names])
        out = regrid(
            ds, target, source=source, min_coverage=min_coverage, quantity=quantity, weights=made
        )
        how = f"{method} ({quantity}, min_coverage {min_coverage:g}) to {target}"
        out = _described(out, source_path, names, how)
        sums = _integrals(ds, out, names, made, quantity)
        values = _write(out, target_path, names, sums)
    seconds = time.perf_counter() - started
    return [
        Summary(
            variable=name,
            source_grid=repr(source),
            target_grid=repr(target),
            coverage=float(values[name, "coverage"]),
            integral_before=float(values[name, "before"]),
            integral_after=float(values[name, "after"]),
            units=_integral_units(str(out[name].attrs.get("units", "")), quantity),
            seconds=seconds,
        )
        for name in names
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
    source: Grid,
    grid: Grid | float | Sequence[float] | None,
    like: str | os.PathLike[str] | None,
    bounds: Box | None,
) -> Grid:
    if like is None:
        if grid is None:
            raise UsageError("expected a grid (resolution in degrees), or a file to be like")
        return target_grid(grid, source, bounds)
    if grid is not None or bounds is not None:
        raise UsageError("expected a grid (and bounds), or a file to be like, found both")
    return grid_of_file(Path(like))


def _described(out: xr.Dataset, source_path: Path, names: Sequence[str], how: str) -> xr.Dataset:
    from narcf_geo.core.provenance import VERSION

    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = f"{stamp} narcf-geo {VERSION}: regridded from {source_path.name}, {how}"
    history = "\n".join(filter(None, [line, str(out.attrs.get("history", ""))]))
    out = out.assign_attrs(Conventions="CF-1.11", history=history)
    fields = {f for name in names for f in (name, f"{name}_valid_fraction")}
    for name, variable in out.variables.items():
        variable.encoding = {} if name in fields else {"_FillValue": None}
    return out


def _integrals(
    ds: xr.Dataset, out: xr.Dataset, names: Sequence[str], weights: Weights, quantity: str
) -> dict[tuple[str, str], Any]:
    """Return the sums of the summary, lazy."""
    source, target = weights.source, weights.target
    inside = weights
    if weights.method != "conservative":
        inside = compute_weights(source, target, "conservative")
    areas = source_areas(inside, quantity)
    area = xr.DataArray(inside.target_area, dims=target.dims)
    sums: dict[tuple[str, str], Any] = {}
    for name in names:
        after, fraction = (
            v.drop_vars(v.coords) for v in (out[name], out[f"{name}_valid_fraction"])
        )
        sums[name, "before"] = _integral(ds[name].variable, source.dims, areas)
        kept = after * fraction * area if quantity == "mean" else after
        sums[name, "after"] = kept.sum(target.dims, dtype="float64").mean()
        sums[name, "coverage"] = (fraction * area).sum(target.dims).mean() / area.sum()
    return sums


def _integral(
    field: xr.Variable, dims: tuple[str, str], areas: list[tuple[np.ndarray, tuple[str, ...]]]
) -> Any:
    """Return the mean over all other dimensions of the area integral, a dask scalar."""
    import dask.array as da

    data = field.transpose(..., *dims).data
    axes = dict(zip(dims, (data.ndim - 2, data.ndim - 1), strict=True))
    factors: list[Any] = []
    for area, along in areas:
        index = tuple(axes[d] for d in along)
        factors += [da.from_array(area, chunks=tuple(data.chunks[k] for k in index)), index]
    every = tuple(range(data.ndim))
    sums = da.blockwise(
        _weighted_sum,
        every,
        data,
        every,
        *factors,
        adjust_chunks=dict.fromkeys(axes.values(), 1),
        dtype="float64",
        meta=np.empty((0,) * data.ndim),
    )
    return sums.sum(axis=(-2, -1)).mean()


def _weighted_sum(block: np.ndarray, *areas: np.ndarray) -> np.ndarray:
    subscripts = "...yx,yx" if areas[0].ndim == 2 else "...yx,y,x"
    filled = np.where(np.isnan(block), 0, block)
    return np.einsum(f"{subscripts}->...", filled, *areas)[..., None, None]


def _integral_units(units: str, quantity: str) -> str:
    return units if quantity == "total" else f"{units} m2".strip() if units != "1" else "m2"


def _write(
    out: xr.Dataset, path: Path, names: Sequence[str], sums: dict[tuple[str, str], Any]
) -> dict[tuple[str, str], Any]:
    """Write `out` and compute `sums` in the same pass over the source."""
    import dask

    with atomic_path(path) as temporary:
        if path.suffix.lower() in RASTERS:
            raster = _raster(out, names)
            raster, values = dask.compute(raster, sums)
            raster.rio.to_raster(temporary, driver="GTiff", compress="DEFLATE", tiled=True)
            return values
        if path.suffix == ".zarr":
            job = out.to_zarr(temporary, mode="w", compute=False, consolidated=False)
        else:
            fields = [f for name in names for f in (name, f"{name}_valid_fraction")]
            encoding = {n: {"zlib": True, "shuffle": True, "complevel": 1} for n in fields}
            job = out.to_netcdf(temporary, engine="netcdf4", encoding=encoding, compute=False)
        _, values = dask.compute(job, sums)
    return values


def _raster(ds: xr.Dataset, names: Sequence[str]) -> xr.DataArray:
    """Return the one field of `ds` as bands, north up, ready for rioxarray to write."""
    import rioxarray  # noqa: F401  (adds .rio)

    field = ds[names[0]]
    *lead, y, x = field.dims
    if len(names) > 1 or len(lead) > 1 or y not in field.coords or x not in field.coords:
        raise UsageError(
            "expected one variable on latitudes and longitudes, with at most one more dimension, "
            f"for a GeoTIFF, found { {n: ds[n].dims for n in names} }; name one, or write .nc or "
            ".zarr"
        )
    field = field.sortby(y, ascending=False)
    for axis in (y, x):
        _require_even(field[axis].values, ds[f"{axis}_bnds"].values, str(axis))
    if lead:
        field.attrs["long_name"] = tuple(_band_names(field, str(lead[0]), names[0]))
    field = field.drop_vars("band_name", errors="ignore")
    field.attrs.pop("grid_mapping", None)
    field = field.rio.set_spatial_dims(x, y).rio.write_crs("EPSG:4326")
    return field.rio.write_nodata(np.nan)


def _require_even(centers: np.ndarray, bounds: np.ndarray, axis: str) -> None:
    # Rows of nodes on a pole are half cells: pixels there stand for what is on the globe.
    whole = (np.abs(bounds).max(1) < 90) | (axis != "lat")
    sizes = np.abs([*np.diff(centers), *np.diff(bounds, axis=1)[whole, 0]])
    if sizes.size and np.ptp(sizes) > 1e-4 * sizes.mean():
        raise UsageError(
            f"expected evenly spaced cells for a GeoTIFF, found cells of {sizes.min():.4g} to "
            f"{sizes.max():.4g} degrees along {axis!r}; write .nc or .zarr, or choose a regular "
            "grid"
        )


def _band_names(field: xr.DataArray, axis: str, name: str) -> list[str]:
    if "band_name" in field.coords and field["band_name"].dims == (axis,):
        return [str(label) for label in field["band_name"].values]
    return [f"{name} {label}" for label in _labels(field[axis])]


def _labels(axis: xr.DataArray) -> list[str]:
    """Return names of the bands: dates for a time axis of a known calendar, else the values."""
    if "since" in str(axis.attrs.get("units", "")):
        try:
            axis = xr.decode_cf(axis.to_dataset(name="band"))["band"]
        except ValueError:
            return [f"{value} {axis.attrs['units']}" for value in axis.values.tolist()]
    return [str(value)[:10] for value in axis.values]
