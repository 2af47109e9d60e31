"""Addresses of files on other computers: which are allowed, and how they are shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

REMOTE_DRIVERS = ("zarr", "netcdf", "rasterio")
"""The drivers that read from an address."""

_SCHEMES = ("https", "s3", "gs")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ANY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(/|:)")
_IN_TEXT = re.compile(r"(/vsi\w+[/?]\S*|[A-Za-z][A-Za-z0-9+.-]+://\S*)")


def is_address(text: str) -> bool:
    """Tell whether a text is an address, not a path.

    Examples
    --------
    >>> is_address("s3://bucket/air.zarr"), is_address("data/air.zarr")
    (True, False)
    """
    return _ANY.match(text) is not None


def shown(text: str) -> str:
    """Return an address without login and query, which may hold secrets; a path as it is.

    Examples
    --------
    >>> shown("https://me:secret@example.org/air.nc?signature=abc")
    'https://example.org/air.nc'
    """
    if not is_address(text):
        return text
    without_login = re.sub(r"(?<=://)[^/\s]*@", "", text)
    return re.sub(r"[?#].*", "", without_login, flags=re.DOTALL)


def without_addresses(text: str, address: str) -> str:
    """Return the message of a library with the addresses in it replaced by the shown `address`.

    Examples
    --------
    >>> without_addresses("404 at https://a.org/x.nc?key=1", "https://a.org/x.nc?key=1")
    '404 at https://a.org/x.nc'
    """
    parts = urlsplit(address)
    text = _IN_TEXT.sub(shown(address).replace("\\", r"\\"), text)
    for secret in (parts.query, parts.username, parts.password):
        text = text.replace(secret, "...") if secret else text
    return text


def address_problem(address: str, driver: str) -> str | None:
    """Return why an address cannot be read with a driver and what to do, or None.

    Examples
    --------
    >>> address_problem("https://example.org/air.zarr", "zarr") is None
    True
    """
    fetch = (
        "state the address under metadata.fetch.url and get the file with `narcf-geo catalog fetch`"
    )
    if driver not in REMOTE_DRIVERS:
        return (
            f"expected a path on this computer for the driver {driver}: only "
            f"{', '.join(REMOTE_DRIVERS)} are read from an address; {fetch}"
        )
    parts = urlsplit(address)
    if parts.scheme not in _SCHEMES and not (
        parts.scheme == "http" and parts.hostname in _LOOPBACK
    ):
        return (
            "expected a path on this computer, or an address that starts with https://, s3:// or "
            f"gs://, found one that starts with {address.partition(':')[0]}:; {fetch}"
        )
    if not parts.netloc or not parts.path.strip("/"):
        return "expected an address with a host (or bucket) and a path after it"
    if parts.scheme in ("http", "https") and re.search(r"[*{}]", parts.path):
        return (
            "expected the address of one file, found a pattern; a web server gives no list of its "
            "files: list each address under urlpath"
        )
    return None
