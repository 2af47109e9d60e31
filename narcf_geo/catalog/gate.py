"""The gate on sources: what a stage reads is looked at, and only what is allowed passes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.catalog.rules import Finding, expected_of, value_findings
from narcf_geo.catalog.values import is_class, look, together
from narcf_geo.core.errors import FieldError, UsageError
from narcf_geo.core.plain import did_you_mean
from narcf_geo.fields.values import NODATA

if TYPE_CHECKING:
    from narcf_geo.catalog.entry import Entry


def looked_at(entry: Entry, ds: xr.Dataset) -> dict[str, Any]:
    """Return what is to be seen of each variable of a source, lazily where it is.

    Compute it together with what is made of `ds`: each block is then read once.

    Parameters
    ----------
    entry : Entry
        Of the catalog.
    ds : xarray.Dataset
        Canonical variables, as much of them as is used.
    """
    return {str(n): look(array, expected_of(entry, array)) for n, array in ds.data_vars.items()}


def findings_of(entry: Entry, ds: xr.Dataset, seen: Mapping[str, np.ndarray]) -> list[Finding]:
    """Return what is wrong with or odd about a source.

    Parameters
    ----------
    entry, ds
        As for `looked_at`.
    seen : mapping
        What that returned, computed.
    """
    return [f for name, s in seen.items() for f in value_findings(entry, ds[name], together(s))]


def admitted(findings: Iterable[Finding], allow: Collection[str] = ()) -> list[Finding]:
    """Return warnings, and errors that are allowed, to be shown and recorded.

    Parameters
    ----------
    findings : iterable of Finding
        Of one source or several.
    allow : collection of str
        Names of sources, or of their variables as ``source.variable``, whose errors pass.

    Raises
    ------
    FieldError
        For errors that are not allowed, all of them in one message.

    Examples
    --------
    >>> odd = Finding("weather", "temp", "error", "found -9999")
    >>> [found.allowed for found in admitted([odd], ["weather.temp"])]
    [True]
    >>> admitted([odd], ["ndvi"])
    Traceback (most recent call last):
    narcf_geo.core.errors.FieldError: found -9999; or let it pass with `--allow weather.temp`
    """
    passed, refused = [], []
    for found in findings:
        name = f"{found.source}.{found.variable}"
        if found.level == "warning":
            passed.append(found)
        elif {found.source, name} & set(allow):
            passed.append(replace(found, allowed=True))
        else:
            refused.append(f"{found.text}; or let it pass with `--allow {name}`")
    if refused:
        raise FieldError("\n".join(refused))
    return passed


def require_known(allow: Iterable[str], sources: Mapping[str, Iterable[str]]) -> None:
    """Refuse a name to allow that is of no source, and of no variable of one.

    Raises
    ------
    UsageError
        With the names there are.
    """
    known = [*sources, *(f"{source}.{name}" for source, names in sources.items() for name in names)]
    for name in allow:
        if name not in known:
            raise UsageError(
                f"--allow {name}: expected a source of the project, or SOURCE.VARIABLE"
                f"{did_you_mean(name, known)}; "
                f"there are: {', '.join(known)}"
            )


def only_classes(land_cover: xr.DataArray) -> xr.DataArray:
    """Return a map as classes, lazily where it is; numbers that are no class become nodata."""
    classes = xr.apply_ufunc(
        lambda values: np.where(is_class(values), values, NODATA).astype(np.int16),
        land_cover,
        dask="parallelized",
        output_dtypes=[np.int16],
    )
    return classes.assign_attrs(land_cover.attrs)
