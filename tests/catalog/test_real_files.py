"""Real files open through a catalog of YAML alone, and their traps are caught."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from narcf_geo.catalog.catalog import Catalog
from narcf_geo.catalog.check import problems
from narcf_geo.catalog.describe import Description, describe
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
    assert problems(catalog[name])[0] == []


def test_land_cover_with_water_as_17(catalog: Catalog) -> None:
    found = shown(catalog, "igbp")
    assert found.grid.shape == (1800, 3600)
    assert problems(catalog["igbp"])[0] == []


def test_the_unit_trap(catalog: Catalog) -> None:
    (text,) = problems(catalog["carbontracker"])[0]
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
