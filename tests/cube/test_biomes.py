"""Class fractions and majority, by brute force and on the real map."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from narcf_geo.catalog.catalog import PACKAGED
from narcf_geo.core.errors import FieldError, NarcfError, UsageError
from narcf_geo.cube.biomes import class_fractions, majority, map_biomes
from narcf_geo.grid import Grid


def land_cover(classes: np.ndarray, north: float = 52.0, west: float = -100.0) -> xr.DataArray:
    """A map of half degrees, north to south."""
    ny, nx = classes.shape
    return xr.DataArray(
        classes.astype(np.int16),
        coords={
            "lat": ("lat", north - 0.25 - 0.5 * np.arange(ny), {"units": "degrees_north"}),
            "lon": ("lon", west + 0.25 + 0.5 * np.arange(nx), {"units": "degrees_east"}),
        },
        dims=("lat", "lon"),
    )


def test_fractions_by_brute_force() -> None:
    rng = np.random.default_rng(8)
    classes = rng.integers(-1, 18, (24, 32))
    classes[:6, :6] = -1
    found = class_fractions(land_cover(classes), Grid.regular(-100, 40, -84, 52, 2))
    assert found.dims == ("igbp_class", "lat", "lon")
    for i in range(6):
        for j in range(8):
            rows = slice(24 - 4 * (i + 1), 24 - 4 * i)
            cells = classes[rows, 4 * j : 4 * j + 4]
            edges = np.radians(52 - 0.5 * np.arange(rows.start, rows.stop + 1))
            area = np.broadcast_to(-np.diff(np.sin(edges))[:, None], (4, 4))
            mapped = area[cells >= 0].sum()
            for number in range(18):
                value = float(found[number, i, j])
                if mapped < 0.5 * area.sum():
                    assert np.isnan(value)
                else:
                    expected = area[cells == number].sum() / mapped
                    assert value == pytest.approx(expected, abs=1e-6)
    assert np.isnan(found[0, 5, 0])
    np.testing.assert_allclose(found.sum("igbp_class", skipna=False).values[:4], 1, atol=1e-5)


def fractions(**shares: float) -> xr.DataArray:
    values = np.zeros((18, 1, 1), np.float32)
    for name, share in shares.items():
        values[int(name[1:])] = share
    return xr.DataArray(values, dims=("igbp_class", "lat", "lon"))


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"c0": 0.4, "c5": 0.2, "c12": 0.4}, 12),
        ({"c0": 0.4, "c12": 0.3, "c5": 0.3}, 5),
        ({"c0": 0.45, "c12": 0.275, "c5": 0.27500001}, 5),
        ({"c0": 0.5, "c16": 0.5}, 16),
        ({"c0": 0.51, "c16": 0.49}, 0),
        ({"c0": 0.5, **{f"c{i}": 1 / 12 for i in range(3, 9)}}, 3),
        ({"c17": 0.6, "c4": 0.4}, 17),
        ({"c0": 0.2, "c17": 0.45, "c4": 0.35}, 17),
        ({"c0": 0.3, "c17": 0.3, "c4": 0.4}, 0),
        # The unclassified part is no land.
        ({"c0": 0.4, "c17": 0.35, "c4": 0.25}, 0),
        ({"c17": 0.4, "c5": 0.3, "c12": 0.3}, 5),
        # Shares a rounding apart are equal, others are not.
        ({"c5": 0.5, "c12": 0.50000006}, 5),
        ({"c5": 0.2, "c12": 0.20000002, "c0": 0.6}, 0),
        ({"c5": 0.49999, "c12": 0.50001}, 12),
        ({"c0": 0.5, "c3": 0.49999997}, 3),
        ({"c0": 0.50001, "c3": 0.49999}, 0),
        ({"c17": 0.5, "c4": 0.5}, 4),
        ({"c0": 0.9, "c17": 0.1}, 0),
        ({"c0": np.nan}, -1),
        ({"c1": 1.0}, 1),
    ],
)
def test_majority(shares: dict[str, float], expected: int) -> None:
    assert majority(fractions(**shares)).item() == expected


def test_min_land_decides_between_water_and_land() -> None:
    cell = fractions(c0=0.7, c9=0.3)
    assert majority(cell, min_land=0.5).item() == 0
    assert majority(cell, min_land=0.3).item() == 9
    assert majority(cell, min_land=0.31).item() == 0


def test_maps_that_cannot_be_used() -> None:
    target = Grid.regular(-100, 48, -96, 52, 2)
    with pytest.raises(NarcfError, match="found 0 to 40"):
        class_fractions(land_cover(np.full((8, 8), 40) * np.eye(8)), target)
    with pytest.raises(NarcfError, match="no cell of which land"):
        map_biomes(land_cover(np.zeros((8, 8))), target)
    with pytest.raises(NarcfError, match="source touches"):
        map_biomes(land_cover(np.full((8, 8), 5), north=20), target)


def random_map() -> xr.DataArray:
    classes = np.random.default_rng(4).integers(-1, 18, (24, 32))
    classes[:7, 20:] = -1
    return land_cover(classes)


TARGET = Grid.regular(-100, 40, -84, 52, 2)


def test_nodata_may_be_nan_a_fill_value_or_masked() -> None:
    classes = random_map()
    expected = class_fractions(classes, TARGET)
    as_nan = classes.astype("float64").where(classes >= 0)
    filled = classes.astype("int16").where(classes >= 0, 255).assign_attrs(_FillValue=255)
    masked = classes.copy(data=np.ma.masked_less(classes.values, 0))
    for given in (as_nan, as_nan.chunk(lat=5), filled.astype("uint8"), masked):
        xr.testing.assert_identical(class_fractions(given, TARGET), expected)
    assert np.isnan(expected.values[:, 5, 7]).all()
    # The control: what is nodata counted as a class that is none of the 18.
    with pytest.raises(FieldError, match="found 0 to 255"):
        class_fractions(filled.drop_attrs(deep=False).assign_coords(classes.coords) * 1, TARGET)


@pytest.mark.parametrize("number", [2.5, 0.01, -0.5])
def test_an_interpolated_map_is_refused(number: float) -> None:
    classes = random_map().astype("float64")
    classes[12, 12] = number
    with pytest.raises(FieldError, match=f"whole class numbers, found {number}"):
        class_fractions(classes, TARGET)


def test_a_map_may_be_laid_out_otherwise() -> None:
    classes = random_map()
    expected = map_biomes(classes, TARGET)
    renamed = classes.rename(lat="latitude", lon="longitude")
    turned = classes.assign_coords(lon=classes["lon"] % 360)
    for given in (
        renamed.transpose()[::-1],
        turned.isel(lat=slice(None, None, -1)),
        classes.expand_dims(time=1, band=1),
    ):
        found = map_biomes(given, TARGET)
        np.testing.assert_allclose(found["class_fraction"], expected["class_fraction"], atol=1e-6)
        np.testing.assert_array_equal(found["biome"], expected["biome"])
    upside_down = classes.copy(data=classes.values[::-1])
    assert (map_biomes(upside_down, TARGET)["biome"] != expected["biome"]).any()
    with pytest.raises(FieldError, match="along time, lat, lon; choose one"):
        map_biomes(classes.expand_dims(time=2), TARGET)
    with pytest.raises(UsageError, match="found Dataset"):
        map_biomes(classes.to_dataset(name="x"), TARGET)  # type: ignore[arg-type]


def test_the_target_may_be_a_resolution_or_a_dataset() -> None:
    expected = map_biomes(random_map(), TARGET)
    for target in (2, (2, 2), expected, expected["biome"]):
        xr.testing.assert_identical(map_biomes(random_map(), target), expected)


def test_the_unclassified_part_is_no_land() -> None:
    classes = np.full((8, 8), 5)
    classes[:4, :3], classes[0, 0] = 17, 0
    found = map_biomes(land_cover(classes), Grid.regular(-100, 48, -96, 52, 2))
    row = np.array([-0.5, 0, 0.5, 1, 1.5, 2]) + 50
    weight = np.diff(np.sin(np.radians(row)))[1:]
    assert float(found["land_fraction"][1, 0]) == pytest.approx(0.25, abs=1e-6)
    assert float(found["land_fraction"][0, 0]) == pytest.approx(1.0)
    assert int(found["biome"][1, 0]) == 17
    water = 0.25 * weight[-1] / weight.sum()
    assert float(found["class_fraction"][0, 1, 0]) == pytest.approx(water, abs=1e-6)


@pytest.mark.parametrize("cells", [3, 7, 10])
def test_a_share_that_equals_the_least_coverage_is_enough(cells: int) -> None:
    """Whatever the rounding of sums: each number of cells out of all, and a little more."""
    lon = (np.arange(cells) + 0.5) / cells
    target = Grid.regular(0, 40, 1, 41, 1)
    for mapped in range(1, cells):
        classes = np.where(np.arange(cells) < mapped, 5.0, np.nan)[None]
        cover = xr.DataArray(
            np.repeat(classes, 2, 0), {"lat": [40.25, 40.75], "lon": lon}, ("lat", "lon")
        )
        share = mapped / cells
        assert float(class_fractions(cover, target, min_coverage=share)[5, 0, 0]) == 1
        with pytest.raises(NarcfError, match="does not cover any cell"):
            class_fractions(cover, target, min_coverage=share + 1e-6)


def test_a_wrong_legend_is_caught() -> None:
    classes = np.full((8, 8), 17)
    classes[:, :5] = 5
    with pytest.raises(NarcfError, match=r"legend.*igbp_water17"):
        map_biomes(land_cover(classes), Grid.regular(-100, 48, -96, 52, 2))
    classes[:, 7] = 0
    map_biomes(land_cover(classes), Grid.regular(-100, 48, -96, 52, 2))


def test_north_america_of_2019() -> None:
    """Areas of 2019 are near those of 2005, which were summed from another file."""
    import rasterio

    path = next((PACKAGED.parent / "data" / "landcover").glob("*.tif"))
    with rasterio.open(path) as raster:
        values = raster.read(1)[400:1600, 200:2600].astype(np.int16)
    values[values > 17] = -1
    lat, lon = 70 - 0.025 - 0.05 * np.arange(1200), -170 + 0.025 + 0.05 * np.arange(2400)
    cover = xr.DataArray(
        values,
        dims=("lat", "lon"),
        coords={
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    )
    target = Grid.regular(-170, 10, -50, 70, 1)
    ds = map_biomes(cover, target)
    area = target.area / 1e12
    assert float((ds["land_fraction"] * area).sum()) == pytest.approx(20.468, rel=0.01)
    assert int((ds["land_fraction"] > 0.5).sum()) == pytest.approx(2680, rel=0.02)
    assert int(((ds["biome"] > 0) & (ds["biome"] < 17)).sum()) == pytest.approx(2680, rel=0.02)
    sums = (ds["class_fraction"] * area).sum(["lat", "lon"]).values
    # By brute force from the raster.
    weight = np.cos(np.radians(lat))[:, None] * np.ones(2400)
    cell = 6.3710072**2 * np.radians(0.05) ** 2
    for number in range(17):
        assert sums[number] == pytest.approx((weight * (values == number)).sum() * cell, abs=1e-4)
    for number, expected in {1: 1.187, 8: 3.822, 10: 4.960, 12: 2.130}.items():
        assert sums[number] == pytest.approx(expected, rel=0.15)
