"""The easy world stays what it was; the hard one has each of its troubles, and says so."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from narcf_geo.core.errors import UsageError
from narcf_geo.core.months import month_starts
from narcf_geo.project.init import init_project
from narcf_geo.sample import generate, products, unseen, weather
from narcf_geo.sample.difficulty import DIFFICULTIES, EASY, HARD, Difficulty
from narcf_geo.sample.geography import NarrGrid

MONTHS = month_starts("2006-12", "2015-12")

BEFORE = {
    ("narr/air.2m.mon.mean.nc", "air"): "70eac51c09ade5d6",
    ("vegetation/ndvi_nirv_0p5deg_2007-2015.nc", "nirv"): "916aaf7744a730be",
    ("sif/ret_f_nr5_nsvd12_v26_waves734_nolog.grid_SIF_v27_20080701_31.nc", "SIF_daily_average"): (
        "ab7802126e1352ed"
    ),
    ("inversion/geoinv-sif-monthly-2007-to-2015.nc", "monthly_flux"): "a08ab843220d1895",
    (
        "fluxcom/NEE.RS_METEO.FP-NONE.MLM-ALL.METEO-ERA5.720_360.monthly.2015.nc",
        "NEE",
    ): "b250c33bc9a96841",
    ("truth/truth_flux_1deg_2007-2015.nc", "flux"): "cd87041fe319cc62",
}
"""Digests of the easy sample before there was a hard one, seed 2007."""


def digest(path: Path, name: str) -> str:
    """Of thousandths: the last digits of a float may differ between processors."""
    with xr.open_dataset(path) as ds:
        values = np.nan_to_num(ds[name].values.astype(float), nan=-9.0)
    return hashlib.sha256(np.round(values, 3).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("file", BEFORE, ids=lambda file: file[1])
def test_the_easy_sample_is_what_it_was(sample: Path, file: tuple[str, str]) -> None:
    assert digest(sample / file[0], file[1]) == BEFORE[file]


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on the hard sample of the same seed."""
    directory = tmp_path_factory.mktemp("hard") / "project"
    init_project(directory, sample=True, difficulty="hard")
    return directory


def test_every_file_of_the_hard_sample_says_so(hard: Path, sample: Path) -> None:
    names = {path.relative_to(sample).as_posix() for path in sample.rglob("*.nc")}
    data = hard / "data"
    assert {path.relative_to(data).as_posix() for path in data.rglob("*.nc")} == names
    for path in data.rglob("*.nc"):
        with netCDF4.Dataset(path) as file:
            assert file.synthetic == "hard twin experiment", path
            for name in ("title", "comment", "source"):
                assert "synthetic hard twin experiment" in getattr(file, name).lower()
    assert "synthetic hard twin experiment" in (hard / "narcf.yaml").read_text(encoding="utf-8")
    catalog = yaml.safe_load((hard / "data_catalog.yaml").read_text(encoding="utf-8"))
    labels = {n: s["metadata"].get("synthetic") for n, s in catalog["sources"].items()}
    assert set(labels.values()) == {"hard twin experiment", None}
    assert [name for name, label in labels.items() if label is None] == ["igbp_2019"]


def test_the_hard_inversion_misses_the_mean_map_more_than_the_easy_one(
    hard: Path, sample: Path
) -> None:
    """Its fixed error stays in the mean of nine years; that of the easy one mostly goes."""

    def mean_map_error(data: Path) -> float:
        with (
            xr.open_dataset(data / "inversion" / "geoinv-sif-monthly-2007-to-2015.nc") as flux,
            xr.open_dataset(data / "inversion" / "geoinv_coordinates.nc") as cells,
            xr.open_dataset(data / "truth" / "truth_flux_1deg_2007-2015.nc") as truth,
        ):
            true = truth.flux.sel(lat=cells.lat, lon=cells.lon)
            error = (flux.monthly_flux.drop_vars("time") - true.drop_vars("time")).mean("time")
            return float(np.sqrt((error**2).mean()))

    assert mean_map_error(sample) < 0.05
    assert 0.08 < mean_map_error(hard / "data") < 0.2


def test_what_is_unknown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'odd'.* choose from easy, hard"):
        generate(tmp_path / "odd", difficulty="odd")
    assert not (tmp_path / "odd").exists()
    other = replace(HARD, name="odd")
    assert Difficulty.of(other) is other
    assert other.label == "odd twin experiment"
    assert {name: known.label for name, known in DIFFICULTIES.items()} == {
        "easy": "twin experiment",
        "hard": "hard twin experiment",
    }


def test_test_years_are_warmer_and_dry_in_the_plains_alone() -> None:
    grid = NarrGrid.build()
    easy, hard = (
        weather.simulate(np.random.default_rng(4), grid, np.full(grid.lat.shape, 0.7), MONTHS, how)
        for how in (EASY, HARD)
    )
    warmer = hard.air - easy.air
    late = np.asarray(MONTHS.year >= 2014)
    np.testing.assert_allclose(warmer[~late], 0, atol=1e-4)
    np.testing.assert_allclose(warmer[late], 2, atol=1e-3)
    lon = np.where(grid.lon > 60, grid.lon - 360, grid.lon)
    plains = np.unravel_index(np.hypot(grid.lat - 40, lon + 100).argmin(), lon.shape)
    coast = np.unravel_index(np.hypot(grid.lat - 40, lon + 75).argmin(), lon.shape)
    fell = hard.apcp / easy.apcp
    june, september, earlier = (
        list(MONTHS).index(pd.Timestamp(month)) for month in ("2015-06", "2015-09", "2013-06")
    )
    assert fell[june][plains] == pytest.approx(0.5, abs=0.02)
    assert fell[june][coast] == pytest.approx(1, abs=0.01)
    assert fell[september][plains] == fell[earlier][plains] == 1
    assert hard.soilm[june][plains] < easy.soilm[june][plains] - 10
    assert hard.dswrf[june][plains] > easy.dswrf[june][plains]


def test_half_of_the_error_variance_comes_back_every_year() -> None:
    lat, lon = np.tile([10.0, 35, 60], 20), np.linspace(-170, 170, 60)
    error = np.broadcast_to(np.linspace(0.2, 0.8, 60), (240, 60))
    area, days = np.full(60, 1e10), np.full(240, 30.0)
    for fixed in (0.0, 0.5):
        rng = np.random.default_rng(8)
        found = products.inversion_error(rng, error, lat, lon, area, days, fixed) / error
        years = found.reshape(20, 12, 60)
        assert found.std() == pytest.approx(1, abs=0.06)
        again = np.mean([(years[k] * years[k + 1]).mean() for k in range(19)])
        assert again == pytest.approx(fixed, abs=0.06)
        next_month = (years[:, :-1] * years[:, 1:]).mean()
        assert next_month == pytest.approx(0.2, abs=0.1)


def test_footprints_spread_the_departure_from_the_prior_and_keep_the_total() -> None:
    lat, lon = (axis.ravel() for axis in np.meshgrid(np.arange(35.5, 55), np.arange(-109.5, -90)))
    area = np.cos(np.radians(lat))
    prior = np.stack([np.sin(lat), np.cos(lon)])
    spike = np.zeros_like(prior)
    centre = np.hypot(lat - 45.5, lon + 99.5).argmin()
    spike[0, centre] = 1.0
    found = products.seen_from_afar(prior + spike, prior, lat, lon, area, 500e3) - prior
    np.testing.assert_allclose(found @ area, spike @ area, atol=1e-12)
    np.testing.assert_allclose(found[1], 0, atol=1e-12)
    # Half as much at half of the full width, 250 km to the north: 2.248 degrees on the sphere.
    column = lon == lon[centre]
    half = np.interp(45.5 + 2.248, lat[column], found[0, column])
    assert half / found[0, centre] == pytest.approx(0.5, abs=0.02)
    sharp = products.seen_from_afar(prior + spike, prior, lat, lon, area, 1e3)
    np.testing.assert_allclose(sharp, prior + spike, atol=1e-9)


def test_the_prior_is_balanced_and_damped() -> None:
    season = np.array([1.0, 2, 3, 4, 5, -30, -20, -10, 6, 7, 8, 9])
    nee = np.tile(season, 2)[:, None] + np.repeat([1.0, -1.0], 12)[:, None]
    prior = products.balanced_prior(nee)
    assert prior.sum() == pytest.approx(0, abs=1e-9)
    assert np.ptp(prior) == pytest.approx(0.8 * 39)


def test_the_legacy_is_as_large_as_asked_and_adds_up_to_nothing() -> None:
    rng = np.random.default_rng(1)
    fractions = np.zeros((18, 120, 240))
    fractions[0], fractions[4] = 0.25, 0.75
    fractions[0, :, :40], fractions[4, :, :40] = 1.0, 0.0
    cells = np.ones((120, 240), bool)
    grams = unseen.legacy(rng, fractions, cells, 0.1).reshape(120, 240)
    south = np.radians(10 + 0.5 * np.arange(120))
    area = np.broadcast_to((np.sin(south + np.radians(0.5)) - np.sin(south))[:, None], grams.shape)
    flux = grams / (12.011e-6 * 86400)
    assert np.sqrt(np.average(flux**2, weights=area)) == pytest.approx(0.1, rel=1e-6)
    assert np.average(flux, weights=area) == pytest.approx(0, abs=1e-9)
    assert (flux[:, :40] == 0).all()


def test_the_sink_grows_evenly_about_the_middle_of_the_period() -> None:
    gpp = np.tile([0.0, 1, 2, 4, 9, 14, 14, 9, 4, 2, 1, 0], 9)[:, None]
    found = unseen.growing_sink(gpp, 0.01)
    assert found.sum() == pytest.approx(0, abs=1e-9)
    years = found.reshape(9, 12).sum(axis=1)
    np.testing.assert_allclose(np.diff(years), 0.01 * 60)


def test_the_reanalysis_is_biased_and_noisy() -> None:
    one = np.full((60, 93, 117), 1.0, np.float32)
    sky = weather.Weather(280 * one, 60 * one, 2 * one, 200 * one, 300 * one, 9e4 * one)
    same = products.see_weather(np.random.default_rng(2), sky, 0.0)
    for field, before in zip(vars(same).values(), vars(sky).values(), strict=True):
        np.testing.assert_allclose(field, before, rtol=1e-6)
    seen = products.see_weather(np.random.default_rng(2), sky, 1.0)
    assert (seen.dswrf / sky.dswrf).mean() == pytest.approx(1.2, abs=0.03)
    always = (seen.air - sky.air).mean(axis=0)
    assert always.std() == pytest.approx(1.0, abs=0.3)
    assert (seen.air - sky.air - always).std() == pytest.approx(0.5, abs=0.05)
    assert products.fading(25, 1.0)[[0, 12, 24], 0] == pytest.approx([1, 0.98, 0.98**2])
    assert (products.fading(25, 0.0) == 1).all()
