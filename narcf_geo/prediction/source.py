"""Predictors where they lie: Zarr stores and NetCDF files, read a piece at a time.

Files along time are one axis without a copy and without a graph: a reader knows which file has
which months, and opens those that a piece needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.core.addresses import shown
from narcf_geo.core.errors import GridMismatchError, NarcfError, UnitError
from narcf_geo.core.months import with_month_axis
from narcf_geo.core.units import linear
from narcf_geo.fields.stored import valid_only
from narcf_geo.grid.sphere import places_differ
from narcf_geo.prediction.parts import Part, open_part, parts_of, stamps

Slices = tuple[slice, slice, slice]
"""Along time, lat and lon."""


class Place(NamedTuple):
    """Where months of a variable are: the numbers of a part, of its first month and of the month
    after its last; of a variable without time, in no month, both are None. And its unit there.
    """

    part: int
    start: int | None
    stop: int | None
    units: str = ""


@dataclass(frozen=True)
class Source:
    """A cube in one or more parts, each a Zarr store or a NetCDF file.

    Attributes
    ----------
    parts : tuple of Part
        Paths or URLs, each with its version.
    months : tuple of str
        The time axis, YYYY-MM.
    places : dict
        For each variable its parts in order of time.
    """

    parts: tuple[Part, ...]
    months: tuple[str, ...]
    places: dict[str, list[Place]]

    @classmethod
    def open(cls, location: str | os.PathLike[str]) -> Source:
        """Open a path, a URL or a pattern such as ``cube/*.nc``.

        Raises
        ------
        UsageError
            When there is nothing there.
        NarcfError
            When it cannot be read, a part has another grid, or months of another between its own.
        """
        parts = parts_of(os.fspath(location))
        looked = [_look(part, parts[0]) for part in parts]
        whole = sorted({month for axis, _ in looked for month in axis})
        if not whole:
            raise NarcfError(f"{shown(str(location))}: expected a dimension 'time', found none")
        first = {month: number for number, month in enumerate(whole)}
        places: dict[str, list[Place]] = {}
        for number, (part, (axis, variables)) in enumerate(zip(parts, looked, strict=True)):
            months = slice(first[axis[0]], first[axis[0]] + len(axis)) if axis else slice(0)
            if axis != whole[months]:
                raise NarcfError(
                    f"{shown(part.location)}: expected months in a row, found {axis[0]} to "
                    f"{axis[-1]} with other months between them in other files"
                )
            for name, (moves, units) in variables.items():
                at = months if moves else slice(None)
                places.setdefault(name, []).append(Place(number, at.start, at.stop, units))
        in_order = {n: sorted(at, key=lambda place: place.start or 0) for n, at in places.items()}
        return cls(tuple(parts), tuple(whole), in_order)

    def to_json(self) -> dict[str, Any]:
        """Return the index as plain values."""
        return {"parts": self.parts, "months": self.months, "places": self.places}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Source:
        """Read what `to_json` returned."""
        places = {name: [Place(*p) for p in at] for name, at in content["places"].items()}
        return cls(tuple(Part(*p) for p in content["parts"]), tuple(content["months"]), places)

    def frame(self) -> xr.Dataset:
        """Return the axes, and the variables without time, lazily."""
        ds = open_part(self.parts[0])
        names = [name for name, at in self.places.items() if at[0].start is None]
        arrays = {name: open_part(self.parts[self.places[name][0].part])[name] for name in names}
        kept = {n: ds[n] for n in ("lat", "lon", "lat_bnds", "lon_bnds") if n in ds.variables}
        frame = xr.Dataset(arrays).assign_coords(kept)
        frame.attrs = dict(ds.attrs)
        return with_month_axis(frame, pd.DatetimeIndex(self.months))

    def require(self, names: Iterable[str]) -> None:
        """Refuse variables of which a month is absent or twice there, or whose units do not fit.

        Raises
        ------
        NarcfError
            When a month is absent, or stands in two parts.
        UnitError
            When the unit of a part does not convert to that of the first.
        """
        for name in names:
            covered, before = 0, -1
            for number, start, stop, units in self.places.get(name, []):
                self._convert(name, number, units)
                if start is None or stop is None:
                    covered = len(self.months)
                elif start < covered:
                    raise NarcfError(
                        f"variable {name!r}: {self.months[start]} is in {self._name(before)} and "
                        f"in {self._name(number)}; leave one out"
                    )
                elif start == covered:
                    covered, before = stop, number
            if name in self.places and covered < len(self.months):
                raise NarcfError(
                    f"variable {name!r}: expected every month from {self.months[0]} to "
                    f"{self.months[-1]}, found none for {self.months[covered]}; add the file that "
                    "has it"
                )

    def _name(self, number: int) -> str:
        return self.parts[number].location

    def read(self, names: Iterable[str], at: Slices) -> xr.Dataset:
        """Read a piece of the variables `names`, those that are there.

        Raises
        ------
        NarcfError
            When a part cannot be read.
        """
        frame = self.frame().isel(dict(zip(("time", "lat", "lon"), at, strict=True)))
        arrays = {n: self._array(n, at) for n in dict.fromkeys(names) if n in self.places}
        return frame.drop_vars(list(frame.data_vars)).assign(arrays)

    def _array(self, name: str, at: Slices) -> xr.Variable:
        space = dict(zip(("lat", "lon"), at[1:], strict=True))
        pieces = []
        for place, within in self._touched(name, at[0]):
            part = self.parts[place.part]
            array = open_part(part)[name].variable
            try:
                piece = array[
                    {d: s for d, s in {**space, "time": within}.items() if d in array.dims}
                ]
                pieces.append(piece.transpose(..., "lat", "lon").load())
            except NarcfError:
                raise
            except Exception as error:
                raise NarcfError(
                    f"{shown(part.location)}: variable {name!r}, {self.months[at[0].start]} to "
                    f"{self.months[at[0].stop - 1]}: reading failed ({type(error).__name__}: "
                    f"{error}); the file may be damaged: fetch or make it again"
                ) from None
            pieces[-1] = self._in_one_unit(name, place, pieces[-1])
        whole = pieces[0] if len(pieces) == 1 else xr.Variable.concat(pieces, "time")
        if np.issubdtype(whole.dtype, np.floating):
            whole = whole.astype(np.float32, copy=False)
        return whole

    def _in_one_unit(self, name: str, place: Place, piece: xr.Variable) -> xr.Variable:
        """Return what was read with NaN for what is invalid, in the unit of the first part."""
        if any(key.startswith("valid_") for key in map(str, piece.attrs)):
            piece = valid_only(xr.Dataset({name: piece}))[name].variable
        if place.units == self.places[name][0].units:
            return piece
        scale, offset = self._convert(name, place.part, place.units)
        converted = piece.astype("float64") * scale + offset
        converted.attrs = {**piece.attrs, "units": self.places[name][0].units}
        return converted

    def _convert(self, name: str, number: int, units: str) -> tuple[float, float]:
        """Return scale and offset to the unit of the first part of a variable."""
        first = self.places[name][0]
        if units == first.units:
            return 1.0, 0.0
        try:
            return linear(units, first.units)
        except NarcfError as error:
            raise UnitError(
                f"{self._name(number)}: variable {name!r}: expected a unit that converts to "
                f"{first.units!r}, as in {self._name(first.part)}, found {units!r} ({error})"
            ) from None

    def _touched(self, name: str, months: slice) -> Iterator[tuple[Place, slice]]:
        """Yield where a variable has some of `months`, in order, and which of them."""
        at = months.start
        for place in self.places[name]:
            if place.start is None or place.stop is None:
                yield place, slice(None)
                return
            stop = min(months.stop, place.stop)
            if place.start <= at < stop:
                yield place, slice(at - place.start, stop - place.start)
                at = stop

    def chunk_shapes(self, names: Iterable[str]) -> list[tuple[int, int, int]]:
        """Return the shape in which each variable with a time axis is stored: (time, lat, lon)."""
        shapes = []
        for name in names:
            place = self.places[name][0]
            if place.start is None:
                continue
            array = open_part(self.parts[place.part])[name]
            stored = array.encoding.get("shards") or array.encoding.get("chunks")
            stored = stored or array.encoding.get("chunksizes") or (1,) * array.ndim
            by_dim = dict(zip(array.dims, stored, strict=True))
            shapes.append((by_dim["time"], by_dim["lat"], by_dim["lon"]))
        return shapes

    def stamps(self, names: Iterable[str], at: Slices) -> Iterator[tuple]:
        """Yield size and time of every file that `read` would touch.

        Of a remote store only the description of its arrays is looked at.
        """
        space = dict(zip(("lat", "lon"), at[1:], strict=True))
        for name in names:
            for place, within in self._touched(name, at[0]) if name in self.places else ():
                yield name, *stamps(self.parts[place.part], name, {**space, "time": within})


def _look(part: Part, first: Part) -> tuple[list[str], dict[str, tuple[bool, str]]]:
    """Return the months of a part, none where it has no time, and of each variable whether it has
    time, and its unit.

    Raises
    ------
    NarcfError
        When its axes are not those of the first part.
    """
    ds, expected = open_part(part), open_part(first)
    for name in ("lat", "lon"):
        if places_differ(ds[name].values, expected[name].values):
            raise GridMismatchError(
                f"{shown(part.location)}: expected the {name} of {shown(first.location)} "
                f"({_axis(expected[name])}), found {_axis(ds[name])}; bring both to one grid with "
                "`narcf-geo regrid`"
            )
    months = [str(month)[:7] for month in ds["time"].values] if "time" in ds.dims else []
    variables = {
        str(name): ("time" in array.dims, str(array.attrs.get("units", "")))
        for name, array in ds.data_vars.items()
    }
    return months, variables


def _axis(axis: xr.DataArray) -> str:
    values = axis.values
    return f"{values[0]:g} to {values[-1]:g}, {values.size} cells"
