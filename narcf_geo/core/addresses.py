"""Addresses of files on other computers: which are allowed, and how they are shown."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from typing import Literal
from urllib.parse import urlsplit

REMOTE_DRIVERS = ("zarr", "netcdf", "rasterio")
"""The drivers that read from an address."""

Reach = Literal["public", "private", "loopback", "link-local"]
"""Who can be reached at a host: all, those of a network, this computer, or what is on its cable,
such as the service that tells a cloud machine its keys."""

_SCHEMES = ("https", "s3", "gs")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_METADATA = (ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200"))
_ANY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(/|:)")
_SECRET_NAME = re.compile(
    "TOKEN|SECRET|PASS(WORD|WD|PHRASE)?$|CREDENTIAL|API_?KEY|ACCESS_KEY", re.I
)
_SECRET_LENGTH = 6
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


def without_secrets(text: str) -> str:
    """Return a text without logins and queries of addresses, and without tokens and passwords.

    Those are the values of environment variables that are called so.

    Examples
    --------
    >>> without_secrets("cannot open https://me:secret@example.org/air.nc?signature=abc now")
    'cannot open https://example.org/air.nc now'
    >>> without_secrets("cannot open /vsicurl?url=https%3A%2F%2Fme%3Asecret%40example.org now")
    'cannot open /vsicurl/... now'
    """
    for name, value in os.environ.items():
        secret = value.strip()
        if _SECRET_NAME.search(name) and len(secret) >= _SECRET_LENGTH:
            text = text.replace(secret, "...")
    return _IN_TEXT.sub(_shown_in_text, text)


def _shown_in_text(match: re.Match[str]) -> str:
    # What GDAL is given holds an address in its own encoding.
    inner = re.match(r"/vsi\w+", match[0])
    return f"{inner[0]}/..." if inner else shown(match[0])


def reach(host: str, *, numeric: bool = False) -> Reach:
    """Return who can be reached at a host; names are looked up unless `numeric`.

    Examples
    --------
    >>> reach("127.0.0.1"), reach("0x7f.1"), reach("[::1]"), reach("169.254.169.254")
    ('loopback', 'loopback', 'loopback', 'link-local')
    >>> reach("10.0.0.7"), reach("8.8.8.8"), reach("::ffff:127.0.0.1")
    ('private', 'public', 'loopback')
    """
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return "loopback"
    if name == "metadata.google.internal":
        return "link-local"
    flags = socket.AI_NUMERICHOST if numeric else 0
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None, flags=flags)}
    except (OSError, UnicodeError):
        return "public"
    order: tuple[Reach, ...] = ("link-local", "loopback", "private")
    kinds = {_reach_of(ipaddress.ip_address(address.partition("%")[0])) for address in found}
    return next((kind for kind in order if kind in kinds), "public")


def _reach_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Reach:
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or address
    if address.is_loopback or address.is_unspecified:
        return "loopback"
    if address.is_link_local or address in _METADATA:
        return "link-local"
    return "public" if address.is_global and not address.is_multicast else "private"


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
    if parts.scheme in ("http", "https") and reach(parts.hostname or "", numeric=True) == (
        "link-local"
    ):
        return "refused a link-local address, where cloud machines find their keys"
    if not parts.netloc or not parts.path.strip("/"):
        return "expected an address with a host (or bucket) and a path after it"
    if parts.scheme in ("http", "https") and re.search(r"[*{}]", parts.path):
        return (
            "expected the address of one file, found a pattern; a web server gives no list of its "
            "files: list each address under urlpath"
        )
    return None
