"""Scores of towers as a table, and as a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from narcf_geo.core.errors import UsageError
from narcf_geo.core.files import atomic_path, require_replaceable
from narcf_geo.core.lock import hold_output
from narcf_geo.outputs.tables import write_csv

PARTS = ("all", "site_means", "anomalies", "by_igbp", "by_month", "by_site")
"""The parts of the scores of towers, in the order in which tables show them."""

COLUMNS = ("part", "name", "igbp", "lat", "lon", "n", "r", "rmse", "bias", "mae", "nse", "slope")
"""Columns of `score_table`: RMSE, bias and MAE in umol m-2 s-1."""


def score_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """Return what `narcf_geo.evaluation.towers.evaluate_towers` found, a row each.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`; ``part`` is one of `PARTS` and ``name`` the site, class or calendar month.
    """
    rows = []
    for part in PARTS:
        values = found.get(part, {})
        named = values if part.startswith("by_") else {"": values}
        rows += [{"igbp": "", **row, "part": part, "name": name} for name, row in named.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_scores(
    found: Mapping[str, Any],
    out: str | os.PathLike[str],
    inputs: Sequence[str | os.PathLike[str]] = (),
) -> None:
    """Write scores of towers: the table as ``.csv``, all that is known of them as ``.json``.

    Raises
    ------
    UsageError
        When `out` is neither, or one of `inputs`.
    """
    path = Path(out)
    if path.suffix not in (".csv", ".json"):
        raise UsageError(f"{path}: expected a file of scores as .csv or .json")
    require_replaceable(path, [Path(given) for given in inputs], store=False)
    with hold_output(path):
        if path.suffix == ".csv":
            write_csv(score_table(found), path)
            return
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(found, indent=2), encoding="utf-8")
