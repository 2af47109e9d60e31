"""The catalog of the products: its fields, and what readers of catalogs make of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import xarray as xr
from places import monthly

from narcf_geo.outputs.products import write_products


def read(path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_item_and_collection_are_valid(small_prediction, tmp_path):
    validation = pytest.importorskip("pystac.validation", reason="pystac is in the extra 'test'")
    write_products(small_prediction, tmp_path)
    for name in ("item", "collection", "items/2014"):
        content = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        # The schemas of extensions are not on this machine; those of the core are pystac's own.
        core = content | {"stac_extensions": []}
        assert validation.validate_dict(core)
        with pytest.raises(validation.stac_validator.STACValidationError):
            validation.validate_dict(core | {"links": None})


def test_pystac_reads_the_extensions_of_the_item(small_prediction, tmp_path):
    pystac = pytest.importorskip("pystac", reason="pystac is in the extra 'test'")
    write_products(small_prediction, tmp_path)
    collection = pystac.Collection.from_file(tmp_path / "collection.json")
    items = {item.id: item for item in collection.get_items()}
    assert list(items) == [
        "a-test-product-2014-11-2015-02",
        *(f"a-test-product-{y}" for y in (2014, 2015)),
    ]
    assert {item.get_collection().id for item in items.values()} == {"a-test-product"}
    item = next(iter(items.values()))
    asset = item.assets["flux_2015"]
    assert asset.ext.proj.epsg == 4326
    assert asset.ext.proj.transform == [1.0, 0.0, -101.0, 0.0, -1.0, 44.0]
    assert asset.ext.proj.shape == [4, 5]
    path = tmp_path / "flux_2015.tif"
    assert asset.ext.file.size == path.stat().st_size
    with rasterio.open(path) as raster:
        values = raster.read(2)
    january, february = asset.bands if hasattr(asset, "bands") else asset.extra_fields["bands"]
    assert february["statistics"]["maximum"] == pytest.approx(float(np.nanmax(values)))
    assert (january["unit"], january["nodata"]) == ("umol m-2 s-1", "nan")
    assert february["raster:sampling"] == "area"


@pytest.mark.parametrize(
    ("terms", "stated", "address"),
    [
        ("CC-BY-4.0", "CC-BY-4.0", "https://spdx.org/licenses/CC-BY-4.0.html"),
        ("see https://example.org/terms.", "other", "https://example.org/terms"),
        ("free for research", "other", None),
        ("whatever-1.0", "other", None),
        (None, "other", None),
    ],
)
def test_a_licence_is_an_identifier_or_other_with_a_link(
    small_prediction, tmp_path, terms, stated, address
):
    ds = small_prediction.assign_attrs(license=terms) if terms else small_prediction
    write_products(ds.assign_attrs(institution="An institute"), tmp_path)
    collection = read(tmp_path / "collection.json")
    assert collection["license"] == stated
    links = [link["href"] for link in collection["links"] if link["rel"] == "license"]
    assert links == ([address] if address else [])
    assert (terms is None or stated != "other") or terms in collection["description"]
    assert collection["providers"] == [{"name": "An institute", "roles": ["producer"]}]


def test_each_month_with_a_raster_of_its_own_is_an_item(small_prediction, tmp_path):
    std = (0.1 + abs(small_prediction["flux"])).assign_attrs(units="umol m-2 s-1")
    write_products(small_prediction.assign(flux_std=std), tmp_path, monthly=True, zarr=True)
    months = ["2014-11", "2014-12", "2015-01", "2015-02"]
    assert sorted(p.stem for p in (tmp_path / "items").iterdir()) == months
    item = read(tmp_path / "items" / "2015-02.json")
    assert item["id"] == "a-test-product-2015-02"
    assert item["properties"]["datetime"] == "2015-02-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2015-02-28T23:59:59Z"
    assert item["assets"]["flux"]["href"] == "../flux_2015-02.tif"
    assert set(item["assets"]) == {"flux", "flux_std"}
    assert item["properties"]["renders"]["flux"]["colormap_name"] == "brbg_r"
    (low, high), *_ = item["properties"]["renders"]["flux"]["rescale"]
    assert low == -high < 0
    whole = read(tmp_path / "item.json")
    assert whole["assets"]["flux.zarr"]["href"] == "./flux.zarr"
    cube = whole["properties"]["cube:dimensions"]
    assert (cube["lon"]["extent"], cube["lat"]["extent"]) == ([-101, -96], [40, 44])
    variable = whole["properties"]["cube:variables"]["flux"]
    assert (variable["dimensions"], variable["unit"]) == (["time", "lat", "lon"], "umol m-2 s-1")
    for path in (tmp_path / "items").iterdir():
        for asset in read(path)["assets"].values():
            assert (path.parent / asset["href"]).exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_odc_stac_stacks_the_months(small_prediction, tmp_path):
    stac = pytest.importorskip("odc.stac", reason="odc-stac is in the extra 'checks'")
    pystac = pytest.importorskip("pystac", reason="pystac is in the extra 'test'")
    write_products(small_prediction, tmp_path, monthly=True)
    items = [pystac.Item.from_file(path) for path in sorted((tmp_path / "items").iterdir())]
    cube = stac.load(items, bands=["flux"]).load()
    assert np.array_equal(cube["time"].values, small_prediction["time"].values)
    north_first = small_prediction["flux"].values[:, ::-1]
    np.testing.assert_array_equal(cube["flux"].values, north_first)
    assert cube["longitude"].values.tolist() == small_prediction["lon"].values.tolist()


def test_rio_tiler_reads_a_tile_of_a_month_in_the_colours_of_the_item(tmp_path):
    reader = pytest.importorskip("rio_tiler.io", reason="rio-tiler is in the extra 'checks'")
    import morecantile
    from rio_tiler.colormap import cmap

    flux = monthly(
        np.where(np.arange(40) > 19, 2.0, -1.0)[None].repeat(30, 0),
        "2014-06", "2014-07", 30.5 + np.arange(30), 160.5 + np.arange(40),
    )  # fmt: skip
    flux[1] *= 0.5
    write_products(flux.to_dataset(name="flux"), tmp_path, monthly=True)
    item = tmp_path / "items" / "2014-07.json"
    tms = morecantile.tms.get("WebMercatorQuad")
    with reader.STACReader(str(item)) as catalog:
        render = catalog.item.properties["renders"]["flux"]
        # One on each side of the dateline: of -0.5 and of 1.
        for (lon, lat), value in {(175, 45): -0.5, (-170, 45): 1.0}.items():
            tile = tms.tile(lon, lat, 6)
            image = catalog.tile(tile.x, tile.y, tile.z, assets=render["assets"])
            assert np.ma.median(image.array) == pytest.approx(value)
            image.rescale(render["rescale"])
            png = image.render(img_format="PNG", colormap=cmap.get(render["colormap_name"]))
            assert png[:4] == b"\x89PNG"


def test_the_box_of_a_region_across_the_dateline_is_that_of_geojson(tmp_path):
    flux = monthly(
        np.ones((4, 20)), "2014-07", "2014-07", 50.5 + np.arange(4), 170.5 + np.arange(20)
    )
    write_products(flux.to_dataset(name="flux"), tmp_path)
    collection, item = read(tmp_path / "collection.json"), read(tmp_path / "items" / "2014.json")
    assert item["bbox"] == collection["extent"]["spatial"]["bbox"][0] == [170, 50, -170, 54]
    assert item["geometry"]["type"] == "MultiPolygon"
    xs = [x for part in item["geometry"]["coordinates"] for x, _ in part[0]]
    assert (min(xs), max(xs)) == (-180, 180)


def test_a_store_of_the_older_format_on_request(small_prediction, tmp_path, in_process):
    small_prediction.to_netcdf(tmp_path / "in.nc")
    done = in_process("export", tmp_path / "in.nc", tmp_path / "out", "--zarr-format", "2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "flux.zarr" / ".zmetadata").exists()
    with xr.open_zarr(tmp_path / "out" / "flux.zarr") as ds:
        np.testing.assert_array_equal(ds["flux"].values, small_prediction["flux"].values)
