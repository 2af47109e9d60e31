"""Attributes that no longer hold, packing, dtypes, compression and chunks of the files written."""

from __future__ import annotations

import warnings
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.regridding import regrid_file
from narcf_geo.regridding.packing import DTYPES, Packing

SOURCE = Grid.regular(-120, 20, -60, 60, 2)
INTEGERS = [d for d in DTYPES if "int" in d]


def field(low: float = 250.0, high: float = 310.0, steps: int = 3) -> xr.Dataset:
    """Values between two limits at some times, a corner of them missing."""
    rng = np.random.default_rng(1)
    values = rng.uniform(low, high, (steps, *SOURCE.shape))
    values[:, :4, :7] = np.nan
    ds = xr.Dataset({"t": (("time", *SOURCE.dims), values, {"units": "K"})}, SOURCE.coords())
    return ds.assign_coords(
        time=("time", np.arange(float(steps)), {"units": "days since 2001-1-1"})
    )


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    field().to_netcdf(tmp_path / "in.nc")
    return tmp_path / "in.nc"


@pytest.fixture
def expected(plain: Path, tmp_path: Path) -> np.ndarray:
    """Regridded values in double precision."""
    regrid_file(plain, tmp_path / "expected.nc", grid=4)
    with netCDF4.Dataset(tmp_path / "expected.nc") as ds:
        assert ds["t"].dtype == np.float64
        return ds["t"][:].filled(np.nan)


def readings(path: Path) -> list[np.ndarray]:
    """The values of a file as several readers unpack them."""
    if path.suffix == ".tif":
        with rasterio.open(path) as raster:
            raw = raster.read().astype("float64")
            scales, offsets = (np.array(a)[:, None, None] for a in (raster.scales, raster.offsets))
            gdal = np.where(raw == raster.nodata, np.nan, raw * scales + offsets)
        with rioxarray.open_rasterio(path, mask_and_scale=True) as opened:
            return [gdal[:, ::-1], opened.values[:, ::-1]]
    if path.suffix == ".zarr":
        return [xr.open_zarr(path, consolidated=False, decode_times=False)["t"].values]
    with netCDF4.Dataset(path) as ds, xr.open_dataset(path, decode_times=False) as opened:
        return [np.ma.filled(ds["t"][:].astype("float64"), np.nan), opened["t"].values]


@pytest.mark.parametrize("suffix", [".nc", ".zarr", ".tif"])
@pytest.mark.parametrize("dtype", ["int16", "uint8"])
def test_packed_values_are_read_back_within_half_a_step(
    plain: Path, expected: np.ndarray, tmp_path: Path, suffix: str, dtype: str
) -> None:
    out = tmp_path / f"out{suffix}"
    regrid_file(plain, out, grid=4, dtype=dtype)
    step = Packing.of_range(np.nanmin(expected), np.nanmax(expected), np.dtype(dtype)).scale
    for values in readings(out):
        assert np.array_equal(np.isnan(values), np.isnan(expected))
        assert np.nanmax(np.abs(values - expected)) <= step / 2
        assert np.nanmax(np.abs(values - expected)) > step / 10  # they are packed indeed
    assert sorted(p.name for p in tmp_path.iterdir()) == ["expected.nc", "in.nc", out.name]


@given(
    low=st.floats(-1e30, 1e30),
    width=st.floats(0, 1e30),
    share=st.floats(0, 1),
    dtype=st.sampled_from(INTEGERS),
)
def test_a_packing_holds_all_values_of_its_range(
    low: float, width: float, share: float, dtype: str
) -> None:
    high = low + width
    packing = Packing.of_range(low, high, np.dtype(dtype))
    values = np.array([low, high, min(low + share * width, high), np.nan])
    found = packing.unpack(packing.pack(values))
    assert np.isnan(found[3])
    assert np.abs(found - values)[:3].max() <= packing.scale / 2


def test_the_packing_of_the_source_is_kept(tmp_path: Path) -> None:
    packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 273.0, "_FillValue": -999}
    field().to_netcdf(tmp_path / "in.nc", encoding={"t": packed})
    regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", grid=4, dtype="int16")
    with netCDF4.Dataset(tmp_path / "out.nc") as ds:
        variable = ds["t"]
        assert (variable.dtype, variable._FillValue) == (np.int16, -999)
        assert (variable.scale_factor, variable.add_offset) == (0.01, 273.0)
        assert 250 < variable[:].min() < variable[:].max() < 310
    regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", grid=4, dtype="uint8")  # another
    with netCDF4.Dataset(tmp_path / "out.nc") as ds:
        assert ds["t"].scale_factor > 0.1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("suffix", [".nc", ".zarr", ".tif"])
def test_floats(plain: Path, expected: np.ndarray, tmp_path: Path, suffix: str, dtype: str) -> None:
    regrid_file(plain, tmp_path / f"out{suffix}", grid=4, dtype=dtype)
    values = readings(tmp_path / f"out{suffix}")[-1]
    assert values.dtype == dtype
    np.testing.assert_array_equal(values, expected.astype(dtype))


def test_what_a_dtype_cannot_hold_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out.nc"
    field(1e38, 1e39).to_netcdf(tmp_path / "huge.nc")
    with pytest.raises(NarcfError, match="values that float32 holds"):
        regrid_file(tmp_path / "huge.nc", out, grid=4, dtype="float32")
    packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 273.0, "_FillValue": -999}
    field().to_netcdf(tmp_path / "in.nc", encoding={"t": packed})
    for wrong in ("int64", "complex64", "S4", "float16", "banana"):
        with pytest.raises(UsageError, match="dtype: expected one of"):
            regrid_file(tmp_path / "in.nc", out, grid=4, dtype=wrong)
    with pytest.raises(NarcfError, match="found 300; write another"):
        Packing.plain(np.dtype("uint8")).pack(np.array([300]), "v")
    assert not out.exists()
    assert {p.name for p in tmp_path.iterdir()} == {"huge.nc", "in.nc"}


def test_no_attribute_of_the_packed_numbers_is_left(tmp_path: Path) -> None:
    """A reader that takes them for true would mask what is valid."""
    ds = field()
    ds["t"].attrs |= {
        "valid_min": np.int16(7500),
        "valid_max": np.int16(32767),
        "actual_range": np.array([7500, 15500], "i2"),
        "long_name": "temperature",
    }
    ds["count"] = ("time", [1.0, 2.0, 3.0], {"valid_range": np.array([10, 300], "i2")})
    packed = {"dtype": "i2", "scale_factor": 0.02, "_FillValue": 0}
    small = {"dtype": "i2", "scale_factor": 0.1, "_FillValue": -1}
    ds.to_netcdf(tmp_path / "in.nc", encoding={"t": packed, "count": small})
    regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", grid=4)
    with netCDF4.Dataset(tmp_path / "out.nc") as out, netCDF4.Dataset(tmp_path / "in.nc") as source:
        assert np.ma.count(out["t"][:]) > 0.9 * out["t"].size
        assert set(out["t"].ncattrs()) == {
            "_FillValue",
            "units",
            "long_name",
            "cell_methods",
            "ancillary_variables",
            "grid_mapping",
        }
        # What is copied stays as it was packed, so that its range holds.
        assert out["count"].dtype == np.int16
        np.testing.assert_allclose(out["count"][:], [1, 2, 3])
        assert out["count"].ncattrs() == source["count"].ncattrs()


def test_valid_fraction_where_it_is_asked_for(plain: Path, tmp_path: Path) -> None:
    regrid_file(plain, tmp_path / "usual.nc", grid=4)
    with netCDF4.Dataset(tmp_path / "usual.nc") as ds:
        fraction = ds["t_valid_fraction"][:].filled()
    assert 0 <= fraction.min() < fraction.max()
    regrid_file(plain, tmp_path / "b.tif", grid=4, valid_fraction="band")
    with rasterio.open(tmp_path / "b.tif") as raster:
        assert raster.count == 6
        assert raster.descriptions[2:5] == (
            "t 2001-01-03",
            "t 2001-01-01 valid fraction",
            "t 2001-01-02 valid fraction",
        )
        assert raster.units == ("K",) * 3 + ("1",) * 3
        np.testing.assert_array_equal(raster.read([4, 5, 6])[:, ::-1], fraction)
    regrid_file(plain, tmp_path / "f.tif", grid=4, valid_fraction="file", dtype="int16")
    with rasterio.open(tmp_path / "f_valid_fraction.tif") as raster:
        np.testing.assert_allclose(raster.read()[:, ::-1], fraction, rtol=1e-6)
    regrid_file(plain, tmp_path / "f.nc", grid=4, valid_fraction="file")
    regrid_file(plain, tmp_path / "n.zarr", grid=4, valid_fraction="none")
    with netCDF4.Dataset(tmp_path / "f_valid_fraction.nc") as ds:
        np.testing.assert_array_equal(ds["t_valid_fraction"][:], fraction)
        assert "t" not in ds.variables
    with netCDF4.Dataset(tmp_path / "f.nc") as ds:
        assert "ancillary_variables" not in ds["t"].ncattrs()
    assert "t_valid_fraction" not in zarr.open_group(tmp_path / "n.zarr")
    for wrong in ({"out": "o.zarr", "valid_fraction": "file"},
                  {"out": "o.tif", "valid_fraction": "band", "dtype": "int16"},
                  {"out": "o.nc", "valid_fraction": "nowhere"}):  # fmt: skip
        with pytest.raises(UsageError, match="valid_fraction: expected"):
            regrid_file(plain, tmp_path / wrong.pop("out"), grid=4, **wrong)  # type: ignore[arg-type]


def test_chunks_and_compression(plain: Path, expected: np.ndarray, tmp_path: Path) -> None:
    sizes = {"time": 2, "lat": 5}
    regrid_file(plain, tmp_path / "o.nc", grid=4, chunks=sizes, compress="none")
    regrid_file(plain, tmp_path / "o.zarr", grid=4, chunks=sizes, compress="lz4")
    regrid_file(plain, tmp_path / "o.tif", grid=1, chunks={"lat": 16, "lon": 32}, compress="lzw")
    with netCDF4.Dataset(tmp_path / "o.nc") as ds:
        assert ds["t"].chunking() == [2, 5, 15]
        assert not ds["t"].filters()["zlib"]
        np.testing.assert_array_equal(ds["t"][:].filled(np.nan), expected)
    array = zarr.open_group(tmp_path / "o.zarr")["t"]
    assert array.chunks == (2, 5, 15)
    assert "lz4" in str(array.compressors)
    np.testing.assert_array_equal(array[:], expected)
    with rasterio.open(tmp_path / "o.tif") as raster:
        assert raster.block_shapes[0] == (16, 32)
        assert raster.compression.name == "lzw"
    for wrong, text in (
        ({"chunks": {"height": 3}}, "chunks: expected dimensions among"),
        ({"chunks": {"lat": 0}}, "chunks: expected sizes of at least 1"),
        ({"compress": "lzw"}, "compress: expected one of deflate, zstd, none"),
        ({"compress": "deflate:12"}, "compress: expected a level of 1 to 9"),
    ):
        with pytest.raises(UsageError, match=text):
            regrid_file(plain, tmp_path / "wrong.nc", grid=4, **wrong)  # type: ignore[arg-type]


def test_bands_of_classes_do_not_cut_off_their_fraction(tmp_path: Path) -> None:
    """All bands of a GeoTIFF have one dtype: of 0.75 an integer keeps nothing."""
    classes = np.random.default_rng(2).integers(1, 4, SOURCE.shape).astype("i1")
    attrs = {"flag_values": np.array([1, 2, 3], "i1"), "flag_meanings": "a b c"}
    ds = xr.Dataset({"lc": (SOURCE.dims, classes, attrs)}, SOURCE.coords())
    ds.to_netcdf(tmp_path / "lc.nc")
    how = {"grid": 3, "bounds": (-121, 19, -61, 58), "min_coverage": 0.1, "valid_fraction": "band"}
    with pytest.raises(UsageError, match="whose bands are all int16"):
        regrid_file(tmp_path / "lc.nc", tmp_path / "lc.tif", **how)  # type: ignore[arg-type]
    assert not (tmp_path / "lc.tif").exists()
    regrid_file(tmp_path / "lc.nc", tmp_path / "lc.tif", dtype="float32", **how)  # type: ignore[arg-type]
    regrid_file(tmp_path / "lc.nc", tmp_path / "out.nc", **how)  # type: ignore[arg-type]
    with rasterio.open(tmp_path / "lc.tif") as tif, netCDF4.Dataset(tmp_path / "out.nc") as out:
        fraction = out["lc_valid_fraction"][:][::-1]
        assert 0 < fraction.min() < 1
        np.testing.assert_array_equal(tif.read(2), fraction)
        np.testing.assert_array_equal(tif.read(1), out["lc"][:][::-1])


def test_a_store_opens_without_a_warning(plain: Path, tmp_path: Path) -> None:
    """Its metadata lie in one place, as readers over https need them."""
    regrid_file(plain, tmp_path / "out.zarr", grid=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_zarr(tmp_path / "out.zarr") as ds:
            assert ds["t"].dims == ("time", "lat", "lon")
