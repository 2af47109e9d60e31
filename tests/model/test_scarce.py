"""Training on little: narrow regions, gaps, few months; it ends in a model or is refused first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import narcf_geo as ng
from narcf_geo.core.errors import FieldError, NarcfError
from narcf_geo.grid import Grid
from narcf_geo.model.network.training import Trainer

YEARS = ("train", 2007), ("validation", 2008), ("test", 2009)
PERIODS: dict[str, Any] = {
    "kind": "period",
    **{part: {"start": f"{year}-01", "end": f"{year}-12"} for part, year in YEARS},
}
UNITS = {"temp": "degC", "precip": "kg m-2 day-1", "flux_target": "umol m-2 s-1"}
MODEL = {"preset": "linear", "epochs": 2}


def cube(rows: int = 3, columns: int = 4, years: int = 3, biomes: tuple = (5, 12)) -> xr.Dataset:
    """Return monthly predictors and a flux that follows from them."""
    rng = np.random.default_rng(1)
    grid = Grid.regular(-100, 40, -100 + columns, 40 + rows, 1)
    time = np.arange("2007-01", f"{2007 + years}-01", dtype="datetime64[M]")
    shape, dims = (time.size, rows, columns), ("time", "lat", "lon")
    fields = {"temp": rng.normal(10, 8, shape), "precip": rng.normal(3, 1, shape)}
    fields["flux_target"] = 2 - 0.1 * fields["temp"] + rng.normal(0, 0.1, shape)
    ds = xr.Dataset(
        {name: (dims, values, {"units": UNITS[name]}) for name, values in fields.items()},
        {"time": time.astype("datetime64[ns]"), **grid.coords()},
    )
    ds["biome"] = (dims[1:], np.resize(biomes, (rows, columns)).astype("int8"))
    shares = ds["biome"].values == np.arange(18)[:, None, None]
    return ds.assign(class_fraction=(("igbp_class", *dims[1:]), shares.astype("float32")))


def without(ds: xr.Dataset, *names: str, **where: Any) -> xr.Dataset:
    """Return a cube that lacks variables in a year, or west of a meridian, or everywhere."""
    there = xr.zeros_like(ds["temp"], bool)
    if "year" in where:
        there = ds["time"].dt.year != where["year"]
    if "west_of" in where:
        there = ds["lon"] > where["west_of"]
    return ds.assign({name: ds[name].where(there).assign_attrs(ds[name].attrs) for name in names})


def constant(flux: float) -> xr.Dataset:
    """Return a cube of which the target is one number, but for the months that test."""
    ds = cube()
    seen = ds["time"].dt.year < 2009
    return ds.assign(flux_target=ds["flux_target"].where(~seen, flux))


def spoiled(flux: float, times: float = 1.0) -> xr.Dataset:
    """Return a cube of which one cell of the training months has another flux."""
    ds = cube()
    target = times * ds["flux_target"]
    target[4, 2, 1] = flux
    return ds.assign(flux_target=target)


def trained(ds: xr.Dataset, split: dict[str, Any] = PERIODS, **options: Any) -> xr.Dataset:
    bundle = ng.train(ds, ["temp", "precip"], split=split, model=MODEL, **options)
    return ng.predict(ds, bundle).compute()


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (1, 1)], ids=["row", "column", "cell"])
def test_a_narrow_region_is_learned_from(shape: tuple[int, int]) -> None:
    flux = trained(cube(*shape))["flux"]
    assert flux.shape == (36, *shape)
    assert flux.notnull().all()


def test_a_gap_in_every_predictor_is_a_gap_in_the_prediction() -> None:
    ds = without(cube(), "temp", "precip", west_of=-98)
    known = trained(ds, missing="mask")["flux"].notnull()
    np.testing.assert_array_equal(known, ds["temp"].notnull())
    # The control: where one of two is there, so is a flux.
    half = without(cube(), "temp", west_of=-98)
    assert trained(half, missing="mask")["flux"].notnull().all()


def test_a_constant_predictor_and_one_biome_tell_nothing_and_harm_nothing() -> None:
    ds = cube(biomes=(5,))
    ds["precip"] = xr.full_like(ds["precip"], 3.0)
    assert np.isfinite(trained(ds)["flux"]).all()


BLOCKS = {"kind": "blocks", "degrees": 1, "folds": 3}


@pytest.mark.parametrize(
    ("ds", "split", "options", "words"),
    [
        (without(cube(), "flux_target", year=2007), PERIODS, {},
         [r"split.train \(2007-01 to 2007-12\)", "found none", "flux_target 144"]),
        (without(cube(), "flux_target", year=2008), PERIODS, {}, ["split.validation"]),
        (without(cube(), "temp", year=2009), PERIODS, {}, ["split.test", "temp 144"]),
        (without(cube(), "temp"), PERIODS, {}, ["no land cell", "temp: 432"]),
        (without(cube(), "temp"), PERIODS, {"missing": "mask"}, ["temp: no value in any training"]),
        (without(cube(), "temp", "precip"), PERIODS, {"missing": "mask"}, ["no land cell has"]),
        (constant(0.3), PERIODS, {}, ["fluxes that differ", "found 0.3", "all 144 training"]),
        (spoiled(-1e30), PERIODS, {}, [r"within 1000", r"-1e\+30 .* 2007-05 at 42.5 N, -98.5 E"]),
        (spoiled(900.0), PERIODS, {}, [r"900 .* 2007-05 at 42.5 N, -98.5 E", "99.* of 144 train"]),
        (spoiled(5.0, 0.005), PERIODS, {}, ["5 umol", "alone holds"]),
        (spoiled(0.0, 0.005), PERIODS, {}, ["spread by 0.02", "found 0.0037", "standardised"]),
        (cube(biomes=(0,)), PERIODS, {}, ["expected land cells", "classes 1 to 16"]),
        (cube(years=1), {"kind": "years"}, {}, [r"at least 3 years.*in 1 \(2007\)"]),
        (cube(), {**BLOCKS, "degrees": 10}, {}, ["at least 3 blocks", "found 1"]),
        (cube(1, 1).isel(time=[0, 1]), {"kind": "random", "folds": 5}, {}, ["5 rows", "found 2"]),
        (cube(), {"kind": "biomes"}, {}, ["at least 3 biomes", "found 2", "croplands"]),
        (cube(biomes=(5, 12, 4)), {"kind": "biomes", "degrees": 90}, {}, ["none in train"]),
        (without(cube(), "flux_target", year=2008).combine_first(cube().isel(lat=[0], lon=[0])),
         {**BLOCKS, "period": PERIODS}, {}, ["blocks, fold", "none in validation"]),
    ],
)  # fmt: skip
def test_too_little_is_refused_before_any_training(
    monkeypatch: pytest.MonkeyPatch,
    ds: xr.Dataset,
    split: dict[str, Any],
    options: dict[str, Any],
    words: list[str],
) -> None:
    def fit(*arguments: object) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr(Trainer, "fit", fit)
    for name, units in UNITS.items():
        ds[name].attrs["units"] = units
    with pytest.raises(NarcfError) as error:
        trained(ds, split, **options)
    for word in words:
        assert error.match(word)


def test_a_great_flux_among_many_is_learned_from() -> None:
    assert trained(spoiled(25.0))["flux"].notnull().all()


def test_a_tiny_target_is_learned_like_a_large_one() -> None:
    model = {"preset": "best", "members": 1, "epochs": 8, "halves": False}
    found = []
    for times in (1.0, 0.005):
        ds = cube()
        ds["flux_target"] = times * ds["flux_target"]
        ds["flux_target"].attrs["units"] = "umol m-2 s-1"
        bundle = ng.train(ds, ["temp", "precip"], split=PERIODS, model=model)
        found.append(ng.predict(ds, bundle)["flux"].values / times)
    assert np.ptp(found[0]) > 1
    np.testing.assert_allclose(found[1], found[0], atol=2e-4)


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (1, 1)], ids=["row", "column", "cell"])
@pytest.mark.parametrize("members", [1, 2])
def test_a_narrow_region_has_totals_intervals_and_products(
    tmp_path: Path, shape: tuple[int, int], members: int
) -> None:
    ds = cube(*shape, years=4)
    later = ("train", "2007-01", "2008-12"), ("validation", "2009-01", "2009-12")
    split = {part: {"start": start, "end": end} for part, start, end in later}
    split["test"] = {"start": "2010-01", "end": "2010-12"}
    model = {"preset": "best", "members": members, "epochs": 3, "halves": members == 2}
    bundle = ng.train(ds, ["temp", "precip"], split={"kind": "period", **split}, model=model)
    prediction = ng.predict(ds, bundle)
    flux = prediction["flux"].compute()
    # The array alone knows how large its cells are, of one row or column too.
    area = Grid.regular(-100, 40, -100 + shape[1], 40 + shape[0], 1).area
    seconds = 86400.0 * flux["time"].dt.days_in_month.values
    wanted = (flux.values * area).sum(axis=(1, 2)) * seconds * 12.011e-18
    np.testing.assert_allclose(ng.monthly_total(flux), wanted, rtol=1e-6)
    table = ng.biome_budget(
        flux, prediction["biome"], std=prediction.get("flux_std"), errors=bundle.errors
    )
    whole = table[table["biome"] == "all"]
    np.testing.assert_allclose(whole["flux_TgC"], wanted.reshape(4, 12).sum(axis=1), rtol=1e-6)
    if members == 2:  # halves tell how far the estimate is from the flux
        assert (whole["flux_TgC_upper"] > whole["flux_TgC"]).all()
    ng.write_products(prediction, tmp_path)
    with xr.open_dataset(tmp_path / "flux.nc") as written:
        np.testing.assert_allclose(written["cell_area"], area)


@pytest.mark.parametrize("name", ["precip", "flux_target"])
def test_infinite_values_are_refused_not_dropped(name: str) -> None:
    ds = cube()
    ds[name][13, 1, 2] = np.inf
    with pytest.raises(FieldError, match=rf"{name}: expected finite.*1 infinite.* in 2008-02"):
        trained(ds)
