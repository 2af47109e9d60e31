"""Sources at addresses: what is allowed, what is asked of a server and when, and what is said."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from tiny_project import write_project

from narcf_geo.catalog.catalog import Catalog
from narcf_geo.catalog.entry import Entry, presence
from narcf_geo.core.addresses import is_address, shown
from narcf_geo.core.datasets import open_zarr
from narcf_geo.core.errors import NarcfError, UnreadableError, UsageError
from narcf_geo.fields.remote import RemoteFile, last_known
from narcf_geo.project.project import Project
from narcf_geo.workflow.state import State

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
COMMAND = (sys.executable, "-m", "narcf_geo", "catalog")
SECRETS = ("s3cr3t", "sesame", "alice")


class Server(ThreadingHTTPServer):
    """Serves the files of a folder, with ranges; keeps what it was asked for."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.asked = folder, list[str]()
        self.answers: dict[str, int] = {}
        self.delays: dict[str, float] = {}
        self.bytes_sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].lstrip("/")
        self.server.asked.append(name)
        path = self.server.folder / name
        time.sleep(next((s for part, s in self.server.delays.items() if part in name), 0))
        code = next((c for part, c in self.server.answers.items() if part in name), 200)
        if code == 200 and not path.is_file():
            code = 404
        body = path.read_bytes() if code == 200 else b""
        total = len(body)
        headers = {"Accept-Ranges": "bytes"}
        if code == 200:
            headers["ETag"] = f'"{path.stat().st_mtime_ns}-{total}"'
            if (wanted := self.headers.get("Range", "")).startswith("bytes="):
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start, end = int(first), min(int(last or total - 1), total - 1)
                body, code = body[start : end + 1], 206
                headers["Content-Range"] = f"bytes {start}-{end}/{total}"
        self.send_response(code)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.server.bytes_sent += len(body)
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    pytest.importorskip("aiohttp", reason="the extra remote (fsspec, aiohttp) is not installed")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "served").mkdir()
    with Server(tmp_path / "served") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def air(months: int = 24) -> xr.Dataset:
    """Temperatures that differ in every cell and month, larger than a block of a reader."""
    values = np.random.default_rng(1).normal(285, 9, (months, 60, 90)).astype("float32")
    return xr.Dataset(
        {"air": (("time", "lat", "lon"), values, {"units": "K"})},
        coords={
            "time": pd.date_range("2007-01-01", periods=months, freq="MS"),
            "lat": ("lat", 59.5 - np.arange(60.0), {"units": "degrees_north"}),
            "lon": ("lon", -129.5 + np.arange(90.0), {"units": "degrees_east"}),
        },
    )


TEMP = {"variables": {"temp": {"name": "air"}}}


def test_a_zarr_store_is_read_by_the_chunks_that_are_asked_for(
    server: Server, entry: Callable[..., Entry]
) -> None:
    air().chunk(time=1).to_zarr(server.folder / "air.zarr", consolidated=True)
    source = entry(f"{server.url}/air.zarr", "zarr", **TEMP)
    assert server.asked == []
    ds = source.read()
    assert not [name for name in server.asked if "air/c/" in name]
    np.testing.assert_allclose(ds["temp"][3], air()["air"][3] - 273.15, atol=1e-4)
    assert [name for name in server.asked if "air/c/" in name] == ["air.zarr/air/c/3/0/0"]
    np.testing.assert_allclose(ds["temp"], air()["air"] - 273.15, atol=1e-4)


def test_a_netcdf_file_is_copied_once_a_version(
    server: Server, entry: Callable[..., Entry]
) -> None:
    air().to_netcdf(server.folder / "air.nc")
    source = entry(f"{server.url}/air.nc", **TEMP)
    np.testing.assert_allclose(source.read()["temp"], air()["air"] - 273.15, atol=1e-4)
    sent = server.bytes_sent
    source.read()["temp"].load()
    assert server.bytes_sent == sent
    (air() + 1).to_netcdf(server.folder / "air.nc")
    kelvin = {"temp": {"name": "air", "units": "K"}}
    changed = entry(f"{server.url}/air.nc", variables=kelvin).read()
    np.testing.assert_allclose(changed["temp"], air()["air"] - 272.15, atol=1e-3)


def write_cog(path: Path, values: np.ndarray) -> None:
    import rasterio
    from rasterio.transform import from_origin

    height, width = values.shape
    place = {"crs": "EPSG:4326", "transform": from_origin(-130, 60, 0.05, 0.05)}
    kind = {"driver": "COG", "blocksize": 256, "compress": "none", "overviews": "none"}
    size = {"width": width, "height": height, "count": 1, "dtype": "float32"}
    with rasterio.open(path, "w", **place, **kind, **size) as file:
        file.write(values, 1)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_cog_is_read_in_pieces_without_looking_around(
    server: Server, entry: Callable[..., Entry]
) -> None:
    values = np.random.default_rng(2).normal(285, 9, (1024, 1024)).astype("float32")
    write_cog(server.folder / "air.tif", values)
    (server.folder / "air.tif.aux.xml").write_text("<PAMDataset/>")
    variables = {"temp": {"name": "band_data", "units": "K"}}
    source = entry(f"{server.url}/air.tif", "rasterio", variables=variables, time="2007-01")
    ds = source.read()
    part = ds["temp"].isel(lat=slice(300, 310), lon=slice(20, 40))
    np.testing.assert_allclose(part.squeeze(), values[300:310, 20:40] - 273.15, atol=1e-3)
    assert server.bytes_sent < values.nbytes / 4
    assert set(server.asked) == {"air.tif"}
    np.testing.assert_allclose(ds["temp"].squeeze(), values - 273.15, atol=1e-3)


def test_a_picture_is_no_cog(server: Server, entry: Callable[..., Entry]) -> None:
    vrt = "<VRTDataset rasterXSize='1' rasterYSize='1'><VRTRasterBand/></VRTDataset>"
    (server.folder / "a.tif").write_text(vrt)
    with pytest.raises(NarcfError, match=r"cannot be read as rasterio"):
        entry(f"{server.url}/a.tif", "rasterio", variables={"temp": {}}).read()


@pytest.mark.parametrize(
    ("address", "driver", "words"),
    [
        ("ftp://a.org/x.nc", "netcdf", "starts with https://, s3:// or gs://"),
        ("file:///etc/passwd", "netcdf", "starts with https://"),
        ("http://example.org/x.nc", "netcdf", "starts with https://"),
        ("http://127.0.0.1.example.org/x.nc", "netcdf", "starts with https://"),
        ("memory://x/y.zarr", "zarr", "starts with https://"),
        ("simplecache::https://a.org/x.nc", "netcdf", "starts with https://"),
        ("reference::s3://a/x.json", "zarr", "starts with https://"),
        ("https://a.org/x.csv", "csv", "only zarr, netcdf, rasterio"),
        ("https://a.org/x.grib", "grib", "catalog fetch"),
        ("https://169.254.169.254/x.nc", "netcdf", "link-local"),
        ("https://0xa9fea9fe/x.nc", "netcdf", "link-local"),
        ("https://a.org", "netcdf", "a host"),
        ("https://a.org/air_{year}.nc", "netcdf", "list each address"),
        ("https://a.org/air_*.nc", "netcdf", "list each address"),
    ],
)
@pytest.mark.parametrize("through_a_parameter", [False, True])
def test_addresses_that_are_refused(
    tmp_path: Path, address: str, driver: str, words: str, through_a_parameter: bool
) -> None:
    source = {
        "description": "a test",
        "driver": driver,
        "args": {"urlpath": "{{ at }}" if through_a_parameter else address},
        "parameters": {"at": {"default": address}},
        "metadata": {"role": "predictor"},
    }
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"sources": {"it": source}}))
    with pytest.raises(UsageError, match=words) as raised:
        Catalog.open(path)["it"]
    assert f"{path}:" in str(raised.value)


def test_listing_asks_nothing(server: Server, entry: Callable[..., Entry], tmp_path: Path) -> None:
    address = f"{server.url}/absent.zarr"
    assert presence(entry(address, "zarr", **TEMP)) == "remote"
    done = subprocess.run(
        [*COMMAND, "list", "--catalog", "data_catalog.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "remote" in done.stdout
    assert server.asked == []


def shown_by_command(folder: Path) -> subprocess.CompletedProcess[str]:
    """Show the one source of a catalog in a process of its own."""
    return subprocess.run(
        [*COMMAND, "show", "it", "--catalog", "data_catalog.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_requests_under_way_at_an_error_end_before_the_process(
    server: Server, entry: Callable[..., Entry], tmp_path: Path
) -> None:
    server.answers, server.delays = {"refused": 403}, {".z": 0.3}
    entry(f"{server.url}/refused.zarr", "zarr", **TEMP)
    done = shown_by_command(tmp_path)
    assert any(name.startswith("refused.zarr/.z") for name in server.asked)
    assert "access is refused" in done.stderr
    assert "Event loop" not in done.stderr


def test_failures_are_sentences_without_secrets(
    server: Server, entry: Callable[..., Entry], tmp_path: Path
) -> None:
    air(2).to_netcdf(server.folder / "air.nc")
    air(2).chunk(time=1).to_zarr(server.folder / "air.zarr", consolidated=True)
    air(2).to_zarr(server.folder / "bare.zarr", consolidated=False)
    write_cog(server.folder / "air.tif", np.ones((300, 300), "float32"))
    server.answers = {"refused": 403, "broken": 500}
    host = server.url.removeprefix("http://")
    cases = [
        ("absent.nc", "netcdf", "found none"),
        ("absent.tif", "rasterio", "found none"),
        ("absent.zarr", "zarr", "consolidated metadata"),
        ("refused.tif", "rasterio", "refused"),
        ("refused.nc", "netcdf", "access is refused"),
        ("refused.zarr", "zarr", "access is refused"),
        ("broken.nc", "netcdf", "cannot be read as netcdf"),
        ("bare.zarr", "zarr", "consolidated metadata"),
    ]
    for name, driver, words in cases:
        address = f"http://alice:s3cr3t@{host}/{name}?sig=sesame"
        with pytest.raises(NarcfError, match=words) as raised:
            entry(address, driver, **TEMP).read()
        text = str(raised.value)
        assert f"{server.url}/{name}" in text
        assert not any(secret in text for secret in SECRETS), text
        done = shown_by_command(tmp_path)
        assert done.returncode in (1, 2)
        assert not any(secret in done.stdout + done.stderr for secret in SECRETS), done.stderr
        assert "Traceback" not in done.stderr


def test_values_that_cannot_be_read_later(server: Server, entry: Callable[..., Entry]) -> None:
    air(2).chunk(time=1).to_zarr(server.folder / "air.zarr", consolidated=True)
    host = server.url.removeprefix("http://")
    ds = entry(f"http://alice:s3cr3t@{host}/air.zarr", "zarr", **TEMP).read()
    server.answers = {"air/c/1": 403}
    assert np.isfinite(ds["temp"][0]).all()
    with pytest.raises(UnreadableError, match="access is refused") as raised:
        ds["temp"].load()
    assert not any(secret in str(raised.value) for secret in SECRETS)
    assert raised.value.__cause__ is None


def test_no_server(entry: Callable[..., Entry]) -> None:
    pytest.importorskip("aiohttp")
    closed = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    closed.server_close()
    for name, driver in (("air.nc", "netcdf"), ("air.zarr", "zarr"), ("air.tif", "rasterio")):
        with pytest.raises(NarcfError, match="cannot be reached"):
            entry(f"http://127.0.0.1:{closed.server_port}/{name}", driver, **TEMP).read()


def test_what_is_shown() -> None:
    assert shown("https://u:p@h@a.org/x.nc?y=1#z") == "https://a.org/x.nc"
    assert shown("data/a?.nc") == "data/a?.nc"
    assert not is_address("C:/data/a.nc")
    file = RemoteFile("https://u:p@a.org/x.nc?sig=1", "netcdf")
    assert "sig" not in repr(file) + str(file)


def test_an_error_in_the_catalog_does_not_print_a_login(entry: Callable[..., Entry]) -> None:
    with pytest.raises(UsageError) as raised:
        entry("ftp://alice:s3cr3t@a.org/x.nc?sig=sesame", **TEMP)
    assert not any(secret in str(raised.value) for secret in SECRETS)
    with pytest.raises(UsageError) as raised:
        entry("a.nc", companion="https://alice:s3cr3t@a.org/x.nc?sig=sesame", **TEMP)
    assert not any(secret in str(raised.value) for secret in SECRETS)


def test_buckets() -> None:
    s3 = RemoteFile("s3://bucket/air.tif", "rasterio", anonymous=True)
    assert s3.name == "air.tif"
    pytest.importorskip("s3fs", reason="the extra remote (s3fs) is not installed")
    assert s3.options()["anon"] is True
    assert "url=https%3A%2F%2Fbucket.s3" in s3.raster()
    at = RemoteFile("s3://bucket/air.zarr", "zarr", True, "https://store.example.org")
    assert at.options()["endpoint_url"] == "https://store.example.org"


def test_a_whole_project_with_remote_sources(server: Server, tmp_path: Path) -> None:
    write_project(tmp_path / "local")
    write_project(tmp_path / "far")
    data = tmp_path / "far" / "data"
    xr.open_dataset(data / "weather.nc", engine="netcdf4").to_zarr(
        server.folder / "weather.zarr", consolidated=True
    )
    for name in ("ndvi.nc", "igbp.tif"):
        (data / name).rename(server.folder / name)
    catalog = tmp_path / "far" / "data_catalog.yaml"
    content = yaml.safe_load(catalog.read_text())
    for name, file in (("weather", "weather.zarr"), ("ndvi", "ndvi.nc"), ("igbp", "igbp.tif")):
        content["sources"][name]["args"]["urlpath"] = f"{server.url}/{file}"
    content["sources"]["weather"]["driver"] = "zarr"
    catalog.write_text(yaml.safe_dump(content))

    def regrid(folder: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "narcf_geo", "regrid", "-C", str(tmp_path / folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    regrid("local")
    regrid("far")
    for name in ("weather", "ndvi"):
        one, other = (
            open_zarr(tmp_path / at / "regridded" / f"{name}.zarr", "regrid").load()
            for at in ("local", "far")
        )
        xr.testing.assert_allclose(one, other)
    project = Project.open(tmp_path / "far")

    def is_current() -> bool:
        from narcf_geo.workflow.plan import STAGES

        stage, state = STAGES["regrid"], State.open(project)
        steps = stage.steps(project)
        return not any(state.changes(stage, s, state.inputs(stage, s)) is not None for s in steps)

    assert is_current()
    ndvi = xr.load_dataset(server.folder / "ndvi.nc", engine="netcdf4")
    ndvi.to_netcdf(server.folder / "ndvi.nc")
    assert not is_current()


def test_the_last_known_version_stands_where_a_server_is_away(
    server: Server, tmp_path: Path
) -> None:
    air(2).to_netcdf(server.folder / "air.nc")
    file, record = RemoteFile(f"{server.url}/air.nc?sig=sesame", "netcdf"), tmp_path / "r.json"
    known = last_known(file, record)
    assert {"etag", "size"} <= set(known)
    assert "sesame" not in record.read_text()
    server.answers = {"air": 503}
    assert last_known(file, record) == known
    record.unlink()
    with pytest.raises(UnreadableError):
        last_known(file, record)
