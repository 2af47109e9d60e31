"""Files and stores that a result is written into block by block."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.stores import growing
from narcf_geo.regridding.packing import Packing
from narcf_geo.regridding.pieces import Layer, Place

if TYPE_CHECKING:
    from rasterio.io import DatasetWriter

CODECS = {
    "netcdf": ("deflate", "zstd", "none"),
    "zarr": ("zstd", "deflate", "lz4", "none"),
    "geotiff": ("deflate", "zstd", "lzw", "none"),
}
"""By format, what compresses it; the first is the default."""

_LEVELS = {"deflate": (1, 9), "zstd": (1, 22), "lz4": (1, 9), "lzw": (0, 0), "none": (0, 0)}
_USUAL = {"netcdf": 1, "zarr": 3, "geotiff": 6}


@dataclass(frozen=True)
class Compression:
    """A codec and its level."""

    codec: str
    level: int

    @classmethod
    def of(cls, text: str | None, kind: str) -> Compression:
        """Read a text such as ``zstd`` or ``deflate:9`` for a format.

        Raises
        ------
        UsageError
            When the format is not compressed so.

        Examples
        --------
        >>> Compression.of("zstd:9", "zarr")
        Compression(codec='zstd', level=9)
        """
        name, _, level = (text or CODECS[kind][0]).lower().partition(":")
        if name not in CODECS[kind]:
            raise UsageError(
                f"compress: expected one of {', '.join(CODECS[kind])} for {kind}, found {text!r}"
            )
        low, high = _LEVELS[name]
        usual = min(_USUAL[kind], high)
        if level and not (level.isdigit() and low <= int(level) <= high and high):
            raise UsageError(
                f"compress: expected a level of {low} to {high} for {name}, found {text!r}"
                if high
                else f"compress: expected no level for {name}, found {text!r}"
            )
        return cls(name, int(level) if level else usual)


@dataclass
class Locked:
    """A place in a file that one thread at a time writes into."""

    write: Any
    packing: Packing
    name: str
    lock: AbstractContextManager[Any] = field(default_factory=Lock)

    def __setitem__(self, at: tuple[slice, ...], block: np.ndarray) -> None:
        """Pack and write a block."""
        packed = self.packing.pack(block, self.name)
        with self.lock:
            self.write(at, packed)


@dataclass(frozen=True)
class InStore:
    """An array of a Zarr store; blocks are whole chunks, so that processes do not meet."""

    store: str
    name: str
    packing: Packing

    def __setitem__(self, at: tuple[slice, ...], block: np.ndarray) -> None:
        """Pack and write a block."""
        packed = self.packing.pack(block, self.name)
        try:
            _array(self.store, self.name)[at] = packed
        except OSError as error:
            raise NarcfError(
                f"{self.store}: writing failed ({error}); what was finished stays: make room, or "
                "see to the disk, and run again to go on"
            ) from None


@lru_cache(maxsize=64)
def _array(store: str, name: str) -> Any:
    import zarr

    return zarr.open_array(growing(store), path=name, mode="r+")


def create_store(
    ds: xr.Dataset, layers: Sequence[Layer], path: Path, compression: Compression
) -> None:
    """Write a Zarr store with all but the values of `layers`."""
    codec = _zarr_codec(compression)
    encoding: dict[str, dict[str, Any]] = {}
    for layer in layers:
        encoding[layer.name] = {
            **_encoding(layer.packing),
            "chunks": layer.chunks,
            "compressors": codec,
        }
    template = _template(ds, layers)
    with warnings.catch_warnings():
        # Texts have no place in version 3 of the format yet; a user can do nothing about it.
        warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification")
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        template.to_zarr(path, mode="w", compute=False, consolidated=True, encoding=encoding)
    _array.cache_clear()


def store_places(layers: Sequence[Layer], path: Path) -> dict[str, Place]:
    """Return where in a store the values of `layers` go."""
    return {layer.name: InStore(str(path), layer.name, layer.packing) for layer in layers}


def _zarr_codec(compression: Compression) -> Any:
    from zarr.codecs import BloscCodec, GzipCodec

    if compression.codec == "none":
        return None
    if compression.codec == "deflate":
        return [GzipCodec(level=compression.level)]
    level = min(compression.level, 9)
    return [BloscCodec(cname=compression.codec, clevel=level, shuffle="shuffle")]  # type: ignore[arg-type]


@contextmanager
def open_netcdf(
    ds: xr.Dataset, layers: Sequence[Layer], path: Path, compression: Compression
) -> Iterator[dict[str, Place]]:
    """Write a NetCDF file with all but the values of `layers`; yield where these go."""
    import netCDF4
    from xarray.backends.netCDF4_ import NETCDF4_PYTHON_LOCK

    codec = {"deflate": "zlib", "zstd": "zstd"}.get(compression.codec)
    encoding: dict[str, dict[str, Any]] = {}
    for layer in layers:
        how: dict[str, Any] = {**_encoding(layer.packing), "chunksizes": layer.chunks}
        if codec:
            how |= {"compression": codec, "complevel": compression.level, "shuffle": True}
        encoding[layer.name] = how
    template = _template(ds, layers)
    template.to_netcdf(path, engine="netcdf4", encoding=encoding, compute=False)
    lock = NETCDF4_PYTHON_LOCK  # under which xarray reads: HDF5 does not stand two threads
    with netCDF4.Dataset(path, "r+") as file:
        places: dict[str, Place] = {}
        for layer in layers:
            variable = file[layer.name]
            variable.set_auto_maskandscale(False)
            places[layer.name] = Locked(variable.__setitem__, layer.packing, layer.name, lock)
        yield places


@contextmanager
def open_geotiff(
    raster: xr.DataArray,
    layers: Sequence[Layer],
    path: Path,
    compression: Compression,
    tags: Mapping[str, str],
) -> Iterator[dict[str, Place]]:
    """Open a GeoTIFF with the bands of all `layers`; yield where these go.

    Parameters
    ----------
    raster : xarray.DataArray
        Of `narcf_geo.regridding.raster.bands`: its CRS, its transform and the names of its bands.
    layers : sequence of Layer
        The values, and the valid fraction if that is a band for each of theirs.
    """
    import rasterio
    from rasterio.enums import ColorInterp

    first = layers[0]
    *lead, height, width = first.data.shape
    bands = lead[0] if lead else 1
    names = raster.attrs.get("long_name", ())
    names = [*names] if not isinstance(names, str) and len(names) == bands else [first.name] * bands
    tile = {"blockysize": first.chunks[-2], "blockxsize": first.chunks[-1], "tiled": True}
    if any(size % 16 for size in first.chunks[-2:]):
        tile = {"tiled": False}
    codec = {} if compression.codec == "none" else {"compress": compression.codec.upper()}
    if compression.codec == "deflate":
        codec["zlevel"] = str(compression.level)
    elif compression.codec == "zstd":
        codec["zstd_level"] = str(compression.level)
    if codec:
        codec["predictor"] = "3" if first.packing.dtype.kind == "f" else "2"
    lock = Lock()
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype=first.packing.dtype,
        count=bands * len(layers),
        height=height,
        width=width,
        crs=raster.rio.crs,
        transform=raster.rio.transform(),
        nodata=first.packing.fill,
        interleave="band",
        bigtiff="if_safer",
        **codec,
        **tile,
    ) as file:
        file.update_tags(AREA_OR_POINT="Area", **tags)
        file.colorinterp = [ColorInterp.gray] + [ColorInterp.undefined] * (file.count - 1)
        places: dict[str, Place] = {}
        for number, layer in enumerate(layers):
            start = 1 + number * bands
            for band in range(bands):
                name = names[band] if number == 0 else f"{names[band]} valid fraction"
                file.set_band_description(start + band, name)
                units = tags.get("units", "") if number == 0 else "1"
                file.set_band_unit(start + band, units)
            writer = _Bands(file, start, bool(lead))
            places[layer.name] = Locked(writer.write, layer.packing, layer.name, lock)
        file.scales = [layer.packing.scale for layer in layers for _ in range(bands)]
        file.offsets = [layer.packing.offset for layer in layers for _ in range(bands)]
        yield places


@dataclass(frozen=True)
class _Bands:
    """Consecutive bands of a raster."""

    file: DatasetWriter
    first: int
    several: bool

    def write(self, at: tuple[slice, ...], block: np.ndarray) -> None:
        from rasterio.windows import Window

        *lead, rows, columns = at
        window = Window.from_slices(rows, columns)
        if not self.several:
            self.file.write(block, self.first, window=window)
            return
        numbers = list(range(self.first + lead[0].start, self.first + lead[0].stop))
        self.file.write(block, numbers, window=window)


def _encoding(packing: Packing) -> dict[str, Any]:
    """Return how a variable is stored, in xarray's terms."""
    how: dict[str, Any] = {"dtype": packing.dtype, "_FillValue": packing.dtype.type(packing.fill)}
    if packing.is_scaled:
        how |= {"scale_factor": packing.scale, "add_offset": packing.offset}
    return how


def _template(ds: xr.Dataset, layers: Sequence[Layer]) -> xr.Dataset:
    """Return `ds` with arrays of nothing in the place of the values of `layers`."""
    import dask.array as da

    empty = {}
    for layer in layers:
        variable = ds[layer.name].variable
        nothing = da.zeros(layer.data.shape, chunks=layer.chunks, dtype=layer.data.dtype)
        empty[layer.name] = xr.Variable(variable.dims, nothing, variable.attrs)
    # Bounds and mappings are named by attributes of their own, not as coordinates.
    keys = ("bounds", "climatology", "grid_mapping")
    named = {v.attrs.get(key) for v in ds.variables.values() for key in keys}
    rest = ds.drop_vars([layer.name for layer in layers]).compute()
    described = [n for n in ds.coords if n in named]
    rest = rest.reset_coords(described)
    for name in described:
        rest[name].encoding["coordinates"] = None
    return rest.assign(empty)
