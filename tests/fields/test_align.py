"""One grid for several arrays: paired by label, or an error that names both grids."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from places import cells, like_a_map, like_an_inversion

from narcf_geo.core.errors import GridMismatchError, UsageError
from narcf_geo.fields import on_one_grid

ONE = cells(np.arange(1.0, 13.0).reshape(3, 4)).rename("flux")
OTHER = (10 * ONE).rename("area")


@pytest.mark.parametrize("first", [like_an_inversion, like_a_map])
@pytest.mark.parametrize("second", [like_an_inversion, like_a_map])
def test_pairs_by_label_whatever_the_order(first: object, second: object) -> None:
    one, none, other = on_one_grid(first(ONE), None, second(OTHER))
    assert none is None
    assert one.dims == other.dims == ("lat", "lon")
    np.testing.assert_array_equal(other.values, 10 * one.values)
    np.testing.assert_array_equal(one.sel(lat=43, lon=1.5), ONE.sel(lat=43, lon=1.5))
    # The control: by position they are other pairs.
    if first is not second:
        assert not np.array_equal(10 * first(ONE).values.ravel(), second(OTHER).values.ravel())


@settings(deadline=None)
@given(st.permutations(range(3)), st.permutations(range(4)), st.booleans())
def test_any_order_of_cells_gives_the_same_sum(rows: list, columns: list, turned: bool) -> None:
    other = OTHER.isel(lat=rows, lon=columns)
    if turned:
        other = other.assign_coords(lon=other["lon"] % 360).transpose()
    one, other = on_one_grid(like_an_inversion(ONE), other)
    assert float((one * other).sum()) == 10 * sum(n**2 for n in range(1, 13))


@pytest.mark.parametrize("axis", ["lat", "lon"])
def test_rounding_is_no_other_place(axis: str) -> None:
    for moved in (
        OTHER.assign_coords({axis: OTHER[axis] + 1e-13}),
        OTHER.assign_coords({axis: OTHER[axis] - 1e-7}),
        OTHER.assign_coords({axis: OTHER[axis].astype("f4")}),
        OTHER.assign_coords({axis: (OTHER[axis] + 1e-5).astype("f4")}),
    ):
        one, other = on_one_grid(ONE, moved)
        assert one.indexes[axis].equals(other.indexes[axis])
        # By xarray's own rule none or few of the cells would have been paired.
        assert (one * other).size == 12
    apart = OTHER.assign_coords({axis: OTHER[axis] + 1e-13})
    assert (ONE * apart).size < 12
    back, _ = on_one_grid(
        ONE.assign_coords({axis: (ONE[axis] / 3).astype("f4")}),
        OTHER.assign_coords({axis: OTHER[axis] / 3}),
    )
    assert back.shape == (3, 4)


@pytest.mark.parametrize(
    "moved",
    [
        OTHER.assign_coords(lon=OTHER["lon"] + 1.5),
        OTHER.assign_coords(lat=OTHER["lat"] + 1.0),
        OTHER.assign_coords(lon=OTHER["lon"] + 1e-5),
        OTHER.assign_coords(lat=OTHER["lat"] - 1e-5),
        OTHER.assign_coords(lon=OTHER["lon"] + xr.DataArray([0, 0, 0, 0.1], dims="lon")),
        OTHER.assign_coords(lon=OTHER["lon"] + 180),
        OTHER.assign_coords(lon=(OTHER["lon"] + 1e-4).astype("f4")),
        OTHER.isel(lon=slice(1, None)),
        OTHER.isel(lat=slice(None, 2)),
        OTHER.pad(lon=(0, 1)).assign_coords(lon=[-4.5, -1.5, 1.5, 4.5, 7.5]),
        OTHER.pad(lat=(1, 0)).assign_coords(lat=[39.0, 41, 43, 45]),
    ],
    ids=[
        "half a cell east",
        "half a cell north",
        "a little east",
        "a little south",
        "one column",
        "half round the globe",
        "beyond single precision",
        "a column less",
        "a row less",
        "a column more",
        "a row more",
    ],
)
def test_another_grid_is_refused_and_both_are_named(moved: xr.DataArray) -> None:
    with pytest.raises(GridMismatchError) as error:
        on_one_grid(ONE, OTHER, moved)
    text = str(error.value)
    assert "expected 'area' on the grid of 'flux' (3 x 4 cells, latitude 41 to 45, " in text
    assert "longitude -4.5 to 4.5), found " in text
    assert "regrid one to the other" in text
    assert not isinstance(error.value, UsageError)
    assert isinstance(error.value, ValueError)


def test_what_has_no_name_is_told_by_its_place() -> None:
    with pytest.raises(
        GridMismatchError, match="expected the second array on the grid of the first"
    ):
        on_one_grid(ONE.rename(None), OTHER.rename(None)[1:])


def test_curvilinear_cells() -> None:
    y, x = np.mgrid[:3, :4].astype(float)
    place = {"lat": (("y", "x"), 50 + y + 0.1 * x), "lon": (("y", "x"), 9 + x - 0.2 * y)}
    one = xr.DataArray(np.arange(12.0).reshape(3, 4), place, ("y", "x"))
    first, second = on_one_grid(one, one.transpose() * 2)
    np.testing.assert_array_equal(second.values, 2 * first.values)
    _, turned = on_one_grid(one, one.assign_coords(lon=one["lon"] - 360 + 1e-12))
    np.testing.assert_array_equal(turned.values, one.values)
    assert turned["lon"].identical(one["lon"])
    with pytest.raises(GridMismatchError, match=r"3 x 4 cells, latitude 50 to 52\.3"):
        on_one_grid(one, one.assign_coords(lon=one["lon"] + 0.01))
    with pytest.raises(GridMismatchError):
        on_one_grid(one, ONE)
    # Cells along a parallel are no smaller for that.
    level = one.assign_coords(lat=one["lat"] * 0 + xr.DataArray([50.0, 51, 52], dims="y"))
    on_one_grid(level, level.assign_coords(lat=level["lat"] + 1e-10))
    with pytest.raises(GridMismatchError):
        on_one_grid(level, level.assign_coords(lat=level["lat"] + 1e-5))


def test_other_coordinates_stay_with_their_own() -> None:
    """A month that stands beside the first is not that of the second."""
    first = ONE.assign_coords(time=np.datetime64("2014-01-01", "ns"), member=3)
    second = OTHER.assign_coords(time=np.datetime64("2015-07-01", "ns"))
    one, other, third = on_one_grid(first, second, OTHER)
    assert str(one["time"].values)[:7] == "2014-01"
    assert str(other["time"].values)[:7] == "2015-07"
    assert set(other.coords) == {"lat", "lon", "time"}
    assert set(third.coords) == {"lat", "lon"}


def test_a_single_row_or_column() -> None:
    row, column = ONE[:1], ONE[:, :1]
    for part in (row, column, ONE[:1, :1]):
        one, other = on_one_grid(part, like_a_map(part * 2))
        np.testing.assert_array_equal(other.values, 2 * one.values)
        with pytest.raises(GridMismatchError):
            on_one_grid(part, part.assign_coords(lat=part["lat"] + 0.01))
    with pytest.raises(GridMismatchError):
        on_one_grid(row, column)
