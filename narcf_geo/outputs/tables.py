"""Tables as CSV that a spreadsheet can open safely."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from narcf_geo.core.files import atomic_path
from narcf_geo.core.plain import not_formula

if TYPE_CHECKING:
    import pandas as pd


def write_csv(table: pd.DataFrame, path: Path, **options: Any) -> Path:
    """Write a table; texts that a spreadsheet would take for formulas get a ``'`` before them.

    Names of regions and units come from data: one such as ``=HYPERLINK(...)`` is shown, not run.
    Numbers stay numbers, with every digit, so that the parts as written sum to the whole.

    Parameters
    ----------
    **options
        For `pandas.DataFrame.to_csv`.
    """
    with atomic_path(path) as temporary:
        _without_formulas(table).to_csv(temporary, index=False, lineterminator="\n", **options)
    return path


def csv_text(table: pd.DataFrame, **options: Any) -> str:
    r"""Return a table as `write_csv` writes it.

    Examples
    --------
    >>> import pandas as pd
    >>> csv_text(pd.DataFrame({"region": ["=1+1", "Iowa"], "flux": [-1.5, 2]}))
    "region,flux\n'=1+1,-1.5\nIowa,2.0\n"
    """
    return str(_without_formulas(table).to_csv(index=False, lineterminator="\n", **options))


def _without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    plain = table.copy(deep=False)
    plain.attrs = {}
    for place, dtype in enumerate(plain.dtypes):
        if dtype.kind not in "biufcmM":
            column = plain.iloc[:, place].astype(object).map(_plain)
            plain.isetitem(place, column)
    plain.columns = [_plain(name) for name in plain.columns]
    return plain


def _plain(value: Any) -> Any:
    return not_formula(value) if isinstance(value, str) else value
