"""Regrid labelled arrays: the coverage rule, attributes and coordinates around the weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.fields.door import valid_only
from narcf_geo.grid import Grid
from narcf_geo.grid.sphere import EdgeKind, require_edges
from narcf_geo.regridding.apply import Rule, apply_eager, apply_lazy, result_dtype
from narcf_geo.regridding.target import Target, target_grid
from narcf_geo.regridding.weights import (
    SeparableWeights,
    SparseWeights,
    Weights,
    compute_weights,
    weights_of_xesmf,
)

if TYPE_CHECKING:
    from xesmf import Regridder

Quantity = Literal["mean", "total"]
T = TypeVar("T", xr.Dataset, xr.DataArray)

STALE_ATTRS = (
    "grid_mapping",
    "coordinates",
    "cell_measures",
    "actual_range",
    "ancillary_variables",
)
CRS_NAME = "spatial_ref"


def regrid(
    obj: T,
    target: Target,
    *,
    source: Grid | None = None,
    min_coverage: float = 0.5,
    method: str = "conservative",
    quantity: Quantity = "mean",
    edges: EdgeKind = "parallels",
    weights: Weights | Regridder | str | os.PathLike[str] | None = None,
) -> T:
    """Move fields to another grid, NaN meaning missing.

    The value of a target cell is the mean over the part of it that valid source cells cover
    (`quantity` ``"mean"``), or the total within that part (``"total"``). It is NaN where that
    part is less than `min_coverage` of the cell, at each time step for itself.

    Parameters
    ----------
    obj : xarray.Dataset or xarray.DataArray
        Dimensions (..., y, x) of any names and order, rows and columns in any direction; numpy or
        dask. Dask arrays stay lazy, chunks along space are used one by one. Values outside
        ``valid_range``, ``valid_min`` and ``valid_max`` are missing.
    target : Grid, float, pair of float, xarray.Dataset, xarray.DataArray or path
        The grid to go to: a `Grid`, that of another dataset or file, or a resolution in degrees,
        one for both directions or (longitude, latitude), over the extent of `obj`.
    source : Grid, optional
        The grid of `obj`; found with `Grid.from_dataset` when not given.
    min_coverage : float
        Smallest covered fraction, 0..1, of a valid target cell; at 0 any overlap will do.
    method : str
        ``conservative``, or ``bilinear``, ``nearest_s2d``, ``nearest_d2s`` as in xESMF, where
        the covered fraction is the summed weight of the valid source points.
    quantity : {"mean", "total"}
        ``mean`` for values per area or without an area (flux, temperature), ``total`` for
        amounts per cell (mass, counts), whose sum is kept.
    edges : {"parallels", "great_circles"}
        On what the cells of a longitude-latitude grid end in the north and in the south, for
        ``conservative``: parallels, or great circles between their corners as in ESMF and xESMF.
        All other edges are great circles. `weights` made before keep their own.
    weights : optional
        Weights made before: of `compute_weights`, an `xesmf.Regridder`, or the path of a weight
        file, which is written when it is absent and refused when it belongs to other grids, or
        of a folder that keeps one such file for each pair of grids.

    Returns
    -------
    xarray.Dataset or xarray.DataArray
        Dimensions (..., lat, lon), attributes kept. Beside each variable stands
        ``<name>_valid_fraction`` (0..1), its covered fraction: a variable of a Dataset, a
        coordinate of a DataArray. Floating-point dtypes are kept, integers become floats.

    Raises
    ------
    UsageError
        For a target that is none of these, an unknown method or quantity, a coverage outside 0..1,
        or weights of other grids.
    NarcfError
        When the grid of `obj` cannot be found or does not touch the target.

    See Also
    --------
    narcf_geo.regrid_file : for files of any size.

    Examples
    --------
    >>> field = xr.DataArray([[1.0, 2.0], [3.0, np.nan]], dims=("lat", "lon"), name="flux",
    ...                      coords={"lat": [-0.5, 0.5], "lon": [0.5, 1.5]})
    >>> out = regrid(field, Grid.regular(0, -1, 2, 1, 2))
    >>> out.item(), out.flux_valid_fraction.item()
    (2.0, 0.75)
    >>> regrid(field, 2, min_coverage=0.2).lat.values.tolist()
    [-1.0, 1.0]
    """
    if quantity not in ("mean", "total"):
        raise UsageError(f"expected quantity 'mean' or 'total', found {quantity!r}")
    if not 0 <= min_coverage <= 1:
        raise UsageError(f"expected min_coverage within 0..1, found {min_coverage}")
    if isinstance(obj, xr.DataArray):
        name = obj.name or "field"
        ds = regrid(
            obj.to_dataset(name=name),
            target,
            source=source,
            min_coverage=min_coverage,
            method=method,
            quantity=quantity,
            edges=edges,
            weights=weights,
        )
        fraction = f"{name}_valid_fraction"
        return ds.set_coords(fraction)[name].rename(obj.name)
    source = source or Grid.from_dataset(obj)
    target = target_grid(target, source)
    obj = valid(obj)
    dims = _spatial_dims(obj, source)
    made = _weights(weights, source, target, method, edges)
    if quantity == "total" and made.method != "conservative":
        raise UsageError(
            f"expected method 'conservative' for quantity 'total', found {made.method!r}, which "
            "does not keep totals; regrid a density instead"
        )
    return _regrid_dataset(obj, dims, target, made, quantity, min_coverage)


def valid(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with NaN for values outside the valid range that a variable states."""
    limited = [
        name
        for name, array in ds.data_vars.items()
        if array.dtype.kind in "iu" and any(str(key).startswith("valid_") for key in array.attrs)
    ]
    return valid_only(ds.assign({n: ds[n].astype(result_dtype(ds[n].dtype)) for n in limited}))


def regridded_names(ds: xr.Dataset, dims: tuple[str, str]) -> list[str]:
    """Return the names of the fields of `ds`: not its bounds, positions and old fractions."""
    others = _geometry(ds) | {f"{n}_valid_fraction" for n in ds.data_vars}
    return [str(n) for n, v in ds.data_vars.items() if set(dims) <= set(v.dims) and n not in others]


def _regrid_dataset(
    ds: xr.Dataset,
    dims: tuple[str, str],
    target: Grid,
    weights: Weights,
    quantity: str,
    min_coverage: float,
) -> xr.Dataset:
    spatial = {n for n, v in ds.variables.items() if set(dims) & set(v.dims)}
    names = regridded_names(ds, dims)
    if not names:
        raise NarcfError(
            f"expected at least one variable with the dimensions {dims}, found "
            f"{ {str(n): v.dims for n, v in ds.data_vars.items()} }"
        )
    out = ds.drop_vars([*spatial, *_mappings(ds)])
    out = out.assign_coords({**target.coords(), CRS_NAME: _crs_variable()})
    fields: dict[str, xr.Variable] = {}
    for name in names:
        values, fraction = _regrid_variable(
            ds[name].variable, dims, weights, quantity, min_coverage
        )
        coverage = f"{name}_valid_fraction"
        lead = [d for d in ds[name].dims if d not in dims]
        attrs = {k: v for k, v in ds[name].attrs.items() if k not in STALE_ATTRS}
        if "conservative" in weights.method:
            attrs["cell_methods"] = _cell_methods(attrs.get("cell_methods", ""), quantity)
        attrs["ancillary_variables"] = coverage
        attrs["grid_mapping"] = CRS_NAME
        shape = (*lead, *target.dims)
        fields[name] = xr.Variable(shape, values, attrs)
        fields[coverage] = xr.Variable(
            shape,
            fraction,
            {
                "long_name": f"fraction of the cell covered by valid data of {name}",
                "units": "1",
                "grid_mapping": CRS_NAME,
            },
        )
    return out.assign(fields)


def _regrid_variable(
    variable: xr.Variable,
    dims: tuple[str, str],
    weights: Weights,
    quantity: str,
    min_coverage: float,
) -> tuple[Any, Any]:
    if variable.dtype.kind not in "fiub":
        raise UsageError(
            f"expected numbers to regrid, found dtype {variable.dtype} with dimensions "
            f"{variable.dims}; select the variables to regrid"
        )
    data = variable.transpose(..., *dims).data
    rule = Rule(quantity, min_coverage, result_dtype(data.dtype))
    if isinstance(data, np.ndarray):
        return apply_eager(data, weights, rule)
    return apply_lazy(data, weights, rule)


def _weights(given: Any, source: Grid, target: Grid, method: str, edges: EdgeKind) -> Weights:
    require_edges(edges)
    if given is None:
        return compute_weights(source, target, method, edges)
    if isinstance(given, str | os.PathLike):
        from narcf_geo.regridding.weights_file import stored_weights

        return stored_weights(Path(given), source, target, method, edges)
    if not isinstance(given, SeparableWeights | SparseWeights):
        shapes = tuple(given.shape_in), tuple(given.shape_out)
        if shapes != (source.shape, target.shape):
            raise UsageError(
                f"expected an xesmf.Regridder from {source.shape} to {target.shape} cells, found "
                f"one from {shapes[0]} to {shapes[1]}"
            )
        return weights_of_xesmf(given, source, target)
    for name, ours, theirs in (("source", source, given.source), ("target", target, given.target)):
        if ours != theirs:
            raise UsageError(
                f"expected weights for the {name} grid {ours}, found weights for {theirs}; "
                "compute them again for these grids"
            )
    return given


def _spatial_dims(ds: xr.Dataset, grid: Grid) -> tuple[str, str]:
    """Return the names of the dimensions of `ds` that run along `grid`, rows first."""
    dims = grid.dims
    if not set(dims) <= set(ds.dims):
        last = [v.dims[-2:] for v in ds.data_vars.values() if v.shape[-2:] == grid.shape]
        if not last:
            raise NarcfError(
                f"expected fields on the source grid {grid}, found dimensions {dict(ds.sizes)}"
            )
        dims = str(last[0][0]), str(last[0][1])
    shape = tuple(ds.sizes[d] for d in dims)
    if shape != grid.shape:
        raise NarcfError(
            f"expected {grid.shape} cells along {dims} as in the source grid {grid}, found {shape}"
        )
    if grid.is_rectilinear:
        for dim, centers, edges in zip(
            dims, (grid.lat, grid.lon), (grid.lat_b, grid.lon_b), strict=True
        ):
            _require_same_axis(ds, dim, centers, edges)
    return dims


def _require_same_axis(ds: xr.Dataset, dim: str, centers: np.ndarray, edges: np.ndarray) -> None:
    """Refuse a source grid whose axis runs otherwise than the coordinate of the data."""
    if dim not in ds.coords or ds[dim].dtype.kind not in "fiu":
        return
    off = np.abs((ds[dim].values - centers + 180) % 360 - 180)
    worst = int(off.argmax())
    if off[worst] > np.abs(np.diff(edges))[worst]:
        raise NarcfError(
            f"expected the coordinate {dim!r} of the data to follow the source grid, found "
            f"{float(ds[dim].values[worst]):g} at position {worst} where the grid has "
            f"{centers[worst]:g}; is one of them the other way round?"
        )


def _geometry(ds: xr.Dataset) -> set[str]:
    """Return the names of bounds and of latitude and longitude variables."""
    found = set()
    for name, v in ds.variables.items():
        bounds = v.attrs.get("bounds") or v.encoding.get("bounds")
        if bounds:
            found.add(str(bounds))
        if v.attrs.get("standard_name") in ("latitude", "longitude"):
            found.add(str(name))
    return found


def _mappings(ds: xr.Dataset) -> list[str]:
    named = {
        v.attrs.get("grid_mapping") or v.encoding.get("grid_mapping") for v in ds.variables.values()
    }
    names = {str(n).split()[0].rstrip(":") for n in named if n}
    names |= {str(n) for n, v in ds.variables.items() if "grid_mapping_name" in v.attrs}
    return [n for n in (*names, CRS_NAME) if n in ds.variables]


def _crs_variable() -> xr.DataArray:
    from pyproj import CRS

    attrs = {"long_name": "coordinate reference system", **CRS.from_epsg(4326).to_cf()}
    return xr.DataArray(np.int32(0), attrs=attrs)


def _cell_methods(old: str, quantity: str) -> str:
    how = "area: mean" if quantity == "mean" else "area: sum"
    return old if "area:" in old else f"{old} {how}".strip()
