"""The packaged entries read the files of their products, several together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from catalog.layouts import climate, era5, fluxes
from catalog.layouts.layout import CARBON, DAY, LAT, LON, YEAR, shape, since

from narcf_geo.catalog.catalog import Catalog
from narcf_geo.core.errors import NarcfError, UnitError

KILOGRAM = CARBON * 1e-9


def era5_both(folder: Path) -> None:
    era5.write_era5_means(folder)
    era5.write_era5_totals(folder)


def merra2(folder: Path) -> None:
    for month in (1, 2):
        for kind in ("slv", "flx", "rad"):
            climate.write_merra2(folder, month, kind)


def cru(folder: Path) -> None:
    climate.write_cru(folder, "tmp", [-2, 3], "degrees Celsius", stations=5)
    climate.write_cru(folder, "pre", [62, 84], "mm/month", stations=8)
    climate.write_cru(folder, "frs", [20, 7], "days", stations=2)


def terraclimate(folder: Path) -> None:
    climate.write_terraclimate(folder, "ppt", [62, 84], "mm")
    climate.write_terraclimate(folder, "srad", [100, 200], "W/m^2")
    climate.write_terraclimate(folder, "vpd", [2.5, 3.5], "kPa")
    climate.write_terraclimate(folder, "soil", [30, 40], "mm")


def chirps(folder: Path) -> None:
    climate.write_chirps(folder, 2, 56.0)
    climate.write_chirps(folder, 1, 31.0)


def carbontracker(folder: Path) -> None:
    for month, day in ((1, 15), (2, 45)):
        path = folder / f"CT2022.flux1x1.20010{month}.nc"
        fluxes.write_ct(path, [-month * 1e-6], ([day], since("2001-01-01")))


def ct_nrt(folder: Path) -> None:
    hours = np.arange(8) * 3 + 1.5
    for day in range(28):
        path = folder / f"CT-NRT.v2023-4.flux1x1.200102{day + 1:02d}.nc"
        value = -1e-6 if day < 14 else -3e-6
        time = (hours + 24 * day, since("2001-02-01", unit="hours"))
        fluxes.write_ct(path, [value] * 8, time)


def oco2(folder: Path) -> None:
    gram = CARBON * 1e-6 * YEAR
    dates = [[2015, 1, 1, 0, 0, 0], [2015, 2, 1, 0, 0, 0]]
    path = folder / "EnsMean_gridded_fluxes_LNLGIS.nc4"
    fluxes.write_oco2(path, dates, [-2 * gram, 3 * gram])


def cmip6(folder: Path) -> None:
    fluxes.write_cmip6(folder)
    fluxes.write_cmip6(folder, land=True)


CASES: dict[str, tuple[str, Callable[[Path], object], list[str], dict[str, tuple]]] = {
    "era5": (
        "era5",
        era5_both,
        ["2001-01", "2001-02"],
        {
            "temp": ([280, 281], -273.15),
            "pres": ([950, 960], 0),
            "precip": ([2, 3], 0),
            "R_sw": ([100, 200], 0),
            "swvl1": ([0.2, 0.3], 0),
        },
    ),
    "merra2": (
        "merra2",
        merra2,
        ["2001-01", "2001-02"],
        {
            "temp": ([281, 282], -273.15),
            "sp_hum": ([0.005, 0.005], 0),
            "precip": ([1, 2], 0),
            "R_sw": ([100, 100], 0),
        },
    ),
    "cru_ts": (
        "cru",
        cru,
        ["2001-01", "2001-02"],
        {"temp": ([-2, 3], 0), "precip": ([2, 3], 0), "frost_days": ([20, 7], 0)},
    ),
    "gpcc": ("gpcc", climate.gpcc, ["2001-01", "2001-02"], {"precip": ([2, 3], 0)}),
    "terraclimate": (
        "terraclimate",
        terraclimate,
        ["2001-01", "2001-02"],
        {
            "precip": ([2, 3], 0),
            "R_sw": ([100, 200], 0),
            "vpd": ([25, 35], 0),
            "soil_moisture": ([30, 40], 0),
        },
    ),
    "chirps": ("chirps", chirps, ["2001-01", "2001-02"], {"precip": ([1, 2], 0)}),
    "carbontracker": (
        "carbontracker",
        carbontracker,
        ["2001-01", "2001-02"],
        {"flux": ([-1.5, -3], 0), "fire_flux": ([-0.5, -1], 0)},
    ),
    "ct_nrt": ("ct_nrt", ct_nrt, ["2001-02"], {"flux": ([-3], 0)}),
    "cams_inversion": ("cams", fluxes.cams_inversion, ["2001-02"], {"flux": ([1], 0)}),
    "carboscope": ("carboscope", fluxes.carboscope, ["2001-01", "2001-02"], {"flux": ([1, 2], 0)}),
    "oco2_mip": ("oco2_mip", oco2, ["2015-01", "2015-02"], {"flux": ([-2, 3], 0)}),
    "trendy": ("trendy", fluxes.trendy, ["1701-01", "1701-02"], {"flux": ([-1, 2], 0)}),
    "cmip6_nbp": ("cmip6", cmip6, ["1850-01", "1850-02"], {"flux": ([-0.25, 0.5], 0)}),
}


def read(name: str, folder: Path) -> xr.Dataset:
    return Catalog.open(data=str(folder))[name].read().load()


@pytest.mark.parametrize("name", CASES)
def test_packaged(name: str, tmp_path: Path) -> None:
    place, write, months, want = CASES[name]
    (tmp_path / place).mkdir()
    write(tmp_path / place)
    ds = read(name, tmp_path)
    assert [str(t)[:7] for t in ds["time"].values] == months
    lat = next(c for c in ("lat", "latitude") if c in ds.coords)
    lon = next(c for c in ("lon", "longitude") if c in ds.coords)
    plane = shape(ds[lat].values[:, None], ds[lon].values[None, :])
    assert (ds[lat].size, ds[lon].size) == (LAT.size, LON.size)
    for variable, (values, offset) in want.items():
        found = ds[variable].transpose("time", lat, lon).values
        expected = np.multiply.outer(np.asarray(values, float), plane) + offset
        valid = np.isfinite(found)
        # CHIRPS has a corner that is -9999 in the file.
        assert valid.sum() == valid.size - (2 if name == "chirps" else 0)
        np.testing.assert_allclose(found[valid], expected[valid], rtol=3e-3, atol=1e-3)


def test_every_new_entry_has_a_licence_or_a_source_and_a_citation() -> None:
    catalog = Catalog.open()
    for name in CASES:
        metadata = catalog.source(name).metadata
        assert metadata.url, name
        assert metadata.citation or metadata.licence, name


def test_era5_refuses_hourly_accumulations(tmp_path: Path) -> None:
    (tmp_path / "era5_land").mkdir()
    era5.era5_hourly(tmp_path / "era5_land")
    catalog = tmp_path / "c.yaml"
    source = (
        "{description: d, driver: netcdf, args: {urlpath: era5_land/era5_hourly.nc}, metadata: "
    )
    source += "{role: predictor, product: era5, variables: {precip: {name: tp}}}}"
    catalog.write_text(f"sources: {{it: {source}}}\n")
    with pytest.raises(UnitError, match=r"hourly file.*m hour-1"):
        Catalog.open(catalog)["it"].read()


def test_carboscope_needs_the_areas(tmp_path: Path) -> None:
    (tmp_path / "carboscope").mkdir()
    path = fluxes.carboscope(tmp_path / "carboscope")
    with xr.open_dataset(path) as ds:
        without = ds.drop_vars("dxyp").load()
    without.encoding = {}
    without.to_netcdf(path)
    with pytest.raises(UnitError, match="dxyp"):
        read("carboscope", tmp_path)


@pytest.mark.parametrize(
    ("share", "units", "said"),
    [(25.0, "1", "found 25"), (0.25, "m", "does not convert"), (None, "", "'sftlf' is not in")],
)
def test_a_share_of_land_that_is_none(
    tmp_path: Path, share: float | None, units: str, said: str
) -> None:
    (tmp_path / "cmip6").mkdir()
    fluxes.write_cmip6(tmp_path / "cmip6")
    path = fluxes.write_cmip6(tmp_path / "cmip6", land=True)
    with xr.open_dataset(path) as ds:
        changed = ds.load()
    if share is None:
        changed = changed.rename(sftlf="land")
    else:
        changed["sftlf"] = (0 * changed["sftlf"] + share).assign_attrs(units=units)
    changed.to_netcdf(path)
    with pytest.raises(NarcfError, match=said):
        read("cmip6_nbp", tmp_path)


def test_kilograms_a_day_are_not_a_month(tmp_path: Path) -> None:
    """The control: the true length of February is in the value of CAMS."""
    (tmp_path / "cams").mkdir()
    fluxes.cams_inversion(tmp_path / "cams")
    found = float(read("cams_inversion", tmp_path)["flux"].mean())
    plane = float(shape(LAT[:, None], LON[None, :]).mean())
    assert found / plane == pytest.approx(1.0, rel=1e-4)
    assert abs(found / plane - 28 * DAY / (YEAR / 12)) > 0.05
