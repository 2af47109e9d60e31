"""Plain text: no control characters or formulas from data; what a wrong name may have meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CONTROL = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def visible(text: str) -> str:
    r"""Return a text whose control characters are written out, those that turn its direction too.

    A terminal obeys them, and XML does not allow them. Tabs and ends of lines stay.

    Examples
    --------
    >>> visible("\x1b[2Jair")
    '\\x1b[2Jair'
    """
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def not_formula(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula; a number stays as it is.

    Examples
    --------
    >>> not_formula("=1+1"), not_formula("Iowa"), not_formula("-1.5")
    ("'=1+1", 'Iowa', '-1.5')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error that names the known name nearest to a wrong one; "" without one.

    Examples
    --------
    >>> did_you_mean("wether", ["weather", "ndvi"]), did_you_mean("x", ["weather"])
    ("; did you mean 'weather'?", '')
    """
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
