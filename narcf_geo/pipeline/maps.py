"""The maps of a project, and one map of any product file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from narcf_geo.errors import NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.outputs.products import open_product

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def project_maps(cube: xr.Dataset, prediction: xr.Dataset) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of each map that the months of the prediction allow."""
    from narcf_geo.figures import derived, maps

    synthetic = cube.attrs.get("synthetic")
    flux, area = prediction["flux"], prediction["cell_area"]
    years = flux["time"].dt.year
    last = flux[years == years[-1]]
    month = last[last["time"].dt.month == 7] if 7 in last["time"].dt.month else last[-1:]
    stamp = str(month["time"].dt.strftime("%Y-%m").values[0])
    yield f"flux_{stamp}", maps.flux_map(month[0], area=area, synthetic=synthetic)
    if last.sizes["time"] > 1:
        year = int(years[-1])
        yield (
            f"flux_{year}_months",
            maps.month_panel(last, area=area, synthetic=synthetic),
        )
    for name in ("flux_target", "flux_reference"):
        if name in cube:
            label = str(cube[name].attrs["product"])
            yield (
                f"comparison_{name.removeprefix('flux_')}",
                maps.comparison(
                    flux, cube[name], labels=("Estimate", label), area=area, synthetic=synthetic
                ),
            )
    whole_years = int((flux["time"].groupby(years).count() == 12).sum())
    if whole_years:
        yield "seasons", derived.season_panel(flux, area=area, synthetic=synthetic)
    if whole_years >= 3:
        yield "trend", derived.trend_map(flux, synthetic=synthetic)
        yield "variability", derived.variability_map(flux, synthetic=synthetic)
    yield "biomes", maps.biome_map(prediction["biome"])
    fractions = cube["class_fraction"].where(cube["land_fraction"] > 0)
    yield "class_fractions", derived.fraction_panel(fractions)


KINDS = ("mean", "months", "seasons", "trend", "variability", "biomes", "fractions", "comparison")


def draw_map(
    source: str | Path,
    output: str | Path,
    *,
    kind: str = "mean",
    months: str | None = None,
    reference: str | Path | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    polygons: str | Path | None = None,
    **options: Any,
) -> Path:
    """Draw one map of a product file.

    Parameters
    ----------
    source : path
        NetCDF file or Zarr store with ``flux``, ``biome`` or ``class_fraction``, as the kind needs.
    output : path
        ``.png``, ``.svg`` or ``.pdf``; ``.gif`` for an animation of the months.
    kind : str
        One of `KINDS`.
    months : str, optional
        ``2014-07``, ``2014``, or first and last as ``2007:2015`` or ``2014-03:2014-10``.
    reference : path, optional
        The other product of a comparison.
    bounds : tuple of float, optional
        West, south, east and north of what to draw, degrees.
    polygons : path, optional
        Draw only cells at least half inside the polygons of this file.
    **options
        ``title``, ``limit``, ``projection`` as the functions of `narcf_geo.figures` take them.

    Raises
    ------
    UsageError
        When the kind is unknown, or the file has not what it needs.
    NarcfError
        When nothing is left to draw.
    """
    from narcf_geo.figures import derived, maps
    from narcf_geo.figures.style import save_figure, save_frames

    if kind not in KINDS:
        raise UsageError(f"expected a kind of map of {', '.join(KINDS)}, found {kind!r}")
    needed = {"biomes": "biome", "fractions": "class_fraction"}.get(kind, "flux")

    def field(path: str | Path) -> xr.DataArray:
        with open_product(path) as ds:
            if needed not in ds:
                raise UsageError(
                    f"{path}: expected the variable {needed!r} for this map, found "
                    f"{', '.join(map(str, ds.data_vars))}"
                )
            cut = _cut(ds[needed], months, bounds, polygons).load()
        return cut.assign_attrs(synthetic=ds.attrs.get("synthetic", ""))

    data = field(source)
    options = {name: value for name, value in options.items() if value is not None}
    if Path(output).suffix == ".gif":
        return save_frames(derived.animation(data, **options), output)
    if kind == "comparison":
        if reference is None:
            raise UsageError("expected the other product of a comparison, found none")
        other = field(reference)
        names = (_name(data, source), _name(other, reference))
        return save_figure(maps.comparison(data, other, labels=names, **options), output)
    draw = {
        "mean": maps.flux_map,
        "months": maps.month_panel,
        "seasons": derived.season_panel,
        "trend": derived.trend_map,
        "variability": derived.variability_map,
        "biomes": maps.biome_map,
        "fractions": derived.fraction_panel,
    }[kind]
    return save_figure(draw(data, **options), output)  # type: ignore[operator]


def _cut(
    field: xr.DataArray,
    months: str | None,
    bounds: tuple[float, float, float, float] | None,
    polygons: str | Path | None,
) -> xr.DataArray:
    if months is not None:
        first, _, last = months.partition(":")
        try:
            field = field.sel(time=slice(first, last or first))
        except (KeyError, ValueError, TypeError):
            raise UsageError(
                f"expected months as 2014-07, 2014 or 2007:2015, found {months!r}"
            ) from None
        if field.sizes["time"] == 1:
            field = field.isel(time=0)
    if bounds is not None:
        west, south, east, north = bounds
        field = field.sortby("lat").sel(lat=slice(south, north), lon=slice(west, east))
        if 0 in field.shape:
            raise NarcfError(
                f"expected cells within {bounds} (west, south, east, north), found none"
            )
    if polygons is not None:
        from narcf_geo.budget import inside
        from narcf_geo.regions import read_regions

        shapes = read_regions(polygons).to_crs("EPSG:4326").geometry
        share = inside(Grid.from_dataset(field), shapes).sum(axis=0)
        field = field.where(xr.DataArray(share >= 0.5, dims=("lat", "lon")))
    return field


def _name(field: xr.DataArray, path: str | Path) -> str:
    return str(field.attrs.get("product") or Path(path).stem)
