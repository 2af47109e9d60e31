"""A figure without values is left out with a warning, and the others are drawn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import xarray as xr

import narcf_geo as ng
from narcf_geo.core.errors import NarcfError, NoValueError
from narcf_geo.figures import agreement, charts, series
from narcf_geo.figures.draw import plot_map
from narcf_geo.figures.guard import drawn
from narcf_geo.report.figures import project_maps


def empty(ds: xr.Dataset, *names: str) -> xr.Dataset:
    return ds.assign({n: (ds[n] * np.nan).astype("f4").assign_attrs(ds[n].attrs) for n in names})


@pytest.fixture
def cube(america: xr.Dataset) -> xr.Dataset:
    few = america.isel(lat=slice(20, 32), lon=slice(60, 76))
    fraction = xr.DataArray(
        np.full((18, 12, 16), 1 / 18, "f4"),
        {"igbp_class": np.arange(18), "lat": few["lat"], "lon": few["lon"]},
        ("igbp_class", "lat", "lon"),
    )
    target = few["flux"].assign_attrs(product="An inversion")
    std = abs(few["flux"]).assign_attrs(units="umol m-2 s-1")
    return few.assign(flux_target=target, class_fraction=fraction, flux_std=std)


@pytest.mark.parametrize(
    ("names", "left_out"),
    [
        ((), set()),
        (("flux_std",), {"uncertainty"}),
        (("flux_target",), {"comparison_target"}),
        (("flux",), {"flux_2015-07", "flux_2015_months", "seasons", "comparison_target"}),
    ],
)
def test_maps_without_values_are_left_out_by_name(
    cube: xr.Dataset, names: tuple[str, ...], left_out: set[str]
) -> None:
    whole = {
        "flux_2015-07", "flux_2015_months", "seasons", "comparison_target", "uncertainty",
        "biomes", "class_fractions",
    }  # fmt: skip
    ds = empty(cube, *names)
    with warnings_of(left_out):
        found = {name for name, _ in project_maps(ds, ds)}
    assert found == whole - left_out


def warnings_of(names: set[str]) -> Any:
    """Expect the warning of each figure, or none."""
    if not names:
        return nullcontext()
    return pytest.warns(UserWarning, match=f"figure ({'|'.join(sorted(names))}) is left out")


def test_what_else_is_wrong_ends_the_run() -> None:
    def broken() -> Any:
        raise NarcfError("expected a flux, found a file of another kind")

    with pytest.raises(NarcfError, match="another kind"):
        list(drawn([("mean", broken)]))


def test_every_figure_says_that_it_has_no_values(cube: xr.Dataset) -> None:
    nothing, area = empty(cube, "flux", "flux_std"), cube["cell_area"]
    flux, gone = cube["flux"], nothing["flux"]
    scores = ng.compare(gone, flux, area)
    total = ng.monthly_total(gone, area)
    draws: list[Callable[[], Any]] = [
        *(lambda kind=kind: plot_map(nothing, kind) for kind in ("mean", "seasons", "uncertainty")),
        lambda: plot_map(cube, "comparison", reference=nothing),
        lambda: agreement.scatter(gone, flux, metrics=scores, area=area, labels=("a", "b")),
        lambda: agreement.taylor({"a": gone}, flux, area=area, label="b"),
        lambda: series.anomalies({"a": total}),
        lambda: charts.biome_bars(ng.biome_budget(gone, cube["biome"], area)),
    ]
    for draw in draws:
        with pytest.raises(NoValueError):
            draw()
