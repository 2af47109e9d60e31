"""Files that belong together have one calendar, or are refused with both of them named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

import narcf_geo as ng
from narcf_geo.catalog.catalog import Catalog
from narcf_geo.core.errors import TimeError
from narcf_geo.fields.joined import calendar_of
from narcf_geo.fields.series import open_series

EPOCH = "days since 2000-01-01"


def write(path: Path, calendar: str, first: str, name: str = "v", units: str = EPOCH) -> Path:
    """Write three months of a field of the number of the month."""
    months = xr.date_range(first, periods=3, freq="MS", calendar=calendar, use_cftime=True)
    values = np.broadcast_to(np.asarray(months.month)[:, None, None], (3, 2, 2)).astype(float)
    ds = xr.Dataset(
        {name: (("time", "lat", "lon"), values, {"units": "K"})},
        {
            "time": months,
            "lat": ("lat", [1.0, 2.0], {"units": "degrees_north"}),
            "lon": ("lon", [5.0, 6.0], {"units": "degrees_east"}),
        },
    )
    ds["time"].encoding = {"calendar": calendar, "units": units}
    ds.to_netcdf(path)
    return path


def as_source(paths: list[Path], *names: str) -> xr.Dataset:
    """Read files as a source of a catalog."""
    variables = {name: {} for name in names or ("v",)}
    source = {
        "description": "a test",
        "driver": "netcdf",
        "args": {"urlpath": [str(path) for path in paths]},
        "metadata": {"role": "predictor", "variables": variables},
    }
    catalog = paths[0].parent / "data_catalog.yaml"
    catalog.write_text(yaml.safe_dump({"sources": {"it": source}}))
    return Catalog.open(catalog)["it"].read()


def as_regridded(paths: list[Path]) -> xr.Dataset:
    """Regrid files into one and open it."""
    out = paths[0].parent / "out.nc"
    ng.regrid_file(paths, out, grid=1)
    return xr.load_dataset(out)


READ = {"series": open_series, "catalog": as_source, "regrid": as_regridded}


@pytest.mark.parametrize("read", READ.values(), ids=READ)
@pytest.mark.parametrize("calendar", ["noleap", "360_day", "julian"])
def test_two_calendars_are_refused_by_name(
    tmp_path: Path, read: Callable[[list[Path]], xr.Dataset], calendar: str
) -> None:
    first = write(tmp_path / "first.nc", "standard", "2001-01-01")
    second = write(tmp_path / "second.nc", calendar, "2001-04-01")
    with pytest.raises(TimeError) as error:
        read([first, second])
    for word in ("second.nc: expected", "first.nc", "'standard'", repr(calendar), "setcalendar"):
        assert word in str(error.value)
    assert not (tmp_path / "out.nc").exists()


@pytest.mark.parametrize("read", READ.values(), ids=READ)
@pytest.mark.parametrize("calendars", [("standard", "proleptic_gregorian"), ("noleap", "noleap")])
def test_files_of_one_calendar_are_joined(
    tmp_path: Path, read: Callable[[list[Path]], xr.Dataset], calendars: tuple[str, str]
) -> None:
    """The Gregorian calendars are one after 1582, whatever day the files count from."""
    first = write(tmp_path / "first.nc", calendars[0], "2001-01-01")
    second = write(
        tmp_path / "second.nc", calendars[1], "2001-04-01", units="days since 1850-01-01"
    )
    found = read([first, second])
    assert found["time"].dt.strftime("%Y-%m").values.tolist() == [
        f"2001-{month:02d}" for month in range(1, 7)
    ]
    assert found["v"].mean(("lat", "lon")).values.tolist() == [1, 2, 3, 4, 5, 6]


def test_files_of_other_variables_have_one_calendar_too(tmp_path: Path) -> None:
    first = write(tmp_path / "first.nc", "standard", "2001-01-01")
    second = write(tmp_path / "second.nc", "noleap", "2001-01-01", "w")
    for read in (open_series, lambda paths: as_source(paths, "v", "w")):
        with pytest.raises(TimeError, match=r"second\.nc: expected the calendar of .*first\.nc"):
            read([first, second])


@pytest.mark.parametrize(
    ("units", "calendar", "expected"),
    [
        ("days since 2000-01-01", "gregorian", "standard"),
        ("days since 2000-01-01", "proleptic_gregorian", "standard"),
        ("days since 0001-01-01", "proleptic_gregorian", "proleptic_gregorian"),
        ("hours since 1900-01-01", "365_day", "noleap"),
        ("1", "noleap", None),
    ],
)
def test_the_calendar_of_numbers(units: str, calendar: str, expected: str | None) -> None:
    time = xr.DataArray([0.0], dims="time", attrs={"units": units, "calendar": calendar})
    assert calendar_of(time) == expected
