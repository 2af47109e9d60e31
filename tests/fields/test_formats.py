"""Every driver reads a small file of its format, in the layout of a real product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from narcf_geo.catalog.catalog import Catalog, Entry
from narcf_geo.core.errors import NarcfError, UnreadableError
from narcf_geo.fields.formats import Opening, open_format
from narcf_geo.grid import Grid

LATS = {"units": "degrees_north", "standard_name": "latitude"}
LONS = {"units": "degrees_east", "standard_name": "longitude"}


def entry(tmp_path: Path, urlpath: Any, driver: str = "netcdf", **metadata: Any) -> Entry:
    source = {
        "description": "a test",
        "driver": driver,
        "args": {"urlpath": urlpath, **metadata.pop("args", {})},
        "metadata": {"role": "predictor", **metadata},
    }
    path = tmp_path / "data_catalog.yaml"
    path.write_text(yaml.safe_dump({"sources": {"it": source}}))
    return Catalog.open(path)["it"]


LAND = {"product": "landcover", "role": "landcover", "legend": "igbp_water0"}
CLASSES = np.arange(6 * 12).reshape(6, 12) % 18


def text_grid(values: np.ndarray) -> str:
    return "\n".join(" ".join(str(v) for v in row) for row in values) + "\n"


def test_islscp_without_a_header(tmp_path: Path) -> None:
    classes = CLASSES.copy()
    classes[5, 3] = 32767
    (tmp_path / "modis_landcover_class_1d.asc").write_text(text_grid(classes))
    ds = entry(tmp_path, "modis_landcover_class_1d.asc", "ascii", **LAND).read()
    np.testing.assert_array_equal(ds["land_cover"], np.where(classes == 32767, -1, classes))
    assert ds["lat"].values.tolist() == [75, 45, 15, -15, -45, -75]
    assert ds["lon"].values[[0, -1]].tolist() == [-165, 165]
    assert Grid.from_dataset(ds).area.sum() == pytest.approx(4 * np.pi * 6371007.2**2)


@pytest.mark.parametrize("corner", ["corner", "center"])
def test_esri_header(tmp_path: Path, corner: str) -> None:
    edge = {"corner": (-100, 40), "center": (-99.75, 40.25)}[corner]
    header = (
        f"NCOLS 3\nNROWS 2\nXLL{corner.upper()} {edge[0]}\nYLL{corner} {edge[1]}\n"
        "CELLSIZE 0.5\nNODATA_value -5\n"
    )
    (tmp_path / "t.asc").write_text(header + "1 2 3\n4 -5 6\n")
    variables = {"temp": {"name": "band_data", "units": "degC"}}
    ds = entry(tmp_path, "t.asc", "ascii", variables=variables).read()
    np.testing.assert_array_equal(ds["temp"], [[1, 2, 3], [4, np.nan, 6]])
    assert ds["lat"].values.tolist() == [40.75, 40.25]
    assert ds["lon"].values.tolist() == [-99.75, -99.25, -98.75]
    # GDAL reads the header alike.
    gdal = entry(tmp_path, "t.asc", "rasterio", variables=variables).read()
    np.testing.assert_array_equal(gdal["temp"], ds["temp"])
    np.testing.assert_allclose(Grid.from_dataset(gdal).lat_b, Grid.from_dataset(ds).lat_b)
    np.testing.assert_allclose(Grid.from_dataset(gdal).lon_b, Grid.from_dataset(ds).lon_b)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2 3\n4 5\n", "twice as many columns as rows, found 5 values"),
        ("ncols 3\nnrows 2\nxllcorner 0\nyllcorner 0\ncellsize 1\n1 2 3\n4 5\n", "2 rows of 3"),
        ("", "an empty file"),
        ("\n", "found 0 values"),
        ("1 2\nx y\n", "cannot be opened as ascii"),
    ],
)
def test_a_text_grid_cut_short(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.asc").write_text(text)
    with pytest.raises(NarcfError, match=words):
        entry(tmp_path, "t.asc", "ascii", **LAND).read()


def field(first: str = "2007-12-01", months: int = 3) -> xr.Dataset:
    """A south-up field on 0..360 longitudes that differs in every cell."""
    time = pd.date_range(first, periods=months, freq="MS")
    values = 280 + np.arange(months * 6, dtype="float32").reshape(months, 2, 3)
    return xr.Dataset(
        {"air": (("time", "lat", "lon"), values, {"units": "K"})},
        coords={
            "time": time,
            "lat": ("lat", [40.0, 41.0], LATS),
            "lon": ("lon", [359.0, 360.0, 361.0], LONS),
        },
    )


def test_zarr(tmp_path: Path) -> None:
    field().to_zarr(tmp_path / "air.zarr", consolidated=False)
    ds = entry(tmp_path, "air.zarr", "zarr", variables={"temp": {"name": "air"}}).read()
    np.testing.assert_allclose(ds["temp"], field()["air"] - 273.15, atol=1e-4)
    assert ds["temp"].chunks is not None
    grid = Grid.from_dataset(ds)
    assert grid.lon_b.tolist() == [358.5, 359.5, 360.5, 361.5]


def test_a_table_of_points_with_time(tmp_path: Path) -> None:
    table = field()["air"].to_dataframe().reset_index().rename(columns={"time": "date"})
    table.sample(frac=1, random_state=1).to_csv(tmp_path / "t.csv", index=False)
    variables = {"temp": {"name": "air", "units": "K"}}
    ds = entry(tmp_path, "t.csv", "csv", variables=variables).read()
    np.testing.assert_allclose(ds["temp"], field()["air"] - 273.15, atol=1e-4)
    table.iloc[[0, 1, 2, 0]].to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(NarcfError, match="one row a point"):
        entry(tmp_path, "t.csv", "csv", variables=variables).read()


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ({"name": "air", "month": 7}, r"yaml:\d+: .*month 7 is not in the file"),
        ({"name": "orog", "month": 1}, "expected dates along time"),
        ({"name": "air", "select": {"lev": 1}}, "select: .* is not there"),
        ({"name": "air", "select": {"lat": "north"}}, "select: .* is not there"),
        ({"name": "text", "units": "K"}, "expected numbers"),
    ],
)
def test_what_an_entry_may_ask_for_in_vain(
    tmp_path: Path, variable: dict[str, Any], words: str
) -> None:
    ds = field()
    ds["orog"] = ds["air"].isel(time=0, drop=True)
    ds["text"] = (("lat", "lon"), np.array([["a", "b", "c"]] * 2))
    ds.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(NarcfError, match=words):
        entry(tmp_path, "a.nc", variables={"temp": variable}).read()


def test_a_month_of_all_years(tmp_path: Path) -> None:
    field(months=14).to_netcdf(tmp_path / "a.nc")
    ds = entry(tmp_path, "a.nc", variables={"t_jan": {"name": "air", "month": 1}}).read()
    np.testing.assert_allclose(ds["t_jan"], field(months=14)["air"][[1, 13]].mean("time"))


def test_projected_land_cover_keeps_its_grid(tmp_path: Path) -> None:
    import rasterio
    from rasterio.transform import from_origin

    classes = (np.arange(20).reshape(4, 5) % 17).astype("uint8")
    with rasterio.open(
        tmp_path / "utm.tif",
        "w",
        driver="GTiff",
        height=4,
        width=5,
        count=1,
        dtype="uint8",
        nodata=255,
        crs="EPSG:32614",
        transform=from_origin(500_000, 4_500_000, 1000, 1000),
    ) as raster:
        raster.write(classes, 1)
    ds = entry(tmp_path, "utm.tif", "rasterio", **LAND).read()
    np.testing.assert_array_equal(ds["land_cover"], classes)
    grid = Grid.from_dataset(ds)
    assert grid.lon[0, 0] == pytest.approx(-98.994, abs=1e-3)
    assert grid.lat[0, 0] == pytest.approx(40.648, abs=2e-3)


def test_land_cover_of_one_unnamed_variable(tmp_path: Path) -> None:
    coords = {"lat": ("lat", [1.0, 2.0], LATS), "lon": ("lon", [5.0, 6.0, 7.0], LONS)}
    ds = xr.Dataset({"LC": (("lat", "lon"), np.array([[0, 1, 2], [3, 4, 5]], "int8"))}, coords)
    ds.to_netcdf(tmp_path / "c.nc")
    found = entry(tmp_path, "c.nc", **LAND).read()
    np.testing.assert_array_equal(found["land_cover"], ds["LC"])
    ds.assign(other=ds["LC"]).to_netcdf(tmp_path / "two.nc")
    with pytest.raises(NarcfError, match=r"yaml:\d+: .*it has: LC, other\. Name the classes"):
        entry(tmp_path, "two.nc", **LAND).read()


def test_a_stamp_at_the_end_of_its_month(tmp_path: Path) -> None:
    ds = field("2008-01-01")
    ends = ds["time"].values + np.timedelta64(0, "D")
    starts = pd.DatetimeIndex(ends) - pd.offsets.MonthBegin(1)
    ds["time_bnds"] = (("time", "nv"), np.stack([starts.values, ends], axis=1))
    ds["time"].attrs["bounds"] = "time_bnds"
    ds["time"].encoding["units"] = "days since 1900-01-01"
    ds.to_netcdf(tmp_path / "ends.nc")
    found = entry(tmp_path, "ends.nc", variables={"temp": {"name": "air"}}).read()
    months = pd.DatetimeIndex(found["time"].values).strftime("%Y-%m").tolist()
    assert months == ["2007-12", "2008-01", "2008-02"]


def test_grib_and_hdf4_say_which_extra_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "a").write_text("a")
    for driver, extra in (("grib", "grib"), ("hdf4", "hdf4")):
        with pytest.raises(NarcfError, match=rf"pip install 'narcf-geo\[{extra}\]'"):
            entry(tmp_path, "a", driver, variables={"temp": {}}).read()


def write_hdf4(path: Path, name: str, values: np.ndarray, **attrs: Any) -> None:
    sd = pytest.importorskip("pyhdf.SD", reason="the extra hdf4 (pyhdf) is not installed")
    file = sd.SD(str(path), sd.SDC.WRITE | sd.SDC.CREATE)
    kind = sd.SDC.UINT8 if values.dtype == "uint8" else sd.SDC.INT16
    data = file.create(name, kind, values.shape)
    data[:] = values
    for key, value in attrs.items():
        if key == "_FillValue":
            data.setfillvalue(value)
        else:
            setattr(data, key, value)
    data.endaccess()
    file.end()


def test_mod13c2(tmp_path: Path) -> None:
    raw = (np.arange(6 * 12).reshape(6, 12) * 100).astype("int16")
    raw[1, 2] = -3000
    name = "CMG 0.05 Deg Monthly NDVI"
    for day in ("2008001", "2008032"):
        write_hdf4(
            tmp_path / f"MOD13C2.A{day}.061.hdf", name, raw, _FillValue=-3000, scale_factor=10000.0
        )
    ds = entry(
        tmp_path,
        "MOD13C2.A*.hdf",
        "hdf4",
        product="mod13c2",
        variables={"ndvi": {"name": name, "units": "1"}},
    ).read()
    assert pd.DatetimeIndex(ds["time"].values).strftime("%Y-%m").tolist() == ["2008-01", "2008-02"]
    expected = np.where(raw == -3000, np.nan, raw * 1e-4)
    np.testing.assert_allclose(ds["ndvi"][1], expected, atol=1e-6)
    assert ds["ndvi"].chunks is not None
    assert ds["lat"].values[0] == 75


def test_mcd12c1_hdf4(tmp_path: Path) -> None:
    classes = CLASSES.astype("uint8")
    classes[0, 1] = 255
    path = tmp_path / "MCD12C1.A2005001.006.hdf"
    write_hdf4(path, "Majority_Land_Cover_Type_1", classes, _FillValue=255)
    variables = {"land_cover": {"name": "Majority_Land_Cover_Type_1"}}
    ds = entry(tmp_path, path.name, "hdf4", variables=variables, **LAND).read()
    expected = np.where(classes == 255, -1, classes.astype(int))
    np.testing.assert_array_equal(ds["land_cover"], expected)


def test_grib(tmp_path: Path) -> None:
    cfgrib = pytest.importorskip("cfgrib", reason="the extra grib (cfgrib) is not installed")
    assert cfgrib
    eccodes = pytest.importorskip("eccodes")
    values = 280 + np.arange(3 * 4.0).reshape(3, 4)
    with (tmp_path / "t2m.grib").open("wb") as file:
        for month in (1, 2):
            message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            keys = {
                "Ni": 4,
                "Nj": 3,
                "latitudeOfFirstGridPointInDegrees": 42,
                "latitudeOfLastGridPointInDegrees": 40,
                "longitudeOfFirstGridPointInDegrees": 10,
                "longitudeOfLastGridPointInDegrees": 13,
                "iDirectionIncrementInDegrees": 1,
                "jDirectionIncrementInDegrees": 1,
                "dataDate": 20080000 + 100 * month + 1,
                "shortName": "2t",
            }
            for key, value in keys.items():
                eccodes.codes_set(message, key, value)
            eccodes.codes_set_values(message, (values + month).ravel())
            eccodes.codes_write(message, file)
            eccodes.codes_release(message)
    ds = entry(tmp_path, "t2m.grib", "grib", variables={"temp": {"name": "t2m"}}).read()
    np.testing.assert_allclose(ds["temp"][1], values + 2 - 273.15, atol=1e-2)
    assert ds["temp"].chunks is not None
    assert Grid.from_dataset(ds).lat_b.tolist() == [42.5, 41.5, 40.5, 39.5]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data_catalog.yaml", "t2m.grib"]


def test_opening_reads_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts the values that xarray's NetCDF and GDAL's readers are asked for."""
    import rasterio
    from rasterio.transform import from_origin
    from rioxarray._io import RasterioArrayWrapper
    from xarray.backends.netCDF4_ import NetCDF4ArrayWrapper

    from narcf_geo.catalog.describe import peek

    fields, rasters = [], []
    plain, lazy = NetCDF4ArrayWrapper.__getitem__, RasterioArrayWrapper.__getitem__

    def counted(self: Any, key: Any) -> Any:
        if len(self.shape) > 1:
            fields.append(self.variable_name)
        return plain(self, key)

    def counted_raster(self: Any, key: Any) -> Any:
        rasters.append(key)
        return lazy(self, key)

    field(months=12).to_netcdf(tmp_path / "air.nc")
    with rasterio.open(
        tmp_path / "c.tif",
        "w",
        driver="GTiff",
        height=4,
        width=5,
        count=1,
        dtype="uint8",
        nodata=255,
        crs="EPSG:4326",
        transform=from_origin(-100, 50, 0.5, 0.5),
    ) as raster:
        raster.write(np.ones((4, 5), "uint8"), 1)
    monkeypatch.setattr(NetCDF4ArrayWrapper, "__getitem__", counted)
    monkeypatch.setattr(RasterioArrayWrapper, "__getitem__", counted_raster)
    it = entry(tmp_path, "air.nc", variables={"temp": {"name": "air"}})
    assert peek(it) == ("2 x 3", "2007-12 to 2008-11")
    averaged = entry(
        tmp_path, "air.nc", monthly_mean=0.5, variables={"temp": {"name": "air"}}
    ).read()
    assert fields == []
    averaged["temp"].load()
    assert "air" in fields
    cover = entry(tmp_path, "c.tif", "rasterio", **LAND).read()
    assert rasters == []
    cover.load()
    assert rasters


def write_raster(path: Path, values: np.ndarray, nodata: float | None = None, **place: Any) -> Path:
    import rasterio

    bands, height, width = values.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", nodata=nodata, **shape, **place) as raster:
        raster.write(values)
    return path


def test_a_raster_is_masked_and_scaled_where_it_has_to_be(tmp_path: Path) -> None:
    import rasterio
    from rasterio.transform import from_origin

    place = {"crs": "EPSG:4326", "transform": from_origin(-100, 50, 0.5, 0.5)}
    values = np.arange(40, dtype="int16").reshape(2, 4, 5)
    plain = open_format(write_raster(tmp_path / "plain.tif", values, **place))["band_data"]
    assert plain.dtype == np.int16
    np.testing.assert_array_equal(plain, values)
    path = write_raster(tmp_path / "packed.tif", values, nodata=7, **place)
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets, raster.descriptions = (2.0, 3.0), (0.0, 1.0), ("a", "b")
    expected = np.where(values == 7, np.nan, values) * [[[2.0]], [[3.0]]] + [[[0.0]], [[1.0]]]
    found = open_format(path)["band_data"]
    np.testing.assert_allclose(found, expected)
    assert found["band_name"].values.tolist() == ["a", "b"]
    np.testing.assert_array_equal(open_format(path, how=Opening(chunks="auto"))["band_data"], found)
    classes = open_format(path, how=Opening(classes=True))["band_data"]
    assert classes.dtype == np.int16
    np.testing.assert_array_equal(classes, values)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_picture_without_a_place_is_on_no_globe(tmp_path: Path) -> None:
    found = open_format(write_raster(tmp_path / "photo.tif", np.ones((1, 4, 5), "uint8")))
    assert {"x", "y"} <= set(found.dims)
    with pytest.raises(NarcfError, match="expected latitude and longitude"):
        Grid.from_dataset(found)


def test_a_file_of_unknown_suffix_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    field().to_netcdf(tmp_path / "air.dat", engine="netcdf4")
    field().to_netcdf(tmp_path / "air.v3", format="NETCDF3_CLASSIC")
    for name in ("air.dat", "air.v3"):
        np.testing.assert_array_equal(open_format(tmp_path / name)["air"], field()["air"])
    (tmp_path / "notes.md").write_text("# CDF")
    with pytest.raises(UnreadableError, match=r"found the suffix '\.md'"):
        open_format(tmp_path / "notes.md")


def test_days_stay_a_number(tmp_path: Path) -> None:
    ds = field()
    ds["season"] = ds["air"].assign_attrs(units="days") - 200
    ds["season"].attrs["units"] = "days"
    ds.to_netcdf(tmp_path / "air.nc")
    found = open_format(tmp_path / "air.nc")
    np.testing.assert_array_equal(found["season"], ds["season"])
    assert found["time"].dtype.kind == "M"


def test_chunks_of_moderate_size(tmp_path: Path) -> None:
    values = np.zeros((40, 500, 500), "float32")
    coords = {
        "lat": ("lat", np.linspace(10, 50, 500), LATS),
        "lon": ("lon", np.arange(500) / 5, LONS),
    }
    xr.Dataset({"v": (("time", "lat", "lon"), values)}, coords).to_netcdf(tmp_path / "v.nc")
    auto, stored = (
        4 * np.prod(open_format(tmp_path / "v.nc", how=how)["v"].data.chunksize)
        for how in (Opening(chunks="auto"), Opening())
    )
    assert auto <= 32 * 2**20 < stored == values.nbytes
