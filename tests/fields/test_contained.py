"""Data files that lead elsewhere, run code or declare absurd sizes, each beside an honest twin."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import socket
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narcf_geo.core.errors import NarcfError, UnreadableError, UsageError
from narcf_geo.fields.door import open_fields
from narcf_geo.fields.formats import Opening, open_format


def field() -> xr.Dataset:
    return xr.Dataset(
        {"temp": (("lat", "lon"), np.arange(24.0).reshape(4, 6), {"units": "K"})},
        {
            "lat": ("lat", np.arange(40.5, 44), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(-99.5, -94), {"units": "degrees_east"}),
        },
    )


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    field().to_netcdf(tmp_path / "in.nc", engine="netcdf4")
    return tmp_path / "in.nc"


def external_link(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["temp"]
        file["temp"] = h5py.ExternalLink(str(path.with_name("other.nc")), "/temp")


def external_storage(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.create_dataset("more", (4, 6), "f8", external=[("/etc/passwd", 0, 192)])


def virtual_dataset(path: Path) -> None:
    layout = h5py.VirtualLayout((4, 6), "f8")
    layout[:] = h5py.VirtualSource(str(path.with_name("other.nc")), "temp", (4, 6))
    with h5py.File(path, "r+") as file:
        file.create_virtual_dataset("more", layout)


def link_in_a_group(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.create_group("a/b")["c"] = h5py.ExternalLink("/etc/hostname.h5", "/")


@pytest.mark.parametrize(
    "change", [external_link, external_storage, virtual_dataset, link_in_a_group]
)
def test_values_in_another_file_are_refused(honest: Path, change: Callable[[Path], None]) -> None:
    field().to_netcdf(honest.with_name("other.nc"), engine="netcdf4")
    assert float(open_format(honest)["temp"].sum()) == 276
    change(honest)
    with pytest.raises(UnreadableError, match=r"in\.nc: variable .*expected its values in this"):
        open_format(honest)


def test_a_link_within_the_file_is_followed(honest: Path) -> None:
    with h5py.File(honest, "r+") as file:
        file["again"] = h5py.SoftLink("/temp")
    assert float(open_format(honest)["temp"].sum()) == 276


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((10**12,), (1000,)), ((10**6, 10**8), (1000, 1000)), ((10**5, 10**5), (2**10, 2**10))],
    ids=["axis", "nothing", "control"],
)
def test_a_header_of_absurd_size_is_refused(
    honest: Path, shape: tuple[int, ...], chunks: tuple[int, ...], request: pytest.FixtureRequest
) -> None:
    with h5py.File(honest, "r+") as file:
        more = file.create_dataset("more", shape, "f8", chunks=chunks)
        if request.node.callspec.id == "control":
            more[:2, :2] = 1.0
    if request.node.callspec.id == "control":
        assert open_format(honest, how=Opening(chunks="none"))["more"].shape == shape
        return
    with pytest.raises(UnreadableError, match=r"'more' of shape .* would take .* GB"):
        open_format(honest)


def test_a_chunk_larger_than_memory_is_refused(
    honest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(honest, "r+") as file:
        more = file.create_dataset("more", (10**4, 10**4), "i1", chunks=(8000, 8000))
        more[0, 0] = 1.0
    assert "more" in open_format(honest, how=Opening(chunks="none"))
    monkeypatch.setattr("narcf_geo.core.sizes.SMALL", 10**6)
    monkeypatch.setattr("narcf_geo.core.sizes.memory", lambda: 3 * 10**7)
    with pytest.raises(UnreadableError, match="a chunk of 8000 x 8000 would take"):
        open_format(honest)


def test_a_classic_file_that_declares_more_than_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "in.nc"
    field().to_netcdf(path, format="NETCDF3_64BIT", engine="netcdf4")
    assert float(open_format(path)["temp"].sum()) == 276
    with netCDF4.Dataset(tmp_path / "big.nc", "w", format="NETCDF3_64BIT_DATA") as file:
        file.set_fill_off()
        file.createDimension("lat", 10**11)
        file.createVariable("lat", "f8", ("lat",))
    os.truncate(tmp_path / "big.nc", 4096)
    with pytest.raises(UnreadableError, match=r"would take 800 GB|damaged"):
        open_format(tmp_path / "big.nc")


def store(path: Path, zarr_format: int) -> Path:
    field().to_zarr(path, zarr_format=zarr_format, consolidated=False)
    return path


def edit(path: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def pickled(folder: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(folder / "harm"),)

    objects = {"compressor": {"id": "pickle", "protocol": 5}}
    edit(folder / "in.zarr/temp/.zarray", lambda c: c.update(objects))
    for chunk in (folder / "in.zarr/temp").glob("[0-9]*"):
        chunk.write_bytes(pickle.dumps([Harm()]))


@pytest.mark.parametrize(
    "change",
    [
        {"filters": [{"id": "pickle", "protocol": 5}]},
        {"compressor": {"id": "json2"}},
        {"filters": [{"id": "msgpack2"}]},
        {"filters": [{"id": "unheard_of"}]},
        {"dtype": "|O", "fill_value": None},
        {"shape": [10**12, 6], "chunks": [10**12, 6]},
        {"chunks": [10**7, 10**6]},
    ],
)
def test_a_store_of_version_2_that_runs_code_or_has_no_end(tmp_path: Path, change: dict) -> None:
    path = store(tmp_path / "in.zarr", 2)
    assert float(open_format(path)["temp"].sum()) == 276
    edit(path / "temp/.zarray", lambda content: content.update(change))
    with pytest.raises(UnreadableError, match=r"in\.zarr"):
        open_format(path).load()


def test_no_pickle_is_read(tmp_path: Path) -> None:
    store(tmp_path / "in.zarr", 2)
    pickled(tmp_path)
    with pytest.raises(UnreadableError, match="pickle"):
        open_format(tmp_path / "in.zarr").load()
    assert not (tmp_path / "harm").exists()
    # The control: what is in the chunk does harm.
    pickle.loads((tmp_path / "in.zarr/temp/0.0").read_bytes())
    assert (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"codecs": [{"name": "numcodecs.pickle", "configuration": {}}]},
        {"codecs": [{"name": "bytes"}, {"name": "unheard_of"}]},
        {"shape": [10**13, 6]},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**7, 10**6]}}},
    ],
)
def test_a_store_of_version_3_that_runs_code_or_has_no_end(tmp_path: Path, change: dict) -> None:
    path = store(tmp_path / "in.zarr", 3)
    assert float(open_format(path)["temp"].sum()) == 276
    edit(path / "temp/zarr.json", lambda content: content.update(change))
    if "shape" in change:
        for chunk in (path / "temp").glob("c"):
            chunk.rename(tmp_path / "away")
    with pytest.raises(UnreadableError, match=r"in\.zarr"):
        open_format(path).load()


def test_honest_codecs_and_texts_are_read(tmp_path: Path) -> None:
    import numcodecs

    ds = field().assign_coords(name=("lat", np.array(["a", "bb", "ccc", "d"], object)))
    codec = {
        "compressors": [numcodecs.Blosc()],
        "filters": [numcodecs.FixedScaleOffset(0, 10, "f8")],
    }
    for version, encoding in ((2, {"temp": codec}), (3, {})):
        path = tmp_path / f"v{version}.zarr"
        ds.to_zarr(path, zarr_format=version, consolidated=version == 2, encoding=encoding)
        found = open_format(path).load()
        assert found["name"].values.tolist() == ["a", "bb", "ccc", "d"]
        assert float(found["temp"].sum()) == pytest.approx(276)


@pytest.mark.parametrize(
    ("driver", "given", "word"),
    [
        ("netcdf", {"xarray_kwargs": {"engine": "pydap"}}, "pydap"),
        ("netcdf", {"xarray_kwargs": {"backend_kwargs": {"a": 1}}}, "backend_kwargs"),
        ("grib", {"xarray_kwargs": {"backend_kwargs": {"indexpath": "x.idx"}}}, "indexpath"),
        ("zarr", {"xarray_kwargs": {"storage_options": {"a": 1}}}, "storage_options"),
        ("rasterio", {"xarray_kwargs": {"driver": "VRT"}}, "driver"),
        ("csv", {"csv_kwargs": {"storage_options": {}}}, "storage_options"),
        ("csv", {"csv_kwargs": {"compression": "zip"}}, "compression"),
    ],
)
def test_options_that_lead_elsewhere_are_refused(
    honest: Path, driver: str, given: dict, word: str
) -> None:
    with pytest.raises(UsageError, match=rf"in\.nc.*found '?{word}"):
        open_format(honest, driver, Opening(**given))
    plain = Opening(xarray_kwargs={"engine": "netcdf4", "mask_and_scale": False})
    assert "temp" in open_format(honest, "netcdf", plain)


@pytest.mark.parametrize(
    ("units", "values"),
    [
        ("days since 99999999999-01-01", [0, 31]),
        ("days since 2000-13-45", [0, 31]),
        ("days since 2000-01-01", [1e300, 2e300]),
        ("months since 2000-01", [1e18, 2e18]),
        ("days since " + "9" * 10_000, [0, 31]),
        ("K**9**9**9 since 2000-01-01", [0, 31]),
        ("", [1e300, 2e300]),
    ],
)
def test_times_without_end_are_refused(tmp_path: Path, units: str, values: list[float]) -> None:
    time_axis = ("time", np.array(values, "f8"), {"units": units})
    ds = field().expand_dims(time=2).assign_coords(time=time_axis)
    ds.to_netcdf(tmp_path / "in.nc", engine="netcdf4")
    with pytest.raises(NarcfError, match=r"in\.nc.*expected") as caught:
        open_fields(tmp_path / "in.nc")
    assert len(str(caught.value)) < 2000
    honest = ds.assign_coords(time=("time", [0, 31], {"units": "days since 2000-01-01"}))
    honest.to_netcdf(tmp_path / "honest.nc", engine="netcdf4")
    assert open_fields(tmp_path / "honest.nc").sizes["time"] == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize(
    "name", ["in.nc", "in.tif", "in.csv", "in.asc", "in.zarr", "in.grib2", "in.hdf", "in.nc.gz"]
)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    (tmp_path / f"link{name}").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(tmp_path / f"plug{name}"))
    for path, kind in ((name, "pipe"), (f"link{name}", "device"), (f"plug{name}", "socket")):
        with pytest.raises(UnreadableError, match=f"expected a file, found a {kind}"):
            open_format(tmp_path / path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("name", ["zarr.json", "temp/zarr.json"])
def test_a_pipe_in_a_store_is_refused_at_once(tmp_path: Path, name: str) -> None:
    path = store(tmp_path / "in.zarr", 3)
    (path / name).unlink()
    os.mkfifo(path / name)
    with pytest.raises(UnreadableError, match="found a pipe"):
        open_format(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of rasterio
@pytest.mark.parametrize("suffix", [".nc", ".tif", ".csv", ".asc"])
@settings(
    deadline=None, max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_damaged_bytes_open_or_are_refused_in_words(
    tmp_path: Path, suffix: str, data: st.DataObject
) -> None:
    path = tmp_path / f"in{suffix}"
    if not (tmp_path / "good").exists():
        write_as(suffix, path)
        (tmp_path / "good").write_bytes(path.read_bytes())
    good = bytearray((tmp_path / "good").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path.unlink(missing_ok=True)
    path.write_bytes(good)
    begin = time.process_time()
    # Values that cannot be read are said by the command that reads them.
    with contextlib.suppress(NarcfError, OSError, RuntimeError, ValueError):
        open_format(path).load()
    assert time.process_time() - begin < 20


def write_as(suffix: str, path: Path) -> None:
    if suffix == ".nc":
        field().to_netcdf(path, engine="netcdf4", encoding={"temp": {"zlib": True}})
    elif suffix == ".tif":
        import rioxarray  # noqa: F401

        field().rename(lat="y", lon="x")["temp"].rio.to_raster(path)
    elif suffix == ".csv":
        field().to_dataframe().to_csv(path)
    else:
        path.write_text("ncols 2\nnrows 2\nxllcorner 0\nyllcorner 0\ncellsize 1\n1 2\n3 4\n")


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("unlimited", [[], ["lat"]])
@pytest.mark.parametrize("names", [["temp"], ["temp", "flag"], ["temp", "flag", "more"]])
def test_a_classic_file_cut_by_a_few_bytes(
    tmp_path: Path, form: str, unlimited: list[str], names: list[str]
) -> None:
    ds = field()
    ds["flag"] = ("lat", "lon"), np.ones((4, 6), "i1"), {"long_name": "a flag", "of": [1.0, 2.0]}
    ds["more"] = ("lon",), np.arange(6.0)
    path = tmp_path / "in.nc"
    ds[names].to_netcdf(path, format=form, unlimited_dims=unlimited, engine="netcdf4")
    assert open_format(path).sizes["lat"] == 4
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(UnreadableError, match=r"in\.nc: variable .*expected a file of at least"):
        open_format(path)
