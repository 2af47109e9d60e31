"""Cells on the plane of a map projection: what polygons share with them, on the sphere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.errors import UsageError
from narcf_geo.grid.detect import projected_axes
from narcf_geo.grid.planes import plane_edges
from narcf_geo.grid.rings import shortest
from narcf_geo.grid.shares import STEP, covered_cells, overlaps, rising, valid

if TYPE_CHECKING:
    import xarray as xr
    from pyproj import CRS

_ORIGIN = re.compile(r"(?i)longitude of (natural |false |projection )?(origin|centre)|meridian")
_SEAM = 1e-9
"""Degrees beside the meridian where a map ends."""

_FINEST, _COARSEST = 1, 16
"""Pieces in which the edge of a cell is drawn."""

_PIECE = 0.02
"""Degrees: the length of such a piece."""

_NEARBY = 0.01
"""Part of a cell over which the map is taken to be linear."""

_KNOTS = 33
"""Places along each axis between which the density of small cells is interpolated."""

_WHOLE = 1 - 1e-12
"""Parts of a cell beyond are all of it."""

_POLAR = 1 - 1e-15
"""Sines of latitude beyond are a pole, where longitude means nothing."""

_SPHERE = EARTH_RADIUS**2 * np.deg2rad(1.0)


@dataclass(frozen=True, eq=False)
class Plane:
    """Cells between straight lines along x and y of a map projection, or of a rotated globe.

    Attributes
    ----------
    x_b, y_b : numpy.ndarray
        Edges (nx + 1,) and (ny + 1,) in the unit of the CRS, rising or falling.
    crs : pyproj.CRS
    dims : tuple of str
        Names of the dimensions, rows first.
    """

    x_b: np.ndarray
    y_b: np.ndarray
    crs: CRS
    dims: tuple[str, str] = ("y", "x")

    @classmethod
    def from_dataset(cls, ds: xr.Dataset) -> Plane | None:
        """Return the plane on which the fields of a dataset lie; None where they have none."""
        found = projected_axes(ds)
        if found is None:
            return None
        x, y, crs = found
        return cls(
            plane_edges(ds, x, crs), plane_edges(ds, y, crs), crs, (str(y.dims[0]), str(x.dims[0]))
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns of cells."""
        return self.y_b.size - 1, self.x_b.size - 1

    def part(self, rows: slice, columns: slice) -> Plane:
        """Return a block of the cells."""
        y_b, x_b = (b[s.start : s.stop + 1] for b, s in ((self.y_b, rows), (self.x_b, columns)))
        return Plane(x_b, y_b, self.crs, self.dims)

    @cached_property
    def _to_globe(self) -> Any:
        from pyproj import Transformer

        return Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)

    @cached_property
    def _cut(self) -> int:
        """Into how many pieces the edges of cells are drawn, by their size on the globe."""
        middle = [float(np.median(edges)) for edges in (self.x_b, self.y_b)]
        step = [float(np.abs(np.diff(edges)).max()) for edges in (self.x_b, self.y_b)]
        x = middle[0] + np.array([0, step[0], 0])
        lon, lat = self._to_globe.transform(x, middle[1] + np.array([0, 0, step[1]]))
        size = np.hypot(shortest(np.diff(lon)) * np.cos(np.deg2rad(lat[:-1])), np.diff(lat)).max()
        if not np.isfinite(size):
            return _COARSEST
        return int(np.clip(np.ceil(size / _PIECE), _FINEST, _COARSEST))

    def areas(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the area of cells, m2, on the sphere of 6371007.2 m; edges straight on the plane.

        Parameters
        ----------
        rows, columns : numpy.ndarray
            Numbers of the cells (n,).
        """
        if not rows.size:
            return np.zeros(0)
        first = rows.min(), columns.min()
        block = self.part(*(slice(v.min(), v.max() + 1) for v in (rows, columns)))
        return block._every_area()[rows - first[0], columns - first[1]]

    def _every_area(self) -> np.ndarray:
        """Return the area of all cells, from the edges that neighbours share, or for small cells
        from the density, which is smooth."""
        n = self._cut
        if n == 1 and min(self.shape) > 4 * _KNOTS:
            knots = [np.linspace(edges[0], edges[-1], _KNOTS) for edges in (self.x_b, self.y_b)]
            density = self._density(*(v.ravel() for v in np.meshgrid(*knots)))
            if np.isfinite(density).all():
                return self._interpolated(knots, density.reshape(_KNOTS, _KNOTS))
        fine = [
            np.interp(np.arange(n * (b.size - 1) + 1) / n, np.arange(b.size), b)
            for b in (self.x_b, self.y_b)
        ]
        along, along_turn = self._along(*np.meshgrid(fine[0], self.y_b))
        across, beside = np.meshgrid(fine[1], self.x_b)
        up, up_turn = self._along(beside, across)
        total, turn = (v.reshape(v.shape[0], -1, n).sum(axis=2) for v in (along, along_turn))
        total_up, turn_up = (v.reshape(v.shape[0], -1, n).sum(axis=2).T for v in (up, up_turn))
        around = total[:-1] - total[1:] + total_up[:, 1:] - total_up[:, :-1]
        turns = turn[:-1] - turn[1:] + turn_up[:, 1:] - turn_up[:, :-1]
        return _enclosed(around, turns)

    def _interpolated(self, knots: list[np.ndarray], density: np.ndarray) -> np.ndarray:
        from scipy.interpolate import RectBivariateSpline

        x, y = ((edges[1:] + edges[:-1]) / 2 for edges in (self.x_b, self.y_b))
        signs = [np.sign(k[-1] - k[0]) for k in knots]
        spline = RectBivariateSpline(signs[1] * knots[1], signs[0] * knots[0], density, kx=5, ky=5)
        size = np.multiply.outer(np.abs(np.diff(self.y_b)), np.abs(np.diff(self.x_b)))
        return spline(signs[1] * y, signs[0] * x) * size

    def _along(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _integrals(*self._to_globe.transform(x, y))

    def sphere_areas(self, shapes: np.ndarray) -> np.ndarray:
        """Return the area of polygons on the plane, m2, on the sphere."""
        size = min(np.abs(np.diff(edges)).max() for edges in (self.x_b, self.y_b))
        parts, owner = shapely.get_parts(
            shapely.segmentize(shapes, size / self._cut), return_index=True
        )
        rings, polygon = shapely.get_rings(parts, return_index=True)
        xy, ring = shapely.get_coordinates(rings, return_index=True)
        along, turn = _integrals(*self._to_globe.transform(*xy.T))
        same = ring[1:] == ring[:-1]
        sums = [np.bincount(ring[1:][same], v[same], len(rings)) for v in (along, turn)]
        area = _enclosed(*sums)
        shell = np.append(True, polygon[1:] != polygon[:-1])[: len(rings)]
        return np.bincount(owner[polygon], np.where(shell, area, -area), len(shapes))

    def drawn(self, shapes: np.ndarray) -> np.ndarray:
        """Return polygons of longitude and latitude on the plane, as far as it has cells there.

        Parameters
        ----------
        shapes : numpy.ndarray
            Valid polygons (n,) in EPSG:4326 within -180..180 degrees.

        Raises
        ------
        UsageError
            When the projection cannot show a polygon near the cells.
        """
        from pyproj import Transformer

        middle = self._meridian()
        box = self._footprint(middle)
        parts: list[np.ndarray] = []
        for turn in (-360.0, 0.0, 360.0):
            moved = shapely.transform(shapes, lambda xy, by=(turn, 0.0): xy + by)
            parts.append(shapely.intersection(moved, box))
        onto = Transformer.from_crs("EPSG:4326", self.crs, always_xy=True)
        found = []
        for pieces in zip(*parts, strict=True):
            some = [p for piece in pieces for p in shapely.get_parts(piece) if p.area > 0]
            fine = shapely.segmentize(np.array(some, dtype=object), STEP)
            plane = [
                shapely.transform(p, lambda xy: np.stack(onto.transform(*xy.T), 1))
                for p in fine
                if p.geom_type == "Polygon"
            ]
            if not all(np.isfinite(shapely.get_coordinates(p)).all() for p in plane):
                raise UsageError(
                    f"expected regions that {self.crs.name} can show, found one that reaches "
                    "beyond it; clip the polygons to the raster"
                )
            found.append(shapely.union_all(valid(np.array(plane, dtype=object))))
        return valid(np.array(found, dtype=object))

    def _meridian(self) -> float:
        """Return the meridian in the middle of the map."""
        operation = self.crs.coordinate_operation
        if self.crs.is_derived and self.crs.is_geographic:
            return 0.0
        for parameter in operation.params if operation else ():
            if _ORIGIN.search(parameter.name):
                degrees = np.rad2deg(float(parameter.value) * parameter.unit_conversion_factor)
                return float(shortest(np.array(degrees)))
        return 0.0

    def _footprint(self, middle: float) -> shapely.Geometry:
        """Return the box of longitude and latitude round the cells, within the map."""
        west, east = middle - 180 + _SEAM, middle + 180 - _SEAM
        world = shapely.box(west, -90, east, 90)
        ends = self.x_b.min(), self.y_b.min(), self.x_b.max(), self.y_b.max()
        try:
            left, south, right, north = self._to_globe.transform_bounds(*ends, densify_pts=101)
        except Exception:  # pyproj's own kinds, where a corner is off the globe
            return world
        if not np.isfinite([left, south, right, north]).all():
            return world
        width = right - left if right > left else right - left + 360
        margin = 0.05 * max(width, north - south) + 0.1
        south, north = max(south - margin, -90.0), min(north + margin, 90.0)
        if width + 2 * margin >= 360:
            return shapely.box(west, south, east, north)
        left = west + (left - margin - west) % 360
        boxes = [
            shapely.box(left + t, south, left + width + 2 * margin + t, north) for t in (-360, 0)
        ]
        return shapely.intersection(shapely.union_all(boxes), world)

    def cell_areas(self, shapes: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return what polygons on the plane share with the cells.

        Parameters
        ----------
        shapes : numpy.ndarray
            As of `drawn`.

        Returns
        -------
        owner, cell : numpy.ndarray
            Numbers of polygon and cell, in C order.
        share : numpy.ndarray
            Part of the cell on the plane, 0 to 1.
        area : numpy.ndarray
            m2 on the sphere.
        """
        x, columns = rising(self.x_b)
        y, rows = rising(self.y_b)
        owner = np.arange(len(shapes))
        if self._cut < _COARSEST:
            owner, row, column, part, center = covered_cells(x, y, shapes, owner)
            size = (x[column + 1] - x[column]) * (y[row + 1] - y[row])
            share = part / size
            inside = share > _WHOLE
            share[inside] = 1.0
            row, column = rows[row], columns[column]
            area = np.empty(share.size)
            area[inside] = self.areas(row[inside], column[inside])
            area[~inside] = part[~inside] * self._density(*center[~inside].T)
            return owner, row * columns.size + column, share, area
        whole, edge, piece = overlaps(x, y, shapes, owner)
        owner, row, column = np.concatenate([whole, edge], axis=1)
        row, column, n = rows[row], columns[column], whole.shape[1]
        area = np.concatenate([self.areas(row[:n], column[:n]), self.sphere_areas(piece)])
        size = np.abs(np.diff(self.x_b)[column[n:]] * np.diff(self.y_b)[row[n:]])
        share = np.concatenate([np.ones(n), np.minimum(shapely.area(piece) / size, 1.0)])
        return owner, row * columns.size + column, share, area

    def _density(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return m2 on the sphere for a unit of area of the plane at places (n,)."""
        by = _NEARBY * min(np.abs(np.diff(edges)).min() for edges in (self.x_b, self.y_b))
        around = np.array([[-by, by, 0, 0], [0, 0, -by, by]])
        lon, lat = self._to_globe.transform(
            *(np.add.outer(d, v) for d, v in zip(around, (x, y), strict=True))
        )
        sine = np.sin(np.deg2rad(lat))
        east = [shortest(lon[1] - lon[0]), shortest(lon[3] - lon[2])]
        north = [sine[1] - sine[0], sine[3] - sine[2]]
        return np.abs(east[0] * north[1] - east[1] * north[0]) / (2 * by) ** 2 * _SPHERE


def _integrals(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each step of paths along the last axis, mean sine of latitude times degrees of
    longitude, and these degrees; a step to or from a pole goes along a meridian."""
    sine = np.sin(np.deg2rad(lat))
    east = shortest(np.diff(lon))
    polar = np.abs(sine) >= _POLAR
    east = np.where(polar[..., 1:] | polar[..., :-1], 0.0, east)
    return (sine[..., 1:] + sine[..., :-1]) / 2 * east, east


def _enclosed(around: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return m2 inside closed paths; those that turn lie round the pole of their hemisphere."""
    pole = np.where(np.abs(turns) > 1e-6, np.sign(around) * np.sign(turns), 0.0)
    return np.abs(around - pole * turns) * _SPHERE
