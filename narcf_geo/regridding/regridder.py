"""Regrid labelled arrays: the coverage rule, attributes and coordinates around the weights."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.units import linear
from narcf_geo.fields.meaning import stored_dtype
from narcf_geo.fields.stored import PACKING, valid_only
from narcf_geo.grid import Cells, Grid, cells_of
from narcf_geo.grid.layouts import geometry_names
from narcf_geo.grid.planes import plane_values
from narcf_geo.grid.projection import Projection
from narcf_geo.grid.sphere import EdgeKind
from narcf_geo.grid.units import degrees_per
from narcf_geo.regridding.apply import result_dtype
from narcf_geo.regridding.classes import class_coords, class_encoding, fraction_attrs
from narcf_geo.regridding.job import Job
from narcf_geo.regridding.meshes import as_rows, fields_as_rows, labelled, without_rows
from narcf_geo.regridding.options import ByName, Mask, Options
from narcf_geo.regridding.plan import CELL_AREA, Task, plan
from narcf_geo.regridding.target import Target, opened_polygons, target_grid
from narcf_geo.regridding.weights import Weights

if TYPE_CHECKING:
    from xesmf import Regridder

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
    source: Cells | None = None,
    method: ByName | None = None,
    quantity: ByName | None = None,
    categorical: Iterable[str] = (),
    min_coverage: float = 0.5,
    percentile: float | None = None,
    source_mask: Mask | None = None,
    target_mask: Mask | None = None,
    max_distance: float | None = None,
    extrapolate: Literal["nearest"] | None = None,
    edges: EdgeKind = "parallels",
    weights: Weights | Regridder | str | os.PathLike[str] | None = None,
) -> T:
    """Move fields to another grid, NaN meaning missing.

    What a variable is decides how it is regridded, unless `method` says it: measures by their mean
    over the part of a target cell that valid source cells cover, amounts per cell by their total in
    that part, classes by the majority of that part. The value is NaN where that part is less than
    `min_coverage` of the cell, at each time step for itself.

    Parameters
    ----------
    obj : xarray.Dataset or xarray.DataArray
        Dimensions (..., y, x) of any names and order, rows and columns in any direction; numpy or
        dask. Dask arrays stay lazy, chunks along space are used one by one. Values outside
        ``valid_range``, ``valid_min`` and ``valid_max`` are missing, and so is ``_FillValue``.
    target : Grid, Mesh, float, pair of float, xarray.Dataset, GeoDataFrame or path
        The cells to go to: a `Grid`, a `Mesh` or a GeoDataFrame of polygons, those of another
        dataset or file, or a resolution in degrees, one for both directions or
        (longitude, latitude), over the extent of `obj`.
    source : Grid or Mesh, optional
        The cells of `obj`; found with `narcf_geo.grid.cells_of` when not given.
    method : str or mapping of str to str, optional
        A method of `narcf_geo.core.methods.METHODS`, for all variables, or by their names with
        ``"*"`` for the others. By default ``conservative``, ``majority`` of classes,
        ``circular_mean`` of directions; areas of cells (``cell_area``) are made anew.
    quantity : {"mean", "total"} or mapping, optional
        ``mean`` for values per area or without an area (flux, temperature), ``total`` for
        amounts per cell (mass, counts), whose sum is kept; by default as attributes and units tell.
    categorical : iterable of str
        Names of variables that hold class numbers and do not say so.
    min_coverage : float
        Smallest covered fraction, 0..1, of a valid target cell; at 0 any overlap will do. Of
        interpolated values it is the summed weight of the valid source points.
    percentile : float, optional
        Which percentile (0..100) ``method="percentile"`` takes; 50 is the median.
    source_mask, target_mask : xarray.DataArray or numpy.ndarray, optional
        On the grid of `obj` and on the target: 0, False and NaN leave a cell out.
    max_distance : float, optional
        Kilometres to the nearest neighbour, for ``nearest_s2d``, ``nearest_d2s`` and `extrapolate`.
        By default about the size of a source (``nearest_d2s``: target) cell, and without limit for
        `extrapolate`.
    extrapolate : {"nearest"}, optional
        Give cells without a value that of the nearest valid source cell. Their covered fraction
        stays what it is. Needs a whole field in memory.
    edges : {"parallels", "great_circles"}
        On what the cells of a longitude-latitude grid end in the north and in the south:
        parallels, or great circles between their corners as in ESMF and xESMF. All other edges
        are great circles, and so are those of ``conservative2`` between a longitude-latitude grid
        and another, which therefore takes narrow cells only. `weights` made before keep their own.
    weights : optional
        Weights made before: of `compute_weights`, an `xesmf.Regridder`, or the path of a weight
        file, which is written when it is absent and refused when it belongs to other grids, or
        of a folder that keeps one such file for each pair of grids.

    Returns
    -------
    xarray.Dataset or xarray.DataArray
        Dimensions (..., lat, lon), or (..., y, x) and a grid mapping, attributes kept. Beside each
        variable stands ``<name>_valid_fraction`` (0..1), its covered fraction: a variable of a
        Dataset, a coordinate of a DataArray. Floating-point dtypes are kept, integers become
        floats; class numbers are written to files in the integer type they came in. The fractions
        of classes have a dimension ``<name>_class``.

    Raises
    ------
    UsageError
        For a target that is none of these, an unknown method or quantity, a number out of range,
        weights of other grids, variables of which it is unclear what they are, and methods that
        would spoil a variable (the mean of class numbers).
    NarcfError
        When the grid of `obj` cannot be found or does not touch the target.

    See Also
    --------
    narcf_geo.regrid_file : for files of any size.

    Examples
    --------
    >>> from narcf_geo.grid import Grid
    >>> field = xr.DataArray([[1.0, 2.0], [3.0, np.nan]], dims=("lat", "lon"), name="flux",
    ...                      coords={"lat": [-0.5, 0.5], "lon": [0.5, 1.5]})
    >>> out = regrid(field, Grid.regular(0, -1, 2, 1, 2))
    >>> out.item(), out.flux_valid_fraction.item()
    (2.0, 0.75)
    >>> regrid(field, 2, min_coverage=0.2).lat.values.tolist()
    [-1.0, 1.0]
    >>> cover = field.copy(data=np.array([[7, 7], [5, 1]], "uint8"))
    >>> regrid(cover, Grid.regular(0, -1, 2, 1, 2)).item()
    7.0
    >>> regrid(cover, Grid.regular(0, -1, 2, 1, 2), method="max").item()
    Traceback (most recent call last):
    narcf_geo.core.errors.UsageError: cannot regrid 'flux': uint8 numbers without a unit; ...
    """
    options = Options(
        method=method,
        quantity=quantity,
        categorical=categorical,
        min_coverage=min_coverage,
        percentile=percentile,
        source_mask=source_mask,
        target_mask=target_mask,
        max_distance=max_distance,
        extrapolate=extrapolate,
        edges=edges,
    )
    if isinstance(obj, xr.DataArray):
        name = str(obj.name or "field")
        ds = _regridded(obj.to_dataset(name=name), target, source, weights, options)
        fraction = f"{name}_valid_fraction"
        result = ds.set_coords(fraction) if fraction in ds else ds
        return result[name].rename(obj.name)
    return _regridded(obj, target, source, weights, options)


def _regridded(
    ds: xr.Dataset, target: Target, source: Cells | None, weights: Any, options: Options
) -> xr.Dataset:
    source = source or cells_of(ds)
    target = opened_polygons(target)
    goal = target_grid(target, source)
    ds, source = fields_as_rows(ds.drop_vars(geometry_names(ds)), source)
    dims = _spatial_dims(ds, source)
    names = regridded_names(ds, dims)
    if not names:
        raise NarcfError(
            f"expected at least one variable with the dimensions {dims}, found "
            f"{ {str(n): v.dims for n, v in ds.data_vars.items()} }"
        )
    _require_numbers(ds, names)
    job = Job.of(source, as_rows(goal), weights, options)
    tasks = plan(ds, names, options, job.given_method)
    return labelled(without_rows(regridded(valid(ds), job, tasks), goal), target)


def _require_numbers(ds: xr.Dataset, names: Iterable[str]) -> None:
    for name in names:
        if ds[name].dtype.kind not in "fiub":
            raise UsageError(
                f"{name!r}: expected numbers to regrid, found dtype {ds[name].dtype} with "
                f"dimensions {ds[name].dims}; select the variables to regrid"
            )


def valid(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` with NaN for what the attributes of a variable call missing or invalid.

    Of a file that was opened without decoding, packed values are unpacked too.
    """
    ds = ds.assign({n: _unsigned(v) for n, v in ds.data_vars.items() if "_Unsigned" in v.attrs})
    limited = [
        name
        for name, array in ds.data_vars.items()
        if array.dtype.kind in "iu" and any(str(key).startswith("valid_") for key in array.attrs)
    ]
    ds = valid_only(ds.assign({n: _as_floats(ds[n]) for n in limited}))
    raw = [n for n, v in ds.data_vars.items() if set(PACKING) & set(v.attrs)]
    return ds.assign({n: _decoded(ds[n]) for n in raw if ds[n].dtype.kind in "fiu"})


def _unsigned(array: xr.DataArray) -> xr.DataArray:
    """Return numbers that stand for unsigned ones in a format without these as what they are."""
    attrs = dict(array.attrs)
    if str(attrs.pop("_Unsigned")).lower() != "true" or array.dtype.kind != "i":
        return array
    dtype = np.dtype(f"u{array.dtype.itemsize}")
    for key in PACKING[:2]:
        if key in attrs:
            attrs[key] = np.asarray(attrs[key]).astype(dtype)
    result = array.astype(dtype)
    result.attrs, result.encoding = attrs, array.encoding
    return result


def _as_floats(array: xr.DataArray) -> xr.DataArray:
    values = array.astype(result_dtype(array.dtype))
    values.encoding = {**array.encoding, "dtype": stored_dtype(array)}
    return values


def _decoded(array: xr.DataArray) -> xr.DataArray:
    """Return values for the numbers of a file that was opened without decoding."""
    attrs = {k: v for k, v in array.attrs.items() if k not in PACKING}
    packing = {k: array.attrs[k] for k in PACKING if k in array.attrs}
    missing = [v for k in PACKING[:2] if k in packing for v in np.atleast_1d(packing[k])]
    values = _as_floats(array)
    if missing:
        values = values.where(~array.isin(missing))
    scale, offset = packing.get("scale_factor", 1.0), packing.get("add_offset", 0.0)
    if (scale, offset) != (1.0, 0.0):
        values = values * scale + offset
    values.attrs = attrs
    values.encoding = {**array.encoding, **packing, "dtype": stored_dtype(array)}
    return values


def regridded_names(ds: xr.Dataset, dims: tuple[str, ...]) -> list[str]:
    """Return the names of the fields of `ds`: not its bounds, positions and old fractions."""
    others = _geometry(ds) | {f"{n}_valid_fraction" for n in ds.data_vars}
    return [str(n) for n, v in ds.data_vars.items() if set(dims) <= set(v.dims) and n not in others]


def regridded(ds: xr.Dataset, job: Job, tasks: dict[str, Task]) -> xr.Dataset:
    """Return a dataset with the variables of a plan on the target grid.

    Parameters
    ----------
    ds : xarray.Dataset
        With NaN for what is missing; see `valid`.
    job : Job
    tasks : mapping of str to Task
        Of `narcf_geo.regridding.plan.plan`.
    """
    target = job.target
    dims = _spatial_dims(ds, job.source)
    spatial = {n for n, v in ds.variables.items() if set(dims) & set(v.dims)}
    out = ds.drop_vars([*spatial, *_mappings(ds)])
    out = out.assign_coords({**target.coords(), CRS_NAME: _crs_variable(target)})
    fields: dict[str, xr.Variable] = {}
    for name, task in tasks.items():
        variable = ds[name].variable.transpose(..., *dims)
        attrs = {k: v for k, v in variable.attrs.items() if k not in STALE_ATTRS}
        if task.method == CELL_AREA:
            fields[name] = _cell_areas(target, attrs, result_dtype(variable.dtype))
            continue
        values, fraction = job.run(ds[name].transpose(..., *dims), task)
        coverage = f"{name}_valid_fraction"
        lead = variable.dims[:-2]
        if task.method.cell_method:
            how = "sum" if task.quantity == "total" else task.method.cell_method
            attrs["cell_methods"] = _cell_methods(attrs.get("cell_methods", ""), how)
        attrs["ancillary_variables"] = coverage
        attrs["grid_mapping"] = CRS_NAME
        made = xr.Variable((*lead, *target.dims), values[..., 0, :, :], attrs)
        if task.method.engine == "fractions":
            made = xr.Variable((*lead, f"{name}_class", *target.dims), values, attrs)
            made.attrs = fraction_attrs(attrs, name)
            out = out.assign_coords(class_coords(name, job.classes[name], variable.attrs))
        elif task.method.name == "majority":
            made.encoding = class_encoding(ds[name])
        fields[name] = made
        fields[coverage] = xr.Variable(
            (*lead, *target.dims),
            fraction,
            {
                "long_name": f"fraction of the cell covered by valid data of {name}",
                "units": "1",
                "grid_mapping": CRS_NAME,
            },
        )
    return out.assign(fields)


def _spatial_dims(ds: xr.Dataset, grid: Cells) -> tuple[str, str]:
    """Return the names of the dimensions of `ds` that run along `grid`, rows first."""
    dims = str(grid.dims[0]), str(grid.dims[1])
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
    plane = grid.projection if isinstance(grid, Grid) else None
    if plane is not None:
        _require_same_axis(ds, dims[0], plane.y, plane.y_b, plane)
        _require_same_axis(ds, dims[1], plane.x, plane.x_b, plane)
    elif isinstance(grid, Grid) and grid.is_rectilinear:
        _require_same_axis(ds, dims[0], grid.lat, grid.lat_b)
        _require_same_axis(ds, dims[1], grid.lon, grid.lon_b)
    return dims


def _require_same_axis(
    ds: xr.Dataset,
    dim: str,
    centers: np.ndarray,
    edges: np.ndarray,
    plane: Projection | None = None,
) -> None:
    """Refuse a source grid whose axis runs otherwise than the coordinate of the data."""
    if dim not in ds.coords or ds[dim].dtype.kind not in "fiu":
        return
    if plane is None:
        values = ds[dim].values * degrees_per(str(ds[dim].attrs.get("units", "")), dim)
        off = np.abs((values - centers + 180) % 360 - 180)
    else:
        off = np.abs(plane_values(ds[dim], plane.crs) - centers)
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
    says = ("grid_mapping_name", "crs_wkt")
    names |= {str(n) for n, v in ds.variables.items() if any(key in v.attrs for key in says)}
    return [n for n in (*names, CRS_NAME) if n in ds.variables]


def _crs_variable(target: Cells) -> xr.DataArray:
    return xr.DataArray(np.int32(0), attrs=target.grid_mapping)


def _cell_areas(target: Cells, attrs: dict, dtype: np.dtype) -> xr.Variable:
    """Return the areas of the target cells in the unit that the areas of the source have."""
    scale, _ = linear("m2", str(attrs.get("units") or "m2"))
    attrs = {**attrs, "units": attrs.get("units") or "m2", "grid_mapping": CRS_NAME}
    return xr.Variable(target.dims, (target.area * scale).astype(dtype), attrs)


def _cell_methods(old: str, how: str) -> str:
    if how in ("mean", "sum", "mode") and "area:" in old:
        return re.sub(r"\barea: (mean|sum|mode)\b", f"area: {how}", old)
    return f"{old} area: {how}".strip()
