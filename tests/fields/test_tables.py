"""Tables of points as rasters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from narcf_geo.core.errors import NarcfError
from narcf_geo.fields import open_fields
from narcf_geo.grid import Grid


def write(path: Path, **columns: object) -> Path:
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def test_rows_and_columns_without_any_cell_keep_the_spacing(tmp_path: Path) -> None:
    path = write(
        tmp_path / "land.csv",
        lat=[40.5, 40.5, 43.5],
        lon=[-99.5, -95.5, -98.5],
        flux=[1.0, 2.0, 3.0],
    )
    ds = open_fields(path)
    assert ds["lat"].values.tolist() == [40.5, 43.5]
    # A step of three is the only one along lat: nothing says that it is of one degree.
    assert ds["lon"].values.tolist() == [-99.5, -98.5, -97.5, -96.5, -95.5]
    assert float(ds["flux"].sel(lat=43.5, lon=-98.5)) == 3.0
    assert int(ds["flux"].notnull().sum()) == 3
    assert np.diff(Grid.from_dataset(ds).lon_b) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "time",
    [
        {"time": [200107, 200108]},
        {"YYYYMM": [200107, 200108]},
        {"year": [2001, 2001], "month": [7, 8]},
        {"date": ["2001-07-16", "2001-08-16"]},
    ],
)
def test_months_of_a_table(tmp_path: Path, time: dict) -> None:
    at = {"latitude": [40.5, 40.5], "longitude": [-99.5, -99.5]}
    ds = open_fields(write(tmp_path / "t.csv", **at, **time, flux=[1.0, 2.0]))
    assert ds["time"].dt.strftime("%Y-%m").values.tolist() == ["2001-07", "2001-08"]
    assert ds["flux"].values.ravel().tolist() == [1.0, 2.0]


def test_what_is_no_table_of_points(tmp_path: Path) -> None:
    with pytest.raises(NarcfError, match="columns of longitude"):
        open_fields(write(tmp_path / "a.csv", lat=[1.0], flux=[2.0]))
    with pytest.raises(NarcfError, match="one row a point"):
        open_fields(write(tmp_path / "b.csv", lat=[1.0, 1.0], lon=[2.0, 2.0], flux=[2.0, 3.0]))
    with pytest.raises(NarcfError, match="expected dates"):
        open_fields(write(tmp_path / "c.csv", lat=[1.0], lon=[2.0], time=["yesterday"], flux=[2.0]))


def test_a_table_that_was_cut(tmp_path: Path) -> None:
    lat, lon = np.meshgrid([40.5, 41.5], [-99.5, -98.5, -97.5], indexing="ij")
    months = np.repeat([200107, 200108], 6)
    at = {"time": months, "lat": np.tile(lat.ravel(), 2), "lon": np.tile(lon.ravel(), 2)}
    path = write(tmp_path / "t.csv", **at, flux=np.linspace(1.25, 9.75, 12))
    whole = path.read_bytes()
    lines = whole.splitlines()
    path.write_bytes(whole.rstrip())  # nothing lacks but the end of the last line
    assert float(open_fields(path)["flux"].sum()) == pytest.approx(66)
    for cut in (b"\n".join(lines[:10]), b"\n".join(lines[:10])[:-2], whole[: len(whole) - 12]):
        path.write_bytes(cut)
        with pytest.raises(NarcfError, match=r"t\.csv: expected a whole table.*cut short"):
            open_fields(path)
    path.write_text("lat,lon,flux\n40.5,-99.5,1\nnorth,-98.5,2\n")
    with pytest.raises(NarcfError, match=r"number as lat .* found north in data row 2"):
        open_fields(path)
