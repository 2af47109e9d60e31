"""Which method each variable is regridded by: what it is decides, where nothing was asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import xarray as xr

from narcf_geo.core.errors import UsageError
from narcf_geo.core.methods import METHODS, OF_KINDS, Method, method_named
from narcf_geo.fields.meaning import Meaning, area_measures, meaning_of, with_quantity
from narcf_geo.regridding.options import Options

CELL_AREA = Method("cell_area", "areas of the target cells", frozenset({"cell_area"}))
"""What stands in a plan for the areas of cells: they are made anew."""


@dataclass(frozen=True)
class Task:
    """How one variable is regridded.

    Attributes
    ----------
    name : str
    method : Method
    quantity : str
        ``mean``, or ``total`` for amounts per cell.
    meaning : Meaning
        What kind of variable it is, and what it was recognised by.
    """

    name: str
    method: Method
    quantity: str
    meaning: Meaning

    @property
    def keeps_integral(self) -> bool:
        """Whether an area integral (a sum, of totals) is that of the source."""
        measured = self.meaning.kind in ("intensive", "extensive")
        return self.method.engine in ("weights", "gradients") and measured

    @property
    def keeps_packing(self) -> bool:
        """Whether values lie where those of the source do, so that its scale and offset fit."""
        return self.quantity == "mean" and self.method.name not in ("std", "fractions", "majority")


class _Refused(Exception):
    """Why a variable cannot be regridded as asked."""


def plan(
    ds: xr.Dataset, names: Iterable[str], options: Options, given: str | None = None
) -> dict[str, Task]:
    """Return how each of some variables is regridded.

    Parameters
    ----------
    ds : xarray.Dataset
    names : iterable of str
        The variables on the source grid.
    options : Options
    given : str, optional
        The method of weights that were made before.

    Raises
    ------
    UsageError
        Names every variable of which it is unclear what it is, or that the method asked for would
        spoil, and says what to ask for instead.

    Examples
    --------
    >>> ds = xr.Dataset({"t": ((), 1.0, {"units": "K"}), "people": ((), 1.0, {"units": "people"}),
    ...                  "cover": ((), 1, {"flag_values": [1, 2]})})
    >>> for task in plan(ds, ds, Options()).values():
    ...     print(task.name, task.method.name, task.quantity)
    t conservative mean
    people conservative total
    cover majority mean
    """
    measures = area_measures(ds)
    tasks, refused = {}, []
    for name in map(str, names):
        try:
            tasks[name] = _task(name, meaning_of(ds[name], measures), options, given)
        except _Refused as reason:
            refused.append(f"{name!r}: {reason}")
    if unknown := sorted(options.names() - {*tasks, *map(str, ds.variables)}):
        raise UsageError(
            f"expected options for variables of the data, found {unknown}; it has "
            f"{', '.join(sorted(map(str, ds.data_vars)))}"
        )
    if refused:
        reasons = "\n  ".join(["", *refused] if refused[1:] else refused)
        raise UsageError(f"cannot regrid {reasons}{_others(list(tasks))}")
    return tasks


def _task(name: str, meaning: Meaning, options: Options, given: str | None) -> Task:
    meaning = _as_asked(name, meaning, options)
    quantity = "total" if meaning.kind == "extensive" else "mean"
    own = options.named("method", name)
    asked = own or options.common("method")
    if meaning.kind == "unclear" and asked in ("majority", "fractions"):
        meaning = Meaning("categorical", f"method {asked!r}")
    if meaning.kind == "cell_area" and own is None:
        return Task(name, CELL_AREA, "total", meaning)
    if asked is None and given is not None and meaning.kind in ("intensive", "extensive"):
        # Weights of another program may be of a method that has no name here.
        cell_method = "mean" if "conservative" in given else ""
        method = METHODS.get(given) or Method(
            given, "weights given", METHODS["conservative"].kinds, cell_method=cell_method
        )
    elif asked is None:
        if meaning.kind not in OF_KINDS:
            raise _Refused(_question(name, meaning))
        method = METHODS[OF_KINDS[meaning.kind]]
    else:
        method = method_named(asked)
    if meaning.kind == "extensive" and method.engine in ("weights", "gradients"):
        if method.name != "conservative":
            raise _Refused(
                f"{meaning.because}; method {method.name!r} does not keep totals: expected "
                "'conservative' for quantity 'total'; regrid a density instead"
            )
    elif meaning.kind not in method.kinds:
        raise _Refused(_unfit(name, meaning, method))
    invents = quantity == "total" or method.name in ("fractions", "std")
    if options.extrapolate and invents:
        what = "totals" if quantity == "total" else f"{method.name} of a cell"
        raise _Refused(f"{what} cannot be extrapolated: leave extrapolate out")
    return Task(name, method, quantity, meaning)


def _as_asked(name: str, meaning: Meaning, options: Options) -> Meaning:
    """Return the meaning as the options have it, where they say something of it."""
    if name in options.categorical:
        return Meaning("categorical", "asked for")
    own, common = options.named("quantity", name), options.common("quantity")
    if own is None:
        return with_quantity(meaning, common)
    if meaning.kind == "flags" or (meaning.kind == "categorical" and meaning.stated):
        raise _Refused(f"{meaning.because}; class numbers and bits have no mean and no total")
    return with_quantity(Meaning("unclear", meaning.because), own)


def _others(names: list[str]) -> str:
    """Say how to regrid what can be."""
    if not names:
        return ""
    shown = " ".join(f"--variables {name}" for name in names[:6])
    more = f" ... ({len(names)} in all)" if len(names) > 6 else ""
    return f"\nTo regrid only the others: {shown}{more}; in Python ds[{names[:6]}]{more}"


def _question(name: str, meaning: Meaning) -> str:
    if meaning.kind == "flags":
        return (
            f"{meaning.because}; bits have no mean: leave it out, regrid one bit as a mask "
            f"(({name} & 4) != 0), or ask for method {{{name!r}: 'nearest_s2d'}} or 'majority'"
        )
    return (
        f"{meaning.because} Say quantity 'total' for amounts per cell, quantity 'mean' for a "
        f"measure, or categorical {name!r} for classes (--quantity, --categorical)"
    )


def _unfit(name: str, meaning: Meaning, method: Method) -> str:
    fit = ", ".join(m.name for m in METHODS.values() if meaning.kind in m.kinds)
    if meaning.kind == "unclear":
        return _question(name, meaning)
    what = {
        "categorical": "class numbers have no mean",
        "flags": "bits have no mean",
        "direction": "the mean of 359 and 1 degree is not 180",
    }.get(meaning.kind, f"it is {meaning.kind}")
    stated = "" if meaning.stated else " (if it is no class, say quantity 'mean' or 'total')"
    return (
        f"{meaning.because}; {what}, so method {method.name!r} is not for it{stated}; choose from "
        f"{fit} (method={{{name!r}: {fit.split(', ')[0]!r}}}), or leave it out"
    )
