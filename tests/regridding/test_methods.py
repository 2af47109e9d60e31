"""Which method follows from what a variable is, and what the methods give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import rectilinear_grids, rotated_grids

from narcf_geo.core.errors import FieldError, GridMismatchError, UsageError
from narcf_geo.core.methods import METHODS
from narcf_geo.grid import Grid, Mesh
from narcf_geo.regridding import bands, compute_weights, regrid, regrid_file
from narcf_geo.regridding.masks import read_mask

FINE = Grid.regular(-100, 30, -80, 50, 1)
COARSE = Grid.regular(-100, 30, -80, 50, 2.5)
lon, lat = FINE.corners()
CURVED = Grid.from_corners(lon + 0.1 * (lat - 40), lat + 0.05 * (lon + 90))


def ints(grid: Grid = FINE, high: int = 6, seed: int = 0, lead: tuple[int, ...] = ()) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, high, (*lead, *grid.shape))


def on(grid: Grid, values: np.ndarray, name: str = "v", **attrs: Any) -> xr.DataArray:
    lead = ("time", "level")[: values.ndim - 2]
    coords = {grid.dims[0]: grid.lat, grid.dims[1]: grid.lon} if grid.is_rectilinear else {}
    return xr.DataArray(values, dims=(*lead, *grid.dims), coords=coords, name=name, attrs=attrs)


def cells(field: np.ndarray, source: Grid, target: Grid) -> list[list[tuple[float, float]]]:
    """The valid values in each target cell, with the share of it that each covers."""
    matrix = compute_weights(source, target).matrix().toarray()
    flat = field.ravel()
    return [
        [(flat[s], w) for s, w in enumerate(row) if w > 0 and flat[s] == flat[s]] for row in matrix
    ]


def statistic(method: str, inside: list[tuple[float, float]], q: float = 30) -> float:
    values, shares = np.array(inside).T
    if method == "majority":
        classes = np.unique(values)
        areas = np.array([shares[values == c].sum() for c in classes]).round(9)
        return float(classes[areas.argmax()])
    if method == "std":
        mean = np.average(values, weights=shares)
        return float(np.sqrt(np.average((values - mean) ** 2, weights=shares)))
    if method == "percentile":
        order = np.argsort(values)
        below = np.cumsum(shares[order])
        return float(values[order][np.searchsorted(below, q / 100 * below[-1])])
    return float({"min": min, "max": max}[method](values))


@pytest.mark.parametrize("source", [FINE, CURVED])
@pytest.mark.parametrize("method", ["majority", "min", "max", "std", "percentile"])
def test_as_by_hand(source: Grid, method: str) -> None:
    values = ints(source).astype(float)
    if method == "percentile":
        values += np.random.default_rng(1).random(values.shape)
    values[np.random.default_rng(2).random(values.shape) < 0.2] = np.nan
    q = 30 if method == "percentile" else None
    field = on(source, values, units="K")
    found = regrid(field, COARSE, source=source, method=method, min_coverage=0.3, percentile=q)
    fraction = found["v_valid_fraction"].values.ravel()
    for k, inside in enumerate(cells(values, source, COARSE)):
        covered = sum(share for _, share in inside)
        assert fraction[k] == pytest.approx(covered, abs=1e-12)
        if covered < 0.3:
            assert np.isnan(found.values.ravel()[k])
        else:
            assert found.values.ravel()[k] == pytest.approx(statistic(method, inside), abs=1e-9)
    # A mean is none of these.
    mean = regrid(field, COARSE, source=source, min_coverage=0.3)
    assert not np.allclose(mean, found, equal_nan=True)


@pytest.mark.parametrize("source", [FINE, CURVED])
@pytest.mark.parametrize("method", ["majority", "fractions", "std", "percentile", "max"])
@pytest.mark.parametrize("chunks", [(1, 20, 20), (2, 7, 20), (3, 3, 6)])
@pytest.mark.parametrize("limit", [2**20, 300])
def test_blocks_give_the_same(
    source: Grid, method: str, chunks: tuple, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bands, "BAND_CELLS", limit)
    values = ints(source, lead=(3,)).astype("float32")
    values[np.random.default_rng(2).random(values.shape) < 0.2] = np.nan
    values[:, :4] = np.nan
    q = 30 if method == "percentile" else None
    field = on(source, values)
    options: dict[str, Any] = {"source": source, "method": method, "percentile": q}
    if method in ("majority", "fractions"):
        options["categorical"] = ["v"]
    eager = regrid(field, COARSE, **options)
    lazy = regrid(field.chunk(dict(zip(field.dims, chunks, strict=True))), COARSE, **options)
    assert isinstance(lazy.data, da.Array)
    np.testing.assert_array_equal(lazy.values, eager.values)
    np.testing.assert_array_equal(lazy.v_valid_fraction.values, eager.v_valid_fraction.values)
    assert np.isfinite(eager.values).any()
    assert np.isnan(eager.values).any()


def test_each_block_is_read_once_and_none_before() -> None:
    seen: list[tuple[int, ...]] = []

    def block(block_info: dict | None = None) -> np.ndarray:
        place = block_info[None]["array-location"]
        seen.append(tuple(p[0] for p in place))
        return np.ones([stop - start for start, stop in place])

    chunks = ((2,) * 2, (6, 7, 7), (11, 9))
    data = da.map_blocks(block, chunks=chunks, dtype="f8", meta=np.ones((0, 0, 0)))
    seen.clear()
    field = xr.DataArray(data, dims=("time", "lat", "lon"), name="t", attrs={"units": "K"})
    lazy = regrid(field, COARSE, source=FINE, method="max")
    assert seen == []
    with dask.config.set(scheduler="synchronous"):
        dask.compute(lazy.data, lazy.t_valid_fraction.data)
    assert len(seen) == len(set(seen)) == 12


grids = st.one_of(rectilinear_grids(), rotated_grids())


@given(grids, grids, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_invariants(source: Grid, target: Grid, seed: int) -> None:
    weights = compute_weights(source, target)
    if weights.matrix().sum(axis=1).max() < 1e-6:
        return
    values = ints(source, seed=seed).astype(float)
    values[np.random.default_rng(seed).random(source.shape) < 0.2] = np.nan
    ds = on(source, values, units="K").drop_vars(source.dims, errors="ignore").to_dataset()

    def made(method: str | None = None, **options: Any) -> np.ndarray:
        out = regrid(
            ds, target, source=source, weights=weights, method=method, min_coverage=1e-6, **options
        )
        return out["v"].values

    low, mean, high, std = (made(m) for m in ("min", "conservative", "max", "std"))
    valid = np.isfinite(mean)
    assert (np.isfinite(low) == valid).all()
    assert (low[valid] <= mean[valid] + 1e-9).all()
    assert (mean[valid] <= high[valid] + 1e-9).all()
    # Popoviciu: no deviation beyond half the range.
    assert (std[valid] <= (high - low)[valid] / 2 + 1e-9).all()
    classes = made(categorical=["v"])
    assert np.isin(classes[valid], values).all()
    half = made("percentile", percentile=50)
    assert ((low[valid] <= half[valid]) & (half[valid] <= high[valid])).all()
    shares = made("fractions", categorical=["v"])
    np.testing.assert_allclose(shares.sum(axis=0)[valid], 1, rtol=1e-12)
    ds["v"] = ds["v"] * 0 + 4.25
    assert (made("std")[valid] == 0).all()
    for method in ("min", "max", "majority"):
        assert (made(method)[valid] == 4.25).all()


def test_the_kind_of_variable_decides() -> None:
    classes = ints(high=4).astype("uint8")
    ds = xr.Dataset(
        {
            "t": on(FINE, ints() + 280.5, units="K", standard_name="air_temperature"),
            "people": on(FINE, ints() * 1000.0, units="people"),
            "cover": on(
                FINE, classes, flag_values=np.array([1, 2, 3], "u1"), flag_meanings="a b c"
            ),
            "plain": on(FINE, classes),
            "lake": on(FINE, classes > 1),
            "wind": on(FINE, (ints() * 20.0 + 300) % 360, units="degree", long_name="direction"),
            "areacella": on(FINE, FINE.area / 1e6, units="km2", standard_name="cell_area"),
        }
    )
    out = regrid(ds, COARSE)
    np.testing.assert_allclose(out["people"].sum(), ds["people"].sum())
    assert out["people"].attrs["cell_methods"] == "area: sum"
    np.testing.assert_allclose(out["areacella"], COARSE.area / 1e6)
    assert "areacella_valid_fraction" not in out
    assert out["areacella"].attrs["units"] == "km2"
    expected = [statistic("majority", c) for c in cells(classes.astype(float), FINE, COARSE)]
    np.testing.assert_array_equal(out["cover"].values.ravel(), expected)
    np.testing.assert_array_equal(out["plain"], out["cover"])
    assert out["cover"].attrs["cell_methods"] == "area: mode"
    assert out["cover"].attrs["flag_meanings"] == "a b c"
    assert set(np.unique(out["cover"])) <= {1, 2, 3}
    np.testing.assert_allclose(
        out["lake"], regrid((ds["lake"] * 1.0).assign_attrs(units="1"), COARSE), rtol=1e-6
    )
    assert ((out["wind"] < 90) | (out["wind"] > 270)).all()
    mean = regrid(ds["wind"], COARSE, quantity={"wind": "mean"})
    assert ((mean > 90) & (mean < 270)).any()
    assert out["t"].attrs["cell_methods"] == "area: mean"


def test_what_is_unclear_is_asked_about_by_name() -> None:
    bits = on(FINE, ints(), name="qc", flag_masks=np.array([1, 2, 4]), flag_meanings="a b c")
    count = on(FINE, ints(), name="population")
    ds = xr.Dataset({"t": on(FINE, ints() * 1.0, units="K"), "qc": bits, "population": count})
    with pytest.raises(
        UsageError, match=r"(?s)\n  'qc': flag_masks; bits have no mean.*\n  'population': "
    ):
        regrid(ds, COARSE)
    with pytest.raises(UsageError, match="'qc': flag_masks"):
        regrid(bits, COARSE, quantity="mean")
    total = regrid(count, COARSE, quantity="total", min_coverage=0)
    assert float(total.sum()) == pytest.approx(int(count.sum()), rel=1e-12)
    mean = regrid(count, COARSE, quantity={"population": "mean"})
    assert float(mean.max()) <= 5
    named = regrid(ds, COARSE, quantity={"population": "total"}, method={"qc": "nearest_s2d"})
    assert set(np.unique(named["qc"])) <= set(range(1, 6))
    np.testing.assert_allclose(
        regrid(count, COARSE, quantity={"population": "total"}), named["population"], rtol=1e-12
    )
    with pytest.raises(UsageError, match=r"'population': 'population' without a unit"):
        regrid(count, COARSE, method="conservative")


def test_a_refusal_says_how_to_regrid_the_others() -> None:
    ds = xr.Dataset(
        {"t": on(FINE, ints() * 1.0, units="K"), "qc": on(FINE, ints().astype("int16"))}
    )
    with pytest.raises(
        UsageError, match=r"'qc': int16.*\n.*the others: --variables t; .*ds\[\['t'\]\]"
    ):
        regrid(ds, COARSE)
    with pytest.raises(UsageError) as only:
        regrid(ds[["qc"]], COARSE)
    assert "others" not in str(only.value)


@pytest.mark.parametrize("method", ["majority", "fractions"])
def test_a_method_of_classes_makes_integers_classes(method: str) -> None:
    numbers = ints().astype("int16")
    numbers[::2, ::3] = -1
    cover = on(FINE, numbers)
    asked = regrid(cover, COARSE, method=method)
    said = regrid(cover, COARSE, method=method, categorical=["v"])
    xr.testing.assert_identical(asked, said)
    # The control: where -1 is a class it takes part.
    named = regrid(cover.assign_attrs(flag_values=[-1, 1, 2, 3, 4, 5]), COARSE, method=method)
    assert named.shape != asked.shape or not np.array_equal(named, asked, equal_nan=True)


def test_numbers_as_they_lie_in_a_file() -> None:
    stored = np.random.default_rng(6).integers(0, 250, FINE.shape).astype("uint8")
    stored[0, :2] = 255
    plain = on(FINE, np.where(stored == 255, np.nan, stored * 0.1 + 270), units="K")
    raw = on(FINE, stored.view("int8"), units="K", _Unsigned="true", _FillValue=np.int8(-1))
    raw.attrs.update(scale_factor=0.1, add_offset=270.0)
    wanted = regrid(plain, COARSE)
    np.testing.assert_allclose(regrid(raw, COARSE), wanted, rtol=1e-6)
    np.testing.assert_allclose(regrid(raw.chunk(3), COARSE), wanted, rtol=1e-6)
    limited = regrid(raw.assign_attrs(valid_range=[0, 200]), COARSE)
    np.testing.assert_allclose(limited, regrid(plain.where(stored <= 200), COARSE), rtol=1e-6)
    cover = on(FINE, (stored % 5).astype("uint8"), valid_range=[0, 3])
    assert regrid(cover, COARSE).encoding["dtype"] == "int16"


def test_methods_that_would_spoil_a_variable_are_refused() -> None:
    classes = on(FINE, ints().astype("uint8"), flag_values=[1, 2, 3, 4, 5])
    for method in ("conservative", "bilinear", "min", "std", "nearest_d2s"):
        with pytest.raises(UsageError, match=r"class numbers have no mean, so method .*majority"):
            regrid(classes, COARSE, method=method)
    with pytest.raises(UsageError, match="no mean and no total"):
        regrid(classes, COARSE, quantity={"v": "mean"})
    np.testing.assert_array_equal(regrid(classes, COARSE, quantity="mean"), regrid(classes, COARSE))
    guessed = classes.copy()
    guessed.attrs = {}
    with pytest.raises(UsageError, match="if it is no class, say quantity"):
        regrid(guessed, COARSE, method="conservative")
    measured = regrid(guessed, COARSE, quantity="mean")
    np.testing.assert_allclose(measured, regrid(guessed * 1.0, COARSE), rtol=1e-6)
    people = on(FINE, ints() * 1.0, units="people")
    with pytest.raises(UsageError, match="does not keep totals"):
        regrid(people, COARSE, method="bilinear")
    with pytest.raises(UsageError, match="it is intensive"):
        regrid(on(FINE, ints() * 1.0, units="K"), COARSE, method="fractions")


def test_wrong_options() -> None:
    field = on(FINE, ints() * 1.0, units="K")
    for wrong, text in (
        ({"method": "majorty"}, "did you mean 'majority'"),
        ({"method": "percentile"}, "expected percentile="),
        ({"percentile": 50}, "needs method='percentile'"),
        ({"method": "percentile", "percentile": 101}, r"within 0\.\.100"),
        ({"max_distance": 100}, "it needs method 'nearest_s2d'"),
        ({"max_distance": -1, "method": "nearest_s2d"}, "above 0 km"),
        ({"extrapolate": "linear"}, "expected extrapolate 'nearest'"),
        ({"categorical": ["w"]}, r"variables of the data, found \['w'\]"),
        ({"quantity": {"v": "sum"}}, "expected quantity"),
        ({"quantity": "total", "extrapolate": "nearest"}, "totals cannot be extrapolated"),
    ):
        with pytest.raises(UsageError, match=text):
            regrid(field, COARSE, **wrong)  # type: ignore[arg-type]


def test_nodata_never_wins() -> None:
    classes = np.full(FINE.shape, 255, "uint8")
    classes[::3] = 4
    for attrs in ({"_FillValue": np.uint8(255)}, {"missing_value": 255}):
        out = regrid(on(FINE, classes, **attrs), COARSE, min_coverage=0.1)
        assert np.unique(out).tolist() == [4]
        assert float(out.v_valid_fraction.mean()) == pytest.approx(0.35, abs=0.02)
    assert 255 in regrid(on(FINE, classes), COARSE)
    signed = np.where(classes == 4, 4, -1).astype("int8")
    assert np.unique(regrid(on(FINE, signed), COARSE, min_coverage=0.1)).tolist() == [4]
    named = on(FINE, signed, flag_values=np.array([-1, 4], "i1"))
    assert -1 in regrid(named, COARSE)


def test_undecoded_numbers_are_unpacked() -> None:
    raw = np.full(FINE.shape, 2732, "int16")
    raw[:5] = -999
    attrs = {"_FillValue": np.int16(-999), "scale_factor": 0.1, "add_offset": 0.0, "units": "K"}
    out = regrid(on(FINE, raw, **attrs), COARSE)
    np.testing.assert_allclose(out.values[2:], 273.2, rtol=1e-6)
    assert np.isnan(out.values[:2]).all()
    assert not {"scale_factor", "_FillValue"} & set(out.attrs)


def test_fractions() -> None:
    classes = ints(lead=(2,)).astype("uint8")
    attrs = {"flag_values": np.arange(7, dtype="u1"), "flag_meanings": "a b c d e f g"}
    out = regrid(on(FINE, classes, name="lc", **attrs).to_dataset(), COARSE, method="fractions")
    assert out["lc"].dims == ("time", "lc_class", "lat", "lon")
    assert out["lc_class"].values.tolist() == list(range(7))
    assert out["lc_class_name"].values.tolist() == list("abcdefg")
    assert out["lc"].attrs["units"] == "1"
    assert "flag_values" not in out["lc"].attrs
    for number in (0, 3):
        mask = on(FINE, (classes == number) * 1.0, units="1")
        np.testing.assert_allclose(out["lc"].sel(lc_class=number), regrid(mask, COARSE), atol=1e-6)
    found = regrid(on(FINE, classes), COARSE, method="fractions")
    assert found["v_class"].values.tolist() == [1, 2, 3, 4, 5]
    with pytest.raises(FieldError, match="up to 256 classes as whole numbers"):
        regrid(on(FINE, ints() + 0.5), COARSE, method="fractions", categorical="v")


def test_class_numbers_are_integers_in_files(tmp_path: Path) -> None:
    classes = ints().astype("uint8")
    classes[:7] = 255
    ds = on(FINE, classes, name="lc").to_dataset()
    ds.to_netcdf(tmp_path / "in.nc", encoding={"lc": {"_FillValue": 255}})
    row = regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", grid=2.5)[0]
    assert row.integral_before is None
    with xr.open_dataset(tmp_path / "out.nc", mask_and_scale=False) as out:
        assert out["lc"].dtype == np.uint8
        assert out["lc"].attrs["_FillValue"] == 255
        assert (out["lc"][:2] == 255).all()
        assert set(np.unique(out["lc"])) <= {1, 2, 3, 4, 5, 255}
    ds.to_netcdf(tmp_path / "in.nc", mode="w", encoding={"lc": {"_FillValue": None}})
    regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", grid=2.5)
    with xr.open_dataset(tmp_path / "out.nc", mask_and_scale=False) as out:
        assert out["lc"].dtype == np.int16
        assert (out["lc"][:2] == 255).all()


def test_masks() -> None:
    values = ints() * 1.0
    land = xr.DataArray(
        values[::-1] > 2, {"lat": FINE.lat[::-1], "lon": FINE.lon + 360}, ("lat", "lon")
    )
    field = on(FINE, values, units="K")
    out = regrid(field, COARSE, source_mask=land, min_coverage=0.2)
    expected = regrid(field.where(values > 2), COARSE, min_coverage=0.2)
    xr.testing.assert_allclose(out, expected)
    upside_down = regrid(field, COARSE, source_mask=land.values, min_coverage=0.2)
    assert not np.allclose(upside_down, expected, equal_nan=True)
    goal = np.zeros(COARSE.shape)
    goal[2:4, 3] = 1
    out = regrid(field, COARSE, target_mask=goal)
    assert np.isfinite(out.values).sum() == 2
    assert (out.v_valid_fraction.values > 0).sum() == 2
    lazy = regrid(field.chunk(lat=7), COARSE, source_mask=land, target_mask=goal, min_coverage=0.2)
    np.testing.assert_allclose(lazy, expected.where(goal > 0))
    with pytest.raises(UsageError, match="source_mask: expected one value for each cell"):
        regrid(field, COARSE, source_mask=goal)
    with pytest.raises(GridMismatchError, match="source_mask: expected a mask on"):
        regrid(field, COARSE, source_mask=land.assign_coords(lon=FINE.lon + 0.5))
    with pytest.raises(UsageError, match="at least one cell"):
        regrid(field, COARSE, source_mask=np.zeros(FINE.shape))


def test_the_nearest_looks_past_the_mask() -> None:
    values = ints() * 1.0
    keep = np.zeros(FINE.shape, bool)
    keep[10, 10] = True
    field = on(FINE, values, units="K")
    out = regrid(field, FINE, method="nearest_s2d", source_mask=keep, max_distance=250)
    assert np.isfinite(out.values).sum() > 8
    assert set(np.unique(out.values[np.isfinite(out.values)])) == {values[10, 10]}
    other = regrid(field, FINE, method="nearest_s2d", source_mask=~keep, max_distance=250)
    assert np.isfinite(other.values).all()


def test_nearest_within_a_distance() -> None:
    globe = Grid.regular(-180, -90, 180, 90, 2)
    field = on(FINE, ints() * 1.0, units="K")
    out = regrid(field, globe, method="nearest_s2d")
    lon, lat = np.meshgrid(globe.lon, globe.lat)
    inside = (lon > -100) & (lon < -80) & (lat > 30) & (lat < 50)
    assert np.isfinite(out.values[inside]).all()
    beyond = (lon < -102) | (lon > -78) | (lat < 28) | (lat > 52)
    assert np.isnan(out.values[beyond]).all()
    far = regrid(field, globe, method="nearest_s2d", max_distance=25_000)
    assert np.isfinite(far.values).all()
    some = regrid(field, globe, method="nearest_s2d", max_distance=500)
    assert np.isfinite(out.values).sum() < np.isfinite(some.values).sum() < lon.size
    back = regrid(on(globe, ints(globe) * 1.0, units="K"), FINE, method="nearest_d2s")
    # Only source centres in the region go anywhere, and each to a cell of its own.
    assert np.isfinite(back.values).sum() == 100


def test_extrapolation() -> None:
    values = ints(lead=(2,)) * 1.0
    values[0, :, 10:] = np.nan
    values[1, :12] = np.nan
    field = on(FINE, values, units="K")
    plain = regrid(field, FINE)
    out = regrid(field, FINE, extrapolate="nearest")
    assert np.isfinite(out.values).all()
    np.testing.assert_array_equal(out.values[np.isfinite(plain)], plain.values[np.isfinite(plain)])
    np.testing.assert_array_equal(out.v_valid_fraction, plain.v_valid_fraction)
    np.testing.assert_array_equal(out.values[1, 11], values[1, 12])
    near = regrid(field, FINE, extrapolate="nearest", max_distance=130)
    assert np.isfinite(near.values[1, 11]).all()
    assert np.isnan(near.values[1, 10]).all()
    lazy = regrid(field.chunk(time=1, lat=7), FINE, extrapolate="nearest")
    np.testing.assert_array_equal(lazy.values, out.values)
    classes = regrid(field, FINE, categorical="v", extrapolate="nearest")
    np.testing.assert_array_equal(classes, out)


@pytest.mark.parametrize("first", [0.0, 0.5, -180.0, -179.5])
@pytest.mark.parametrize("south_first", [True, False])
@pytest.mark.parametrize("nodes", [True, False])
def test_bilinear_has_no_seam_and_no_holes(first: float, south_first: bool, nodes: bool) -> None:
    lat = np.arange(-90, 91.0) if nodes else np.arange(-89.5, 90)
    lat = lat if south_first else lat[::-1]
    lon = first + np.arange(360.0)
    x, y = np.meshgrid(np.radians(lon), np.radians(lat))
    smooth = np.cos(y) * np.cos(x - 0.3) + np.sin(y)
    field = xr.DataArray(smooth, {"lat": lat, "lon": lon}, ("lat", "lon"), "v", {"units": "K"})
    target = Grid.regular(-180, -90, 180, 90, 0.75)
    out = regrid(field, target, method="bilinear")
    x, y = np.meshgrid(np.radians(target.lon), np.radians(target.lat))
    assert np.isfinite(out.values).all()
    np.testing.assert_allclose(out, np.cos(y) * np.cos(x - 0.3) + np.sin(y), atol=2e-4)


def test_bilinear_does_not_invent_a_pole() -> None:
    belt = Grid.regular(-180, -60, 180, 60, 2)
    out = regrid(on(belt, ints(belt) * 1.0, units="K"), Grid.regular(-180, -90, 180, 90, 3),
                 method="bilinear")  # fmt: skip
    valid = np.isfinite(out.values).all(axis=1)
    assert valid.tolist() == (np.abs(out.lat.values) < 59.5).tolist()


def test_the_table_is_the_documentation_of_the_methods() -> None:
    text = Path(__file__).parents[2].joinpath("docs/regridding.md").read_text()
    for method in METHODS.values():
        assert f"| `{method.name}` | {method.summary} |" in text


def test_read_mask(tmp_path: Path) -> None:
    ds = on(FINE, ints() * 1.0, name="land").to_dataset().assign(sea=on(FINE, ints() * 1.0))
    ds.to_netcdf(tmp_path / "m.nc")
    xr.testing.assert_allclose(read_mask(f"{tmp_path}/m.nc:sea").drop_vars(FINE.dims),
                               ds["sea"].drop_vars(FINE.dims))  # fmt: skip
    with pytest.raises(UsageError, match="FILE:VARIABLE, found several; choose from land, sea"):
        read_mask(f"{tmp_path}/m.nc")
    with pytest.raises(UsageError, match="found no 'ice'"):
        read_mask(f"{tmp_path}/m.nc:ice")
    with pytest.raises(FileNotFoundError):
        read_mask(f"{tmp_path}/n.nc:land")


def test_meshes() -> None:
    mesh = Mesh.healpix(8).where(np.arange(768) != 5)
    globe = Grid.regular(-180, -90, 180, 90, 1)
    classes = np.random.default_rng(0).integers(1, 5, mesh.shape).astype("uint8")
    field = xr.DataArray(classes, dims=mesh.dims, name="v")
    near = regrid(field, globe, source=mesh, method="nearest_s2d")
    most = regrid(field, globe, source=mesh)
    assert (
        set(np.unique(near))
        == set(np.unique(most.values[np.isfinite(most.values)]))
        == {1, 2, 3, 4}
    )
    assert float((near == most).mean()) > 0.9
    shuffled = regrid(field.copy(data=classes[::-1]), globe, source=mesh)
    assert float((near == shuffled).mean()) < 0.5
    region = regrid(on(FINE, ints() * 1.0, units="K"), mesh, method="nearest_s2d")
    assert 0 < np.isfinite(region.values).sum() < 30
    measured = (field * 1.0).assign_attrs(units="K")
    with pytest.raises(UsageError, match="a source of rows and columns"):
        regrid(measured, globe, source=mesh, method="conservative2")
    with pytest.raises(UsageError, match="needs rows and columns"):
        regrid(measured, globe, source=mesh, method="bilinear")
