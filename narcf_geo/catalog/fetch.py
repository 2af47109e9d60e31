"""Fetching the files of a source, when asked to: resumed, checked, and whole or not there."""

from __future__ import annotations

import json
import os
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from narcf_geo.catalog.catalog import PACKAGED, Catalog
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.files import atomic_path

if TYPE_CHECKING:
    from requests import Response, Session

LOCK = "fetched.lock.json"
"""Beside the files: the checksum, size and address of each."""

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes it has, and those it will have where known."""

_ATTEMPTS, _REDIRECTS, _TIMEOUT, _CHUNK = 5, 10, (10, 60), 1 << 16
_LOGIN_HOSTS = (".earthdata.nasa.gov", ".earthdatacloud.nasa.gov")


@dataclass(frozen=True)
class Download:
    """A file to fetch."""

    source: str
    url: str
    path: Path
    sha256: str | None
    login: str | None
    unpack: bool


def plan(catalog: Catalog, name: str) -> list[Download]:
    """Return the files to fetch for a source, with their checksums where these are known.

    Raises
    ------
    UsageError
        When the entry has no ``fetch``, its folder is inside the package, or an address does not
        end in a file name.
    """
    entry, folder = catalog[name], catalog.folder(name)
    fetch = entry.metadata.fetch
    if fetch is None:
        at = f"; ask at {entry.metadata.url}" if entry.metadata.url else ""
        raise UsageError(f"{entry.where('metadata')}: no `fetch:` says where its files are{at}")
    if folder.resolve().is_relative_to(PACKAGED.parent.resolve()):
        raise UsageError(
            f"{entry.where()}: the packaged catalog holds no data; write your own with "
            "`narcf-geo init DIR`, or name a folder with `--set data=FOLDER`"
        )
    locked = read_lock(folder)
    downloads = []
    for url in fetch.urls():
        file = unquote(urlsplit(url).path.rpartition("/")[2])
        if not file or file.startswith(".") or any(mark in file for mark in "/\\\0"):
            raise UsageError(
                f"{entry.where('metadata', 'fetch')}: expected an address that ends in a file "
                f"name, found {url}"
            )
        known = entry.metadata.sha256.get(file) or locked.get(file, {}).get("sha256")
        downloads.append(Download(name, url, folder / file, known, fetch.login, fetch.unpack))
    return downloads


def fetch(
    downloads: Iterable[Download], progress: Progress, *, workers: int = 4, wait: float = 1.0
) -> list[Path]:
    """Fetch files side by side and write down their checksums; those there already are checked.

    A file that breaks off is kept as ``.NAME.part`` and continued the next time; nothing comes
    under its own name before its length and checksum are right.

    Parameters
    ----------
    workers : int
        How many files at a time.
    wait : float
        Seconds before the second attempt; doubled before each further one.

    Raises
    ------
    NarcfError
        After all others have been fetched, for those that could not be.
    """
    paths, failures = [], []
    stopped = Event()

    def go_on(name: str, done: int, total: int | None) -> None:
        if stopped.is_set():
            raise NarcfError(f"{name}: interrupted; run the same command again to go on")
        progress(name, done, total)

    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(_fetch_one, d, go_on, wait): d for d in downloads}
        try:
            for future in as_completed(futures):
                download = futures[future]
                try:
                    future.result()
                except NarcfError as error:
                    failures.append(str(error))
                    continue
                paths.append(download.path)
                _write_lock(download)
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failures:
        raise NarcfError("\n".join(sorted(failures)))
    return sorted(paths)


def size(download: Download) -> int | None:
    """Return the size of a file in bytes as its server states it, None where it does not.

    Raises
    ------
    NarcfError
        When the server cannot be reached or refuses.
    """
    import requests

    try:
        with _session(download) as session, _follow(session, download, "HEAD", {}) as response:
            _refuse_status(response, download)
            stated = response.headers.get("Content-Length")
    except requests.RequestException as error:
        raise NarcfError(
            f"{download.url}: the server cannot be reached ({type(error).__name__}); check the "
            "network, and the address in the catalog"
        ) from None
    return int(stated) if stated else None


def read_lock(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what the lock file of a folder says of each file in it.

    Raises
    ------
    NarcfError
        When it is not what `fetch` writes.
    """
    path = folder / LOCK
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): dict(entry) for name, entry in content.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise NarcfError(
            f"{path}: expected checksums as `catalog fetch` writes them, found something else "
            f"({error}); remove the file to take the checksums anew"
        ) from None


def _write_lock(download: Download) -> None:
    import pooch

    folder = download.path.parent
    lock = read_lock(folder)
    lock[download.path.name] = {
        "sha256": pooch.file_hash(str(download.path)),
        "size": download.path.stat().st_size,
        "url": download.url,
    }
    with atomic_path(folder / LOCK) as temporary:
        temporary.write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _fetch_one(download: Download, progress: Progress, wait: float) -> None:
    import logging

    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)

    def downloader(url: str, output_file: str, _: object) -> None:
        part = _complete_part(download, progress, wait)
        os.replace(part, output_file)

    try:
        pooch.retrieve(
            download.url,
            known_hash=f"sha256:{download.sha256}" if download.sha256 else None,
            fname=download.path.name,
            path=download.path.parent,
            downloader=downloader,
        )
    except ValueError as error:
        raise NarcfError(
            f"{download.url}: expected the SHA-256 checksum {download.sha256}, found another "
            f"({str(error).splitlines()[0]}); the file was discarded. If the provider has changed "
            f"it, correct sha256 in the catalog, or remove it from {download.path.parent / LOCK}"
        ) from None
    except (requests.RequestException, OSError) as error:
        raise NarcfError(f"{download.url}: could not be fetched ({error}); try again") from None
    if download.unpack:
        unpack(download.path)


def _complete_part(download: Download, progress: Progress, wait: float) -> Path:
    """Fetch into ``.NAME.part``, trying again after breaks, and return its path."""
    import requests

    part = download.path.with_name(f".{download.path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(wait * 2 ** (attempt - 1))
        try:
            with _session(download) as session:
                if _continue(session, download, part, progress):
                    _mark(part).unlink(missing_ok=True)
                    return part
            reason = "it ended before its stated length"
        except requests.RequestException as error:
            reason = str(error) or type(error).__name__
    raise NarcfError(
        f"{download.url}: {_ATTEMPTS} attempts failed, the last because {reason}; what was fetched "
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
        stated = response.headers.get("Content-Length")
        total = have + int(stated) if stated else None
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


def _follow(session: Session, download: Download, method: str, headers: dict[str, str]) -> Response:
    """Send a request and follow its redirects, never to another scheme or to a weaker one."""
    url = download.url
    for _ in range(_REDIRECTS):
        response = session.request(
            method,
            url,
            headers=headers | _token(url, download),
            stream=True,
            timeout=_TIMEOUT,
            allow_redirects=False,
        )
        if not response.is_redirect:
            return response
        target = urljoin(url, response.headers["Location"])
        response.close()
        old, new = urlsplit(url), urlsplit(target)
        if new.scheme != "https" and (new.scheme, old.scheme) != ("http", "http"):
            raise NarcfError(
                f"{download.url}: refused to follow its redirect from {old.scheme}:// to "
                f"{target}; ask the provider for the new address"
            )
        url = target
    raise NarcfError(f"{download.url}: more than {_REDIRECTS} redirects; the address is wrong")


def _session(download: Download) -> Session:
    """Return a session; logins of ``~/.netrc`` go to their own hosts alone."""
    import requests

    session = requests.Session()
    session.headers["User-Agent"] = "narcf-geo"
    return session


def _token(url: str, download: Download) -> dict[str, str]:
    token = os.environ.get("EARTHDATA_TOKEN")
    host, secure = urlsplit(url).hostname or "", urlsplit(url).scheme == "https"
    if download.login == "earthdata" and token and secure and f".{host}".endswith(_LOGIN_HOSTS):
        return {"Authorization": f"Bearer {token}"}
    return {}


def _refuse_status(response: Response, download: Download) -> None:
    code = response.status_code
    if code < 400:
        page = response.headers.get("Content-Type", "").startswith("text/html")
        if not page or download.path.suffix in (".html", ".htm"):
            return
        if not download.login:
            raise NarcfError(
                f"{download.url}: expected a file, found a web page; correct metadata.fetch.url in "
                "the catalog"
            )
        code = 401
    if code in (401, 403):
        remedy = "the server wants a login"
        if download.login == "earthdata":
            remedy += (
                ": put `machine urs.earthdata.nasa.gov login NAME password WORD` into ~/.netrc, or "
                "a token into the environment variable EARTHDATA_TOKEN"
            )
    else:
        remedy = "correct metadata.fetch.url in the catalog"
    raise NarcfError(f"{download.url}: expected a file, found HTTP status {code}; {remedy}")


def unpack(path: Path) -> None:
    """Unpack a zip or tar file beside itself, nothing outside its folder and no links.

    Raises
    ------
    NarcfError
        When a member would lie elsewhere, is a link or a device, or the file is no archive.
    """
    folder = path.parent
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            _refuse_members(path, archive.namelist())
            archive.extractall(folder)
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as bundle:
            members = bundle.getmembers()
            _refuse_members(path, [m.name for m in members])
            odd = [m.name for m in members if not (m.isfile() or m.isdir())]
            if odd:
                raise NarcfError(f"{path}: refused to unpack the link or device {odd[0]!r}")
            bundle.extractall(folder, filter="data")
    else:
        raise NarcfError(f"{path}: expected a zip or tar file to unpack, found neither")


def _refuse_members(path: Path, names: Iterable[str]) -> None:
    for name in names:
        member = PurePosixPath(name.replace("\\", "/"))
        if member.is_absolute() or ".." in member.parts or ":" in name:
            raise NarcfError(
                f"{path}: refused to unpack {name!r}, which would lie outside {path.parent}"
            )
