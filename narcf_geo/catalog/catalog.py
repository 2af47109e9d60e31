"""The catalog of gridded sources: an intake-style YAML file, opened lazily."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from narcf_geo.catalog.entry import Entry
from narcf_geo.catalog.schema import CatalogFile, NestedEntry, Parameter, SourceEntry
from narcf_geo.core.addresses import is_address
from narcf_geo.core.errors import UsageError
from narcf_geo.core.yamlfile import Document, read

__all__ = ["PACKAGED", "Catalog", "Entry"]

PACKAGED = Path(__file__).parents[1] / "data_catalog.yaml"
"""The packaged catalog of real products."""

_TEMPLATE = re.compile(r"\{\{\s*(.+?)\s*\}\}")
_TYPES = {"str": str, "int": int, "float": float}


@dataclass(frozen=True)
class _Located:
    """A source and where it is written."""

    source: SourceEntry
    document: Document[CatalogFile]
    key: str


class Catalog(Mapping[str, Entry]):
    """The sources of a catalog file by name, those of nested catalogs as ``outer.inner``.

    Examples
    --------
    >>> catalog = Catalog.open()
    >>> catalog["igbp_2019"].metadata.role
    'landcover'
    """

    def __init__(
        self, path: Path, sources: Mapping[str, _Located], parameters: Mapping[str, str]
    ) -> None:
        self.path = path
        self.parameters = dict(parameters)
        self._sources = dict(sources)

    @classmethod
    def open(cls, path: str | os.PathLike[str] = PACKAGED, /, **parameters: str) -> Catalog:
        """Open a catalog file.

        Parameters
        ----------
        path : path
            The YAML file; by default the packaged catalog of real products.
        **parameters : str
            Values for the user parameters of its sources, such as ``year="2002"``.

        Returns
        -------
        Catalog
            A mapping of names to entries; no data file is opened.

        Raises
        ------
        UsageError
            When the file does not fit the schema, catalogs hold one another in a circle, or a
            value is for no parameter.

        Examples
        --------
        >>> "narr" in Catalog.open()
        True
        """
        located_at = Path(path)
        sources = _collect(located_at, ())
        known = {name for located in sources.values() for name in located.source.parameters}
        unknown = sorted(set(parameters) - known)
        if unknown:
            raise UsageError(
                f"{located_at}: no source takes the parameter {', '.join(unknown)}; "
                f"known: {', '.join(sorted(known)) or 'none'}"
            )
        return cls(located_at, sources, parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, name: object) -> bool:
        return name in self._sources

    def __repr__(self) -> str:
        rows = self._rows()
        widths = [max((len(row[k]) for row in rows), default=0) for k in range(2)]
        lines = [f"  {n:<{widths[0]}}  {r:<{widths[1]}}  {text}" for n, r, text in rows]
        count = f"{len(rows)} source{'' if len(rows) == 1 else 's'}"
        return "\n".join([f"<Catalog {self.path}: {count}>", *lines])

    def _repr_html_(self) -> str:
        body = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{escape(c)}</td>" for c in row) + "</tr>"
            for row in self._rows()
        )
        head = "".join(f"<th>{title}</th>" for title in ("source", "role", "description"))
        return (
            f"<p>Catalog {escape(str(self.path))}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _rows(self) -> list[tuple[str, str, str]]:
        """Return name, role and description of each source."""
        sources = {name: self.source(name) for name in self}
        return [(name, s.metadata.role, s.description) for name, s in sources.items()]

    def source(self, name: str) -> SourceEntry:
        """Return what the catalog says of a source, its templates as they are."""
        return self._sources[name].source

    def __getitem__(self, name: str) -> Entry:
        located = self._sources[name]
        fill = _Filling(located, name, self.parameters)
        companion = located.source.metadata.companion
        return Entry(
            name=name,
            source=located.source,
            locations=tuple(fill.path(text) for text in located.source.args.urlpaths),
            companion=Path(fill.path(companion)) if companion else None,
            document=located.document,
            key=located.key,
        )

    def folder(self, name: str) -> Path:
        """Return the folder that ``catalog fetch`` puts the files of a source into."""
        located = self._sources[name]
        fetch = located.source.metadata.fetch
        fill = _Filling(located, name, self.parameters)
        if fetch and fetch.folder:
            return Path(fill.path(fetch.folder))
        return Path(fill.path(located.source.args.urlpaths[0])).parent


def _collect(path: Path, chain: tuple[Path, ...]) -> dict[str, _Located]:
    """Return the sources of the file at `path`, of those it extends, and of those it nests."""
    document = read(path, CatalogFile)
    chain = (*chain, path.resolve())
    sources: dict[str, _Located] = {}
    extends = document.content.metadata.extends
    for text in [extends] if isinstance(extends, str) else extends:
        where = f"{path}:{document.line('metadata', 'extends')}: extends"
        base = PACKAGED if text == "packaged" else _other(text, document, where, chain)
        sources |= _collect(base, chain)
    for key, entry in document.content.sources.items():
        if isinstance(entry, NestedEntry):
            where = f"{path}:{document.line('sources', key, 'args', 'path')}: source {key!r}"
            nested = _collect(_other(entry.args.path, document, where, chain), chain)
            sources |= {f"{key}.{name}": located for name, located in nested.items()}
        else:
            sources[key] = _Located(entry, document, key)
    return sources


def _other(text: str, document: Document[CatalogFile], where: str, chain: tuple[Path, ...]) -> Path:
    """Return the path of another catalog that `document` names."""
    path = document.path.parent / _substitute(text, document.path, lambda: where, {}, {})
    if not path.is_file():
        raise UsageError(f"{where}: expected a catalog at {path}, found none; correct the path")
    if path.resolve() in chain:
        circle = " -> ".join(p.name for p in (*chain[chain.index(path.resolve()) :], path))
        raise UsageError(f"{where}: catalogs hold one another in a circle: {circle}; break it")
    return path


@dataclass(frozen=True)
class _Filling:
    """Fills the templates of one source."""

    located: _Located
    name: str
    given: Mapping[str, str]

    def path(self, text: str) -> str:
        """Return `text` filled in, relative to the folder of its catalog."""
        path, parameters = self.located.document.path, self.located.source.parameters
        filled = _substitute(text, path, self._where, parameters, self.given)
        if is_address(filled):
            return filled
        return str(path.parent / os.path.expanduser(filled))

    def _where(self) -> str:
        document, key = self.located.document, self.located.key
        return f"{document.path}:{document.line('sources', key)}: source {self.name!r}"


def _substitute(
    text: str,
    path: Path,
    where: Callable[[], str],
    parameters: Mapping[str, Parameter],
    given: Mapping[str, str],
    within: tuple[str, ...] = (),
) -> str:
    """Fill ``{{ CATALOG_DIR }}``, ``{{ env(NAME) }}`` and ``{{ parameter }}`` into `text`."""

    def value(match: re.Match[str]) -> str:
        key = match[1]
        if key == "CATALOG_DIR":
            return str(path.parent.resolve())
        if variable := re.fullmatch(r"env\(['\"]?(\w+)['\"]?\)", key):
            if variable[1] not in os.environ:
                raise UsageError(f"{where()}: the environment variable {variable[1]} is not set")
            return os.environ[variable[1]]
        if key in within:
            raise UsageError(f"{where()}: the parameter {key!r} is made of itself; give it a value")
        if key in parameters:
            found = _value_of(key, parameters[key], given, where)
            return _substitute(found, path, where, parameters, given, (*within, key))
        known = ", ".join(parameters) or "it has none"
        raise UsageError(
            f"{where()}: {match[0]!r} is neither CATALOG_DIR, env(NAME) nor a parameter ({known})"
        )

    return _TEMPLATE.sub(value, text)


def _value_of(
    name: str, parameter: Parameter, given: Mapping[str, str], where: Callable[[], str]
) -> str:
    value = given.get(name, parameter.default)
    if value is None:
        raise UsageError(
            f"{where()}: the parameter {name!r} has no value; give one with `--set {name}=VALUE`"
        )
    try:
        typed = _TYPES[parameter.type](value)
    except ValueError:
        raise UsageError(
            f"{where()}: the parameter {name!r} is to be of type {parameter.type}, found {value!r}"
        ) from None
    if parameter.allowed is not None and typed not in parameter.allowed:
        allowed = ", ".join(map(str, parameter.allowed))
        raise UsageError(f"{where()}: the parameter {name!r} may be {allowed}; found {value!r}")
    return str(typed)
