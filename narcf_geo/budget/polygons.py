"""Zonal statistics: what a field is, on average and in total, inside polygons."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import xarray as xr

from narcf_geo.budget.totals import TGC_PER_UMOL
from narcf_geo.core.constants import FLUX_UNITS, SECONDS_PER_DAY
from narcf_geo.core.errors import FieldError, NarcfError, UsageError
from narcf_geo.core.months import days_in_month
from narcf_geo.core.units import linear
from narcf_geo.fields import open_fields
from narcf_geo.fields.door import SPREADS
from narcf_geo.fields.meaning import MOST_CLASSES, meaning_of, nodata_classes, stored_dtype
from narcf_geo.fields.regions import open_regions, region_areas, region_shares
from narcf_geo.fields.values import sign_of
from narcf_geo.grid import Grid

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import scipy.sparse as sp

Statistic = Literal["mean", "total", "min", "max", "coverage", "fractions"]
"""What can be asked of the cells of a polygon."""

OF_QUANTITIES: tuple[Statistic, ...] = ("mean", "total", "min", "max", "coverage")
OF_CLASSES: tuple[Statistic, ...] = ("coverage", "fractions")

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

_BLOCK = 2**23
"""Values of cells that are worked on at once (64 MB)."""


def zonal(
    data: xr.DataArray | xr.Dataset | str | os.PathLike[str],
    polygons: gpd.GeoDataFrame | gpd.GeoSeries | str | os.PathLike[str],
    *,
    name: str | None = None,
    statistics: Iterable[Statistic] | None = None,
) -> pd.DataFrame:
    """Return area-weighted statistics of the cells in each polygon.

    A cell counts by the part of its area, on the sphere, that lies in the polygon.

    Parameters
    ----------
    data : xarray.DataArray, xarray.Dataset or path
        Fields along latitude and longitude, and time where they have any: months, or a refusal.
        Axes of any names and order, longitudes of any convention. A field with ``flag_values``, or
        of integers without a unit, is one of classes.
    polygons : geopandas.GeoDataFrame, geopandas.GeoSeries or path
        See `narcf_geo.fields.regions.open_regions`. They may overlap.
    name : str, optional
        The column that names the polygons.
    statistics : iterable of {"mean", "total", "min", "max", "coverage", "fractions"}, optional
        By default all but ``fractions`` of quantities, and ``coverage`` and ``fractions`` of
        classes.

    Returns
    -------
    pandas.DataFrame
        A row for each ``variable``, ``region``, and ``month`` (or label of another dimension) where
        there is one, with

        - ``units``: of the values, as the data state it;
        - ``mean``: weighted by the area of the valid parts of cells;
        - ``min``, ``max``: over the valid cells that the polygon touches;
        - ``total``: the sum of value times m2, in ``total_units``;
        - ``flux_TgC``: with ``total``, for a CO2 flux of months, in TgC of the month, positive to
          the atmosphere;
        - ``area_km2``: the valid area inside, and ``coverage``: its share of the polygon;
        - ``fraction_5`` and so on: the share of class 5 in the mapped area. They sum to 1.

        Where a polygon has no valid cell, its area is 0 and its values are NaN.

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

    wanted = _checked(statistics)
    ds = open_fields(data)
    fields = _fields(ds)
    regions = open_regions(polygons, name)
    cells = _Cells.of(Grid.from_dataset(ds), regions)
    tables = []
    for field in fields:
        default = OF_CLASSES if _are_classes(field) else OF_QUANTITIES
        tables.append(_table(field, cells, wanted or default, regions.index))
    return _in_order(pd.concat(tables, ignore_index=True))


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its labels first and its class fractions last, by class."""
    fractions = [c for c in table.columns if c.startswith("fraction_")]
    fractions.sort(key=lambda column: int(column.removeprefix("fraction_")))
    values = [c for c in VALUES if c in table.columns]
    labels = [c for c in table.columns if c not in (*values, *fractions)]
    return table[labels + values + fractions]


@dataclass(frozen=True)
class _Cells:
    """The cells that polygons touch.

    Attributes
    ----------
    area : scipy.sparse.csr_array
        m2 of each of these cells in each polygon (polygon, cell).
    number : numpy.ndarray
        Their numbers among all cells, in C order.
    region_area : numpy.ndarray
        m2 of each polygon, on the grid or not.
    """

    area: sp.csr_array
    number: np.ndarray
    region_area: np.ndarray

    @classmethod
    def of(cls, grid: Grid, regions: gpd.GeoSeries) -> _Cells:
        shares = region_shares(grid, regions)
        number = np.unique(shares.indices)
        area = (shares[:, number] * grid.area.ravel()[number]).tocsr()
        return cls(area, number, region_areas(regions).to_numpy())

    def extremes(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return least and greatest value (polygon, n) of cells (n, cell); NaN without any."""
        first = self.area.indptr[:-1]
        touched = np.diff(self.area.indptr) > 0
        gathered = values[:, self.area.indices]
        ends = np.full((2, first.size, len(values)), np.nan)
        if touched.any():
            for k, least in enumerate((np.fmin, np.fmax)):
                ends[k, touched] = least.reduceat(gathered, first[touched], axis=1).T
        return ends[0], ends[1]

    def class_areas(self, values: np.ndarray, where: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each class among the values (n, cell), and its m2 (polygon, n)."""
        present = np.unique(values[~np.isnan(values)])
        if present.size > MOST_CLASSES or (present != np.floor(present)).any():
            raise FieldError(
                f"{where}: expected up to {MOST_CLASSES} classes as whole numbers, found "
                f"{present.size} values from {present[0]:g} to {present[-1]:g}; for a quantity set "
                "attrs['units'], or pass statistics"
            )
        for number in present:
            yield int(number), self.area @ (values == number).T.astype(np.float64)


def _checked(statistics: Iterable[Statistic] | None) -> tuple[Statistic, ...] | None:
    if statistics is None:
        return None
    chosen = tuple(statistics)
    known = get_args(Statistic)
    unknown = [str(s) for s in chosen if s not in known]
    if unknown or not chosen:
        found = repr(unknown[0]) if unknown else "none"
        raise UsageError(f"expected statistics among {', '.join(known)}, found {found}")
    return chosen


def _fields(ds: xr.Dataset) -> list[xr.DataArray]:
    """Return the fields of numbers on the grid, its dimensions last."""
    plane = tuple(dict.fromkeys([*ds["lat"].dims, *ds["lon"].dims]))
    found = [
        field.transpose(..., *plane)
        for field in ds.data_vars.values()
        if set(plane) <= set(field.dims) and field.dtype.kind in "fiub"
    ]
    if not found:
        raise FieldError(
            f"expected a field of numbers along {' and '.join(map(str, plane))}, found "
            f"{', '.join(map(str, ds.data_vars)) or 'no variable'}"
        )
    return found


def _are_classes(field: xr.DataArray) -> bool:
    kind = meaning_of(field).kind
    return kind == "categorical" or (kind == "unclear" and stored_dtype(field).kind in "iu")


def _table(
    field: xr.DataArray, cells: _Cells, chosen: tuple[Statistic, ...], names: pd.Index
) -> pd.DataFrame:
    """Return the rows of one field: each region, and in it each label of the other dimensions."""
    count = int(np.prod([field.sizes[d] for d in field.dims[:-2]], dtype=int))
    empty = np.full((len(names), count), np.nan)
    area, total, least, greatest = (empty.copy() for _ in range(4))
    classes: dict[int, np.ndarray] = {}
    for rows, values in _blocks(field, cells):
        valid = ~np.isnan(values)
        area[:, rows] = cells.area @ valid.T.astype(np.float64)
        total[:, rows] = cells.area @ np.where(valid, values, 0.0).T
        if {"min", "max"} & set(chosen):
            least[:, rows], greatest[:, rows] = cells.extremes(values)
        if "fractions" in chosen:
            for number, part in cells.class_areas(values, f"{field.name!r}"):
                classes.setdefault(number, np.zeros_like(area))[:, rows] = part
    known = np.where(area > 0, area, np.nan)
    columns: dict[str, Any] = {"mean": total / known, "min": least, "max": greatest}
    columns = {key: value for key, value in columns.items() if key in chosen}
    units = str(field.attrs.get("units", "")).strip() or None
    if "total" in chosen:
        total = np.where(area > 0, total, np.nan)
        columns |= {"total": total, "total_units": units and _times_m2(units)}
        if (to_carbon := _carbon(field)) is not None:
            columns["flux_TgC"] = total * to_carbon
    if "coverage" in chosen:
        share = np.minimum(area / cells.region_area[:, None], 1.0)
        columns |= {"area_km2": area / 1e6, "coverage": share}
    columns |= {f"fraction_{number}": classes[number] / known for number in sorted(classes)}
    return _rows(field, names, {"units": units, **columns})


def _rows(field: xr.DataArray, names: pd.Index, columns: dict[str, Any]) -> pd.DataFrame:
    """Return columns (region, n), or of one value, as a table with the labels of the rows."""
    import pandas as pd

    others = [str(d) for d in field.dims[:-2]]
    labels = [field[d].values if d in field.coords else np.arange(field.sizes[d]) for d in others]
    index = pd.MultiIndex.from_product([names, *labels]).to_frame(index=False)
    index.columns = ["region", *("month" if d == "time" else d for d in others)]
    if "time" in field.coords and "time" not in others:
        index["month"] = field["time"].values
    if twice := sorted(set(index.columns[1:]) & {"region", "variable", *columns}):
        raise FieldError(
            f"{field.name!r}: expected dimensions of other names than the columns of the table, "
            f"found {twice[0]!r}; rename it"
        )
    index.insert(0, "variable", str(field.name))
    flat = {k: v.ravel() if isinstance(v, np.ndarray) else v for k, v in columns.items()}
    return index.assign(**flat)


def _blocks(field: xr.DataArray, cells: _Cells) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows and the values (n, cell) of the cells that polygons touch, NaN where missing."""
    if field.ndim == 2:
        field = field.expand_dims("one")
    first, *others = field.dims[:-2]
    each = int(np.prod([field.sizes[d] for d in others], dtype=int))
    width = max(field.sizes[field.dims[-1]] * field.sizes[field.dims[-2]], cells.area.nnz)
    step = max(1, _BLOCK // max(width * each, 1))
    for start in range(0, field.sizes[first], step):
        part = field.isel({first: slice(start, start + step)}).values
        values = part.reshape(-1, part.shape[-1] * part.shape[-2])[:, cells.number]
        rows = slice(start * each, start * each + len(values))
        yield rows, _with_nan(values, field)


def _with_nan(values: np.ndarray, field: xr.DataArray) -> np.ndarray:
    if _are_classes(field):
        missing = nodata_classes(field)
    else:
        missing = [field.attrs[k] for k in ("_FillValue", "missing_value") if k in field.attrs]
    found = values.astype(np.float64)
    for value in missing:
        found[np.isin(values, value)] = np.nan
    return found


def _times_m2(units: str) -> str:
    """Return the unit of values times m2.

    Examples
    --------
    >>> _times_m2("umol m-2 s-1"), _times_m2("K"), _times_m2("1")
    ('umol s-1', 'K m2', 'm2')
    """
    factors = [f for f in units.split() if f not in ("1", "-")]
    if "m-2" in factors:
        factors.remove("m-2")
        return " ".join(factors) or "1"
    return " ".join([*factors, "m2"])


def _carbon(field: xr.DataArray) -> np.ndarray | None:
    """Return TgC a month (n,) in one unit of the field times m2; None where it is no CO2 flux."""
    if "time" not in field.coords or field.name in SPREADS:
        return None
    try:
        scale, _ = linear(str(field.attrs.get("units", "")), FLUX_UNITS, "carbon")
    except NarcfError:
        return None
    if sign_of(field) == "uptake":
        scale = -scale
    others = field.isel(dict.fromkeys(field.dims[-2:], 0), drop=True)
    seconds = (days_in_month(field["time"]) * SECONDS_PER_DAY).broadcast_like(others)
    return seconds.transpose(*others.dims).values.ravel() * scale * TGC_PER_UMOL
