"""Zonal statistics: what a field is, on average and in total, inside polygons."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import xarray as xr

from narcf_geo.budget.blocks import blocks_of, values_of
from narcf_geo.budget.cells import Cells, Overlap
from narcf_geo.budget.kinds import (
    MOST_CLASSES,
    Kind,
    class_columns,
    kind_of,
    missing_of,
    times_m2,
    without_cell,
)
from narcf_geo.budget.steps import Steps, carbon, checked_sign
from narcf_geo.core.errors import FieldError, UsageError
from narcf_geo.core.progress import Progress, silent
from narcf_geo.fields import open_fields
from narcf_geo.fields.axes import with_time
from narcf_geo.fields.door import opened, with_companions
from narcf_geo.fields.formats import Opening
from narcf_geo.fields.reading import named, reading
from narcf_geo.fields.regions import open_regions
from narcf_geo.fields.series import open_series
from narcf_geo.fields.stored import valid_only
from narcf_geo.fields.values import Sign
from narcf_geo.grid import Grid
from narcf_geo.grid.detect import lacks_crs
from narcf_geo.grid.plane import Plane

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

Statistic = Literal["mean", "total", "min", "max", "coverage", "fractions"]
"""What can be asked of the cells of a polygon."""

OF_QUANTITIES: tuple[Statistic, ...] = ("mean", "total", "min", "max", "coverage")
OF_TOTALS: tuple[Statistic, ...] = ("total", "min", "max", "coverage")
OF_CLASSES: tuple[Statistic, ...] = ("coverage", "fractions")
OF_NEITHER: tuple[Statistic, ...] = ("coverage",)

VALUES = (
    "units",
    "mean",
    "min",
    "max",
    "total",
    "total_units",
    "flux_TgC",
    "area_km2",
    "coverage",
)
"""Columns of the table, in order, without labels and fractions."""

Source = xr.DataArray | xr.Dataset | str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def zonal(
    data: Source,
    polygons: gpd.GeoDataFrame | gpd.GeoSeries | str | os.PathLike[str],
    *,
    variables: Iterable[str] | None = None,
    name: str | None = None,
    layer: str | None = None,
    statistics: Iterable[Statistic] | None = None,
    quantity: Literal["mean", "total"] | None = None,
    units: str | None = None,
    sign: Sign | None = None,
    average: float | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Return area-weighted statistics of the cells in each polygon.

    A cell counts by the part of its area, on the sphere, that lies in the polygon.

    Parameters
    ----------
    data : xarray.DataArray, xarray.Dataset, path, pattern or list of paths
        Fields on latitudes and longitudes, or along x and y of a map projection. Axes of any names
        and order, longitudes of any convention. Files are read as by
        `narcf_geo.fields.series.open_series`: several are joined along time, which may be in their
        names.
    polygons : geopandas.GeoDataFrame, geopandas.GeoSeries or path
        See `narcf_geo.fields.regions.open_regions`. They may overlap.
    variables : iterable of str, optional
        Those to take; by default all fields of numbers.
    name : str, optional
        The column that names the polygons.
    layer : str, optional
        The layer of a file of polygons that has several.
    statistics : iterable of {"mean", "total", "min", "max", "coverage", "fractions"}, optional
        By default all but ``fractions`` of quantities, ``coverage`` and ``fractions`` of classes,
        and ``coverage`` alone of directions and of amounts of which it is unclear whether they are
        per area or in each cell.
    quantity : {"mean", "total"}, optional
        What the values are: means over each cell, or totals of each cell, such as its population,
        which have no mean here. By default as attributes and units tell, as for
        `narcf_geo.regrid`. Either makes quantities of whole numbers that no file calls classes.
    units : str, optional
        The unit of the values, where the file states none or a wrong one.
    sign : {"to_atmosphere", "uptake"}, optional
        What positive means in a CO2 flux; by default by its standard name, else to the atmosphere.
    average : float, optional
        Average finer time steps to months of which this share, in (0, 1], is covered.
    progress : callable, optional
        Told how much is done.

    Returns
    -------
    pandas.DataFrame
        A row for each ``variable``, ``region``, and ``month`` where the time steps are months
        (``time`` where they are not, or the label of another dimension), with

        - ``units``: of the values, as the data state it;
        - ``mean``: weighted by the area of the valid parts of cells;
        - ``min``, ``max``: over the valid cells that the polygon touches;
        - ``total``: the sum of value times m2, or of the parts of totals, in ``total_units``;
        - ``flux_TgC``: with ``total``, for a CO2 flux of known time steps, in TgC of the step,
          positive to the atmosphere. Steps are known where they are months, or have time bounds;
        - ``area_km2``: the valid area inside, and ``coverage``: its share of the polygon;
        - ``fraction_5``, with the name of the class where the file has one, and so on: the share of
          class 5 in the mapped area. They sum to 1.

        Where a polygon has no valid cell, its area is 0 and its values are NaN. ``attrs["notes"]``
        says why a flux has no budget, and a field no mean and no total.

    Raises
    ------
    NarcfError
        When the data or the polygons cannot be read; see `open_fields` and `open_regions`.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> field = xr.DataArray([[281.0, 283.0, 290.0], [np.nan, 285.0, 290.0]], name="t2m",
    ...                      dims=("latitude", "longitude"), attrs={"units": "K"},
    ...                      coords={"latitude": [41.5, 40.5], "longitude": [250.5, 251.5, 252.5]})
    >>> park = gpd.GeoSeries({"park": box(-110, 41, -108.5, 42)}, crs="EPSG:4326")
    >>> table = zonal(field, park)
    >>> table[["variable", "region", "units", "mean", "min", "max", "coverage"]].round(3)
      variable region units     mean    min    max  coverage
    0      t2m   park     K  281.667  281.0  283.0       1.0
    """
    import pandas as pd

    wanted = _checked(statistics, quantity)
    checked_sign(sign)
    ds, place, where = _on_cells(data, variables)
    steps = Steps.of(ds, where, average)
    regions = open_regions(polygons, name, layer)
    overlap = Overlap(place, regions)
    sums = [
        _Sums(_stated(array, units), quantity, wanted, len(regions))
        for array in _fields(steps.ds, place, where)
    ]
    with reading(where):
        _add_up(sums, overlap, progress)
    notes: list[str] = []
    tables = [one.table(steps, overlap, sign, notes) for one in sums]
    table = _in_order(pd.concat(tables, ignore_index=True))
    table.attrs["notes"] = list(dict.fromkeys(notes))
    return table


def _on_cells(
    data: Source, variables: Iterable[str] | None
) -> tuple[xr.Dataset, Grid | Plane, str]:
    """Return fields whose last dimensions are those of the cells, where these are, and a name."""
    if isinstance(data, xr.DataArray | xr.Dataset):
        ds, where = opened(data)
    else:
        ds = open_series(data, Opening(chunks="blocks"))
        where = str(ds.encoding.get("source", data))
    if variables is not None:
        names = list(variables)
        if absent := [n for n in names if n not in ds.data_vars]:
            raise UsageError(
                f"{where}: expected the variable {', '.join(absent)}, found "
                f"{', '.join(sorted(map(str, ds.data_vars)))}"
            )
        ds = with_companions(ds, names)
    with named(where):
        plane = Plane.from_dataset(ds)
        if plane is not None:
            return with_time(valid_only(ds)).transpose(..., *plane.dims), plane, where
    if lacks_crs(ds):
        raise FieldError(
            f"{where}: expected a coordinate reference system for x and y, found none; state it, "
            "as with `gdal_edit.py -a_srs EPSG:5070 FILE` or rioxarray's ds.rio.write_crs"
        )
    ds.encoding.setdefault("source", where)
    with named(where):
        ds = open_fields(ds, monthly=False)
        return ds, Grid.from_dataset(ds), where


def _stated(array: xr.DataArray, units: str | None) -> xr.DataArray:
    return array if units is None else array.assign_attrs(units=units)


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its labels first and its class fractions last, by class."""
    fractions = [c for c in table.columns if c.startswith("fraction_")]
    fractions.sort(key=lambda column: int(column.split("_")[1]))
    values = [c for c in VALUES if c in table.columns]
    labels = [c for c in table.columns if c not in (*values, *fractions)]
    return table[labels + values + fractions]


def _checked(
    statistics: Iterable[Statistic] | None, quantity: str | None
) -> tuple[Statistic, ...] | None:
    if quantity not in (None, "mean", "total"):
        raise UsageError(f"expected the quantity 'mean' or 'total', found {quantity!r}")
    if statistics is None:
        return None
    chosen = tuple(statistics)
    known = get_args(Statistic)
    unknown = [str(s) for s in chosen if s not in known]
    if unknown or not chosen:
        found = repr(unknown[0]) if unknown else "none"
        raise UsageError(f"expected statistics among {', '.join(known)}, found {found}")
    return chosen


def _fields(ds: xr.Dataset, place: Grid | Plane, where: str) -> list[xr.DataArray]:
    """Return the fields of numbers on the grid, its dimensions last."""
    found = [
        array.transpose(..., *place.dims)
        for array in ds.data_vars.values()
        if set(place.dims) <= set(array.dims) and array.dtype.kind in "fiub"
    ]
    if not found:
        raise FieldError(
            f"{where}: expected a field of numbers along {' and '.join(place.dims)}, found "
            f"{', '.join(map(str, ds.data_vars)) or 'no variable'}"
        )
    for array in found:
        if not array.size:
            raise FieldError(
                f"{where}: variable {array.name!r}: expected values, found none along "
                f"{next(d for d, n in array.sizes.items() if not n)!r}"
            )
    return found


class _Sums:
    """What is added up of one field: (polygon, n), n over its other dimensions, flat."""

    def __init__(
        self,
        array: xr.DataArray,
        quantity: Literal["mean", "total"] | None,
        wanted: tuple[Statistic, ...] | None,
        regions: int,
    ) -> None:
        self.array = array
        self.kind, self.because = kind_of(array, quantity)
        default: dict[Kind, tuple[Statistic, ...]] = {
            "classes": OF_CLASSES,
            "total": OF_TOTALS,
            "mean": OF_QUANTITIES,
            "neither": OF_NEITHER,
        }
        self.chosen = wanted or default[self.kind]
        if self.kind == "neither" and {"mean", "total"} & set(self.chosen):
            raise UsageError(f"{array.name!r}: no mean and no total, since {self.because}")
        if self.kind == "total" and {"mean", "fractions"} & set(self.chosen):
            raise UsageError(
                f"{array.name!r}: expected statistics among {', '.join(OF_TOTALS)} for totals of "
                f"cells, found {', '.join(self.chosen)}"
            )
        self.missing = missing_of(array, self.kind)
        count = int(np.prod([array.sizes[d] for d in array.dims[:-2]], dtype=int))
        self.area, self.total = np.zeros((2, regions, count))
        self.least, self.greatest = np.full((2, regions, count), np.nan)
        self.classes: dict[float, np.ndarray] = {}

    def add(self, rows: slice, values: np.ndarray, cells: Cells) -> None:
        """Add values (cell, n) of the cells of a block at the labels `rows`."""
        from narcf_geo.kernels.zonal import summed

        for value in self.missing:
            values[values == value] = np.nan
        found = summed(cells.area, cells.share if self.kind == "total" else cells.area, values)
        self.area[:, rows] += found.area
        self.total[:, rows] += found.total
        self.least[:, rows] = np.fmin(self.least[:, rows], found.least)
        self.greatest[:, rows] = np.fmax(self.greatest[:, rows], found.greatest)
        if "fractions" in self.chosen:
            for number, part in cells.class_areas(values):
                areas = self.classes.setdefault(number, np.zeros_like(self.area))
                areas[:, rows] += part
                if len(self.classes) > MOST_CLASSES or number != int(number):
                    class_columns(self.array, list(self.classes))

    def table(
        self, steps: Steps, overlap: Overlap, sign: Sign | None, notes: list[str]
    ) -> pd.DataFrame:
        """Return the rows: each region, and in it each label of the other dimensions."""
        known = np.where(self.area > 0, self.area, np.nan)
        total = np.where(self.area > 0, self.total, np.nan)
        columns: dict[str, Any] = {
            "mean": total / known,
            "min": self.least,
            "max": self.greatest,
        }
        columns = {key: value for key, value in columns.items() if key in self.chosen}
        units = str(self.array.attrs.get("units", "")).strip() or None
        if "total" in self.chosen:
            per_m2 = without_cell if self.kind == "total" else times_m2
            columns |= {"total": total, "total_units": units and per_m2(units)}
            to_carbon, why = carbon(self.array, steps, sign, of_cells=self.kind == "total")
            if to_carbon is not None:
                columns["flux_TgC"] = total * to_carbon
            elif why:
                notes.append(f"{self.array.name}: no budget in TgC, since {why}")
        if self.kind == "neither":
            notes.append(f"{self.array.name}: no mean and no total, since {self.because}")
        if "coverage" in self.chosen:
            share = np.minimum(self.area / overlap.region_area[:, None], 1.0)
            columns |= {"area_km2": self.area / 1e6, "coverage": share}
        classes = sorted(self.classes)
        named = class_columns(self.array, classes) if classes else []
        columns |= {n: self.classes[c] / known for n, c in zip(named, classes, strict=True)}
        return _rows(self.array, steps, overlap.regions.index, {"units": units, **columns})


def _rows(
    array: xr.DataArray, steps: Steps, names: pd.Index, columns: dict[str, Any]
) -> pd.DataFrame:
    """Return columns (region, n), or of one value, as a table with the labels of the rows."""
    import pandas as pd

    others = [str(d) for d in array.dims[:-2]]
    stamps = steps.labels() if "time" in array.coords else None
    labels = [
        stamps
        if d == "time" and stamps is not None
        else (array[d].values if d in array.coords else np.arange(array.sizes[d]))
        for d in others
    ]
    index = pd.MultiIndex.from_product([names, *labels]).to_frame(index=False)
    index.columns = ["region", *(steps.label if d == "time" else d for d in others)]
    if stamps is not None and "time" not in others:
        index[steps.label] = stamps[0]
    if twice := sorted(set(index.columns[1:]) & {"region", "variable", *columns}):
        raise FieldError(
            f"{array.name!r}: expected dimensions of other names than the columns of the table, "
            f"found {twice[0]!r}; rename it"
        )
    index.insert(0, "variable", str(array.name))
    flat = {k: v.ravel() if isinstance(v, np.ndarray) else v for k, v in columns.items()}
    return index.assign(**flat)


def _add_up(sums: list[_Sums], overlap: Overlap, progress: Progress) -> None:
    """Go through the cells block by block, and in each through time, reading each chunk once."""
    blocks = list(blocks_of(overlap.window, sums[0].array))
    total = len(blocks) * sum(one.area.shape[1] for one in sums)
    done = 0
    for block in blocks:
        progress(done, total, "cells in polygons")
        cells = overlap.cells(block)
        for one in sums:
            for rows, values in values_of(one.array, block, cells.number):
                if cells.number.size:
                    one.add(rows, values, cells)
                done += rows.stop - rows.start
                progress(done, total, str(one.array.name))
