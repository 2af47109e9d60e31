"""Every variable of a dataset accounted for: on which grid it lies, or why it is not regridded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import xarray as xr

from narcf_geo.core.errors import FieldError, NarcfError, UsageError
from narcf_geo.grid import Cells, cells_of
from narcf_geo.grid.detect import geographic, plane_dims
from narcf_geo.grid.layouts import geometry_names
from narcf_geo.regridding.regridder import regridded_names


@dataclass(frozen=True)
class OnGrid:
    """The fields of a dataset that lie on one grid.

    Attributes
    ----------
    source : Grid or Mesh
    names : tuple of str
        The fields.
    ds : xarray.Dataset
        The fields, with their coordinates.
    """

    source: Cells
    names: tuple[str, ...]
    ds: xr.Dataset


@dataclass(frozen=True)
class Sorted:
    """The variables of a dataset, each in one place.

    Attributes
    ----------
    groups : list of OnGrid
        Those to regrid, by grid.
    copied : list of str
        Those without dimensions of a plane.
    replaced : list of str
        Positions, bounds and mappings of the grids, for which the target has its own.
    dropped : dict
        For all others, the reason.
    plane : set of str
        The dimensions of all grids.
    """

    groups: list[OnGrid] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    plane: set[str] = field(default_factory=set)


def sort_variables(ds: xr.Dataset, wanted: Iterable[str] | None, where: str) -> Sorted:
    """Sort the variables of a dataset into those to regrid, to copy, and to leave out.

    Parameters
    ----------
    ds : xarray.Dataset
        Of a file; nothing but coordinates is read.
    wanted : iterable of str, optional
        The fields to regrid; by default all.
    where : str
        The file, for an error.

    Raises
    ------
    UsageError
        When a field that is `wanted` is not there.
    NarcfError
        When there is no field on any grid, or a field that is `wanted` cannot be regridded.
    """
    chosen = None if wanted is None else list(wanted)
    _require_there(ds, chosen, where)
    found = Sorted()
    numeric = {str(n) for n, v in ds.data_vars.items() if v.dtype.kind in "fiub"}
    geometry = geometry_names(ds)
    left = [str(n) for n, v in ds.data_vars.items() if v.ndim and n not in geometry]
    problem: NarcfError | None = None
    for number, (source, part) in enumerate(_grids(ds, left)):
        if isinstance(source, NarcfError):
            problem = problem or source if number else source
            continue
        dims = source.dims
        names = [n for n in regridded_names(part, dims) if n in left]
        left = [n for n in left if n not in names]
        found.plane.update(map(str, dims))
        found.plane.update(plane_dims(part[names]) & {str(d) for n in names for d in part[n].dims})
        text = [n for n in names if n not in numeric]
        found.dropped.update(dict.fromkeys(text, "text has no mean over a cell"))
        fields = [n for n in names if n in numeric and (chosen is None or n in chosen)]
        others = [n for n in names if n in numeric and n not in fields]
        found.dropped.update(dict.fromkeys(others, "not among those asked for"))
        _require_values(part, fields, where)
        if fields:
            found.groups.append(OnGrid(source, tuple(fields), part[fields]))
    _sort_others(ds, found)
    refused = [n for n in chosen or () if n not in {f for g in found.groups for f in g.names}]
    if refused:
        reasons = "; ".join(f"{n!r}: {_reason(n, found)}" for n in refused)
        if problem is None or found.groups or found.dropped:
            raise UsageError(f"{where}: expected fields to regrid, found {reasons}")
        raise problem
    if not found.groups:
        raise problem or NarcfError(
            f"{where}: expected at least one field of numbers on a grid, found "
            f"{ {str(n): v.dims for n, v in ds.data_vars.items()} }"
        )
    return found


def _require_values(ds: xr.Dataset, names: Iterable[str], where: str) -> None:
    for name in names:
        if empty := [str(d) for d, n in ds[name].sizes.items() if not n]:
            raise FieldError(
                f"{where}: variable {name!r}: expected values, found none along {empty[0]!r}"
            )


def _require_there(ds: xr.Dataset, chosen: list[str] | None, where: str) -> None:
    if missing := sorted(set(chosen or ()) - set(map(str, ds.data_vars))):
        raise UsageError(
            f"expected variables among {sorted(map(str, ds.data_vars))} of {where}, found {missing}"
        )


def _grids(ds: xr.Dataset, left: list[str]) -> Iterator[tuple[Cells | NarcfError, xr.Dataset]]:
    """Yield the grid of the dataset, then those of the fields that are not on it.

    With each comes the part of the dataset that is on it, or may be.
    """
    seen: list[tuple[frozenset[str], tuple[str, ...]]] = []
    try:
        source = cells_of(ds)
    except NarcfError as error:
        yield error, ds
    else:
        names = regridded_names(ds, source.dims)
        if names:
            yield source, ds
    for name in list(left):
        part = _around(ds, name)
        dims = frozenset(map(str, ds[name].dims))
        described = tuple(sorted(str(n) for n in part.variables if n != name))
        if part[name].ndim < 2 and not _may_be_cells(part, name):
            continue
        if (dims, described) in seen:
            continue
        seen.append((dims, described))
        try:
            source = cells_of(part)
        except NarcfError as error:
            yield error, part
            continue
        alike = [n for n in ds.data_vars if set(source.dims) <= set(ds[n].dims)]
        beside = {n: ds[n].variable for n in alike if n not in part.variables}
        yield source, part.assign(beside)


def _may_be_cells(part: xr.Dataset, name: str) -> bool:
    """Tell whether a variable along one dimension has a latitude and a longitude for each entry."""
    found = [geographic(part, kind) for kind in ("latitude", "longitude")]
    return all(axis is not None and axis.dims == part[name].dims for axis in found)


def _around(ds: xr.Dataset, name: str) -> xr.Dataset:
    """Return a variable with what may describe its grid: all that has no other dimensions."""
    dims = set(ds[name].dims)
    described = {n for n, v in ds.variables.items() if v.ndim == 0}
    for key, v in ds.variables.items():
        places = (v.attrs, v.encoding)
        inside = key != name and set(v.dims) <= dims
        if inside and (key in ds.coords or _is_position(v) or key in _named(ds[name])):
            described.add(key)
            described |= {p[k] for p in places for k in ("bounds",) if k in p} & set(ds.variables)
    return ds[[name, *(n for n in ds.variables if n in described and n != name)]]


def _named(array: xr.DataArray) -> set[str]:
    texts = (place.get("coordinates", "") for place in (array.attrs, array.encoding))
    return {word for text in texts for word in str(text).split()}


def _is_position(variable: xr.Variable) -> bool:
    units = str(variable.attrs.get("units", "")).lower()
    named = variable.attrs.get("standard_name") in ("latitude", "longitude")
    return named or units.startswith(("degrees_n", "degrees_e", "degree_n", "degree_e"))


def _sort_others(ds: xr.Dataset, found: Sorted) -> None:
    """Say of each variable that is not regridded what becomes of it."""
    fields = {n for group in found.groups for n in group.names}
    plane, geometry = found.plane, geometry_names(ds)
    mappings, bounds = _described_by(ds, ("grid_mapping",)), _described_by(ds, ("bounds",))
    for key, v in ds.variables.items():
        name = str(key)
        if name in fields or name in found.dropped:
            continue
        on_plane = plane & set(map(str, v.dims))
        mapping = name in mappings or any(k in v.attrs for k in ("grid_mapping_name", "crs_wkt"))
        if (
            mapping
            or (on_plane and (key in ds.coords or _is_position(v) or name in bounds))
            or name in geometry
        ):
            found.replaced.append(name)
        elif name.endswith("_valid_fraction") and on_plane:
            found.dropped[name] = "an older valid fraction, computed anew"
        elif on_plane:
            along = ", ".join(sorted(on_plane))
            found.dropped[name] = f"along {along} without the other dimension of a grid"
        elif v.ndim >= 2 and _has_positions(ds, v):
            found.dropped[name] = "no grid was found for it"
        else:
            found.copied.append(name)


def _has_positions(ds: xr.Dataset, variable: xr.Variable) -> bool:
    """Tell whether a variable lies along latitudes or longitudes that are none of the grids'."""
    return any(
        _is_position(v) and v.ndim and set(v.dims) <= set(variable.dims) and v is not variable
        for v in ds.variables.values()
    )


def _described_by(ds: xr.Dataset, keys: tuple[str, ...]) -> set[str]:
    places = [place for v in ds.variables.values() for place in (v.attrs, v.encoding)]
    words = (word for p in places for k in keys if k in p for word in str(p[k]).split())
    return {word.rstrip(":") for word in words}


def _reason(name: str, found: Sorted) -> str:
    if name in found.copied:
        return "it has no dimensions of a grid"
    return found.dropped.get(name, "it describes the grid")
