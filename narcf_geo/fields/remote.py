"""Files on other computers, read through fsspec and GDAL; no message tells a login or a query."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from narcf_geo.core.addresses import shown, without_addresses
from narcf_geo.core.errors import NarcfError, UnreadableError
from narcf_geo.core.files import atomic_path

if TYPE_CHECKING:
    from narcf_geo.fields.formats import Opening

CONNECT_SECONDS, READ_SECONDS = 30, 60
"""How long to wait for a connection, and for the next bytes."""

FINISH_SECONDS = 5
"""How long to wait for other requests after one has failed."""

_SIGNED_SECONDS = 24 * 3600
_DESCRIBED_BY = ("zarr.json", ".zmetadata")
_TELLING = ("size", "etag", "last-modified", "lastmodified", "updated", "generation", "content-md5")
_PACKAGES = {"http": "aiohttp", "https": "aiohttp", "s3": "s3fs", "gs": "gcsfs"}


@dataclass(frozen=True)
class RemoteFile:
    """A file or Zarr store on another computer; as text, its address without secrets.

    Attributes
    ----------
    address : str
        With its query and login, if any.
    driver : str
        zarr, netcdf or rasterio.
    anonymous : bool
        A bucket is read without credentials.
    endpoint : str, optional
        Address of an S3 service other than Amazon's.

    Examples
    --------
    >>> file = RemoteFile("https://example.org/data/air.nc?signature=abc", "netcdf")
    >>> file.name, str(file)
    ('air.nc', 'https://example.org/data/air.nc')
    """

    address: str = field(repr=False)
    driver: str
    anonymous: bool = False
    endpoint: str | None = None

    def __str__(self) -> str:
        return shown(self.address)

    @property
    def scheme(self) -> str:
        """What the address starts with."""
        return urlsplit(self.address).scheme

    @property
    def name(self) -> str:
        """The name of the file."""
        return PurePosixPath(unquote(urlsplit(str(self)).path)).name

    def options(self) -> dict[str, Any]:
        """Return what fsspec needs to know beside the address.

        Raises
        ------
        NarcfError
            When the package that reads from such an address is not installed.
        """
        package = _PACKAGES[self.scheme]
        if find_spec("fsspec") is None or find_spec(package) is None:
            raise NarcfError(
                f"{self}: expected the package {package} to read from this address, found it not "
                "installed; install it with `pip install 'narcf-geo[remote]'`"
            )
        if self.scheme == "s3":
            waits = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}
            at = {"endpoint_url": self.endpoint} if self.endpoint else {}
            return {"anon": self.anonymous, "config_kwargs": waits, **at}
        if self.scheme == "gs":
            anonymous = {"token": "anon"} if self.anonymous else {}  # no secret # nosec B105
            return {"timeout": READ_SECONDS, **anonymous}
        import aiohttp

        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
        return {"client_kwargs": {"timeout": timeout}}

    def matches(self) -> list[RemoteFile]:
        """Return the files of a bucket that a pattern with ``*`` stands for, else this one."""
        if "*" not in urlsplit(self.address).path:
            return [self]
        system, path = self._system()
        with_scheme = (
            f"{self.scheme}://{found}" for found in sorted(self._asked(system.glob, path))
        )
        return [replace(self, address=address) for address in with_scheme]

    def stamp(self) -> dict[str, str]:
        """Return what tells this version of the file from another: ETag, date and size.

        That of a Zarr store is of the file that describes its arrays; new values in its chunks
        alone are not seen. Empty where the server says nothing.

        Raises
        ------
        UnreadableError
            When the file cannot be reached.
        """
        system, path = self._system()
        if self.driver == "zarr":
            paths = [f"{path.rstrip('/')}/{name}" for name in _DESCRIBED_BY]
            path = next((p for p in paths[:-1] if self._asked(system.exists, p)), paths[-1])
        info = self._asked(system.info, path)
        return {
            key.lower(): str(value)
            for key, value in sorted(info.items())
            if key.lower() in _TELLING and value is not None
        }

    def copy(self) -> Path:
        """Return the path of a copy that lasts as long as this process; made anew when it changed.

        Raises
        ------
        UnreadableError
            When the file cannot be reached, or its transfer broke off.
        """
        system, path = self._system()
        stamp = self.stamp()
        version = hashlib.sha256(repr((self.address, sorted(stamp.items()))).encode()).hexdigest()
        copy = Path(_copies().name) / f"{version[:16]}_{self.name}"
        if copy.exists() and stamp:
            return copy
        partial = copy.with_name(f"{uuid.uuid4().hex}.part")
        try:
            self._asked(system.get_file, path, str(partial))
            found, expected = partial.stat().st_size, stamp.get("size", "")
            if expected.isdigit() and int(expected) != found:
                raise UnreadableError(
                    f"{self}: expected {expected} bytes, received {found}; try again"
                )
            os.replace(partial, copy)
        finally:
            partial.unlink(missing_ok=True)
        return copy

    def raster(self) -> str:
        """Return how GDAL reads the file: in pieces, no folder listed and no side file looked for.

        These options go with the path because GDAL's settings do not reach threads of dask.
        """
        address, head = self.address, "yes"
        if self.scheme in ("s3", "gs"):
            head = "no"  # what is signed is a GET
            system, path = self._system()
            if self.scheme == "gs" and not self.anonymous:
                raise NarcfError(
                    f"{self}: a GeoTIFF in a bucket of Google is read without credentials alone; "
                    "state `storage_options: {anon: true}` for a public one, else get the file "
                    "and state its path"
                )
            address = (
                self._asked(system.sign, path, expiration=_SIGNED_SECONDS)
                if self.scheme == "s3"
                else self._asked(system.url, path)
            )
        return (
            f"/vsicurl?empty_dir=yes&list_dir=no&use_head={head}&max_retry=2&"
            f"connecttimeout={CONNECT_SECONDS}&low_speed_time={READ_SECONDS}&low_speed_limit=1&"
            f"url={quote(address, safe='')}"
        )

    def error(self, error: Exception) -> NarcfError:
        """Return the error of a library as a sentence without secrets."""
        if isinstance(error, NarcfError):
            return type(error)(without_addresses(str(error), self.address))
        return UnreadableError(f"{self}: {self._said(error)}")

    def _said(self, error: Exception) -> str:
        # fsspec calls whatever goes wrong with a request a file that is not found.
        while isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
            error = error.__cause__
        text = str(error)
        kind = type(error).__name__
        status = getattr(error, "status", None)
        absent = isinstance(error, FileNotFoundError) or status == 404 or "code: 404" in text
        if self.driver == "zarr" and self.scheme in ("http", "https"):
            if absent or "consolidated" in text.lower():
                return (
                    "expected a Zarr store with consolidated metadata, found none (a web server "
                    "gives no list of its files); correct urlpath, or let "
                    "zarr.consolidate_metadata write them"
                )
        elif absent:
            return "expected a file at this address, found none; correct urlpath"
        if status in (401, 403) or isinstance(error, PermissionError) or "Credentials" in kind:
            return (
                "access is refused; give the credentials that the service takes from its "
                "environment, or state `storage_options: {anon: true}` for a public bucket"
            )
        if isinstance(error, TimeoutError) or "Timeout" in kind:
            return f"no answer within {READ_SECONDS} seconds; try again later"
        if "Connect" in kind or "Endpoint" in kind or "connect to" in text or "resolve" in text:
            return "the server cannot be reached; is this computer online, and the address right?"
        first = without_addresses(text, self.address).splitlines()
        return f"cannot be read as {self.driver} ({first[0] if first else kind})"

    def _system(self) -> tuple[Any, str]:
        options = self.options()
        import fsspec

        return self._asked(lambda: fsspec.core.url_to_fs(self.address, **options))

    def _asked(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except Exception as error:  # each service raises its own kinds
            raise self.error(error) from None


def last_known(file: RemoteFile, record: Path) -> dict[str, str]:
    """Return the stamp of a file; where it cannot be reached, the one in the JSON file `record`.

    A finished project can so be drawn and looked at offline.

    Raises
    ------
    UnreadableError
        When it cannot be reached and no stamp of it is recorded.
    """
    known = _known(record)
    try:
        stamp = file.stamp()
    except UnreadableError:
        if str(file) not in known:
            raise
        return dict(known[str(file)])
    if known.get(str(file)) != stamp:
        record.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(record) as temporary:
            temporary.write_text(json.dumps({**known, str(file): stamp}), encoding="utf-8")
    return stamp


def _known(record: Path) -> dict[str, dict[str, str]]:
    """Return the stamps in a JSON file; none where it is absent or damaged."""
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        return {str(n): {str(k): str(v) for k, v in s.items()} for n, s in content.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


@cache
def _copies() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="narcf-geo-", ignore_cleanup_errors=True)


def open_remote(file: RemoteFile, how: Opening) -> xr.Dataset:
    """Open a remote file lazily; a NetCDF file is copied whole, others are read in pieces.

    Raises
    ------
    NarcfError
        When it cannot be reached or read. Values that cannot be read later raise it as well.
    """
    from narcf_geo.fields.formats import open_netcdf, open_raster, open_zarr

    chunks: Any = {} if how.chunks is None else how.chunks
    unchunked = replace(how, chunks="none")
    try:
        if file.driver == "netcdf":
            return open_netcdf(file.copy(), how)
        if file.driver == "zarr":
            given = {"storage_options": file.options(), **how.xarray_kwargs}
            if file.scheme in ("http", "https"):
                given["consolidated"] = True
            ds = open_zarr(file.address, replace(unchunked, xarray_kwargs=given))
        else:
            given = {**how.xarray_kwargs, "driver": "GTiff"}
            ds = open_raster(file.raster(), replace(unchunked, xarray_kwargs=given))
    except Exception as error:  # each engine raises its own kinds
        _finish_requests()
        raise file.error(error) from None
    ds = ds.assign({n: _guarded(a.variable, file) for n, a in ds.data_vars.items()})
    others = {n: a for n, a in ds.coords.items() if n not in ds.indexes}
    ds = ds.assign_coords({n: _guarded(a.variable, file) for n, a in others.items()})
    if isinstance(chunks, str):
        return ds
    renamed = {"x": "lon", "y": "lat"}  # of a raster, whose blocks keep their names
    stored = {
        dim if dim in ds.dims else renamed.get(dim, dim): size
        for array in ds.data_vars.values()
        for dim, size in array.encoding.get("preferred_chunks", {}).items()
    }
    return ds.chunk({d: n for d, n in {**stored, **chunks}.items() if d in ds.dims})


def _finish_requests() -> None:
    """Wait for what zarr still asks of a server after an error.

    zarr asks for several files at once and gives up at the first error. If the process ended with
    the other requests under way, aiohttp would print a traceback.
    """
    if "zarr" not in sys.modules:
        return
    from zarr.core.sync import sync

    async def finish() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=FINISH_SECONDS)

    sync(finish())


def _guarded(variable: xr.Variable, file: RemoteFile) -> xr.Variable:
    data = indexing.LazilyIndexedArray(_Guarded(variable, file))
    encoding = {key: value for key, value in variable.encoding.items() if key != "source"}
    return xr.Variable(variable.dims, data, variable.attrs, encoding)


class _Guarded(BackendArray):
    """A lazy variable whose errors, when it is read, are sentences without secrets."""

    def __init__(self, variable: xr.Variable, file: RemoteFile) -> None:
        self.variable, self.file = variable, file
        self.shape, self.dtype = variable.shape, variable.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._values
        )

    def _values(self, key: tuple[Any, ...]) -> np.ndarray:
        try:
            return np.asarray(self.variable[key].values)
        except Exception as error:  # each engine raises its own kinds
            _finish_requests()
            raise self.file.error(error) from None

    def __dask_tokenize__(self) -> str:
        return uuid.uuid4().hex
