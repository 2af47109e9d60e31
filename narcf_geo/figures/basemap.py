"""The map under the data: projection fitted to the cells, coast, lakes, borders, without network.

Imported only by functions that draw: it imports cartopy and matplotlib.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from importlib.resources import files
from pathlib import Path

import cartopy
import cartopy.crs as ccrs
import cartopy.feature as cfeature
import numpy as np
import shapely
from cartopy.mpl.geoaxes import GeoAxes
from cartopy.mpl.path import shapely_to_path
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as MplPath

from narcf_geo.core.errors import NarcfError, NoValueError, UsageError
from narcf_geo.figures.style import BARE_LAND, INK, MUTED, SEA
from narcf_geo.grid import Grid

_MARGIN = 0.03
_POLAR = 45.0
"""Degrees of latitude: a region beyond, round the globe or to its pole, is drawn from above."""


PROJECTIONS = {
    "auto": "",
    "lambert": "LambertConformal",
    "albers": "AlbersEqualArea",
    "robinson": "Robinson",
    "mollweide": "Mollweide",
    "mercator": "Mercator",
    "polar": "LambertAzimuthalEqualArea",
    "platecarree": "PlateCarree",
}
"""Names of projections, and what Cartopy calls them."""


@dataclass(frozen=True)
class View:
    """A projection and the window of it that holds the cells with data.

    Hashable, so that coast and borders are projected once for all maps of the same cells.

    Attributes
    ----------
    west, south, east, north : float
        Box around the cells with data, degrees: it sets the projection.
    window : tuple of float
        x and y limits, m: (left, right, bottom, top), with a margin.
    name : str
        Of the projection; ``auto`` takes the one that suits the box.
    """

    west: float
    south: float
    east: float
    north: float
    window: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0)
    name: str = "auto"

    @classmethod
    def of(cls, grid: Grid, valid: np.ndarray, projection: str = "auto") -> View:
        """Fit the view to the cells (lat, lon) that are `valid`.

        Parameters
        ----------
        grid : Grid
            Of the cells.
        valid : numpy.ndarray
            (lat, lon) of bool.
        projection : str
            One of `PROJECTIONS`, ``EPSG:<code>`` of a projected CRS, or a string of PROJ.

        Raises
        ------
        NarcfError
            When no cell is valid, or the projection cannot show all of them.
        UsageError
            When there is no such projection.
        """
        if not valid.any():
            raise NoValueError(
                "expected at least one cell with data to draw, found only missing values; "
                "check that the grid, the period and the land mask overlap"
            )
        corner = np.zeros(np.add(valid.shape, 1), dtype=bool)
        for i in (0, 1):
            for j in (0, 1):
                corner[i : i + valid.shape[0], j : j + valid.shape[1]] |= valid
        lon, lat = (c[corner] for c in grid.corners())
        edges = (float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))
        box = cls(*edges, name=projection)
        x, y = box.project(lon, lat)
        if not np.isfinite([x, y]).all():
            raise NarcfError(
                f"the projection {projection!r} does not reach all cells between {edges[0]:g} and "
                f"{edges[2]:g} E, {edges[1]:g} and {edges[3]:g} N; take another, such as auto"
            )
        margin = _MARGIN * max(np.ptp(x), np.ptp(y))
        left, right, bottom, top = (float(v) for v in (x.min(), x.max(), y.min(), y.max()))
        return replace(box, window=(left - margin, right + margin, bottom - margin, top + margin))

    @cached_property
    def projection(self) -> ccrs.Projection:
        """The projection named; `auto` is a cone, from above a pole, or Robinson."""
        name = self.name
        middle = (self.west + self.east) / 2
        if name == "auto":
            wide = self.east - self.west > 180
            name = "robinson" if wide or self.south * self.north < 0 else "lambert"
            near, far = sorted((abs(self.south), abs(self.north)))
            if self.south * self.north > 0 and near >= _POLAR and (wide or far > 85):
                name = "polar"
            middle = 0 if wide else middle
        if name.upper().startswith(("EPSG:", "+")):
            projection = _stated(name)
            # Cartopy draws nothing beyond the area a CRS is meant for; cells may lie there.
            projection.bounds = self.window
            return projection
        if name not in PROJECTIONS:
            raise UsageError(
                f"expected a projection of {', '.join(PROJECTIONS)}, EPSG:<code> or a PROJ string, "
                f"found {name!r}"
            )
        kind = getattr(ccrs, PROJECTIONS[name])
        if name == "polar":
            pole = 90 if self.north + self.south > 0 else -90
            return kind(central_longitude=middle, central_latitude=pole)
        if name not in ("lambert", "albers"):
            return kind(central_longitude=middle)
        # Parallels a sixth inside the range: least distortion over it (Snyder 1987, p. 105).
        sixth = (self.north - self.south) / 6
        cone = {
            "central_longitude": middle,
            "central_latitude": (self.south + self.north) / 2,
            "standard_parallels": (self.south + sixth, self.north - sixth),
        }
        return kind(
            **cone, **({"cutoff": -30 if self.north > 0 else 30} if name == "lambert" else {})
        )

    def project(self, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return map coordinates, m, of points in degrees."""
        points = self.projection.transform_points(ccrs.PlateCarree(), lon, lat)
        return points[..., 0], points[..., 1]

    @property
    def aspect(self) -> float:
        """Height of the window over its width."""
        left, right, bottom, top = self.window
        return (top - bottom) / (right - left)

    def axes(self, fig: Figure, rect: tuple[float, float, float, float]) -> GeoAxes:
        """Add map axes at `rect` (figure fractions) with sea, land, lakes, coast and borders."""
        ax = fig.add_axes(rect, projection=self.projection, facecolor=SEA)
        ax.set_xlim(*self.window[:2])
        ax.set_ylim(*self.window[2:])
        ax.spines["geo"].set(linewidth=0.6, edgecolor=MUTED)
        inches = ax.get_position().width * fig.get_figwidth()
        scale = "50m" if inches > 4 else "110m"
        thin = float(np.clip(inches / 6, 0.5, 1.0))
        # add_artist, not add_patch: the latter walks every vertex to find limits that are set.
        ax.add_artist(
            PathPatch(_graticule(self), fc="none", ec="#c9d6dd", lw=0.4 * thin, zorder=0.5)
        )
        for layer, style in (
            ("land", {"fc": BARE_LAND, "ec": "none", "zorder": 1}),
            ("lakes", {"fc": SEA, "ec": MUTED, "lw": 0.35 * thin, "zorder": 3}),
            ("states", {"fc": "none", "ec": INK, "lw": 0.25 * thin, "alpha": 0.45, "zorder": 4}),
            ("borders", {"fc": "none", "ec": INK, "lw": 0.7 * thin, "zorder": 4}),
            ("coastline", {"fc": "none", "ec": INK, "lw": 0.6 * thin, "zorder": 4}),
        ):
            ax.add_artist(PathPatch(_layer(self, layer, scale), **style))
        return ax


def _stated(name: str) -> ccrs.Projection:
    """Return the projection of a code of EPSG, or of a string of PROJ."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        if not name.startswith("+"):
            return ccrs.epsg(name[5:])
        crs = CRS(name)
        if not crs.is_projected:
            raise UsageError(f"expected a projected CRS, found {name!r}; take platecarree")
        return ccrs.Projection(crs)
    except (CRSError, ValueError) as error:
        raise UsageError(
            f"expected the code of a projected CRS, or a PROJ string, found {name!r}: {error}"
        ) from None


_LAYERS = {
    "land": ("physical", "land"),
    "lakes": ("physical", "lakes"),
    "coastline": ("physical", "coastline"),
    "borders": ("cultural", "admin_0_boundary_lines_land"),
    "states": ("cultural", "admin_1_states_provinces_lines"),
}


@lru_cache(maxsize=64)
def _layer(view: View, layer: str, scale: str) -> MplPath:
    """Return one path, in map coordinates, of a Natural Earth layer within the window."""
    middle = (view.west + view.east) / 2
    # Far enough to fill the corners of the window, short of the meridian where the cone is cut.
    reach = 150 if view.east - view.west <= 180 else 180
    polar = isinstance(view.projection, ccrs.LambertAzimuthalEqualArea)
    # From above a pole the other hemisphere has no end.
    south, north = max(view.south - 40, -90), min(view.north + 40, 90) if polar else 90
    near = shapely.box(middle - reach, south, middle + reach, north)
    shapes = np.array(natural_earth(layer, "10m" if layer == "states" else scale))
    turns = [shapely.transform(shapes, partial(np.add, (turn, 0))) for turn in (-360, 0, 360)]
    shapes = shapely.intersection(np.concatenate(turns), near)
    shapes = shapes[~shapely.is_empty(shapes)]
    shapes = shapely.transform(shapes, lambda xy: np.stack(view.project(*xy.T), axis=1))
    # Some projections have no place for the far side of the Earth.
    shapes = shapes[np.isfinite(shapely.bounds(shapes)).all(axis=1)]
    left, right, bottom, top = view.window
    shapes = shapely.simplify(shapes, (right - left) / (1500 if scale == "50m" else 600))
    shapes = shapely.clip_by_rect(shapes, left, bottom, right, top)
    shapes = shapes[~shapely.is_empty(shapes)]
    if shapes.size == 0:
        return MplPath(np.empty((0, 2)))
    return MplPath.make_compound_path(*(shapely_to_path(shape) for shape in shapes))


def outline(view: View, layer: str, width: int, height: int) -> str:
    """Return a layer as the data of an SVG path over `width` by `height` pixels of the window."""
    path = _layer(view, layer, "50m")
    left, right, bottom, top = view.window
    vertices = np.asarray(path.vertices)
    x = (vertices[:, 0] - left) / (right - left) * width
    y = (top - vertices[:, 1]) / (top - bottom) * height
    codes = np.full(len(x), MplPath.LINETO) if path.codes is None else np.asarray(path.codes)
    parts = []
    for code, px, py in zip(codes, np.round(x, 1), np.round(y, 1), strict=True):
        if code == MplPath.CLOSEPOLY:
            parts.append("Z")
        else:
            parts.append(f"{'M' if code == MplPath.MOVETO else 'L'}{px:g} {py:g}")
    return "".join(parts)


@lru_cache(maxsize=16)
def natural_earth(layer: str, scale: str) -> tuple[shapely.Geometry, ...]:
    """Return the shapes of a layer (land, lakes, coastline, borders, states) at 110m, 50m, 10m."""
    # Cartopy downloads at draw time unless its files are where this points.
    cartopy.config["pre_existing_data_dir"] = Path(str(files("narcf_geo") / "data/natural_earth"))
    return tuple(cfeature.NaturalEarthFeature(*_LAYERS[layer], scale).geometries())


@lru_cache(maxsize=8)
def _graticule(view: View) -> MplPath:
    step = 10 if view.east - view.west < 60 else 20
    middle = (view.west + view.east) / 2
    polar = isinstance(view.projection, ccrs.LambertAzimuthalEqualArea)
    reach = 180 if polar else 150
    lat, lon = np.arange(-80, 90.5, 1.0), np.arange(-reach, reach + 0.5, 1.0) + middle
    if polar:  # the other hemisphere has no end
        lat = np.clip(lat, max(view.south - 40, -80), min(view.north + 40, 80))
    meridians = np.arange(-540, 541, step)
    meridians = meridians[abs(meridians - middle) <= reach]
    lines = [view.project(np.full(lat.shape, float(m)), lat) for m in meridians]
    lines += [view.project(lon, np.full(lon.shape, float(p))) for p in range(-80, 81, step)]
    return MplPath.make_compound_path(*(MplPath(np.stack(line, axis=1)) for line in lines))
