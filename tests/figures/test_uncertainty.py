from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from places import like_a_map, like_an_inversion

from narcf_geo.core.errors import GridMismatchError, NarcfError
from narcf_geo.core.months import days_in_month
from narcf_geo.figures import style, uncertainty
from narcf_geo.figures.style import SPREAD_CMAP, save_figure


def drawn(ax) -> np.ndarray:
    return ax.collections[0].get_array().filled(np.nan)


def corner(ax) -> str:
    return ax.texts[-1].get_text()


@pytest.fixture
def parts(small_prediction: xr.Dataset) -> dict[str, xr.DataArray]:
    flux = small_prediction["flux"]
    spread = (0.1 + 0.2 * abs(flux)).assign_attrs(flux.attrs)
    noise = (0.4 + 0 * flux).assign_attrs(flux.attrs)
    std = np.hypot(spread, noise).assign_attrs(flux.attrs)
    return {"std": std, "spread": spread, "noise": noise}


def test_the_months_are_joined_by_their_squares(small_prediction, parts, tmp_path):
    area = small_prediction["cell_area"]
    figure = uncertainty.uncertainty_map(parts["std"], area=area, synthetic="twin experiment")
    ax = figure.axes[0]
    weight = days_in_month(parts["std"]["time"]).values
    square = (parts["std"].values.astype(float) ** 2 * weight[:, None, None]).sum(0)
    np.testing.assert_allclose(drawn(ax), np.sqrt(square / weight.sum()), rtol=1e-6)
    mesh = ax.collections[0]
    assert mesh.get_clim()[0] == 0
    assert mesh.get_cmap().name == SPREAD_CMAP
    noise = uncertainty.uncertainty_map(parts["noise"], area=area)
    assert corner(noise.axes[0]) == "typical 0.40 µmol m⁻² s⁻¹"
    said = [t.get_text() for t in figure.texts]
    assert "synthetic twin experiment" in said
    assert any("November 2014 – February 2015, root of the mean square" in t for t in said)
    save_figure(figure, tmp_path / "std.svg")


def test_one_month_and_no_parts(parts):
    figure = uncertainty.uncertainty_map(parts["std"][2])
    np.testing.assert_array_equal(drawn(figure.axes[0]), parts["std"][2])
    assert len(figure.axes) == 2
    assert "standard deviation, January 2015" in [t.get_text() for t in figure.texts]
    with pytest.raises(NarcfError, match="at least one finite value"):
        uncertainty.uncertainty_map(parts["std"] * np.nan)


def test_what_is_hatched_and_what_share_is_not(small_prediction):
    flux, area = small_prediction["flux"], small_prediction["cell_area"]
    inside = flux.notnull().astype("int8")
    inside[:, 3, 0] = 0
    inside[:3, 0, 2] = 0
    inside[0, 1, 1] = 0
    figure = uncertainty.applicability_map(flux, inside, area=area)
    ax = figure.axes[0]
    lon, lat = np.meshgrid(flux["lon"], flux["lat"])
    patch = next(a for a in ax.get_children() if getattr(a, "get_hatch", lambda: "")())
    from cartopy.crs import PlateCarree

    points = ax.projection.transform_points(PlateCarree(), lon, lat)[..., :2]
    hatched = patch.get_path().contains_points(points.reshape(-1, 2)).reshape(lat.shape)
    assert sorted(zip(*np.nonzero(hatched), strict=True)) == [(0, 2), (3, 0)]
    days = days_in_month(flux["time"]).values[:, None, None]
    weight = np.where(flux.notnull(), days * area.values, 0)
    share = (weight * inside.values).sum() / weight.sum()
    assert corner(ax) == f"applicable: {np.floor(1000 * share) / 10:g} %\nof area and months"
    often = uncertainty.applicability_map(flux, inside, area=area, least=0.2).axes[0]
    patch = next(a for a in often.get_children() if getattr(a, "get_hatch", lambda: "")())
    hatched = patch.get_path().contains_points(points.reshape(-1, 2)).reshape(lat.shape)
    assert sorted(zip(*np.nonzero(hatched), strict=True)) == [(3, 0)]


def test_uncertainty_and_applicability_go_by_label(small_prediction, parts):
    flux, area = small_prediction["flux"], small_prediction["cell_area"]
    wanted = uncertainty.uncertainty_map(parts["std"], area=area)
    milli = (parts["std"] / 1e3).assign_attrs(units="mmol m-2 s-1")
    for given in (like_an_inversion(parts["std"]), like_a_map(milli)):
        found = uncertainty.uncertainty_map(given, area=like_an_inversion(area))
        one, other = wanted.axes[0], found.axes[0]
        np.testing.assert_allclose(drawn(other), drawn(one), rtol=1e-5)
        assert corner(other) == corner(one)
    inside = (flux < flux.median()).astype("int8")
    here = uncertainty.applicability_map(flux, inside, area=area).axes[0]
    there = uncertainty.applicability_map(
        like_a_map(flux), like_an_inversion(inside), area=like_a_map(area)
    ).axes[0]
    assert corner(there) == corner(here)
    # The controls: by position another share applies, and another grid has none.
    turned = inside.copy(data=inside.values[:, ::-1])
    assert corner(uncertainty.applicability_map(flux, turned, area=area).axes[0]) != corner(here)
    for axis in ("lat", "lon"):
        moved = {axis: flux[axis] + 0.5}
        for draw in (
            lambda m: uncertainty.uncertainty_map(parts["std"].assign_coords(m), area=area),
            lambda m: uncertainty.applicability_map(flux, inside.assign_coords(m)),
        ):
            with pytest.raises(GridMismatchError, match="4 x 5 cells"):
                draw(moved)


def test_where_all_is_applicable_nothing_is_hatched(small_prediction):
    flux = small_prediction["flux"][0]
    figure = uncertainty.applicability_map(flux, flux.notnull())
    ax = figure.axes[0]
    assert corner(ax) == "applicable: 100 %\nof the area"
    assert not any(getattr(a, "get_hatch", lambda: "")() for a in ax.get_children())
    nowhere = uncertainty.applicability_map(flux, flux.isnull()).axes[0]
    assert corner(nowhere) == "applicable: 0 %\nof the area"
    # A share short of the whole never reads 100 %.
    assert style.percent(0.99999) == "99.9 %"


def test_coverage_is_drawn_against_the_nominal():
    found = {"Test": {"0.95": 0.93, "0.5": 0.47, "0.8": 0.81}, "Spread alone": {"0.8": 0.3}}
    figure = uncertainty.reliability(found, synthetic="twin experiment")
    ax = figure.axes[0]
    lines = {line.get_label(): line for line in ax.lines}
    line = lines["Test: 47, 81, 93 %"]
    np.testing.assert_allclose(line.get_xdata(), [50, 80, 95])
    np.testing.assert_allclose(line.get_ydata(), [47, 81, 93])
    assert ax.get_xlim() == ax.get_ylim() == (0, 100)
    diagonal = ax.lines[0]
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    for wrong in ({}, {"Test": {}}, {str(i): {"0.5": 0.5} for i in range(6)}):
        with pytest.raises(NarcfError, match="coverage of 1 to 5 parts"):
            uncertainty.reliability(wrong)
