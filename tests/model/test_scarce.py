"""Training on little: narrow regions, gaps, few months; it ends in a model or is refused first."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", ["precip", "flux_target"])
def test_infinite_values_are_refused_not_dropped(name: str) -> None:
    ds = cube()
    ds[name][13, 1, 2] = np.inf
    with pytest.raises(FieldError, match=rf"{name}: expected finite.*1 infinite.* in 2008-02"):
        trained(ds)
