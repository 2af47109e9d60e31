"""One map of a file, of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.grid import Grid
from narcf_geo.outputs.products import open_product

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_PARTS = ("flux_std_spread", "flux_std_noise")


KINDS = {
    "mean": ("flux",),
    "months": ("flux",),
    "seasons": ("flux",),
    "trend": ("flux",),
    "variability": ("flux",),
    "comparison": ("flux",),
    "uncertainty": ("flux_std",),
    "applicability": ("flux", "applicable"),
    "biomes": ("biome",),
    "fractions": ("class_fraction",),
}
"""What can be drawn of a file, and the variables that it needs."""


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
        NetCDF file or Zarr store with the variables that the kind needs.
    output : path
        ``.png``, ``.svg`` or ``.pdf``; ``.gif`` or ``.mp4`` for the months one after another.
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
        When the kind is unknown, the file has not what it needs, or an option is not for it.
    NarcfError
        When nothing is left to draw.
    """
    from narcf_geo.figures.animation import SUFFIXES, month_frames, save_frames
    from narcf_geo.figures.style import save_figure

    if kind not in KINDS:
        raise UsageError(f"expected a kind of map of {', '.join(KINDS)}, found {kind!r}")
    moving = Path(output).suffix in SUFFIXES
    if moving and kind not in ("mean", "months"):
        raise UsageError(f"expected a picture of the kind {kind!r}, found {Path(output).name!r}")
    if kind == "comparison" and reference is None:
        raise UsageError("expected the other product of a comparison, found none")

    def fields(path: str | Path) -> dict[str, xr.DataArray]:
        with open_product(path) as ds:
            if lacking := [name for name in KINDS[kind] if name not in ds]:
                raise UsageError(
                    f"{path}: expected the variable {lacking[0]!r} for this map, found "
                    f"{', '.join(map(str, ds.data_vars))}"
                )
            further = {"uncertainty": _PARTS, "fractions": ("biome",)}.get(kind, ())
            names = (*KINDS[kind], *(name for name in further if name in ds))
            cut = {name: _cut(ds[name], months, bounds, polygons).load() for name in names}
        synthetic = ds.attrs.get("synthetic", "")
        return {name: field.assign_attrs(synthetic=synthetic) for name, field in cut.items()}

    options = {name: value for name, value in options.items() if value is not None}
    if kind in ("biomes", "fractions") and "limit" in options:
        raise UsageError(f"expected no limit of the colours for the map of {kind}")
    data = fields(source)
    if moving:
        return save_frames(month_frames(data["flux"], **options), output)
    if kind == "comparison" and reference is not None:
        other = fields(reference)["flux"]
        options["labels"] = (_name(data["flux"], source), _name(other, reference))
        data["other"] = other
    return save_figure(_drawn(kind, data, options), output)


def _drawn(kind: str, data: dict[str, xr.DataArray], options: dict[str, Any]) -> Figure:
    from narcf_geo.figures import annual, landcover, maps, uncertainty

    match kind:
        case "comparison":
            return maps.comparison(data["flux"], data["other"], **options)
        case "uncertainty":
            options |= {"spread": data.get(_PARTS[0]), "noise": data.get(_PARTS[1])}
            return uncertainty.uncertainty_map(data["flux_std"], **options)
        case "applicability":
            return uncertainty.applicability_map(data["flux"], data["applicable"], **options)
        case "fractions" if "biome" in data:
            return landcover.fraction_panel(
                data["class_fraction"].where(data["biome"] > 0), **options
            )
    draw = {
        "mean": maps.flux_map,
        "months": maps.month_panel,
        "seasons": maps.season_panel,
        "trend": annual.trend_map,
        "variability": annual.variability_map,
        "biomes": landcover.biome_map,
        "fractions": landcover.fraction_panel,
    }[kind]
    figure: Figure = draw(data[KINDS[kind][0]], **options)  # type: ignore[operator]
    return figure


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
        from narcf_geo.fields.regions import inside, named_regions, read_regions

        shapes = named_regions(read_regions(polygons))
        share = inside(Grid.from_dataset(field), shapes).sum(axis=0)
        field = field.where(xr.DataArray(share >= 0.5, dims=("lat", "lon")))
    return field


def _name(field: xr.DataArray, path: str | Path) -> str:
    return str(field.attrs.get("product") or Path(path).stem)
