from __future__ import annotations

import hashlib
import json
import re
import xml.etree.ElementTree as ET
import zipfile

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from places import like_a_map, like_an_inversion, monthly

from narcf_geo.core.errors import FieldError, GridMismatchError, NarcfError
from narcf_geo.outputs import netcdf
from narcf_geo.outputs.geotiff import write_flux_geotiffs, write_fractions_geotiff
from narcf_geo.outputs.products import write_products
from narcf_geo.outputs.qgis_project import write_qgis_project


@pytest.fixture
def fraction(small_prediction: xr.Dataset) -> xr.DataArray:
    shares = np.random.default_rng(2).dirichlet(np.ones(18), (4, 5)).astype("float32")
    return xr.DataArray(
        np.moveaxis(shares, -1, 0),
        {"igbp_class": np.arange(18), **small_prediction["biome"].coords},
        ("igbp_class", "lat", "lon"),
    )


def document(path) -> ET.Element:
    with zipfile.ZipFile(path) as archive:
        return ET.fromstring(archive.read("narcf.qgs"))


def test_everything_is_written_and_named_in_the_item(small_prediction, fraction, tmp_path):
    paths = write_products(small_prediction, tmp_path, class_fraction=fraction)
    assert paths[0].name == "flux.nc"
    item = json.loads((tmp_path / "item.json").read_text(encoding="utf-8"))
    assert item["bbox"] == [-101.0, 40.0, -96.0, 44.0]
    assert item["properties"]["start_datetime"] == "2014-11-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2015-02-28T23:59:59Z"
    named = {a["href"] for a in item["assets"].values()}
    styles = {f"./{p.stem}.qml" for p in paths if p.suffix == ".tif"}
    assert named == styles | {f"./{p.name}" for p in paths if p.suffix != ".json"}
    for asset in item["assets"].values():
        content = (tmp_path / asset["href"]).read_bytes()
        assert asset["file:size"] == len(content)
        assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
    raster = item["assets"]["flux_2015"]
    assert raster["proj:shape"] == [4, 5]
    assert raster["proj:transform"] == [1.0, 0.0, -101.0, 0.0, -1.0, 44.0]
    assert [band["name"] for band in raster["bands"]] == ["2015-01", "2015-02"]


def test_what_is_lazy_is_written_as_what_is_in_memory(america, tmp_path):
    shares = xr.where(america["biome"] == xr.DataArray(np.arange(18), dims="igbp_class"), 1.0, 0.0)
    shares = shares.transpose("igbp_class", "lat", "lon").assign_coords(igbp_class=np.arange(18))
    ds = america.assign(flux_std=abs(america["flux"]).assign_attrs(america["flux"].attrs))
    chunks = {"time": 12, "lat": 32, "lon": 50}
    written = {
        "memory": write_products(ds, tmp_path / "memory", class_fraction=shares),
        "lazy": write_products(
            ds.chunk(chunks), tmp_path / "lazy", class_fraction=shares.chunk(lat=9)
        ),
        "again": write_products(
            ds.chunk(chunks), tmp_path / "again", class_fraction=shares.chunk(lat=9)
        ),
    }
    names = [path.name for path in written["memory"]]
    for kind in ("lazy", "again"):
        assert [path.name for path in written[kind]] == names
        found = {p.name for p in (tmp_path / kind).iterdir()}
        assert found == {p.name for p in (tmp_path / "memory").iterdir()}, "nothing is left over"
    for path in written["lazy"]:
        again = tmp_path / "again" / path.relative_to(tmp_path / "lazy")
        assert path.read_bytes() == again.read_bytes(), path.name
    for path in (p for p in written["lazy"] if p.suffix == ".tif"):
        with rasterio.open(path) as one, rasterio.open(tmp_path / "memory" / path.name) as other:
            np.testing.assert_array_equal(one.read(), other.read())
            for band in one.indexes:
                tags, expected = one.tags(band), other.tags(band)
                assert tags.keys() == expected.keys()
                for key in (k for k in tags if k.startswith("STATISTICS")):
                    assert float(tags[key]) == pytest.approx(float(expected[key]), rel=1e-9)
    files = [tmp_path / kind / "flux.nc" for kind in ("lazy", "memory")]
    xr.testing.assert_identical(*(xr.load_dataset(f, decode_times=False) for f in files))


def test_large_values_go_into_a_file_a_year(small_prediction, tmp_path, monkeypatch):
    whole = write_products(small_prediction, tmp_path / "whole")
    monkeypatch.setattr(netcdf, "LARGEST", 4 * small_prediction["flux"].size - 1)
    paths = write_products(small_prediction, tmp_path / "years")
    assert [p.name for p in paths[:2]] == ["flux_2014.nc", "flux_2015.nc"]
    years = [xr.load_dataset(path)["flux"] for path in paths[:2]]
    xr.testing.assert_equal(xr.concat(years, "time"), xr.load_dataset(whole[0])["flux"])
    item = json.loads((tmp_path / "years" / "item.json").read_text(encoding="utf-8"))
    assert {"flux_2014.nc", "flux_2015.nc"} < set(item["assets"])
    with xr.open_dataset(paths[0]) as first:
        assert first.attrs["time_coverage_end"] == "2015-01-01"


def test_a_title_from_data_is_text_in_the_project_and_the_item(small_prediction, tmp_path):
    title = "<Macros>&amp;]]> \"[% env('HOME') %]\" \x1b </title><properties>"
    boxes = {"name": [title], "geometry": [shapely.box(-100, 41, -97, 43)]}
    regions = gpd.GeoDataFrame(boxes, crs=4326)
    ds = small_prediction.assign_attrs(title=title)
    write_products(ds, tmp_path / "hostile", regions=regions)
    write_products(small_prediction, tmp_path / "plain", regions=regions)
    found, plain = (document(tmp_path / name / "narcf.qgz") for name in ("hostile", "plain"))
    assert [e.tag for e in found.iter()] == [e.tag for e in plain.iter()]
    assert found.findtext("title") == title.replace("\x1b", r"\x1b")
    # It is nowhere else, so that nothing in QGIS evaluates it: a label would.
    texts = [t for e in found.iter() for t in (e.text or "", *e.attrib.values())]
    assert [t for t in texts if "[%" in t] == 3 * [found.findtext("title")]
    labels = [e.get("labelText", "") for e in found.iter("LayoutItem")]
    assert any("env('HOME')" in label for label in labels)
    for name in ("item", "collection"):
        content = json.loads((tmp_path / "hostile" / f"{name}.json").read_text(encoding="utf-8"))
        assert title in (content.get("title"), content.get("properties", {}).get("title"))


def test_a_project_runs_nothing_and_reaches_nowhere(small_prediction, tmp_path):
    """No macros, actions, expressions or forms; only files beside it."""
    write_products(small_prediction, tmp_path)
    root = document(tmp_path / "narcf.qgz")
    active = "macro|action|expression|datadefined|ddproperties|form|python|maptip|variable"
    assert [e.tag for e in root.iter() if re.search(active, e.tag.lower())] == []
    sources = [e.text for e in root.iter("datasource")]
    sources += [e.get("source") for e in root.findall("layer-tree-group//layer-tree-layer")]
    assert len(sources) > 10
    for source in sources:
        name = re.fullmatch(r"\./([\w.]+)(\|layername=\w+)?", source)[1]
        assert (tmp_path / name).is_file()
    assert root.findtext("properties/Paths/Absolute") == "false"


def test_uncertainty_and_applicability_are_rasters_of_their_own(small_prediction, tmp_path):
    std = (0.1 + abs(small_prediction["flux"])).assign_attrs(units="umol m-2 s-1")
    index = (std / 7).assign_attrs(units="1", long_name="dissimilarity index")
    ds = small_prediction.assign(flux_std=std, applicability=index)
    names = {path.name for path in write_products(ds, tmp_path)}
    assert {"flux_std_2014.tif", "flux_std_2015.tif", "applicability_2015.tif"} <= names
    for name, field in (("flux_std", std), ("applicability", index)):
        with rasterio.open(tmp_path / f"{name}_2015.tif") as raster:
            assert raster.descriptions == ("2015-01", "2015-02")
            assert set(raster.units) == {field.attrs["units"]}
            expected = field.sel(time="2015").values[:, ::-1].astype("f4")
            np.testing.assert_array_equal(raster.read(), expected)
    style = ET.parse(tmp_path / "flux_std_2015.qml").find("pipe/rasterrenderer")
    assert float(style.get("classificationMin")) == 0
    layers = [m.findtext("layername") for m in document(tmp_path / "narcf.qgz").iter("maplayer")]
    assert "Standard deviation 2015-02" in layers
    assert "Dissimilarity to the training data 2014-12" in layers


def test_the_same_bytes_again(small_prediction, fraction, tmp_path):
    digests = []
    for name in ("a", "b"):
        paths = write_products(small_prediction, tmp_path / name, class_fraction=fraction)
        digests.append([hashlib.sha256(p.read_bytes()).hexdigest() for p in paths])
    assert digests[0] == digests[1]


def test_products_of_fields_in_another_order_unit_and_sign(small_prediction, fraction, tmp_path):
    ds = small_prediction.drop_vars(["lat_bnds", "lon_bnds"])
    wanted = write_products(ds, tmp_path / "plain", class_fraction=fraction)
    turned = like_an_inversion(ds).isel(time=[2, 0, 3, 1])
    grams = (ds["flux"] * -12.011e-6 * 86400).astype("f8")
    grams.attrs = {"units": "g C m-2 day-1", "standard_name": "net_biome_production"}
    uptake = like_a_map(ds.assign(flux=grams))
    for name, given in (("turned", turned), ("uptake", uptake)):
        paths = write_products(given, tmp_path / name, class_fraction=like_a_map(fraction))
        assert [p.name for p in paths] == [p.name for p in wanted]
        for one, other in zip(wanted, paths, strict=True):
            if one.suffix == ".tif":
                with rasterio.open(one) as first, rasterio.open(other) as second:
                    assert second.transform == first.transform
                    assert second.descriptions == first.descriptions
                    np.testing.assert_allclose(second.read(), first.read(), rtol=1e-6)
        with xr.open_dataset(paths[0]) as found, xr.open_dataset(wanted[0]) as first:
            xr.testing.assert_allclose(found, first, rtol=1e-6)
            assert found["flux"].attrs == first["flux"].attrs
    # The control: by position another file would have been written.
    assert not np.array_equal(turned["flux"].values, ds["flux"].values, equal_nan=True)


@pytest.mark.parametrize("rows", [slice(1, 2), slice(0, 2)], ids=["a row", "two rows"])
def test_a_row_or_a_cell_is_written_with_the_edges_of_its_bounds(
    small_prediction, tmp_path, in_process, rows
):
    part = small_prediction[["flux", "lat_bnds", "lon_bnds"]].isel(lat=rows, lon=[4])
    if part.sizes["lat"] == 1:  # neither square nor about its centre
        uneven = part["lat_bnds"].values + np.array([-0.25, 0.5])
        part["lat_bnds"] = part["lat_bnds"].copy(data=uneven)
    part.to_netcdf(tmp_path / "in.nc")
    done = in_process("export", tmp_path / "in.nc", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    south, north = part["lat_bnds"].values.min(), part["lat_bnds"].values.max()
    west, east = part["lon_bnds"].values.ravel()
    with rasterio.open(tmp_path / "out" / "flux_2015.tif") as raster:
        assert raster.bounds == (west, south, east, north)
        np.testing.assert_array_equal(raster.read()[:, ::-1], part["flux"].values[2:])
    item = json.loads((tmp_path / "out" / "item.json").read_text(encoding="utf-8"))
    assert item["bbox"] == [west, south, east, north]
    part.drop_vars(["lat_bnds", "lon_bnds"]).to_netcdf(tmp_path / "bare.nc")
    refused = in_process("export", tmp_path / "bare.nc", tmp_path / "bare")
    assert refused.returncode != 0
    assert "expected bounds for coordinate 'l" in refused.stderr


def test_a_geotiff_of_months_is_exported_as_its_netcdf(small_prediction, tmp_path, in_process):
    write_products(small_prediction, tmp_path / "first")
    for year in ("2014", "2015"):
        done = in_process(
            "export", tmp_path / "first" / f"flux_{year}.tif", tmp_path / year, "--monthly"
        )
        assert done.returncode == 0, done.stderr
        with xr.open_dataset(tmp_path / year / "flux.nc") as back:
            wanted = small_prediction["flux"].sel(time=year)
            np.testing.assert_array_equal(back["flux"].values, wanted.values)
            np.testing.assert_array_equal(back["time"].values, wanted["time"].values)
    alone = in_process("export", tmp_path / "2015" / "flux_2015-02.tif", tmp_path / "alone")
    assert alone.returncode == 0, alone.stderr
    with xr.open_dataset(tmp_path / "alone" / "flux.nc") as back:
        assert str(back["time"].values[0])[:7] == "2015-02"
        np.testing.assert_array_equal(back["flux"][0], small_prediction["flux"][3])


def test_the_context_of_a_region_across_the_dateline_has_both_sides(tmp_path):
    """Bering Sea, 170 E to 160 W: the coasts of Chukotka and of Alaska."""
    flux = monthly(
        np.ones((20, 30)), "2014-07", "2014-07", 50.5 + np.arange(20), 170.5 + np.arange(30)
    )
    write_products(flux.to_dataset(name="flux"), tmp_path)
    for name, ends in (("coastline", (-180, 180)), ("region", (-180, 180))):
        west, _, east, _ = gpd.read_file(tmp_path / "context.gpkg", layer=name).total_bounds
        assert (west, east) == ends
    shape = gpd.read_file(tmp_path / "context.gpkg", layer="region").geometry[0]
    assert shape.area == pytest.approx(30 * 20)
    coast = gpd.read_file(tmp_path / "context.gpkg", layer="coastline")
    for west, east in ((170, 180), (-180, -160)):
        assert sum(line.length for line in coast.geometry.clip_by_rect(west, 50, east, 70)) > 10
    item = json.loads((tmp_path / "item.json").read_text(encoding="utf-8"))
    assert item["bbox"] == [170, 50, -160, 70]
    assert shapely.geometry.shape(item["geometry"]).equals(shape)


def test_fractions_of_another_grid_and_a_flux_of_days_are_refused(
    small_prediction, fraction, tmp_path
):
    for other in (
        fraction.assign_coords(lon=fraction["lon"] + 0.5),
        fraction.isel(lat=slice(1, None)),
    ):
        with pytest.raises(GridMismatchError, match="on the grid of 'flux'"):
            write_products(small_prediction, tmp_path, class_fraction=other)
    days = np.arange("2014-11-01", "2014-11-05", dtype="M8[D]").astype("M8[ns]")
    daily = small_prediction.drop_vars("time_bnds").assign_coords(time=days)
    with pytest.raises(FieldError, match="found one for 1 days"):
        write_products(daily, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_layer_a_month_with_its_own_time_and_band(small_prediction, tmp_path):
    fluxes = write_flux_geotiffs(small_prediction, tmp_path)
    root = document(write_qgis_project(tmp_path / "narcf.qgz", fluxes, limit=2.0)[0])
    layers = {m.findtext("layername"): m for m in root.iter("maplayer")}
    month = layers["2015-02"]
    assert month.findtext("datasource") == "./flux_2015.tif"
    assert month.find("pipe/rasterrenderer").get("band") == "2"
    span = month.find("temporal/fixedRange")
    assert span.findtext("start") == "2015-02-01T00:00:01Z"
    assert span.findtext("end") == "2015-02-28T23:59:59Z"
    assert {name for name in layers if name.startswith("20")} == {
        "2014-11",
        "2014-12",
        "2015-01",
        "2015-02",
    }
    sources = [layer.findtext("datasource") for layer in layers.values()]
    assert all(source.startswith("./") for source in sources)
    assert all(len(layer.findtext("id")) > 10 for layer in layers.values())
    assert root.findtext("properties/Paths/Absolute") == "false"


def test_bands_have_the_times_of_their_months(small_prediction, tmp_path):
    """As QGIS 3.38 and newer read it."""
    fluxes = write_flux_geotiffs(small_prediction, tmp_path)
    _, path = write_qgis_project(tmp_path / "narcf.qgz", fluxes, limit=2.0)
    with zipfile.ZipFile(path) as archive:
        root = ET.fromstring(archive.read("narcf_bands.qgs"))
    layers = {
        m.findtext("layername"): m for m in root.iter("maplayer") if m.get("type") == "raster"
    }
    assert sorted(layers) == ["2014", "2015"]
    temporal = layers["2015"].find("temporal")
    assert (temporal.get("enabled"), temporal.get("mode")) == ("1", "3")
    ranges = [(r.get("band"), r.get("begin"), r.get("end")) for r in temporal.iter("range")]
    assert ranges == [
        ("1", "2015-01-01T00:00:00Z", "2015-02-01T00:00:00Z"),
        ("2", "2015-02-01T00:00:00Z", "2015-03-01T00:00:00Z"),
    ]
    assert {r.get("includeEnd") for r in temporal.iter("range")} == {"0"}


def test_a_project_of_one_year(small_prediction, tmp_path):
    fluxes = write_flux_geotiffs(small_prediction, tmp_path)
    path, _ = write_qgis_project(tmp_path / "narcf.qgz", fluxes, limit=2.0, years=[2014])
    assert len(document(path).findall(".//temporal")) == 2
    with pytest.raises(NarcfError, match=r"months of \[1999\]"):
        write_qgis_project(tmp_path / "b.qgz", fluxes, limit=2.0, years=[1999])
    with pytest.raises(NarcfError, match="expected the rasters of a project in"):
        write_qgis_project(tmp_path / "elsewhere" / "narcf.qgz", fluxes, limit=2.0)


def test_a_file_a_month_on_request(small_prediction, tmp_path):
    paths = write_flux_geotiffs(small_prediction, tmp_path, monthly=True)
    assert [p.name for p in paths] == [
        "flux_2014-11.tif",
        "flux_2014-12.tif",
        "flux_2015-01.tif",
        "flux_2015-02.tif",
    ]
    with rasterio.open(paths[3]) as raster:
        assert raster.descriptions == ("2015-02",)
        north_up = small_prediction["flux"][3, ::-1].values
        np.testing.assert_array_equal(raster.read(1), north_up)


def test_class_fractions_keep_name_value_and_place(fraction, tmp_path):
    path = write_fractions_geotiff(fraction, tmp_path / "fractions.tif")
    with rasterio.open(path) as raster:
        assert raster.count == 18
        assert raster.descriptions[12] == "CRO croplands"
        assert raster.tags(13)["igbp_class"] == "12"
        np.testing.assert_array_equal(raster.read(13), fraction[12, ::-1].values)
        assert raster.read().sum(axis=0) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(NarcfError, match="expected IGBP classes"):
        write_fractions_geotiff(fraction.assign_coords(igbp_class=np.arange(18) + 1), path)


def test_a_file_is_exported_again(small_prediction, in_process, tmp_path):
    source = write_products(small_prediction, tmp_path / "first")[0]
    shape = shapely.box(-100, 41, -98, 43)
    regions = gpd.GeoDataFrame({"NAME": ["a", "a"]}, geometry=[shape, shape], crs="EPSG:4326")
    # Edges straight in another CRS bend in this one, but for points along them.
    fine = regions.set_geometry(regions.segmentize(0.01))
    fine.to_crs("EPSG:5070").to_file(tmp_path / "regions.gpkg")
    done = in_process(
        "export",
        source,
        tmp_path / "second",
        "--monthly",
        "--years",
        "2015",
        "--zarr",
        "--regions",
        tmp_path / "regions.gpkg",
    )
    assert done.returncode == 0, done.stderr
    assert "narcf.qgz in QGIS" in done.stdout
    assert (tmp_path / "second" / "flux_2014-11.tif").exists()
    assert (tmp_path / "second" / "flux.zarr" / "zarr.json").exists()
    drawn = gpd.read_file(tmp_path / "second" / "context.gpkg", layer="regions")
    assert drawn["name"].tolist() == ["a"]
    assert drawn.geometry[0].symmetric_difference(shape).area < 1e-4
    sources = [
        layer.findtext("datasource")
        for layer in document(tmp_path / "second" / "narcf.qgz").iter("maplayer")
        if layer.find("temporal") is not None
    ]
    assert sources == ["./flux_2015-01.tif", "./flux_2015-02.tif"]
    done = in_process("export", tmp_path / "none.nc", tmp_path / "third")
    assert (done.returncode, "no such file" in done.stderr) == (2, True)
    assert not (tmp_path / "third").exists()
