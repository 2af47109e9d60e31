"""Time steps of fields that need not be months: what to call them, and how long they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from narcf_geo.budget.totals import TGC_PER_UMOL
from narcf_geo.core.constants import FLUX_UNITS, SECONDS_PER_DAY
from narcf_geo.core.errors import NarcfError, TimeError, UsageError
from narcf_geo.core.units import convert, is_per_cell, parse, substance_of
from narcf_geo.fields.averages import time_bounds
from narcf_geo.fields.dates import dated
from narcf_geo.fields.door import ENDS, SPREADS
from narcf_geo.fields.time import on_month_axis
from narcf_geo.fields.values import Sign, sign_of

START_OF_MONTH = "start of the month"


@dataclass(frozen=True, eq=False)
class Steps:
    """The time axis of a dataset.

    Attributes
    ----------
    ds : xarray.Dataset
        On months where they are months, else as it was.
    label : str
        What to call its column: ``month`` or ``time``.
    seconds : xarray.DataArray or None
        How long each step is, along time or a scalar; None where that is not known.
    unknown : str
        Why not.
    """

    ds: xr.Dataset
    label: str = "time"
    seconds: xr.DataArray | None = None
    unknown: str = ""

    @classmethod
    def of(cls, ds: xr.Dataset, where: str, average: float | None = None) -> Steps:
        """Read the time axis, named ``time``, of a dataset.

        Parameters
        ----------
        ds : xarray.Dataset
            Of any time axis, or none.
        where : str
            What the data are, for an error.
        average : float, optional
            Average finer steps to months of which this share, in (0, 1], is covered.

        Raises
        ------
        TimeError
            When a step has no date or is there twice, or cannot be averaged.
        """
        if "time" not in ds.coords:
            if average is not None:
                raise TimeError(f"{where}: expected dates to average to months, found no time")
            return cls(ds, unknown="there is no time axis")
        time = ds["time"]
        if "climatology" in {**time.attrs, **time.encoding} and average is None:
            return cls(ds, unknown="the months of a climatology stand for many years")
        try:
            months = on_month_axis(ds, where=where, average=average)
        except TimeError as error:
            if average is not None:
                raise
            return cls._as_they_are(ds, where, str(error))
        known = (
            time.size > 1
            or time_bounds(ds.expand_dims("time") if not time.ndim else ds) is not None
        )
        if not known and time.attrs.get("long_name") != START_OF_MONTH:
            reason = "one time without bounds may stand for a month, a day or a moment"
            return cls(months, "month", unknown=reason)
        days = months["time"].dt.days_in_month.astype("float64")
        return cls(months, "month", days * SECONDS_PER_DAY)

    @classmethod
    def _as_they_are(cls, ds: xr.Dataset, where: str, reason: str) -> Steps:
        try:
            ds = dated(ds)
        except TimeError as error:
            raise TimeError(f"{where}: {error}") from None
        if ds["time"].ndim and pd.Index(ds["time"].values).has_duplicates:
            twice = pd.Index(ds["time"].values)
            raise TimeError(
                f"{where}: expected each time once, found {twice[twice.duplicated()][0]} twice; "
                "drop what is repeated"
            )
        bounds = time_bounds(ds) if ds["time"].ndim else None
        if bounds is None:
            return cls(ds, unknown="the steps are not months and have no time bounds")
        vertex = next(d for d in bounds.dims if d != "time")
        span = (bounds.isel({vertex: 1}) - bounds.isel({vertex: 0})).values
        seconds = pd.to_timedelta(span).total_seconds().to_numpy()
        if (seconds <= 0).any():
            return cls(ds, unknown="time bounds end before they begin")
        return cls(ds, "time", xr.DataArray(seconds, {"time": ds["time"]}, ("time",)))

    def labels(self) -> np.ndarray:
        """Return the dates (time,): datetime64, text of other calendars, or numbers."""
        values = np.atleast_1d(self.ds["time"].values)
        if values.dtype != object:
            return values
        texts = [v.isoformat() if hasattr(v, "isoformat") else str(v) for v in values]
        if all(text.endswith("T00:00:00") for text in texts):
            texts = [text[:-9] for text in texts]
        try:
            return pd.to_datetime(texts, format="ISO8601").to_numpy()
        except ValueError:
            return np.array(texts, dtype=object)


def carbon(
    field: xr.DataArray, steps: Steps, sign: Sign | None, of_cells: bool
) -> tuple[np.ndarray | None, str]:
    """Return TgC of each step (n,) for one unit of the total of a field, and why there is none.

    Parameters
    ----------
    field : xarray.DataArray
        Its last two dimensions are those of the cells.
    steps : Steps
        Of its dataset.
    sign : {"to_atmosphere", "uptake"}, optional
        What positive means; by default see `sign_of`.
    of_cells : bool
        Whether values are amounts in each cell, so that their total has no m2 in it.

    Returns
    -------
    numpy.ndarray or None
        Over the other dimensions of the field, flat; None where no budget can be given.
    str
        Why not; empty where the field is no CO2 flux at all.
    """
    units = str(field.attrs.get("units", "")).strip()
    if of_cells and units and not is_per_cell(units):
        units = f"{units} cell-1"
    of = substance_of(str(field.attrs.get("standard_name", "")))
    others = [d for d in field.dims if d not in field.dims[-2:]]
    one = xr.DataArray(1.0, attrs={"units": units})
    try:
        stated = parse(units)
        if "time" in field.coords and stated.per_month and steps.label == "month":
            one = xr.ones_like(steps.ds["time"], dtype="float64").assign_attrs(units=units)
        factor = convert(
            one, FLUX_UNITS, where="", kind="carbon", of=of, area=xr.DataArray(1.0), dtype=None
        )
    except NarcfError:
        try:
            monthly = parse(units).per_month
        except NarcfError:
            return None, ""
        return None, "an amount of a month, without months" if monthly else ""
    if is_per_cell(units) and not of_cells:
        return None, f"values of {units!r} are amounts in each cell, not means"
    if field.name in {*SPREADS, *(end for ends in ENDS for end in ends)}:
        return None, "uncertainties of cells do not add up to that of their total"
    if steps.seconds is None:
        return None, steps.unknown
    if "time" not in field.coords:
        return None, "it has no time axis"
    if (sign or sign_of(field)) == "uptake":
        factor = -factor
    tgc = factor * steps.seconds * TGC_PER_UMOL
    sizes = {d: field.sizes[d] for d in others}
    whole = tgc.drop_vars(list(tgc.coords)).expand_dims(
        {d: n for d, n in sizes.items() if d not in tgc.dims}
    )
    return whole.transpose(*others).values.ravel(), ""


def checked_sign(sign: str | None) -> None:
    """Refuse a sign that is none."""
    if sign not in (None, "to_atmosphere", "uptake"):
        raise UsageError(f"expected sign 'to_atmosphere' or 'uptake', found {sign!r}")
