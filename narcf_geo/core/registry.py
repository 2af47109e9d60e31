"""Objects by name: those of the package, and those that other distributions add."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.plain import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Registry(Generic[T]):
    """Objects of one kind by name, open to other distributions.

    A name is looked up among the built-in objects first, then among those registered in this
    process, then among the entry points of installed distributions. Entry points are read when such
    a name is asked for or the names are listed, never on import; the object behind one is imported
    only when it is asked for. Only names are looked up: a name from a file can load nothing that is
    not registered.

    Parameters
    ----------
    group : str
        The entry-point group, such as ``"narcf_geo.readers"``.
    kind : str
        What an object is called in an error, such as ``"reader"``.
    built_in : mapping of str to object or str
        The objects of the package; a string ``"module:attribute"`` is imported at first use.
    valid : callable, optional
        Tells whether an object of an entry point, or a registered one, is of the kind.
    expected : str, optional
        What a valid object is, for the error.

    Examples
    --------
    >>> shapes = Registry("narcf_geo.shapes", "shape", {"square": 4, "tau": "math:tau"})
    >>> list(shapes), shapes["square"], round(shapes["tau"], 2)
    (['square', 'tau'], 4, 6.28)
    >>> shapes["squre"]
    Traceback (most recent call last):
    narcf_geo.core.errors.UsageError: unknown shape 'squre'; choose from square, tau; did you mean
    'square'?
    """

    def __init__(
        self,
        group: str,
        kind: str,
        built_in: Mapping[str, T | str],
        *,
        valid: Callable[[Any], bool] = lambda value: True,
        expected: str = "",
    ) -> None:
        self.group, self.kind = group, kind
        self._built_in = dict(built_in)
        self._registered: dict[str, T] = {}
        self._valid, self._expected = valid, expected or f"a {kind}"

    @property
    def built_in(self) -> tuple[str, ...]:
        """Names of the objects of the package."""
        return tuple(self._built_in)

    @overload
    def register(self, name: str, value: T) -> T: ...

    @overload
    def register(self, name: str) -> Callable[[T], T]: ...

    def register(self, name: str, value: T | None = None) -> T | Callable[[T], T]:
        """Add an object for this process; without `value`, as a decorator.

        Parameters
        ----------
        name : str
            Its name; one registered before is replaced, a built-in one is not.
        value : object, optional
            What the name stands for.

        Raises
        ------
        UsageError
            When the name is built in, or the object is not of the kind.

        Examples
        --------
        >>> shapes = Registry("narcf_geo.shapes", "shape", {}, valid=callable)
        >>> @shapes.register("circle")
        ... def circle(radius: float) -> float:
        ...     return 3.14 * radius**2
        >>> shapes["circle"](1)
        3.14
        """
        if value is None:
            return lambda added: self.register(name, added)
        if name in self._built_in:
            raise UsageError(
                f"{self.kind} {name!r} is built in and cannot be replaced; choose another name"
            )
        if not self._valid(value):
            raise UsageError(
                f"{self.kind} {name!r}: expected {self._expected}, found {type(value).__name__}"
            )
        self._registered[name] = value
        return value

    def __getitem__(self, name: str) -> T:
        """Return an object.

        Raises
        ------
        UsageError
            When the name is unknown; lists the known ones.
        NarcfError
            When it is the entry point of a distribution and cannot be loaded, or when several
            distributions have it.
        """
        if name in self._built_in:
            value = self._built_in[name]
            if isinstance(value, str):
                module, _, attribute = value.partition(":")
                value = self._built_in[name] = getattr(import_module(module), attribute)
            return value  # type: ignore[return-value]
        if name in self._registered:
            return self._registered[name]
        return self._load(name)

    def __contains__(self, name: object) -> bool:
        return name in self._built_in or name in self._registered or name in self._entry_points()

    def __iter__(self) -> Iterator[str]:
        added = sorted({*self._registered, *self._entry_points()} - set(self._built_in))
        return iter([*self._built_in, *added])

    def __repr__(self) -> str:
        return f"<Registry {self.group}: {', '.join(self)}>"

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield every name and its object, built-in ones first; loads all."""
        return ((name, self[name]) for name in self)

    def origin(self, name: str) -> str | None:
        """Return name and version of the distribution that adds an object; None for others."""
        if name in self._built_in or name in self._registered:
            return None
        found = self._entry_points().get(name, [])
        return _distribution(found[0]) if found else None

    def unknown(self, name: str, others: Iterable[str] = ()) -> UsageError:
        """Return the error for a name that is neither known nor among `others`."""
        known = [*self, *others]
        near = did_you_mean(name, known)
        return UsageError(f"unknown {self.kind} {name!r}; choose from {', '.join(known)}{near}")

    def _entry_points(self) -> dict[str, list[EntryPoint]]:
        from importlib.metadata import entry_points

        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            found.setdefault(point.name, []).append(point)
        return found

    def _load(self, name: str) -> T:
        points = self._entry_points().get(name)
        if not points:
            raise self.unknown(name)
        if len(points) > 1:
            raise NarcfError(
                f"{self.kind} {name!r} is added by {len(points)} distributions "
                f"({', '.join(map(_distribution, points))}); uninstall all but one"
            )
        where = f"{self.kind} {name!r} of {_distribution(points[0])} ({points[0].value})"
        try:
            value: T = points[0].load()
        except Exception as error:  # the module is not ours and may raise anything
            raise NarcfError(
                f"{where}: cannot be loaded ({type(error).__name__}: {error}); update or uninstall "
                "that distribution"
            ) from error
        if not self._valid(value):
            raise NarcfError(
                f"{where}: expected {self._expected}, found {type(value).__name__}; update or "
                "uninstall that distribution"
            )
        return value


def _distribution(point: EntryPoint) -> str:
    """Return name and version of the distribution of an entry point, or where it lies."""
    dist = point.dist
    if dist is None:
        return "an unknown distribution"
    try:
        name: str | None = dist.metadata.get("Name")  # type: ignore[attr-defined]
    except (TypeError, LookupError, OSError):  # no METADATA file
        name = None
    return f"{name} {dist.version}" if name else f"the distribution in {dist.locate_file('')}"
