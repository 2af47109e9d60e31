"""Rasters and polygons that lead GDAL elsewhere, each beside an honest twin."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from shapely.geometry import box

from narcf_geo.core.errors import UnreadableError, UsageError
from narcf_geo.fields.formats import open_format
from narcf_geo.fields.regions import open_regions


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server of its own process: GDAL does not let other threads answer while it asks."""
    log = tmp_path / "log"
    (tmp_path / "web").mkdir()
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with (
        log.open("w") as file,
        subprocess.Popen(command, stdout=file, stderr=file, cwd=tmp_path / "web") as server,
    ):
        for _ in range(200):
            if found := re.search(r"port (\d+)", log.read_text()):
                break
            time.sleep(0.05)
        assert found
        yield f"127.0.0.1:{found[1]}", log
        server.kill()


def asked(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if "GET" in line or "HEAD" in line]


def geotiff(path: Path, driver: str = "GTiff") -> Path:
    profile = {"width": 8, "height": 6, "count": 1, "dtype": "uint8", "crs": "EPSG:4326"}
    transform = rasterio.Affine(1, 0, 0, 0, -1, 6)
    with rasterio.open(path, "w", driver=driver, transform=transform, **profile) as raster:
        raster.write(np.arange(48, dtype="uint8").reshape(1, 6, 8))
    return path


def mosaic(source: str, more: str = "", kind: str = "", relative: int = 0) -> str:
    return (
        f'<VRTDataset rasterXSize="8" rasterYSize="6"><GeoTransform>0,1,0,6,0,-1</GeoTransform>'
        f'<VRTRasterBand dataType="Byte" band="1" {kind}>{more}<SimpleSource>'
        f'<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def test_honest_rasters_are_read(tmp_path: Path) -> None:
    for name, driver in (("a.tif", "GTiff"), ("a.img", "HFA"), ("a.bil", "EHdr")):
        ds = open_format(geotiff(tmp_path / name, driver))
        assert int(ds["band_data"].sum()) == 1128, name
    (tmp_path / "a.vrt").write_text(mosaic("a.tif", relative=1))
    assert int(open_format(tmp_path / "a.vrt")["band_data"].sum()) == 1128


@pytest.mark.parametrize("name", ["in.tif", "in.tif.ovr", "in.tif.msk", "in.tif.aux.xml", "in.vrt"])
def test_no_raster_asks_another_computer(tmp_path: Path, web: tuple[str, Path], name: str) -> None:
    address, log = web
    geotiff(tmp_path / "web/far.tif")
    far = f"/vsicurl/http://{address}/far.tif"
    geotiff(tmp_path / "in.tif")
    text = mosaic(far)
    if name.endswith("xml"):
        item = f'<MDI key="OVERVIEW_FILE">{far}</MDI>'
        text = f'<PAMDataset><Metadata domain="OVERVIEWS">{item}</Metadata></PAMDataset>'
    opened = tmp_path / ("in.vrt" if name == "in.vrt" else "in.tif")
    (tmp_path / name).write_text(text)
    with pytest.raises(UnreadableError, match=re.escape(name)):
        open_format(opened)
    assert asked(log) == []


def test_a_name_in_the_tags_of_a_geotiff_is_not_followed(
    tmp_path: Path, web: tuple[str, Path]
) -> None:
    address, log = web
    path = geotiff(tmp_path / "in.tif")
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/http://{address}/far.tif")
    for side in tmp_path.glob("*.xml"):
        side.unlink()
    assert int(open_format(path)["band_data"].sum()) == 1128
    assert asked(log) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (mosaic("/vsi&#99;url/http://a.org/a.tif"), "files on this computer"),
        (mosaic("/etc/passwd"), "virtual raster of GeoTIFFs"),
        (mosaic("other.vrt", relative=1), "virtual raster of GeoTIFFs"),
        (mosaic("WMS:http://a.org"), "files on this computer"),
        (mosaic("a.tif", kind='subClass="VRTRawRasterBand"', relative=1), "VRTRawRasterBand"),
        (mosaic("a.tif", kind='subClass="VRTDerivedRasterBand"', relative=1), "VRTDerived"),
        (mosaic("a.tif", more="<PixelFunctionCode>1</PixelFunctionCode>", relative=1), "PixelF"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>" + mosaic("a.tif", relative=1), "declares entities"),
        ("<VRTDataset>", "expected XML"),
    ],
)
def test_a_virtual_raster_that_is_more_than_a_mosaic(tmp_path: Path, text: str, word: str) -> None:
    geotiff(tmp_path / "a.tif")
    (tmp_path / "other.vrt").write_text(mosaic("a.tif", relative=1))
    (tmp_path / "in.vrt").write_text(text)
    with pytest.raises(UnreadableError, match=rf"in\.vrt: .*{word}"):
        open_format(tmp_path / "in.vrt")


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "fgb", "gml", "kml"])
def test_honest_polygons_are_read(tmp_path: Path, suffix: str) -> None:
    frame = geopandas.GeoDataFrame({"name": ["A"]}, geometry=[box(-99, 41, -95, 45)], crs=4326)
    path = tmp_path / f"regions.{suffix}"
    frame.to_file(path, driver="KML" if suffix == "kml" else None)
    assert open_regions(path).index.tolist() == ["A"]


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "json", "gml", "kml", "csv", "vrt"])
def test_no_polygons_ask_another_computer(
    tmp_path: Path, web: tuple[str, Path], suffix: str
) -> None:
    address, log = web
    path = tmp_path / f"regions.{suffix}"
    path.write_text(
        f'<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/vsicurl/http://{address}/a.geojson'
        "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )
    with pytest.raises(UsageError, match=rf"regions\.{suffix}: expected a file of polygons"):
        open_regions(path)
    path.write_text(f'{{"x": "<OGRVRTDataSource>", "href": "http://{address}/a"}}')
    with pytest.raises(UsageError, match=rf"regions\.{suffix}: expected a file of polygons"):
        open_regions(path)
    assert asked(log) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "parquet"])
def test_polygons_from_a_pipe_are_refused_at_once(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"regions.{suffix}")
    with pytest.raises(UsageError, match="expected a file, found a pipe"):
        open_regions(tmp_path / f"regions.{suffix}")


def tag(path: Path, number: int, value: int) -> None:
    """Give the tag of a small little-endian TIFF another value."""
    content = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, entry)[0] == number:
            struct.pack_into("<HII", content, entry + 2, 4, 1, value)
    path.write_bytes(content)


WIDTH, LENGTH, SAMPLES, BYTES, ROWS = 256, 257, 277, 279, 278


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "tags",
    [
        {WIDTH: 2**24, BYTES: 192},
        {LENGTH: 2**30, ROWS: 4},
        {LENGTH: 2**26, ROWS: 2**26},
        {SAMPLES: 30_000},
        {WIDTH: 2**24, LENGTH: 2**24},
    ],
)
def test_a_raster_that_declares_more_than_it_holds_is_refused_at_once(
    tmp_path: Path, tags: dict[int, int]
) -> None:
    path = geotiff(tmp_path / "in.tif")
    assert open_format(path)["band_data"].size
    for number, value in tags.items():
        tag(path, number, value)
    begin = time.process_time()
    with pytest.raises(
        UnreadableError, match=r"in\.tif.*(cannot hold|would take|cannot be opened)"
    ):
        open_format(path)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    "options",
    [
        {"SPARSE_OK": True},
        {"compress": "deflate"},
        {"compress": "zstd", "tiled": True, "blockxsize": 1024, "blockysize": 1024},
        {"compress": "lzw"},
        {"NBITS": 1},
        {"interleave": "band"},
    ],
)
def test_a_sparse_or_well_packed_raster_is_read(tmp_path: Path, options: dict) -> None:
    path = tmp_path / "in.tif"
    shape = {"width": 3000, "height": 2000, "count": 2, "dtype": "uint8"}
    place = rasterio.transform.from_origin(0, 50, 0.01, 0.01)
    with rasterio.open(path, "w", crs="EPSG:4326", transform=place, **shape, **options) as raster:
        if "SPARSE_OK" not in options:
            raster.write(np.ones((2, 2000, 3000), "u1"))
    found = open_format(path)["band_data"]
    assert found.shape == (2, 2000, 3000)
    assert int(found.max()) == int("SPARSE_OK" not in options)


def test_numbers_alone_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "in.bil", "EHdr")
    assert open_format(path)["band_data"].size
    header = path.with_suffix(".hdr")
    header.write_text(re.sub(r"(NCOLS|NROWS)\s+\d+", r"\1 5000", header.read_text()))
    with pytest.raises(UnreadableError, match=r"in\.bil"):
        open_format(path)


def test_degrees_of_another_body_are_none_of_the_earth(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "in.tif")
    assert open_format(path).sizes["lat"] == 6
    with rasterio.open(path, "r+") as raster:
        raster.crs = rasterio.CRS.from_user_input("IAU_2015:49900")
    with pytest.raises(UsageError, match=r"in\.tif: expected .* of the Earth, found 'Mars"):
        open_format(path)
    mars = geopandas.GeoDataFrame({"name": ["a"]}, geometry=[box(0, 0, 9, 9)], crs="IAU_2015:49900")
    with pytest.raises(UsageError, match="of the Earth, found 'Mars"):
        open_regions(mars)
