"""Tables of towers: what is read, and what is refused in words."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from narcf_geo.core.errors import FieldError, NarcfError, UnitError, UsageError
from narcf_geo.fields.sites import open_sites

ROWS = """\
Site_ID,Latitude,Longitude,Month,NEE [g C m-2 d-1],NEE [g C m-2 d-1]_qc,IGBP
US-Ne1,41.165,263.523,2004-02,1.5,0.9,CRO
CA-Man,55.88,-98.481,2003-07,-2,0.4,enf
US-Ne1,41.165,263.523,2003-07,-9999,1,CRO
"""
G_C_PER_DAY = 1e6 / 12.011 / 86400
"""umol m-2 s-1 in 1 g C m-2 day-1."""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_rows_of_any_order_and_names(tmp_path: Path) -> None:
    sites = open_sites(written(tmp_path / "t.csv", ROWS))
    table = sites.table
    assert table["site"].tolist() == ["US-Ne1", "CA-Man", "US-Ne1"]
    assert table["lon"].tolist() == [263.523, -98.481, 263.523]
    assert table["time"].dt.strftime("%Y-%m-%d").tolist() == [
        "2004-02-01", "2003-07-01", "2003-07-01",
    ]  # fmt: skip
    expected = [1.5 * G_C_PER_DAY, -2 * G_C_PER_DAY, np.nan]
    np.testing.assert_allclose(table["flux"], expected, rtol=1e-12)
    assert table["quality"].tolist() == [0.9, 0.4, 1.0]
    assert table["igbp"].tolist() == [12, 1, 12]
    assert sites.name == "t.csv"
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(ROWS.encode()))
    pd.testing.assert_frame_equal(open_sites(packed).table, table)


@pytest.mark.parametrize(
    ("column", "options", "factor"),
    [
        ("nee_umol_m2_s", {}, 1.0),
        ("NEE", {"units": "mg CO2 m-2 s-1"}, 1000 / 44.009),
        ("nee (g C m-2 month-1)", {}, G_C_PER_DAY / 29),
        ("NEP_gC_m2_day", {}, -G_C_PER_DAY),
        ("nbp", {"units": "umol m-2 s-1", "sign": "to_atmosphere"}, 1.0),
        ("nee_umolCO2_m2_s", {"sign": "uptake"}, -1.0),
        ("NEE_VUT_REF", {"variable": "NEE_VUT_REF", "units": "gC m-2 d-1"}, G_C_PER_DAY),
        ("fc_umol_m-2_s-1", {}, 1.0),
    ],
)
def test_units_and_sign(column: str, options: dict, factor: float) -> None:
    rows = pd.DataFrame({"site": ["a"], "lat": [1.0], "lon": [2.0], "yyyymm": [200402]})
    rows["ta_degC"] = 5.0
    sites = open_sites(rows.assign(**{column: [3.0]}), **options)
    assert sites.table["flux"].item() == pytest.approx(3 * factor, rel=1e-12)
    assert sites.table["time"].item() == pd.Timestamp("2004-02-01")


@pytest.mark.parametrize(
    ("months", "first"),
    [
        ({"year": [2004], "month": [2]}, "2004-02"),
        ({"TIMESTAMP": ["200402"]}, "2004-02"),
        ({"date": ["2004-02-29"]}, "2004-02"),
        ({"time": pd.to_datetime(["2004-02-16 12:00"])}, "2004-02"),
    ],
)
def test_months(months: dict, first: str) -> None:
    rows = pd.DataFrame({"site": ["a"], "lat": [1.0], "lon": [2.0], "nee_umol_m2_s": [3.0]})
    assert f"{open_sites(rows.assign(**months)).table['time'].item():%Y-%m}" == first


GOOD = "site,lat,lon,month,nee_umol_m2_s\na,41,-96,2004-02,1\nb,50,-90,2004-02,2\n"


@pytest.mark.parametrize(
    ("old", "new", "options", "kind", "words"),
    [
        ("nee_umol_m2_s", "nee", {}, UnitError, "'nee'.*unit, found none"),
        ("nee_umol_m2_s", "nee", {"units": "furlong"}, UnitError, "furlong"),
        ("nee_umol_m2_s", "nee", {"units": "g m-2 day-1"}, UnitError, "does not say of what"),
        ("nee_umol_m2_s", "nee", {"units": "Tg C month-1 cell-1"}, UnitError, "no cell"),
        ("m2_s", "m2_s", {"units": "g C m-2 day-1"}, UnitError, "one unit, found 'umol m-2 s-1'"),
        ("m2_s", "m2_s", {"sign": "down"}, UsageError, "down"),
        ("m2_s", "m2_s", {"variable": "gpp"}, UsageError, "'gpp', found nee_umol_m2_s"),
        ("nee_umol", "gpp_umol", {"variable": "nee"}, UsageError, "gpp_umol_m2_s"),
        ("a,41,-96", "a,-96,41", {}, FieldError, "-90 to 90, found '-96' in data row 1.*exchanged"),
        ("a,41,-96", "a,41,-196", {}, FieldError, "'lon'.*-196"),
        ("a,41,-96", "a,,-96", {}, FieldError, "'lat'"),
        ("b,50,-90", "a,41,-96", {}, FieldError, "a in 2004-02 again in data row 2"),
        (
            "b,50,-90,2004-02",
            "a,42,-96,2004-03",
            {},
            FieldError,
            "one place of each site.*lat of a",
        ),
        (",1\n", ",x\n", {}, FieldError, "a number, found 'x' in data row 1"),
        (",1\n", ",inf\n", {}, FieldError, "a number, found 'inf'"),
        (
            "2004-02,1",
            "02/03/2004,1",
            {},
            FieldError,
            "a month such as 2011-07, found '02/03/2004'",
        ),
        ("2004-02,1", "2004-13,1", {}, FieldError, "2004-13"),
        ("2004-02,1", "7,1", {}, FieldError, "a month such as 2011-07, found '7'"),
        ("site,", "tree,", {}, UsageError, "a column of site"),
        ("site,lat", "lat,latitude", {}, UsageError, "one column of lat, found lat, latitude"),
        ("\na,", "\n ,", {}, FieldError, "name of a site"),
        (GOOD[33:], "", {}, FieldError, "rows, found none"),
        ("2\n", "", {}, NarcfError, "cut short"),
    ],
)
def test_what_is_ambiguous_is_refused(
    old: str, new: str, options: dict, kind: type, words: str, tmp_path: Path
) -> None:
    assert open_sites(written(tmp_path / "good.csv", GOOD)).table["flux"].tolist() == [1.0, 2.0]
    text = GOOD[: -len(old)] if old == "2\n" else GOOD.replace(old, new, 1)
    path = written(tmp_path / "towers.csv", text)
    with pytest.raises(kind, match=rf"(?s)towers\.csv.*{words}"):
        open_sites(path, **options)


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("igbp", ["ENF", "TREE"], "IGBP class.*'TREE'"),
        ("igbp", ["ENF", "DBF"], "one IGBP class of each site, found 2 of a"),
        ("share_good", [0.9, 95], "0 to 1, found 95.*divide percentages"),
        ("flux_umol_m2_s", [1.0, 2.0], "one column of the flux"),
    ],
)
def test_other_columns_that_cannot_be(column: str, values: list, words: str) -> None:
    rows = pd.DataFrame(
        {"site": "a", "lat": 1.0, "lon": 2.0, "month": ["2004-02", "2004-03"], "nee_umol_m2_s": 3.0}
    )
    with pytest.raises((FieldError, UsageError), match=f"(?s){words}"):
        open_sites(rows.assign(**{column: values}))


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        open_sites(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="csv"):
        open_sites(written(tmp_path / "towers.xlsx", GOOD))
    for content in (b"\xff\xfe\x00\x01,,\n", b"", b'"a\n'):
        (tmp_path / "odd.csv").write_bytes(content)
        with pytest.raises(NarcfError, match=r"odd\.csv"):
            open_sites(tmp_path / "odd.csv")
    (tmp_path / "odd.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(NarcfError, match=r"odd\.csv\.gz"):
        open_sites(tmp_path / "odd.csv.gz")
