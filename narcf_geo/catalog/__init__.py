"""The catalog of gridded sources: an intake-style YAML file, opened lazily."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from narcf_geo.catalog.schema import CatalogFile, Metadata, SourceEntry
from narcf_geo.errors import NarcfError, UsageError
from narcf_geo.yamlfile import load

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Catalog", "Entry"]

PACKAGED = Path(__file__).parents[1] / "data_catalog.yaml"
"""The packaged catalog of real products."""

_TEMPLATE = re.compile(r"\{\{\s*(.+?)\s*\}\}")
_PATTERN = re.compile(r"\{(\w+)(?::[^}]*)?\}")


@dataclass(frozen=True)
class Entry:
    """A source of the catalog, its templates filled in."""

    name: str
    source: SourceEntry
    urlpaths: tuple[str, ...]
    companion: Path | None
    catalog_path: Path

    @property
    def metadata(self) -> Metadata:
        """Our keys of the entry."""
        return self.source.metadata

    def files(self) -> list[Path]:
        """Return the files of the entry, sorted; globs and ``{year}`` patterns expanded.

        Raises
        ------
        NarcfError
            When a path leads to no file.
        """
        files: list[Path] = []
        for urlpath in self.urlpaths:
            pattern = _PATTERN.sub("*", urlpath)
            if any(mark in pattern for mark in "*?["):
                found = sorted(Path(p) for p in glob.glob(pattern))
            else:
                found = [Path(urlpath)] if Path(urlpath).exists() else []
            if not found:
                hint = f"; it can be had from {self.metadata.url}" if self.metadata.url else ""
                raise NarcfError(
                    f"{self.catalog_path}: source {self.name!r}: expected a file at {urlpath}, "
                    f"found none{hint}. Put it there, or change urlpath"
                )
            files += found
        if self.companion:
            if not self.companion.exists():
                raise NarcfError(
                    f"{self.catalog_path}: source {self.name!r}: expected the companion file "
                    f"{self.companion}, found none"
                )
            files.append(self.companion)
        return files

    def data_files(self) -> list[Path]:
        """Return the files without the companion."""
        return [path for path in self.files() if path != self.companion]

    def read(self) -> xr.Dataset:
        """Open the source lazily as canonical variables on its native grid."""
        from narcf_geo.sources import read

        return read(self)


class Catalog(Mapping[str, Entry]):
    """The sources of a catalog file by name.

    Examples
    --------
    >>> catalog = Catalog.open()
    >>> catalog["igbp_2019"].metadata.role
    'landcover'
    """

    def __init__(self, path: Path, file: CatalogFile, parameters: Mapping[str, str]) -> None:
        self.path = path
        self.file = file
        self.parameters = dict(parameters)

    @classmethod
    def open(cls, path: str | Path = PACKAGED, **parameters: str) -> Catalog:
        """Open the catalog at `path` (default: the packaged one) with values for its parameters.

        Raises
        ------
        UsageError
            When the file does not fit the schema, or a value is for no parameter of it.
        """
        path = Path(path)
        file = load(path, CatalogFile)
        known = {name for entry in file.sources.values() for name in entry.parameters}
        unknown = sorted(set(parameters) - known)
        if unknown:
            raise UsageError(
                f"{path}: no source takes the parameter {', '.join(unknown)}; "
                f"known: {', '.join(sorted(known)) or 'none'}"
            )
        return cls(path, file, parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self.file.sources)

    def __len__(self) -> int:
        return len(self.file.sources)

    def __getitem__(self, name: str) -> Entry:
        source = self.file.sources[name]
        urlpaths = source.args.urlpath
        texts = [urlpaths] if isinstance(urlpaths, str) else urlpaths
        companion = source.metadata.companion
        return Entry(
            name=name,
            source=source,
            urlpaths=tuple(self._path(text, name, source) for text in texts),
            companion=Path(self._path(companion, name, source)) if companion else None,
            catalog_path=self.path,
        )

    def _path(self, text: str, name: str, source: SourceEntry) -> str:
        filled = self._fill(text, name, source)
        return str(Path(filled)) if os.path.isabs(filled) else str(self.path.parent / filled)

    def _fill(self, text: str, name: str, source: SourceEntry) -> str:
        """Fill ``{{ CATALOG_DIR }}``, ``{{ env(NAME) }}`` and ``{{ parameter }}`` into `text`."""

        def value(match: re.Match[str]) -> str:
            key = match[1]
            where = f"{self.path}: source {name!r}"
            if key == "CATALOG_DIR":
                return str(self.path.parent.resolve())
            if variable := re.fullmatch(r"env\((\w+)\)", key):
                if variable[1] not in os.environ:
                    raise UsageError(f"{where}: the environment variable {variable[1]} is not set")
                return os.environ[variable[1]]
            if key in source.parameters:
                given = self.parameters.get(key, source.parameters[key].default)
                if given is None:
                    raise UsageError(
                        f"{where}: the parameter {key!r} has no value; give one with "
                        f"`--set {key}=VALUE`"
                    )
                return _TEMPLATE.sub(value, given)
            raise UsageError(
                f"{where}: {match[0]!r} is neither CATALOG_DIR, env(NAME) nor a parameter of it"
            )

        return _TEMPLATE.sub(value, text)
