"""Grid description files as CDO writes and reads them (``cdo griddes``)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import UsageError
from narcf_geo.core.ordinary import require_ordinary
from narcf_geo.core.sizes import require_room
from narcf_geo.grid.build import require_cells
from narcf_geo.grid.grid import Grid

MOST_BYTES = 512 * 2**20
"""Of a description file; CDO writes the corners of a million cells in about 150 MB."""

TYPES = ("lonlat", "latlon", "gaussian", "curvilinear", "projection")
PLACES = {"xfirst", "xinc", "yfirst", "yinc", "xvals", "yvals", "xbounds", "ybounds"}
SIZES = {"gridsize", "xsize", "ysize", "nvertex", "numlpe", "np"}
TEXTS = {"gridtype", "xunits", "yunits", "grid_mapping"}
SPOKEN = {
    *("xname", "yname", "xlongname", "ylongname", "xstdname", "ystdname", "xdimname", "ydimname"),
    *("vdimname", "prec", "datatype", "scanningmode", "uvrelativetogrid"),
}
"""Entries that say nothing of where the cells are."""

KNOWN = PLACES | SIZES | TEXTS | SPOKEN

_ENTRY = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(.*)")
_COMMENT = re.compile(r"""((?:"[^"]*"|'[^']*'|[^#"'])*)(?:#.*)?""")

Entries = dict[str, Any]


def is_description(path: Path) -> bool:
    """Return whether a file is a text with an entry ``gridtype``."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(4096)
    return b"\0" not in head and re.search(rb"(?im)^\s*gridtype\s*=", head) is not None


def described_grid(path: Path) -> Grid:
    """Return the grid that a description file of CDO describes.

    Parameters
    ----------
    path : pathlib.Path
        Of type ``lonlat``, ``gaussian``, ``curvilinear`` or ``projection``, with even axes
        (``xfirst``, ``xinc``), values (``xvals``) and bounds (``xbounds``). Of the two descriptions
        that ``cdo griddes`` writes for a projected grid the projection is taken.

    Returns
    -------
    Grid
        In the order of the description.

    Raises
    ------
    UsageError
        For entries that are not known or contradict each other, and for types of grids without
        rows and columns.
    NarcfError
        When the cells are no grid; see `Grid.from_dataset`.
    """
    require_ordinary(path, UsageError)
    if path.stat().st_size > MOST_BYTES:
        raise UsageError(f"{path}: expected a grid description, found {path.stat().st_size} bytes")
    found = _parsed(path)
    kinds = [str(entries["gridtype"]) for entries in found]
    if len(found) == 2 and kinds == ["curvilinear", "projection"]:
        found = found[1:]
    if len(found) != 1:
        raise UsageError(
            f"{path}: expected one grid, found {len(found)} ({', '.join(kinds)}); keep the one to "
            "regrid to"
        )
    entries = found[0]
    kind = str(entries["gridtype"])
    if kind not in TYPES:
        raise UsageError(
            f"{path}: expected a gridtype among {', '.join(TYPES)}, found {kind!r}; give a file "
            "with the cells instead"
        )
    _require_known(path, entries)
    columns, rows = (entries.get(f"{axis}size", 0) for axis in "xy")
    require_cells(columns, rows, str(path))
    require_room(16 * max(columns, rows), f"{path}: an axis of {max(columns, rows):,}", UsageError)
    return Grid.from_dataset(_dataset(path, entries))


def _parsed(path: Path) -> list[Entries]:
    """Return the entries of each grid in a file, texts and lists of numbers."""
    grids: list[dict[str, list[str]]] = []
    parts: list[str] | None = None
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        where = f"{path}, line {number}"
        plain = _without_comment(line, where)
        entry = _ENTRY.fullmatch(plain)
        if entry:
            key = entry[1].lower() if entry[1].lower() in KNOWN else entry[1]
            if key == "gridtype" or not grids:
                grids.append({})
            if key in grids[-1]:
                raise UsageError(f"{where}: expected {key!r} once, found it again")
            parts = grids[-1][key] = [entry[2]]
        elif plain.strip() and parts is None:
            raise UsageError(f"{where}: expected `key = value`, found {plain.strip()[:60]!r}")
        elif plain.strip() and parts is not None:
            parts.append(plain.strip())
    for grid in grids:
        if "gridtype" not in grid:
            raise UsageError(f"{path}: expected the entry gridtype first, found {sorted(grid)}")
    return [{k: _value(path, k, " ".join(text)) for k, text in grid.items()} for grid in grids]


def _without_comment(line: str, where: str) -> str:
    if not {"#", '"', "'"} & set(line):
        return line
    found = _COMMENT.fullmatch(line)
    if found is None:
        raise UsageError(f"{where}: expected the quotes of a text to close, found {line[:60]!r}")
    return found[1].rstrip()


def _value(path: Path, key: str, text: str) -> Any:
    """Return a text without its quotes, a list of numbers, or one whole number."""
    text = text.strip()
    quoted = re.fullmatch(r"""(["'])(.*)\1""", text)
    if quoted:
        return quoted[2]
    if key in TEXTS | SPOKEN:
        return text
    try:
        numbers = np.array(text.replace(",", " ").split(), "float64")
    except ValueError:
        numbers = np.array([np.nan])
    if key in SIZES:
        if numbers.size != 1 or not (numbers >= 0).all() or numbers[0] % 1:
            raise UsageError(f"{path}: expected a whole number for {key!r}, found {text[:60]!r}")
        return int(numbers[0])
    if key in PLACES:
        if not numbers.size or not np.isfinite(numbers).all():
            raise UsageError(f"{path}: expected numbers for {key!r}, found {text[:60]!r}")
        return numbers
    if numbers.size and np.isfinite(numbers).all():
        return numbers.tolist() if numbers.size > 1 else float(numbers[0])
    return text


def _require_known(path: Path, entries: Entries) -> None:
    others = sorted(set(entries) - KNOWN)
    if others and str(entries["gridtype"]) != "projection":
        hint = (
            "; describe a rotated grid with gridtype = projection and grid_mapping_name = "
            "rotated_latitude_longitude"
            if {"xnpole", "ynpole"} & set(others)
            else ""
        )
        raise UsageError(
            f"{path}: expected entries among {', '.join(sorted(KNOWN))}, found {', '.join(others)}"
            f"{hint}"
        )
    unplaced = {"mask", "area", "rowlon", "reducedpoints"} & {k.lower() for k in others}
    if unplaced:
        raise UsageError(f"{path}: expected no entry {', '.join(sorted(unplaced))} in a projection")
    if others and not {"grid_mapping_name", "crs_wkt", "spatial_ref"} & set(others):
        raise UsageError(
            f"{path}: expected grid_mapping_name or crs_wkt for gridtype = projection, found "
            f"{', '.join(others)}"
        )


def _dataset(path: Path, entries: Entries) -> xr.Dataset:
    """Return the positions as a dataset, for `Grid.from_dataset` to read."""
    kind = str(entries["gridtype"])
    if kind == "curvilinear":
        return _two_dimensional(path, entries)
    ds = xr.Dataset()
    names = ("x", "y") if kind == "projection" else ("lon", "lat")
    for axis, name in zip("xy", names, strict=True):
        values = _axis(path, entries, axis, kind)
        attrs = {"units": str(entries.get(f"{axis}units", _units(axis, kind)))}
        if kind == "projection":
            attrs["axis"] = axis.upper()
        else:
            attrs["standard_name"] = {"x": "longitude", "y": "latitude"}[axis]
        bounds = _bounds(path, entries, axis, values)
        if bounds is not None:
            attrs["bounds"] = f"{name}_bounds"
            ds[f"{name}_bounds"] = ((name, "two"), bounds)
        ds = ds.assign_coords({name: (name, values, attrs)})
    cells = ds.sizes[names[0]] * ds.sizes[names[1]]
    _require_size(path, entries, "gridsize", cells)
    half = entries.get("numlpe") or entries.get("np")
    if half and kind == "gaussian" and 2 * half != ds.sizes["lat"]:
        raise UsageError(
            f"{path}: expected {2 * half} latitudes for {half} between pole and equator, found "
            f"{ds.sizes['lat']}"
        )
    if kind == "projection":
        ds["crs"] = ((), 0, {k: v for k, v in entries.items() if k not in KNOWN})
    return ds


def _units(axis: str, kind: str) -> str:
    if kind == "projection":
        return ""
    return {"x": "degrees_east", "y": "degrees_north"}[axis]


def _axis(path: Path, entries: Entries, axis: str, kind: str) -> np.ndarray:
    size = entries.get(f"{axis}size")
    first, step, values = (entries.get(f"{axis}{part}") for part in ("first", "inc", "vals"))
    if values is not None and (first is not None or step is not None):
        raise UsageError(f"{path}: expected {axis}vals or {axis}first, {axis}inc, found both")
    if values is not None:
        _require_size(path, entries, f"{axis}size", values.size)
        return values
    if size is None or size < 1:
        raise UsageError(f"{path}: expected {axis}vals, or {axis}size and {axis}first, found none")
    if kind == "gaussian" and first is None and step is None:
        from narcf_geo.grid.sphere import gaussian_latitudes

        return np.arange(size) * 360 / size if axis == "x" else gaussian_latitudes(size)
    numbers = [np.atleast_1d(v) for v in (first, step) if v is not None]
    if len(numbers) < 2 or any(v.size != 1 for v in numbers) or not numbers[1][0]:
        raise UsageError(
            f"{path}: expected one number for {axis}first and one other than 0 for {axis}inc, "
            f"found {first} and {step}"
        )
    return numbers[0][0] + numbers[1][0] * np.arange(size)


def _bounds(path: Path, entries: Entries, axis: str, values: np.ndarray) -> np.ndarray | None:
    given, step = entries.get(f"{axis}bounds"), entries.get(f"{axis}inc")
    if given is not None:
        if given.size != 2 * values.size:
            raise UsageError(
                f"{path}: expected {2 * values.size} numbers for {axis}bounds, two for each of "
                f"{values.size} cells, found {given.size}"
            )
        return given.reshape(-1, 2)
    if values.size == 1 and step is not None:
        return np.array([[values[0] - step[0] / 2, values[0] + step[0] / 2]])
    return None


def _two_dimensional(path: Path, entries: Entries) -> xr.Dataset:
    shape = entries.get("ysize"), entries.get("xsize")
    if None in shape or not {"xvals", "yvals"} <= set(entries):
        raise UsageError(
            f"{path}: expected xsize, ysize, xvals and yvals of a curvilinear grid, found "
            f"{', '.join(sorted(entries))}"
        )
    rows, columns = (int(n) for n in shape if n is not None)
    _require_size(path, entries, "gridsize", rows * columns)
    ds = xr.Dataset({"cells": (("y", "x"), np.zeros((rows, columns)))})
    for axis, name, standard in (("x", "lon", "longitude"), ("y", "lat", "latitude")):
        values, bounds = entries[f"{axis}vals"], entries.get(f"{axis}bounds")
        units = str(entries.get(f"{axis}units", _units(axis, "curvilinear")))
        attrs = {"standard_name": standard, "units": units}
        if values.size != rows * columns or (
            bounds is not None and bounds.size != 4 * rows * columns
        ):
            raise UsageError(
                f"{path}: expected {rows * columns} {axis}vals, and four {axis}bounds for each or "
                f"none, found {values.size} and {0 if bounds is None else bounds.size}"
            )
        if bounds is not None:
            attrs["bounds"] = f"{name}_bounds"
            ds[f"{name}_bounds"] = (("y", "x", "nv"), bounds.reshape(rows, columns, 4))
        ds = ds.assign_coords({name: (("y", "x"), values.reshape(rows, columns), attrs)})
    return ds


def _require_size(path: Path, entries: Entries, key: str, found: int) -> None:
    if key in entries and entries[key] != found:
        raise UsageError(f"{path}: expected {key} {entries[key]}, found values for {found}")
