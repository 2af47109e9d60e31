"""Rasters through GDAL, each by the one driver of its format; nothing leads to another computer."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import xarray as xr

from narcf_geo.core.errors import NarcfError, UnreadableError
from narcf_geo.core.ordinary import read_text, require_ordinary
from narcf_geo.core.sizes import MOST_PACKED, SMALL, require_room
from narcf_geo.fields.reading import named

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

    from narcf_geo.fields.formats import Opening

LON_ATTRS = {"standard_name": "longitude", "units": "degrees_east"}
LAT_ATTRS = {"standard_name": "latitude", "units": "degrees_north"}

_DRIVERS = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
    b"EHFA_HEADER_TAG": "HFA",
}
"""GDAL's driver, by how a file begins."""

_RASTERS_BESIDE = (".ovr", ".msk", ".ovr.ovr", ".msk.ovr")
_TEXTS_BESIDE = (".tfw", ".tifw", ".wld", ".hdr", ".prj", ".stx", ".clr")
_MOST_TEXT = 20_000_000

_NARROW = 8
"""Pixels of one bit are stored in so many times fewer bytes than they are read as."""

_OF_MOSAIC = frozenset(
    (
        "VRTDataset",
        "SRS",
        "GeoTransform",
        "Metadata",
        "MDI",
        "VRTRasterBand",
        "NoDataValue",
        "HideNoDataValue",
        "ColorInterp",
        "ColorTable",
        "Entry",
        "Description",
        "UnitType",
        "Offset",
        "Scale",
        "CategoryNames",
        "Category",
        "Histograms",
        "HistItem",
        "HistMin",
        "HistMax",
        "BucketCount",
        "IncludeOutOfRange",
        "Approximate",
        "HistCounts",
        "SimpleSource",
        "ComplexSource",
        "SourceFilename",
        "SourceBand",
        "SourceProperties",
        "SrcRect",
        "DstRect",
        "NODATA",
        "ScaleOffset",
        "ScaleRatio",
        "LUT",
        "UseMaskBand",
        "MaskBand",
        "OverviewList",
        "BlockXSize",
        "BlockYSize",
    )
)
"""What a virtual raster may have: rasters side by side, and no program, raw file or warping."""


@contextmanager
def opened_raster(path: Path) -> Iterator[DatasetReader]:
    """Open a raster of this computer with rasterio.

    Raises
    ------
    UnreadableError
        When it is of no known format, or leads elsewhere.
    """
    import rasterio

    with _local(), rasterio.open(path, driver=_driver(path)) as raster:
        yield raster


@contextmanager
def _local() -> Iterator[None]:
    """Let GDAL ask no other computer."""
    import rasterio

    with rasterio.Env(CPL_VSIL_CURL_ALLOWED_EXTENSIONS="{none}", GDAL_HTTP_MAX_RETRY="0"):
        yield


def open_raster(path: Path | str, how: Opening) -> xr.Dataset:
    """Open a raster as ``band_data``, its bands named by ``band_name``.

    Nodata and masked pixels become NaN and scales are applied; classes stay as they are, and so do
    integers without any of these.

    Parameters
    ----------
    path : Path or str
        A file, or the text by which GDAL reads one of another computer in pieces.
    how : Opening
        What is known of it.
    """
    kwargs: dict[str, Any] = {"chunks": how.stored_chunks, **how.xarray_kwargs}
    if isinstance(how.chunks, str):
        kwargs["cache"] = False
    if isinstance(path, str):
        return _opened(path, how, kwargs)
    with _local():
        return _opened(path, how, {**kwargs, "driver": _driver(path)})


def _opened(path: Path | str, how: Opening, kwargs: dict[str, Any]) -> xr.Dataset:
    import rioxarray

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PendingDeprecationWarning)
        warnings.filterwarnings("ignore", message="(Scales|Offsets) differ across bands")
        warnings.filterwarnings("ignore", message="Dataset has no geotransform")
        packed, placed, coloured = _look(path, kwargs["driver"])
        if not how.classes:
            kwargs = {"mask_and_scale": packed, **kwargs}
        raster = rioxarray.open_rasterio(path, **kwargs)
    if not isinstance(raster, xr.DataArray):
        raise NarcfError(
            f"{path}: expected a raster with one grid, found several; use "
            "the driver of the format, netcdf or hdf4"
        )
    for key in ("scale_factor", "add_offset", "scales", "offsets"):
        raster.attrs.pop(key, None)
    if coloured:
        raster.attrs["color_interpretation"] = "palette"
    names = raster.attrs.get("long_name", ())
    if not isinstance(names, str) and "band" in raster.dims and len(names) == raster.sizes["band"]:
        raster.attrs.pop("long_name")
        raster = raster.assign_coords(band_name=("band", [str(n or "") for n in names]))
    # An ellipsoid, such as MCD12C1's Clarke 1866, is of no meaning for cells in degrees.
    crs = raster.rio.crs
    on_globe = placed and abs(raster["x"]).max() <= 360 and abs(raster["y"]).max() <= 90
    if crs is not None:
        from narcf_geo.grid.projection import parsed_crs

        with named(str(path)):
            parsed_crs(crs.to_wkt())  # of the Earth
    if crs is None or crs.is_geographic:
        raster = raster.drop_vars("spatial_ref", errors="ignore")
    if (crs is None and on_globe) or (crs is not None and crs.is_geographic):
        raster = raster.rename(x="lon", y="lat")
        raster["lat"].attrs, raster["lon"].attrs = dict(LAT_ATTRS), dict(LON_ATTRS)
    return raster.to_dataset(name="band_data")


def _look(path: Path | str, driver: Any) -> tuple[bool, bool, bool]:
    """Return whether a raster is masked or scaled, has a place on Earth, and a colour table."""
    import numpy as np
    import rasterio
    from rasterio.enums import ColorInterp, MaskFlags

    with rasterio.open(path, driver=driver) as raster:
        require_room(8 * (raster.width + raster.height), f"{path}: the centres of its cells")
        for (rows, columns), dtype in zip(raster.block_shapes, raster.dtypes, strict=True):
            size = rows * columns * np.dtype(dtype).itemsize
            require_room(size, f"{path}: a block of {rows:,} x {columns:,} pixels")
        if isinstance(path, Path):
            _require_held(path, raster)
        masked = any(MaskFlags.all_valid not in flags for flags in raster.mask_flag_enums)
        scaled = any(s != 1 for s in raster.scales) or any(o != 0 for o in raster.offsets)
        coloured = ColorInterp.palette in raster.colorinterp
        return masked or scaled, not raster.transform.is_identity, coloured


def _require_held(path: Path, raster: DatasetReader) -> None:
    """Refuse a raster that declares more than its files can hold.

    Blocks that are absent hold no value, and are read as such: a sparse raster may be as large as
    the memory.
    """
    import numpy as np

    rows, columns = raster.block_shapes[0]
    sizes = [np.dtype(dtype).itemsize for dtype in raster.dtypes]
    declared = raster.width * raster.height * sum(sizes)
    held = sum(os.path.getsize(name) for name in raster.files if os.path.isfile(name))
    blocks = math.ceil(raster.height / rows) * math.ceil(raster.width / columns)
    fits = raster.driver not in ("EHdr", "ENVI") or declared <= _NARROW * held
    if raster.driver == "GTiff" and (
        first := raster.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1)
    ):
        together = raster.interleaving is not None and raster.interleaving.value == "PIXEL"
        block = rows * columns * (sum(sizes) if together else sizes[0])
        most = MOST_PACKED if raster.compression else _NARROW
        fits = int(first) <= held and block <= most * int(first)
    if raster.driver == "GTiff" and declared > SMALL:
        # Each block has a place and a length in the file, of two bytes or more each.
        fits = fits and 4 * blocks <= held
    shape = " x ".join(f"{n:,}" for n in (raster.count, raster.height, raster.width))
    if not fits:
        raise UnreadableError(
            f"{path}: expected {shape} pixels, found {held:,} bytes, which cannot hold them; the "
            "file is damaged or incomplete"
        )
    if declared > MOST_PACKED * held:
        require_room(declared, f"{path}: a raster of {shape} pixels in {held:,} bytes")


def _driver(path: Path) -> str:
    """Return the driver by which GDAL may open a file, once what lies beside it is looked at."""
    require_ordinary(path)
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        head = file.read(16)
    found = next((d for first, d in _DRIVERS.items() if head.startswith(first)), None)
    if found is None and suffix in (".bil", ".bip", ".bsq"):  # numbers alone
        found = "ENVI" if _header(path).startswith("ENVI") else "EHdr"
    if found is None and head[:6].lower() == b"ncols ":
        found = "AAIGrid"
    if found is None and suffix == ".vrt":
        _require_mosaic(path)
        found = "VRT"
    if found is None:
        raise UnreadableError(
            f"{path}: expected a GeoTIFF, Erdas Imagine, ESRI ASCII or .bil file, or a .vrt of "
            f"these, found a file that begins with {head[:8]!r}; convert it with gdal_translate"
        )
    _require_plain_beside(path)
    return found


def _header(path: Path) -> str:
    beside = [path.with_suffix(".hdr"), path.with_name(f"{path.name}.hdr")]
    return next((read_text(p, _MOST_TEXT) for p in beside if p.exists()), "")


def _require_plain_beside(path: Path) -> None:
    """Refuse files beside a raster that lead GDAL elsewhere."""
    for suffix in _TEXTS_BESIDE:
        require_ordinary(path.with_suffix(suffix))
    for suffix in _RASTERS_BESIDE:
        beside = path.with_name(f"{path.name}{suffix}")
        if not beside.exists():
            continue
        require_ordinary(beside)
        with beside.open("rb") as file:
            head = file.read(16)
        if not any(head.startswith(first) for first in _DRIVERS):
            raise UnreadableError(
                f"{beside}: expected overviews or a mask as a GeoTIFF, found a file that begins "
                f"with {head[:8]!r}; remove it"
            )
    beside = path.with_name(f"{path.name}.aux.xml")
    if beside.exists():
        for element in _xml(beside).iter():
            if {"OVERVIEWS", "OVERVIEW_FILE"} & set(element.attrib.values()):
                raise UnreadableError(
                    f"{beside}: expected statistics and names, found the path of another file as "
                    "overviews; remove it"
                )


def _require_mosaic(path: Path) -> None:
    """Refuse a virtual raster that is more than rasters of this computer side by side."""
    root = _xml(path)
    for element in root.iter():
        kind = element.attrib.get("subClass")
        where = set(element.attrib.values())
        if element.tag not in _OF_MOSAIC or kind not in (None, "VRTSourcedRasterBand"):
            raise UnreadableError(
                f"{path}: expected a virtual raster of GeoTIFFs side by side, found "
                f"{kind or element.tag!r:.80}; make a GeoTIFF of it first, with gdal_translate"
            )
        if {"OVERVIEWS", "OVERVIEW_FILE"} & where:
            raise UnreadableError(f"{path}: expected no overviews in a virtual raster, found some")
        if element.tag == "SourceFilename":
            _require_source(path, element)


def _require_source(path: Path, element: ElementTree.Element) -> None:
    text = element.text or ""
    relative = element.attrib.get("relativeToVRT") == "1"
    source = path.parent / text if relative else Path(text)
    if text.startswith("/vsi") or not source.is_file():
        raise UnreadableError(
            f"{path}: expected a virtual raster of files on this computer, found {text[:80]}; "
            "get its files first"
        )
    with source.open("rb") as file:
        head = file.read(16)
    if not any(head.startswith(first) for first in _DRIVERS):
        raise UnreadableError(
            f"{path}: expected a virtual raster of GeoTIFFs, found {text[:80]!r}, which is none"
        )
    _require_plain_beside(source)


def _xml(path: Path) -> ElementTree.Element:
    text = read_text(path, _MOST_TEXT)
    try:
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ElementTree.ParseError("it declares entities")
        return ElementTree.fromstring(text)  # noqa: S314 (no entities)
    except ElementTree.ParseError as error:
        raise UnreadableError(
            f"{path}: expected XML as GDAL writes it, found {error}; remove or correct it"
        ) from None
