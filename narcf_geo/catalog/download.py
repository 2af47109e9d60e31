"""One file from a web server: continued after breaks; tokens go to their own hosts, and no message
tells a token, a login or a query."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies

from narcf_geo.core.addresses import Reach, reach, shown
from narcf_geo.core.errors import NarcfError, UsageError

if TYPE_CHECKING:
    from requests import RequestException, Response, Session

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes it has, and those it will have where known."""

TOKEN = "EARTHDATA_TOKEN"  # noqa: S105 the name of a variable # nosec B105
_ATTEMPTS, _REDIRECTS, _TIMEOUT, _CHUNK = 5, 10, (10, 60), 1 << 16
_LOGIN_HOSTS = (".earthdata.nasa.gov", ".earthdatacloud.nasa.gov")


@dataclass(frozen=True)
class Download:
    """A file to fetch; as text, its address without secrets."""

    source: str
    url: str = field(repr=False)
    path: Path
    sha256: str | None
    login: str | None
    unpack: bool

    def __str__(self) -> str:
        return shown(self.url)


def size(download: Download) -> int | None:
    """Return the size of a file in bytes as its server states it, None where it does not.

    Raises
    ------
    NarcfError
        When the server cannot be reached or refuses.
    """
    import requests

    try:
        with _session() as session, _follow(session, download, "HEAD", {}) as response:
            _refuse_status(response, download)
            return _length(response)
    except requests.RequestException as error:
        raise NarcfError(
            f"{download}: {_reason(error)}; check the network, and the address in the catalog"
        ) from None


def complete_part(download: Download, progress: Progress, wait: float) -> Path:
    """Fetch into ``.NAME.part``, trying again after breaks, and return its path.

    Raises
    ------
    NarcfError
        When the server refuses, or all attempts failed.
    UsageError
        When the token for it cannot be one.
    """
    import requests

    part = download.path.with_name(f".{download.path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    for path in (part, _mark(part)):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise NarcfError(
                f"{path}: expected the file that `catalog fetch` goes on with, found a link or "
                "another thing; remove it"
            )
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(wait * 2 ** (attempt - 1))
        try:
            with _session() as session:
                if _continue(session, download, part, progress):
                    _mark(part).unlink(missing_ok=True)
                    return part
            reason = "it ended before its stated length"
        except requests.RequestException as error:
            reason = _reason(error)
            if isinstance(error, ValueError):  # an address that cannot be asked at all
                raise NarcfError(f"{download}: {reason}; correct it in the catalog") from None
    raise NarcfError(
        f"{download}: {_ATTEMPTS} attempts failed, the last because {reason}; what was fetched "
        "is kept, run the same command again to go on"
    )


def _continue(session: Session, download: Download, part: Path, progress: Progress) -> bool:
    """Add to the part what it lacks; tell whether it is whole."""
    mark = _mark(part)
    have = part.stat().st_size if part.exists() and mark.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        # Only the same version of the file may be continued; else the server sends all of it.
        headers |= {"Range": f"bytes={have}-", "If-Range": mark.read_text(encoding="utf-8")}
    with _follow(session, download, "GET", headers) as response:
        if response.status_code == 416:
            part.unlink()
            return False
        if response.status_code == 429 or response.status_code >= 500:
            response.raise_for_status()
        _refuse_status(response, download)
        if response.status_code != 206:
            have = 0
        version = response.headers.get("ETag") or response.headers.get("Last-Modified")
        stated = _length(response)
        total = None if stated is None else have + stated
        free = shutil.disk_usage(part.parent).free
        if stated is not None and stated > free:
            raise NarcfError(
                f"{download}: expected room for {stated:,} bytes in {part.parent}, found {free:,}; "
                "make room and run the same command again"
            )
        mark.unlink(missing_ok=True)
        with part.open("ab" if have else "wb") as file:
            if version and not version.startswith("W/"):
                mark.write_text(version, encoding="utf-8")
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress(download.path.name, have, total)
    return total is None or have == total


def _mark(part: Path) -> Path:
    """Return the path of the file that keeps which version a part is of."""
    return part.with_name(f"{part.name}.version")


def _length(response: Response) -> int | None:
    stated = response.headers.get("Content-Length", "")
    return int(stated) if re.fullmatch("[0-9]{1,18}", stated) else None


def _follow(session: Session, download: Download, method: str, headers: dict[str, str]) -> Response:
    """Send a request and follow its redirects, to no weaker scheme and no closer network."""
    url, first = download.url, _reach(download.url)
    if first == "link-local":
        raise UsageError(
            f"{download}: refused to ask a link-local address, where cloud machines find their "
            "keys; correct metadata.fetch.url in the catalog"
        )
    for _ in range(_REDIRECTS):
        response = session.request(
            method,
            url,
            headers=headers | _token(url, download),
            stream=True,
            timeout=_TIMEOUT,
            allow_redirects=False,
            auth=_login(url),
        )
        if not response.is_redirect:
            return response
        response.close()
        try:
            target = urljoin(url, response.headers["Location"])
            there = _reach(target)
        except ValueError:
            raise NarcfError(
                f"{download}: expected a redirect to an address, found none that can be read; ask "
                "the provider for the new address"
            ) from None
        old, new = urlsplit(url).scheme, urlsplit(target).scheme
        if new != "https" and (new, old) != ("http", "http"):
            raise NarcfError(
                f"{download}: refused to follow its redirect from {old}:// to {shown(target)}; "
                "ask the provider for the new address"
            )
        if there not in ("public", first):
            raise NarcfError(
                f"{download}: refused to follow its redirect to the {there} address "
                f"{shown(target)}; ask the provider for the new address"
            )
        url = target
    raise NarcfError(f"{download}: more than {_REDIRECTS} redirects; the address is wrong")


def _reach(url: str) -> Reach:
    # A proxy looks the names up, and this computer may be unable to.
    return reach(urlsplit(url).hostname or "", numeric=bool(getproxies()))


def _session() -> Session:
    """Return a session; logins of ``~/.netrc`` go to their own hosts alone."""
    import requests

    session = requests.Session()
    session.headers["User-Agent"] = "narcf-geo"
    return session


def _login(url: str) -> Any:
    """Return the login in an address; None lets requests look into ``~/.netrc``."""
    parts = urlsplit(url)
    if parts.username is not None:
        return tuple(unquote(text or "").encode() for text in (parts.username, parts.password))
    # A login of ~/.netrc is never sent unencrypted.
    return None if parts.scheme == "https" else (lambda request: request)


def _token(url: str, download: Download) -> dict[str, str]:
    parts = urlsplit(url)
    token = os.environ.get(TOKEN, "").strip()
    if download.login != "earthdata" or not token or parts.scheme != "https":
        return {}
    if not f".{parts.hostname or ''}".endswith(_LOGIN_HOSTS):
        return {}
    if not re.fullmatch("[!-~]+", token):
        raise UsageError(
            f"{TOKEN}: expected a token of printable ASCII characters without spaces, found "
            "others (its value is not shown); copy it anew from https://urs.earthdata.nasa.gov"
        )
    return {"Authorization": f"Bearer {token}"}


def _reason(error: RequestException) -> str:
    """Return why a request failed, in words of our own: those of a library may tell secrets."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered with HTTP status {error.response.status_code}"
    for kind, words in (
        (requests.exceptions.ProxyError, "the proxy cannot be reached or refuses"),
        (requests.exceptions.SSLError, "the certificate of the server cannot be verified"),
        (requests.Timeout, "the server did not answer in time"),
        (requests.ConnectionError, "the server cannot be reached"),
        (requests.exceptions.ChunkedEncodingError, "it broke off"),
    ):
        if isinstance(error, kind):
            return words
    return f"the request failed ({type(error).__name__})"


def _refuse_status(response: Response, download: Download) -> None:
    code = response.status_code
    if code < 400:
        page = response.headers.get("Content-Type", "").startswith("text/html")
        if not page or download.path.suffix in (".html", ".htm"):
            return
        if not download.login:
            raise NarcfError(
                f"{download}: expected a file, found a web page; correct metadata.fetch.url in "
                "the catalog"
            )
        code = 401
    if code in (401, 403):
        remedy = "the server wants a login"
        if download.login == "earthdata":
            remedy += (
                ": put `machine urs.earthdata.nasa.gov login NAME password WORD` into ~/.netrc, or "
                f"a token into the environment variable {TOKEN}"
            )
    else:
        remedy = "correct metadata.fetch.url in the catalog"
    raise NarcfError(f"{download}: expected a file, found HTTP status {code}; {remedy}")
