"""A source of the catalog with its templates filled in: where its files are, and how to read it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from narcf_geo.catalog.schema import CatalogFile, Metadata, SourceEntry
from narcf_geo.core.addresses import address_problem, is_address, shown
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.filenames import FIELD, expand, name_pattern
from narcf_geo.core.yamlfile import Document

if TYPE_CHECKING:
    import xarray as xr

    from narcf_geo.fields.remote import RemoteFile


_SIDE_FILES = (".dbf", ".shx", ".prj", ".cpg", ".hdr", ".tfw", ".aux.xml")
"""What a format keeps beside its file."""


@dataclass(frozen=True)
class Entry:
    """A source of the catalog, its templates filled in.

    Attributes
    ----------
    locations : tuple of str
        Paths and addresses of its files; an address may hold a login or a query that is secret.
    """

    name: str
    source: SourceEntry = field(repr=False)
    locations: tuple[str, ...] = field(repr=False)
    companion: Path | None
    document: Document[CatalogFile] = field(repr=False)
    key: str

    def __post_init__(self) -> None:
        for address in filter(is_address, self.locations):
            if problem := address_problem(address, self.source.driver):
                raise UsageError(f"{self.where('args', 'urlpath')}: {problem}")

    @property
    def urlpaths(self) -> tuple[str, ...]:
        """Where its files are, as messages show it: addresses without login and query."""
        return tuple(map(shown, self.locations))

    @property
    def is_remote(self) -> bool:
        """Whether any of its files is read from another computer."""
        return any(map(is_address, self.locations))

    @property
    def metadata(self) -> Metadata:
        """Our keys of the entry."""
        return self.source.metadata

    @property
    def catalog_path(self) -> Path:
        """The catalog file that holds the entry."""
        return self.document.path

    def where(self, *keys: str) -> str:
        """Return file, line and name of the entry, or of nested `keys` in it, for an error."""
        line = self.document.line("sources", self.key, *keys)
        return f"{self.catalog_path}:{line}: source {self.name!r}"

    def files(self) -> list[Path | RemoteFile]:
        """Return the files of the entry, sorted; globs and ``{year}`` patterns expanded.

        Of what is remote, nothing is asked for but the names that a pattern in a bucket matches.

        Raises
        ------
        NarcfError
            When a path leads to no file.
        """
        files: list[Path | RemoteFile] = []
        for location in self.locations:
            found = self._remote(location) if is_address(location) else sorted(expand(location))
            if not found:
                raise NarcfError(
                    f"{self.where('args', 'urlpath')}: expected a file at {shown(location)}, found "
                    f"none{self._remedy()}"
                )
            files += [path for path in found if path not in files]
        if self.companion:
            if not self.companion.exists():
                raise NarcfError(
                    f"{self.where('metadata', 'companion')}: expected the companion file "
                    f"{self.companion}, found none{self._remedy()}"
                )
            files.append(self.companion)
        return files

    def _remote(self, address: str) -> list[Path | RemoteFile]:
        from narcf_geo.fields.remote import RemoteFile

        options, fields = self.source.args.storage_options, FIELD.sub("*", address)
        file = RemoteFile(fields, self.source.driver, options.anon, options.endpoint_url)
        return [*file.matches()]

    def data_files(self) -> list[Path | RemoteFile]:
        """Return the files without the companion."""
        return [path for path in self.files() if path != self.companion]

    def month_of(self, path: Path | RemoteFile) -> str | None:
        """Return the month, YYYY-MM, that ``{year}`` and ``{month}`` of `urlpath` find in a name.

        None where the pattern has not both.
        """
        for urlpath in self.urlpaths:
            fields = {match[1] for match in FIELD.finditer(urlpath)}
            if not {"year", "month"} <= fields:
                continue
            if found := re.fullmatch(name_pattern(Path(urlpath).name), path.name):
                return f"{found['year']}-{found['month']}"
        return None

    def read(self) -> xr.Dataset:
        """Open the source lazily as canonical variables on its native grid."""
        from narcf_geo.catalog.readers import read

        return read(self)

    def _remedy(self) -> str:
        if self.metadata.fetch:
            return f". Get it with `narcf-geo catalog fetch {self.name}`, or change urlpath"
        at = f"; it can be had from {self.metadata.url}" if self.metadata.url else ""
        return f"{at}. Put it there, or change urlpath"


def presence(entry: Entry) -> str:
    """Return the number and size of an entry's files, ``absent`` or, unasked, ``remote``."""
    if entry.is_remote:
        return "remote"
    found = [list(expand(urlpath)) for urlpath in entry.urlpaths]
    if entry.companion:
        found.append([entry.companion] if entry.companion.exists() else [])
    if not all(found):
        return "absent"
    files = {path for paths in found for path in paths}
    return f"{len(files)} ({sum(_size(path) for path in files) / 1e6:.1f} MB)"


def _size(path: Path) -> int:
    parts = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts if part.is_file())


def with_side_files(files: list[Path | RemoteFile]) -> list[Path | RemoteFile]:
    """Return files with those that lie beside them and belong to them."""
    found: dict[Path | RemoteFile, None] = {}
    for file in files:
        found[file] = None
        if isinstance(file, Path) and file.is_file():
            beside = [file.with_suffix(suffix) for suffix in _SIDE_FILES]
            beside.append(file.with_name(f"{file.name}.aux.xml"))
            found |= dict.fromkeys(path for path in beside if path.is_file())
    return list(found)
