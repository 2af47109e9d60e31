"""The rows of a table are those of the cube, however it is cut and wherever they are kept."""

from __future__ import annotations

from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
from tiny_cube import tiny_settings

from narcf_geo.core import layout
from narcf_geo.core.errors import FieldError
from narcf_geo.model.fit import tabulate
from narcf_geo.model.samples.table import Table
from narcf_geo.project.settings import Settings


@pytest.fixture
def settings() -> Settings:
    return tiny_settings(
        "temp",
        "sif",
        "static",
        missing="mask",
        coordinates=["lat", "month"],
        features={"before": {"of": "temp", "mean": 3, "lag": 2}},
    )


def rows(table: Table) -> np.ndarray:
    """All that is known of the rows, in order of month and cell."""
    columns = [table.month, table.cell, table.y, table.lat, table.lon, table.area, table.biome]
    whole = np.column_stack([*columns, table.x])
    return whole[np.lexsort((table.cell, table.month))]


@pytest.mark.parametrize(
    ("chunk", "same_order"),
    [((12, 256, 256), True), ((1, 1, 1), True), ((5, 2, 3), False), ((24, 4, 2), False)],
)
def test_rows_do_not_depend_on_how_the_cube_is_cut(
    cube: xr.Dataset,
    settings: Settings,
    chunk: tuple[int, int, int],
    same_order: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = tabulate(cube, settings)
    lazy = cube.chunk(dict(zip(("time", "lat", "lon"), chunk, strict=True)))
    monkeypatch.setattr(layout, "CHUNK", chunk)
    for folder in (None, tmp_path):
        found = tabulate(lazy, settings, folder)
        assert found.features == expected.features
        assert found.missing == expected.missing
        np.testing.assert_array_equal(rows(found), rows(expected))
        assert (found.digest == expected.digest) is same_order
    # The first months have a feature made of what is before them in another chunk.
    before = expected.x[:, expected.features.predictors.index("before")]
    assert np.isnan(before).any()
    assert np.isfinite(before[expected.month == 12]).any()


def test_a_row_is_what_the_cube_has_there(cube: xr.Dataset, settings: Settings) -> None:
    table = tabulate(cube, settings)
    names = table.features.names
    for row in range(0, table.y.size, 17):
        at = {"time": table.month[row], "lat": table.cell[row] // 5, "lon": table.cell[row] % 5}
        there = cube.isel(at)
        assert table.y[row] == there["flux_target"].item()
        assert table.x[row, names.index("temp")] == there["temp"].item()
        assert table.lat[row] == there["lat"].item()
        assert table.area[row] == there["cell_area"].item()
        assert table.biome[row] == there["biome"].item()
    assert table.month.dtype == np.int16
    assert table.cell.dtype == np.int32


def test_no_more_than_a_chunk_is_read_at_once(
    cube: xr.Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "CHUNK", (6, 2, 2))
    sizes = []
    load = xr.Dataset.load

    def counted(self: xr.Dataset, **more: object) -> xr.Dataset:
        sizes.append(dict(self.sizes))
        return load(self, **more)

    monkeypatch.setattr(xr.Dataset, "load", counted)
    with dask.config.set(scheduler="synchronous"):
        tabulate(cube.chunk({"time": 6, "lat": 2, "lon": 2}), settings)
    assert sizes
    for size in sizes:
        # And the months before, of which a feature is made.
        assert size["time"] <= 6 + 4
        assert size["lat"] <= 2
        assert size["lon"] <= 2


def test_infinite_values_of_all_chunks_are_counted(
    cube: xr.Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "CHUNK", (6, 2, 2))
    broken = cube.copy(deep=True)
    broken["flux_target"][20, 1, 1] = np.inf
    broken["flux_target"][3, 2, 3] = -np.inf
    with pytest.raises(FieldError, match=r"flux_target: .* 2 infinite ones .* first in 2007-04"):
        tabulate(broken, settings)


def test_rows_on_the_grid(cube: xr.Dataset, settings: Settings) -> None:
    table = tabulate(cube, settings)
    whole = table.on_grid(table.y, cube["flux_target"])
    assert whole.shape == cube["flux_target"].shape
    some = np.flatnonzero(np.isin(table.month, [3, 7]))
    part = table.on_grid(table.y, cube["flux_target"], some)
    np.testing.assert_array_equal(part["time"], cube["time"][[3, 7]])
    np.testing.assert_array_equal(part, whole[[3, 7]])
    few = table.on_grid(table.y, cube["flux_target"], some[:2])
    assert few.notnull().sum() == 2
