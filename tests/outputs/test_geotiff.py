from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import rasterio
import xarray as xr
from places import cells, like_a_map, like_an_inversion, monthly

from narcf_geo.core.constants import IGBP
from narcf_geo.core.errors import NarcfError
from narcf_geo.core.months import month_starts
from narcf_geo.grid import Grid
from narcf_geo.outputs.geotiff import (
    write_ancillary_geotiffs,
    write_biomes_geotiff,
    write_flux_geotiffs,
    write_fractions_geotiff,
)


def test_one_file_a_year_one_band_a_month(small_prediction, tmp_path):
    paths = write_flux_geotiffs(small_prediction, tmp_path / "products")
    assert [p.name for p in paths] == ["flux_2014.tif", "flux_2015.tif"]
    with rasterio.open(paths[0]) as raster:
        assert raster.descriptions == ("2014-11", "2014-12")
        assert raster.units == ("umol m-2 s-1",) * 2
        assert raster.crs.to_epsg() == 4326
        assert raster.tags(ns="IMAGE_STRUCTURE")["INTERLEAVE"] == "BAND"
        assert np.isnan(raster.nodata)
        assert raster.tags()["synthetic"] == "twin experiment"
        assert raster.tags()["AREA_OR_POINT"] == "Area"
    assert sorted(p.name for p in (tmp_path / "products").iterdir()) == [
        "flux_2014.qml",
        "flux_2014.tif",
        "flux_2015.qml",
        "flux_2015.tif",
    ]


def test_north_is_up_and_no_cell_moves(small_prediction, tmp_path):
    path = write_flux_geotiffs(small_prediction, tmp_path)[1]
    flux = small_prediction["flux"].sel(time="2015-02-01")
    with rasterio.open(path) as raster:
        assert raster.bounds == (-101.0, 40.0, -96.0, 44.0)
        assert raster.transform.e == -1.0
        points = [(lon, lat) for lat in flux["lat"].values for lon in flux["lon"].values]
        values = np.array([v[1] for v in raster.sample(points)]).reshape(flux.shape)
        # Just inside the south-west corner of the cell: a shift of half a cell would show.
        corner = next(iter(raster.sample([(-97.99, 43.01)])))[1]
    np.testing.assert_array_equal(values, flux.values)
    assert corner == flux.sel(lat=43.5, lon=-97.5).item()


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_order_of_latitude_does_not_matter(small_prediction, tmp_path, order):
    path = write_flux_geotiffs(small_prediction.isel(lat=order), tmp_path)[0]
    with rasterio.open(path) as raster:
        north = small_prediction["flux"].isel(time=0).sel(lat=43.5).values
        np.testing.assert_array_equal(raster.read(1)[0], north)


def test_statistics_are_those_of_the_band(small_prediction, tmp_path):
    path = write_flux_geotiffs(small_prediction, tmp_path)[0]
    month = small_prediction["flux"].isel(time=1)
    with rasterio.open(path) as raster:
        tags = raster.tags(2)
    assert float(tags["STATISTICS_MEAN"]) == pytest.approx(float(month.mean()), rel=1e-6)
    assert float(tags["STATISTICS_MINIMUM"]) == float(month.min())
    assert float(tags["STATISTICS_MAXIMUM"]) == float(month.max())
    # GDAL's own is that of the whole population.
    known = month.values[np.isfinite(month.values)].astype(float)
    assert float(tags["STATISTICS_STDDEV"]) == pytest.approx(known.std(ddof=0), rel=1e-9)
    assert abs(known.std(ddof=1) / known.std(ddof=0) - 1) > 1e-3
    assert float(tags["STATISTICS_VALID_PERCENT"]) == 100 * month.notnull().mean()


def test_style_is_symmetric_and_shared_by_all_years(small_prediction, tmp_path):
    paths = write_flux_geotiffs(small_prediction, tmp_path)
    styles = [p.with_suffix(".qml").read_text(encoding="utf-8") for p in paths]
    assert styles[0] == styles[1]
    renderer = ET.fromstring(styles[0].split("\n", 1)[1]).find("pipe/rasterrenderer")
    assert renderer.get("type") == "singlebandpseudocolor"
    low, high = float(renderer.get("classificationMin")), float(renderer.get("classificationMax"))
    assert low == -high
    assert high >= float(abs(small_prediction["flux"]).quantile(0.98))
    colors = [item.get("color") for item in renderer.iter("item")]
    green = colors[0]
    assert int(green[3:5], 16) > int(green[1:3], 16), "uptake (the low end) is green"


def test_biomes_keep_class_colour_and_name(small_prediction, tmp_path):
    path = write_biomes_geotiff(small_prediction["biome"], tmp_path / "biomes.tif")
    with rasterio.open(path) as raster:
        band = raster.read(1)
        assert raster.dtypes == ("uint8",)
        assert raster.nodata == 255
        assert raster.colorinterp[0].name == "palette"
        assert raster.colormap(1)[12] == (0xC2, 0x4F, 0x44, 255)
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    np.testing.assert_array_equal(band[0], [1, 1, 16, 15, 0])
    assert band[3, 0] == 255
    aux = ET.parse(tmp_path / "biomes.tif.aux.xml")
    names = [c.text for c in aux.iter("Category")]
    assert len(names) == len(IGBP)
    assert names[14] == "CVM cropland/natural vegetation mosaic"
    entries = list(ET.fromstring((tmp_path / "biomes.qml").read_bytes()).iter("paletteEntry"))
    assert [int(e.get("value")) for e in entries] == [0, 1, 4, 5, 8, 9, 10, 12, 14, 15, 16]


@pytest.mark.parametrize("order", [like_an_inversion, like_a_map])
def test_columns_across_greenwich_in_any_order(tmp_path, order):
    """Columns of 1.5, 4.5, 355.5 and 358.5 degrees are four in a row from 6 W to 6 E."""
    rng = np.random.default_rng(3)
    flux = cells(rng.normal(size=(2, 3, 4)).astype("f4"), dims=("time",), units="umol m-2 s-1")
    flux = flux.assign_coords(time=month_starts("2014-01", "2014-02"))
    biome = cells(np.array([[1, 5, 12, 16], [0, -1, 4, 10], [17, 8, 9, 14]]))
    classes = biome.where(biome >= 0, 255).expand_dims("band")
    fraction = cells(rng.dirichlet(np.ones(2), (3, 4)).transpose(2, 0, 1), dims=("igbp_class",))
    fraction = fraction.assign_coords(igbp_class=[5, 12])
    ds = order(flux.to_dataset(name="flux").assign(flux_std=abs(flux)))
    files = {
        write_flux_geotiffs(ds, tmp_path)[0]: flux,
        write_ancillary_geotiffs(ds, "flux_std", tmp_path)[0]: abs(flux),
        write_biomes_geotiff(order(biome), tmp_path / "biomes.tif"): classes,
        write_fractions_geotiff(order(fraction), tmp_path / "fractions.tif"): fraction,
    }
    places = [(lon, lat) for lat in flux["lat"].values for lon in flux["lon"].values]
    for path, wanted in files.items():
        with rasterio.open(path) as raster:
            assert raster.bounds == (-6, 40, 6, 46)
            assert raster.tags()["AREA_OR_POINT"] == "Area"
            found = np.array([*raster.sample(places)]).T.reshape(wanted.shape)
        np.testing.assert_allclose(found, wanted.values, rtol=1e-6, err_msg=path.name)


@pytest.mark.parametrize("west", [170.5, 171.0], ids=["edge at 180", "cell across 180"])
def test_a_region_across_the_dateline_lies_within_180(tmp_path, west):
    lon = west + np.arange(20)
    values = np.arange(60.0).reshape(3, 20)
    flux = monthly(values, "2014-01", "2014-02", [50.5, 51.5, 52.5], lon % 360)
    flux[1] += 100
    ds = flux.to_dataset(name="flux")
    biome = cells(np.arange(60).reshape(3, 20) % 17 + 1, [50.5, 51.5, 52.5], lon)
    (path,) = write_flux_geotiffs(ds, tmp_path)
    classes = write_biomes_geotiff(biome, tmp_path / "biomes.tif")
    for file, wanted in ((path, flux.values[1]), (classes, biome.values)):
        with rasterio.open(file) as raster:
            left, bottom, right, top = raster.bounds
            assert (right - left, bottom, top) == (360, 50, 53)
            assert -181 < left <= -180
            places = [(x if x < 180 else x - 360, y) for y in (50.5, 51.5, 52.5) for x in lon]
            found = [values[-1] for values in raster.sample(places)]
            np.testing.assert_array_equal(found, wanted.ravel())
            assert (raster.read(1, masked=True).count(), raster.width) == (60, 360)


def test_columns_that_do_not_make_a_globe_stay_beyond_180(tmp_path):
    flux = monthly(np.arange(6.0).reshape(2, 3), "2014-01", "2014-01", lon=[179.3, 180.0, 180.7])
    with rasterio.open(write_flux_geotiffs(flux.to_dataset(name="flux"), tmp_path)[0]) as raster:
        assert raster.bounds[::2] == pytest.approx((178.95, 181.05))


@pytest.mark.parametrize("axis", ["lat", "lon"])
@pytest.mark.parametrize("share", [0.2, -0.2, 0.01])
def test_uneven_cells_are_refused(small_prediction, tmp_path, axis, share):
    """GeoTIFF has one size for all cells: one a fifth larger moves all that come after."""
    bounds = small_prediction[f"{axis}_bnds"].values.copy()
    bounds[2, 1] += share
    bounds[3:] += share
    centers = xr.DataArray(bounds.mean(axis=1), dims=axis, attrs={"bounds": f"{axis}_bnds"})
    uneven = small_prediction.assign_coords(
        {axis: centers, f"{axis}_bnds": ((axis, "bnds"), bounds)}
    )
    for write in (
        lambda ds: write_flux_geotiffs(ds, tmp_path),
        lambda ds: write_ancillary_geotiffs(ds, "land_fraction", tmp_path),
        lambda ds: write_biomes_geotiff(ds["biome"], tmp_path / "biomes.tif"),
    ):
        with pytest.raises(NarcfError, match=f"equally spaced {axis} cells"):
            write(uneven.assign(land_fraction=abs(uneven["flux"])))
    assert list(tmp_path.iterdir()) == []


def test_refusals(small_prediction, tmp_path):
    uneven = small_prediction.isel(lon=[0, 1, 3]).drop_vars(["lon_bnds"])
    with pytest.raises(NarcfError, match="equally spaced lon"):
        write_flux_geotiffs(uneven, tmp_path)
    with pytest.raises(NarcfError, match="at least one finite value"):
        write_flux_geotiffs(
            small_prediction.assign(flux=small_prediction["flux"] * np.nan).assign(
                flux=lambda ds: ds["flux"].assign_attrs(units="umol m-2 s-1")
            ),
            tmp_path,
        )
    with pytest.raises(NarcfError, match="found 18"):
        write_biomes_geotiff(xr.full_like(small_prediction["biome"], 18), tmp_path / "b.tif")
    assert list(tmp_path.iterdir()) == []


def test_rioxarray_and_gdal_put_each_cell_where_it_was(small_prediction, tmp_path):
    import rioxarray

    path = write_flux_geotiffs(small_prediction, tmp_path)[0]
    flux = small_prediction["flux"].isel(time=1)
    with rioxarray.open_rasterio(path) as back:
        np.testing.assert_allclose(back["x"].values, flux["lon"].values, rtol=0, atol=1e-12)
        np.testing.assert_allclose(back["y"].values, flux["lat"].values[::-1], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(back[1].values[::-1], flux.values)
    with rasterio.open(path) as raster:
        corners = [raster.xy(row, 0, offset="ul") for row in (0, raster.height)]
    assert corners == [(-101.0, 44.0), (-101.0, 40.0)]


@pytest.fixture(scope="module")
def fine() -> xr.Dataset:
    """A prediction of 600 x 700 cells, large enough for tiles and overviews."""
    grid = Grid.regular(-120, 30, -85, 60, 0.05)
    rng = np.random.default_rng(8)
    flux = rng.normal(size=(2, *grid.shape)).astype("float32")
    flux[:, :7, :9] = np.nan
    biome = rng.choice([1, 4, 4, 12], grid.shape).astype("int8")
    return xr.Dataset(
        {
            "flux": (("time", "lat", "lon"), flux, {"units": "umol m-2 s-1"}),
            "biome": (("lat", "lon"), biome),
        },
        coords={**grid.coords(), "time": month_starts("2014-01", "2014-02").values},
    )


def test_large_rasters_are_valid_with_overviews_of_means_and_modes(fine, tmp_path):
    flux = write_flux_geotiffs(fine, tmp_path)[0]
    biomes = write_biomes_geotiff(fine["biome"], tmp_path / "biomes.tif")
    for path, predictor in ((flux, "3"), (biomes, None)):
        with rasterio.open(path) as raster:
            assert raster.overviews(1) == [2, 4]
            assert raster.block_shapes[0] == (256, 256)
            structure = raster.tags(ns="IMAGE_STRUCTURE")
            assert structure.get("PREDICTOR") == predictor
            assert path == flux or structure["LAYOUT"] == "COG"
            shape = (raster.height // 2, raster.width // 2)
            # Read from the overview: every other cell of the whole raster would be its own value.
            half = raster.read(1, out_shape=shape, masked=True)
        assert half.shape == shape
        north_up = fine["flux"][0, ::-1].values if path == flux else fine["biome"][::-1].values
        quads = north_up.reshape(shape[0], 2, shape[1], 2).transpose(0, 2, 1, 3).reshape(*shape, 4)
        if path == flux:
            known = np.isfinite(quads).any(axis=-1)
            wanted = np.nanmean(quads[known], axis=-1)
            np.testing.assert_allclose(half[known], wanted, rtol=0, atol=1e-5)
            assert half.mask[~known].all()
        else:
            counts = np.stack([(quads == n).sum(axis=-1) for n in range(18)])
            clear = counts.max(axis=0) > 2
            np.testing.assert_array_equal(half[clear], counts.argmax(axis=0)[clear])


def test_a_month_is_read_without_the_others(fine, tmp_path):
    path = write_flux_geotiffs(fine, tmp_path)[0]
    with rasterio.open(path) as raster:
        wanted = raster.read(1)
        tiles = [(x, y) for y in range(3) for x in range(3)]
        second = [
            [int(raster.get_tag_item(f"BLOCK_{what}_{x}_{y}", "TIFF", bidx=2)) for x, y in tiles]
            for what in ("OFFSET", "SIZE")
        ]
    content = bytearray(path.read_bytes())
    for offset, size in zip(*second, strict=True):
        content[offset : offset + size] = b"?" * size
    path.write_bytes(content)
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(1), wanted)
        with pytest.raises(rasterio.errors.RasterioIOError):
            raster.read(2)


def test_rio_cogeo_finds_every_raster_valid(fine, tmp_path):
    validate = pytest.importorskip(
        "rio_cogeo.cogeo", reason="rio-cogeo is in the extra 'checks'"
    ).cog_validate
    flux = write_flux_geotiffs(fine, tmp_path)[0]
    biomes = write_biomes_geotiff(fine["biome"], tmp_path / "biomes.tif")
    for path in (flux, biomes):
        assert validate(path, strict=True, quiet=True) == (True, [], [])
    # The control: the same pixels in a plain GeoTIFF.
    with rasterio.open(flux) as raster:
        plain = raster.profile | {"driver": "GTiff", "tiled": False, "predictor": 1}
        with rasterio.open(tmp_path / "plain.tif", "w", **plain) as copy:
            copy.write(raster.read())
    assert not validate(tmp_path / "plain.tif", strict=True, quiet=True)[0]
