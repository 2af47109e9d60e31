"""Real files open through a catalog of YAML alone, and their traps are caught."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from narcf_geo.catalog.add import append, draft
from narcf_geo.catalog.catalog import Catalog
from narcf_geo.catalog.check import check
from narcf_geo.catalog.describe import Description, describe
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import days_in_month

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def catalog(real: Path) -> Iterator[Catalog]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REAL", str(real))
        catalog = Catalog.open(HERE / "real.yaml")
        for name in catalog:
            catalog[name].files()
        yield catalog


def shown(catalog: Catalog, name: str) -> Description:
    return describe(catalog[name])


# Shape, period, unit in the file, share missing, plausible mean: as the files are documented.
EXPECTED = {
    "canrcm4": ((130, 155), "1950-01 to 1950-01, 1 month", "kg m-2 s-1", 0.0, (1, 4)),
    "nam": ((65, 93), "2018-09 to 2018-09, 1 month", "K", 0.0, (15, 25)),
    "era5": ((181, 360), "2025-01 to 2026-05, 17 months", "K", 0.0, (4, 7)),
    "era_interim": ((121, 240), "climatology of 12 months", "K", 0.0, (4, 7)),
    "gpcp": ((72, 144), "climatology of 12 months", "mm/day", 0.0, (2, 3)),
    "ghcn": ((360, 720), "2018-01 to 2018-08, 8 months", "degK", 0.736, (5, 15)),
    "soil": ((48, 96), "climatology of 12 months", "1", 0.559, (0.1, 0.4)),
    "carbontracker_mended": (
        (180, 360), "2001-01 to 2001-01, 1 month", "mol m-2 s-1", 0, (-0.1, 0.1)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_show_says_what_the_file_is(catalog: Catalog, name: str) -> None:
    shape, period, units, missing, (low, high) = EXPECTED[name]
    found = shown(catalog, name)
    row = found.variables[0]
    assert found.grid.shape == shape
    assert found.facts["period"] == period
    assert row.original_units == units
    assert row.missing == pytest.approx(missing, abs=1e-3)
    assert low < row.mean < high
    assert not [f for f in check(catalog[name])[0] if f.level == "error"]


def test_land_cover_with_water_as_17(catalog: Catalog) -> None:
    found = shown(catalog, "igbp")
    assert found.grid.shape == (1800, 3600)
    assert not [f for f in check(catalog["igbp"])[0] if f.level == "error"]


def test_the_unit_trap(catalog: Catalog) -> None:
    ((error,), _) = check(catalog["carbontracker"])
    text = error.text
    assert "real.yaml:54" in text
    assert "variable 'flux': expected values from -100 to 100 umol m-2 s-1" in text
    assert "`units:`" in text


def test_five_days_of_january(catalog: Catalog, real: Path) -> None:
    import netCDF4

    with netCDF4.Dataset(real / "canrcm4_nam44_pr_1950-01.nc") as nc:
        mean = nc["pr"][:].mean(axis=0) * 86400
    ds = catalog["canrcm4"].read()
    np.testing.assert_allclose(ds["precip"][0], mean, rtol=1e-5)
    assert days_in_month(ds["time"]).item() == 31


# What the unedited draft of each file gives: variables, months and a plausible mean, or what it
# asks, and the text of the draft that an answer takes the place of.
UNEDITED: dict[str, tuple[str, str, tuple[float, float]]] = {
    "era5_1deg_t2m_monthly_2025-2026.nc": ("temp", "2025-01 to 2026-05, 17 months", (4, 7)),
    "erainterim_tas_climatology_1989-2009.nc": ("temp", "climatology of 12 months", (4, 7)),
    "ghcn_cams_air_0p5deg_2018.nc": ("temp", "2018-01 to 2018-08, 8 months", (5, 15)),
    "gpcp_precip_mon_ltm_1991-2020.nc": ("precip", "climatology of 12 months", (2, 3)),
    "mcd12c1_igbp_2005_0p1deg_water17.nc": ("land_cover", "static", (0, 17)),
    "soil_wetness_climatology_t30.nc": ("swl1", "climatology of 12 months", (0.1, 0.4)),
}
ASKS: dict[str, tuple[str, dict[str, str], tuple[str, str, tuple[float, float]]]] = {
    "canrcm4_nam44_pr_1950-01.nc": (
        "no valid value.*lower monthly_mean",
        {"monthly_mean: 0.9": "monthly_mean: 0.1"},
        ("precip", "1950-01 to 1950-01, 1 month", (1, 4)),
    ),
    "carbontracker_ct2016_flux1x1_2001-01.csv": (
        "found UNKNOWN",
        {"units: UNKNOWN": "units: mol m-2 s-1, scale: 2.6424826653983594e-09"},
        ("flux", "2001-01 to 2001-01, 1 month", (-0.1, 0.1)),
    ),
    "nam_awip211_t2m_2018-09-17.nc": (
        "expected the month of the file, found UNKNOWN",
        {"time: UNKNOWN": 'time: "2018-09"'},
        ("temp", "2018-09 to 2018-09, 1 month", (15, 25)),
    ),
}
REFUSED = {"fluxnet2015/fluxnet2015_monthly_north_america.csv": "as sites have; grid them first"}


def right(catalog: Catalog, expected: tuple[str, str, tuple[float, float]]) -> None:
    name, period, (low, high) = expected
    assert not [f for f in check(catalog["it"])[0] if f.level == "error"]
    found = shown(catalog, "it")
    assert found.facts["period"] == period
    (row,) = (row for row in found.variables if row.name == name)
    assert low < row.mean < high


@pytest.mark.parametrize("file", [*UNEDITED, *ASKS])
def test_an_unedited_draft_is_right_or_asks_one_thing(
    real: Path, tmp_path: Path, file: str
) -> None:
    path = tmp_path / "c.yaml"
    append(draft(real / file, "it", path), "it", path)
    if file in UNEDITED:
        right(Catalog.open(path), UNEDITED[file])
        return
    question, answers, expected = ASKS[file]
    ((error,), _) = check(Catalog.open(path)["it"])
    text = error.text
    assert re.search(question, text)
    edited = path.read_text()
    for old, new in answers.items():
        assert old in edited
        edited = edited.replace(old, new)
    path.write_text(edited)
    right(Catalog.open(path), expected)


@pytest.mark.parametrize("file", REFUSED)
def test_a_file_that_is_no_grid_is_refused(real: Path, tmp_path: Path, file: str) -> None:
    with pytest.raises(NarcfError, match=REFUSED[file]):
        draft(real / file, "it", tmp_path / "c.yaml")


def test_every_real_file_is_tried(real: Path) -> None:
    files = {str(p.relative_to(real)) for p in real.rglob("*") if p.suffix in (".nc", ".csv")}
    assert files == {*UNEDITED, *ASKS, *REFUSED}
