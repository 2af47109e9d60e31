"""One map of a file or an object, of any kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.files import require_replaceable
from narcf_geo.core.registry import Registry
from narcf_geo.fields import in_house_order, open_fields, open_flux
from narcf_geo.fields.chunks import stored_blocks
from narcf_geo.fields.reading import named, reading
from narcf_geo.fields.regions import inside, open_regions
from narcf_geo.figures.finish import Finish
from narcf_geo.grid import Grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLOCK = "4MiB"
"""Of what is lazy, read at a time by each thread."""

Source = str | os.PathLike[str] | xr.Dataset | xr.DataArray


@dataclass(frozen=True)
class MapKind:
    """A kind of map.

    Attributes
    ----------
    needs : tuple of str
        The variables that it draws.
    draw : callable
        Takes a dataset with these and the options of the figure, and returns the Figure.
    takes : tuple of str
        Variables that it draws too where they are there.
    moves : bool
        Whether its months can be drawn one after another.
    scaled : bool
        Whether it takes `limit`, the end of the colour scale.
    """

    needs: tuple[str, ...]
    draw: Callable[..., Figure]
    takes: tuple[str, ...] = ()
    moves: bool = False
    scaled: bool = True


def _mean(ds: xr.Dataset, **options: Any) -> Figure:
    from narcf_geo.figures.maps import flux_map

    return flux_map(ds["flux"], area=ds.get("cell_area"), **options)


def _months(ds: xr.Dataset, **options: Any) -> Figure:
    from narcf_geo.figures.maps import month_panel

    return month_panel(ds["flux"], area=ds.get("cell_area"), **options)


def _seasons(ds: xr.Dataset, **options: Any) -> Figure:
    from narcf_geo.figures.maps import season_panel

    return season_panel(ds["flux"], area=ds.get("cell_area"), **options)


def _comparison(ds: xr.Dataset, *, reference: xr.Dataset | None = None, **options: Any) -> Figure:
    from narcf_geo.figures.maps import comparison

    if reference is None:
        raise UsageError("expected the other product of a comparison, found none")
    return comparison(ds["flux"], reference["flux"], area=ds.get("cell_area"), **options)


def _trend(ds: xr.Dataset, **options: Any) -> Figure:
    from narcf_geo.figures.annual import trend_map

    return trend_map(ds["flux"], **options)


def _variability(ds: xr.Dataset, **options: Any) -> Figure:
    from narcf_geo.figures.annual import variability_map

    return variability_map(ds["flux"], **options)


def _uncertainty(ds: xr.Dataset, **options: Any) -> Figure:
    from narcf_geo.figures.uncertainty import uncertainty_map

    return uncertainty_map(ds["flux_std"], area=ds.get("cell_area"), **options)


def _applicability(ds: xr.Dataset, **options: Any) -> Figure:
    from narcf_geo.figures.uncertainty import applicability_map

    return applicability_map(ds["flux"], ds["applicable"], area=ds.get("cell_area"), **options)


def _biomes(ds: xr.Dataset, **options: Any) -> Figure:
    from narcf_geo.figures.landcover import biome_map

    return biome_map(ds["biome"], **options)


def _fractions(ds: xr.Dataset, **options: Any) -> Figure:
    from narcf_geo.figures.landcover import fraction_panel

    fraction = ds["class_fraction"]
    return fraction_panel(fraction.where(ds["biome"] > 0) if "biome" in ds else fraction, **options)


KINDS: Registry[MapKind] = Registry(
    "narcf_geo.map_kinds",
    "kind of map",
    {
        "mean": MapKind(("flux",), _mean, moves=True),
        "months": MapKind(("flux",), _months, moves=True),
        "seasons": MapKind(("flux",), _seasons),
        "trend": MapKind(("flux",), _trend),
        "variability": MapKind(("flux",), _variability),
        "comparison": MapKind(("flux",), _comparison),
        "uncertainty": MapKind(("flux_std",), _uncertainty),
        "applicability": MapKind(("flux", "applicable"), _applicability),
        "biomes": MapKind(("biome",), _biomes, scaled=False),
        "fractions": MapKind(("class_fraction",), _fractions, takes=("biome",), scaled=False),
    },
)
"""What can be drawn; a distribution adds kinds of its own as entry points of this group."""


def plot_map(
    source: Source,
    kind: str = "mean",
    *,
    months: str | None = None,
    reference: Source | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    polygons: Any = None,
    variable: str | None = None,
    **options: Any,
) -> Figure:
    """Draw one map of a file or an object.

    Parameters
    ----------
    source : path, xarray.Dataset or xarray.DataArray
        With the variables that the kind needs; a flux in any unit that converts to umol m-2 s-1.
    kind : str
        ``mean``, ``months``, ``seasons``, ``trend``, ``variability``, ``comparison``,
        ``uncertainty``, ``applicability``, ``biomes`` or ``fractions``.
    months : str, optional
        ``2014-07``, ``2014``, or first and last as ``2007:2015`` or ``2014-03:2014-10``.
    reference : path, xarray.Dataset or xarray.DataArray, optional
        The other product of a comparison.
    bounds : tuple of float, optional
        West, south, east and north of what to draw, degrees; may cross 0 and 180 degrees.
    polygons : path or geopandas.GeoDataFrame, optional
        Draw only cells of which at least half lies inside these polygons.
    variable : str, optional
        The flux; by default ``flux`` or ``nee``, else the only variable of a flux's unit.
    **options
        ``title``, ``limit`` (end of the colour scale, umol m-2 s-1), ``projection`` and
        ``synthetic``, as the functions of `narcf_geo.figures` take them.

    Returns
    -------
    matplotlib.figure.Figure
        Units, sign and period stand on it; synthetic data are labelled as such.

    Raises
    ------
    UsageError
        When the kind is unknown, a variable is absent, or an option is not for this kind.
    FieldError
        When the flux has no unit, one of another quantity, or is not monthly.
    NarcfError
        When nothing is left to draw.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> flux = xr.DataArray(
    ...     np.full((12, 4, 5), -0.5), dims=("time", "lat", "lon"), name="flux",
    ...     coords={"time": pd.date_range("2015-01", periods=12, freq="MS"),
    ...             "lat": np.arange(40.5, 44), "lon": np.arange(-100.5, -96)},
    ...     attrs={"units": "umol m-2 s-1"})
    >>> figure = plot_map(flux, months="2015-07")
    >>> figure.savefig("july.png")  # doctest: +SKIP
    """
    chosen = KINDS[kind]
    options = {name: value for name, value in options.items() if value is not None}
    if not 0 < options.get("limit", 1) < float("inf"):
        raise UsageError(
            f"expected a limit of the colours above 0, found {options['limit']:g}; choose one in "
            "umol m-2 s-1"
        )
    if "limit" in options and not chosen.scaled:
        raise UsageError(f"expected no limit of the colours for the map of {kind}")
    if kind == "comparison" and reference is None:
        raise UsageError("expected the other product of a comparison, found none")
    ds = _fields(source, chosen, variable, months, bounds, polygons)
    where = [source]
    if reference is not None and kind == "comparison":
        other = _fields(reference, chosen, None, months, bounds, polygons)
        options.setdefault("labels", (_name(ds, source), _name(other, reference)))
        options["reference"] = other
        where.append(reference)
    if not _lazy(ds):
        return chosen.draw(ds, **_labelled(ds, options))
    with reading(" or ".join(map(_called, where))):  # block by block, while it is drawn
        return chosen.draw(ds, **_labelled(ds, options))


def draw_map(
    source: Source,
    output: str | os.PathLike[str],
    *,
    kind: str = "mean",
    months: str | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    polygons: Any = None,
    variable: str | None = None,
    finish: Finish | None = None,
    **options: Any,
) -> Path:
    """Draw one map into a file; see `plot_map`.

    Parameters
    ----------
    output : path
        ``.png``, ``.svg`` or ``.pdf``; ``.gif`` or ``.mp4`` for the months one after another.
    finish : Finish, optional
        Width, resolution, font and colours of a picture.
    source, kind, months, bounds, polygons, variable, **options
        As for `plot_map`.

    Raises
    ------
    NarcfError
        As `plot_map`, or when the suffix of `output` is not one of those.
    """
    from narcf_geo.figures.animation import SUFFIXES, month_frames, save_frames
    from narcf_geo.figures.style import save_figure

    output = Path(output)
    inputs = [p for p in (source, options.get("reference")) if isinstance(p, str | os.PathLike)]
    require_replaceable(output, map(Path, inputs), store=False)
    if output.suffix not in SUFFIXES:
        figure = plot_map(
            source,
            kind,
            months=months,
            bounds=bounds,
            polygons=polygons,
            variable=variable,
            **options,
        )
        finish = finish or Finish()
        return save_figure(finish.apply(figure), output, finish.dpi)
    if finish not in (None, Finish()):
        raise UsageError(
            f"expected a picture for --size, --dpi, --font and --cmap, found {output.name!r}"
        )
    chosen = KINDS[kind]
    if not chosen.moves:
        raise UsageError(f"expected a picture of the kind {kind!r}, found {output.name!r}")
    ds = _fields(source, chosen, variable, months, bounds, polygons)
    with named(_called(source)), reading(_called(source)):
        ds = ds.load()
    options = {n: v for n, v in options.items() if v is not None and n != "reference"}
    return save_frames(month_frames(ds["flux"], **_labelled(ds, options)), output)


def _labelled(ds: xr.Dataset, options: dict[str, Any]) -> dict[str, Any]:
    label = ds.attrs.get("synthetic")
    return {"synthetic": str(label), **options} if label else options


def _fields(
    source: Source,
    kind: MapKind,
    variable: str | None,
    months: str | None,
    bounds: tuple[float, float, float, float] | None,
    polygons: Any,
) -> xr.Dataset:
    """Return what a kind draws of a source, past the door and cut; lazy where the source is."""
    ds = open_flux(source, variable) if "flux" in kind.needs else open_fields(source)
    where = _called(source)
    if lacking := [name for name in kind.needs if name not in ds]:
        raise UsageError(
            f"{where}: expected the variable {lacking[0]!r} for this map, found "
            f"{', '.join(map(str, ds.data_vars))}"
        )
    names = [n for n in (*kind.needs, *kind.takes, "cell_area") if n in ds]
    with named(where), reading(where):
        ds = _cut(ds[names], months, bounds, polygons)
        return stored_blocks(ds, BLOCK) if _lazy(ds) else ds.load()


def _lazy(ds: xr.Dataset) -> bool:
    return any(array.chunks for array in ds.data_vars.values())


def _called(source: Source) -> str:
    return str(source) if isinstance(source, str | os.PathLike) else "the dataset"


def _cut(
    ds: xr.Dataset,
    months: str | None,
    bounds: tuple[float, float, float, float] | None,
    polygons: Any,
) -> xr.Dataset:
    if months is not None:
        first, _, last = months.partition(":")
        try:
            ds = ds.sel(time=slice(first, last or first))
        except (KeyError, ValueError, TypeError):
            raise UsageError(
                f"expected months as 2014-07, 2014 or 2007:2015, found {months!r}"
            ) from None
        if not ds.sizes["time"]:
            raise NarcfError(f"expected months of {months}, found none of them in the data")
        if ds.sizes["time"] == 1:
            ds = ds.isel(time=0)
    if bounds is not None:
        ds = within(ds, bounds)
    if polygons is not None:
        share = inside(Grid.from_dataset(ds), open_regions(polygons)).sum(axis=0)
        ds = ds.where(xr.DataArray(share >= 0.5, {"lat": ds["lat"], "lon": ds["lon"]}))
    return ds


def within(ds: xr.Dataset, bounds: tuple[float, float, float, float]) -> xr.Dataset:
    """Return the cells whose centres lie within west, south, east and north, degrees.

    Raises
    ------
    NarcfError
        When there is none.
    """
    west, south, east, north = bounds
    if east <= west:
        east += 360
    columns = ((ds["lon"].values - west) % 360 <= east - west).nonzero()[0]
    rows = ((ds["lat"].values >= south) & (ds["lat"].values <= north)).nonzero()[0]
    if not (columns.size and rows.size):
        raise NarcfError(f"expected cells within {bounds} (west, south, east, north), found none")
    coords = Grid.from_dataset(ds).coords()
    ds = ds.assign_coords({n: c for n, c in coords.items() if n.endswith("_bnds")})
    for name in ("lat", "lon"):
        ds[name].attrs["bounds"] = f"{name}_bnds"
    return in_house_order(ds.isel(lat=rows, lon=columns))


def _name(ds: xr.Dataset, source: Source) -> str:
    named = ds["flux"].attrs.get("product") or ds.attrs.get("title")
    if isinstance(source, str | os.PathLike):
        return str(ds["flux"].attrs.get("product") or Path(source).stem)
    return str(named or ds["flux"].attrs.get("long_name", "flux"))
