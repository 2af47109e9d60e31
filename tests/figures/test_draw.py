"""Maps of files and objects by kind: cut by months, bounds and polygons; kinds from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import narcf_geo as ng
from narcf_geo.figures import maps
from narcf_geo.figures.draw import KINDS, MapKind, draw_map, plot_map, within


def words(figure: object) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))  # type: ignore[attr-defined]


def test_a_kind_of_map_from_elsewhere(small_prediction: xr.Dataset) -> None:
    def first_month(ds: xr.Dataset, **options: object) -> object:
        return maps.flux_map(ds["flux"].isel(time=0), **options)

    KINDS.register("first_month", MapKind(("flux",), first_month))
    assert "November 2014" in words(plot_map(small_prediction, "first_month"))
    with pytest.raises(ng.UsageError, match=r"unknown kind of map 'frist_month'.*first_month"):
        plot_map(small_prediction, "frist_month")


def test_what_a_kind_needs_is_named(small_prediction: xr.Dataset) -> None:
    with pytest.raises(ng.UsageError, match="variable 'flux_std' for this map, found"):
        plot_map(small_prediction, "uncertainty")
    with pytest.raises(ng.UsageError, match="the other product of a comparison"):
        plot_map(small_prediction, "comparison")
    with pytest.raises(ng.UsageError, match="no limit of the colours"):
        plot_map(small_prediction, "biomes", limit=2.0)
    with pytest.raises(ng.UsageError, match="months as 2014-07"):
        plot_map(small_prediction, months="July")


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((-10, 0, 10, 5), [-7.5, -2.5, 2.5, 7.5]),
        ((350, 0, 370, 5), [-7.5, -2.5, 2.5, 7.5]),
        ((170, 0, -170, 5), [172.5, 177.5, 182.5, 187.5]),
        ((-190, 0, -170, 5), [172.5, 177.5, 182.5, 187.5]),
    ],
)
def test_bounds_of_any_turn(bounds: tuple, expected: list[float]) -> None:
    lon, lat = np.arange(-177.5, 180, 5), np.array([-2.5, 2.5])
    ds = xr.Dataset({"x": (("lat", "lon"), np.stack([lon, lon]))}, {"lat": lat, "lon": lon})
    found = within(ds, bounds)
    assert found["lon"].values.tolist() == expected
    assert found["lat"].values.tolist() == [2.5]
    # The values went with their labels.
    np.testing.assert_allclose((found["x"][0] - found["lon"]) % 360, 0)
    with pytest.raises(ng.NarcfError, match="expected cells within"):
        within(ds, (0, 80, 10, 85))


def test_a_box_of_one_row_keeps_the_height_of_its_cells() -> None:
    lon, lat = np.arange(-175.0, 180, 10), np.arange(-85.0, 90, 10)
    values = np.repeat(np.arange(18.0)[:, None], 36, axis=1)
    flux = xr.DataArray(
        values, {"lat": lat, "lon": lon}, ("lat", "lon"), attrs={"units": "umol m-2 s-1"}
    )
    found = within(flux.to_dataset(name="flux"), (170, 41, -160, 49))
    grid = ng.Grid.from_dataset(found["flux"])
    assert (grid.lat_b.tolist(), grid.lon_b.tolist()) == ([40, 50], [170, 180, 190, 200])
    assert "mean +13.0" in words(plot_map(flux, bounds=(170, 41, -160, 49)))


def test_a_map_does_not_replace_what_it_draws(small_prediction: xr.Dataset, tmp_path: Path) -> None:
    source = tmp_path / "flux.nc"
    small_prediction.to_netcdf(source)
    (tmp_path / "flux.png").symlink_to(source)
    before = source.read_bytes()
    with pytest.raises(ng.UsageError, match="found the input"):
        draw_map(source, tmp_path / "flux.png")
    assert source.read_bytes() == before
