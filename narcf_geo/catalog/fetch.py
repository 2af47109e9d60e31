"""Fetching the files of a source, when asked to: resumed, checked, and whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import unquote, urlsplit

from narcf_geo.catalog.catalog import PACKAGED, Catalog
from narcf_geo.catalog.download import Download, Progress, complete_part
from narcf_geo.catalog.unpack import safe_parts, unpack
from narcf_geo.core.addresses import shown
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.files import atomic_path
from narcf_geo.core.lock import hold

LOCK = "fetched.lock.json"
"""Beside the files: the checksum, size and address of each, and what each archive held."""


def plan(catalog: Catalog, name: str) -> list[Download]:
    """Return the files to fetch for a source, with their checksums where these are known.

    Raises
    ------
    UsageError
        When the entry has no ``fetch``, its folder is inside the package or hidden, or an address
        does not end in a plain file name.
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
    below = Path(os.path.relpath(folder, entry.document.path.parent))
    if hidden := [part for part in below.parts if part.startswith(".") and part != ".."]:
        raise UsageError(
            f"{entry.where('metadata', 'fetch')}: expected a folder whose name does not begin with "
            f"a dot, found {hidden[0]} in {folder}"
        )
    locked = read_lock(folder)
    downloads = []
    for url in fetch.urls():
        file = _file_name(url, entry.where("metadata", "fetch"))
        known = entry.metadata.sha256.get(file) or locked.get(file, {}).get("sha256")
        downloads.append(Download(name, url, folder / file, known, fetch.login, fetch.unpack))
    return downloads


def _file_name(url: str, where: str) -> str:
    try:
        file = unquote(urlsplit(url).path.rpartition("/")[2])
        if not file or safe_parts(file) != (file,):
            raise ValueError("no file name")
    except ValueError as error:
        raise UsageError(
            f"{where}: expected an address that ends in a file name, found {shown(url)} ({error})"
        ) from None
    return file


def fetch(
    downloads: Iterable[Download], progress: Progress, *, workers: int = 4, wait: float = 1.0
) -> list[Path]:
    """Fetch files side by side and write down their checksums; those there already are checked.

    A file that breaks off is kept as ``.NAME.part`` and continued the next time; nothing comes
    under its own name before its length and checksum are right. Archives are then unpacked.

    Parameters
    ----------
    workers : int
        How many files at a time.
    wait : float
        Seconds before the second attempt; doubled before each further one.

    Raises
    ------
    NarcfError
        After all others have been fetched, for those that could not be; at once when another
        process fetches into the same folder.
    """
    downloads = list(downloads)
    folders = sorted({download.path.parent for download in downloads})
    with ExitStack() as held:
        for folder in folders:
            held.enter_context(hold(folder / ".fetch.lock", str(folder), reentrant=True))
        return _fetch_all(downloads, progress, workers, wait)


def _fetch_all(
    downloads: Sequence[Download], progress: Progress, workers: int, wait: float
) -> list[Path]:
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
                    _write_lock(download, _unpacked(download))
                except NarcfError as error:
                    failures.append(str(error))
                    continue
                paths.append(download.path)
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failures:
        raise NarcfError("\n".join(sorted(failures)))
    return sorted(paths)


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


def _write_lock(download: Download, unpacked: Mapping[str, str]) -> None:
    folder = download.path.parent
    entry: dict[str, Any] = {
        "sha256": _sha256(download.path),
        "size": download.path.stat().st_size,
        "url": str(download),
    }
    if unpacked:
        entry["unpacked"] = dict(unpacked)
    lock = {**read_lock(folder), download.path.name: entry}
    with atomic_path(folder / LOCK) as temporary:
        temporary.write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpacked(download: Download) -> Mapping[str, str]:
    """Unpack an archive; return the checksums of its files, which may be there already."""
    if not download.unpack:
        return {}
    path = download.path
    entry = read_lock(path.parent).get(path.name, {})
    files = entry.get("unpacked")
    known = {str(k): str(v) for k, v in files.items()} if isinstance(files, dict) else {}
    return unpack(path, known)


def _fetch_one(download: Download, progress: Progress, wait: float) -> None:
    import logging

    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    path, expected = download.path, download.sha256

    def downloader(url: str, output_file: str, _: object) -> None:
        part = complete_part(download, progress, wait)
        os.replace(part, output_file)

    ours = not path.exists() or path.name in read_lock(path.parent)
    if not ours and expected and not (path.is_file() and _sha256(path) == expected):
        raise NarcfError(
            f"{path}: expected nothing, or a file of the SHA-256 checksum {expected}, found "
            "another that `catalog fetch` did not write; move it away, or correct sha256 in the "
            "catalog"
        )
    try:
        pooch.retrieve(
            str(download),
            known_hash=f"sha256:{expected}" if expected else None,
            fname=path.name,
            path=path.parent,
            downloader=downloader,
        )
    except NarcfError:
        raise
    except ValueError as error:
        raise NarcfError(
            f"{download}: expected the SHA-256 checksum {expected}, found another "
            f"({str(error).splitlines()[0]}); the file was discarded. If the provider has changed "
            f"it, correct sha256 in the catalog, or remove it from {path.parent / LOCK}"
        ) from None
    except OSError as error:
        raise NarcfError(f"{download}: could not be written ({error}); try again") from None
