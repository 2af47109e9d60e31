"""ESMPy's Grid, Mesh and LocStream: places on the sphere that a Field lives on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narcf_geo.esmpy.constants import (
    CoordSys,
    EsmpyError,
    GridItem,
    MeshLoc,
    StaggerLoc,
    unsupported,
)

if TYPE_CHECKING:
    from narcf_geo.kernels.polygons import Floats, Polygons

Array = NDArray[Any]


class Points(NamedTuple):
    """Longitudes, latitudes (degrees) and mask values (None: no mask), in ESMF's order."""

    lon: Array
    lat: Array
    mask: Array | None


def _require_sphere(coord_sys: CoordSys | None) -> CoordSys:
    if coord_sys is None:
        return CoordSys.SPH_DEG
    if coord_sys != CoordSys.SPH_DEG:
        raise unsupported(f"the coordinate system {CoordSys(coord_sys).name}")
    return CoordSys.SPH_DEG


class _Destroyable:
    finalized = False

    def destroy(self) -> None:
        """Nothing is held outside Python: only note that the object is done with."""
        self.finalized = True


class Grid(_Destroyable):
    """A structured grid of `max_index` = (nx, ny) cells; arrays are indexed [x, y]."""

    def __init__(
        self,
        max_index: ArrayLike | None = None,
        num_peri_dims: int | None = 0,
        periodic_dim: int | None = None,
        pole_dim: int | None = None,
        coord_sys: CoordSys | None = None,
        coord_typekind: Any = None,
        staggerloc: StaggerLoc | Sequence[StaggerLoc] | None = None,
        **other: Any,
    ) -> None:
        given = [name for name, value in other.items() if value is not None]
        if max_index is None or given:
            raise unsupported(f"a Grid made from {', '.join(given) or 'a file'}")
        self.max_index = np.array(max_index, dtype=np.int32)
        if self.max_index.size != 2:
            raise unsupported(f"a Grid of {self.max_index.size} dimensions")
        self.num_peri_dims = int(num_peri_dims or 0)
        if self.num_peri_dims and (periodic_dim or 0, 1 if pole_dim is None else pole_dim) != (
            0,
            1,
        ):
            raise unsupported("a Grid periodic in another than its first dimension")
        self.periodic_dim = 0 if self.num_peri_dims else None
        self.pole_dim = 1 if self.num_peri_dims else None
        self.coord_sys = _require_sphere(coord_sys)
        self.rank = self.ndims = 2
        self.staggerloc = [False] * 4
        self.coords: list[list[Array | None]] = [[None, None] for _ in range(4)]
        self.mask: list[Array | None] = [None] * 4
        self.area: list[Array | None] = [None] * 4
        self.size: list[Array | None] = [None] * 4
        self.lower_bounds: list[Array | None] = [None] * 4
        self.upper_bounds: list[Array | None] = [None] * 4
        if staggerloc is not None:
            self.add_coords(staggerloc)

    @property
    def has_corners(self) -> bool:
        return self.staggerloc[StaggerLoc.CORNER]

    def add_coords(
        self, staggerloc: StaggerLoc | Sequence[StaggerLoc] | None = None, **ignored: Any
    ) -> None:
        """Make room for the coordinates of one or more stagger locations."""
        if staggerloc is None:
            staggerloc = StaggerLoc.CENTER
        places = staggerloc if isinstance(staggerloc, Sequence) else [staggerloc]
        for place in map(StaggerLoc, places):
            if place not in (StaggerLoc.CENTER, StaggerLoc.CORNER):
                raise unsupported(f"the stagger location {place.name}")
            more = np.array([1 - self.num_peri_dims, 1]) if place == StaggerLoc.CORNER else 0
            shape = self.max_index + more
            self.size[place] = self.upper_bounds[place] = shape
            self.lower_bounds[place] = np.zeros(2, np.int32)
            self.coords[place] = [np.zeros(shape, order="F"), np.zeros(shape, order="F")]
            self.staggerloc[place] = True

    def get_coords(self, coord_dim: int | None = None, staggerloc: StaggerLoc | None = None) -> Any:
        """Return the longitudes (0), the latitudes (1) or both (None): the arrays themselves."""
        place = StaggerLoc.CENTER if staggerloc is None else staggerloc
        if not self.staggerloc[place]:
            raise EsmpyError(
                f"the Grid has no {StaggerLoc(place).name} coordinates: call add_coords first"
            )
        return self.coords[place] if coord_dim is None else self.coords[place][coord_dim]

    def add_item(
        self, item: GridItem, staggerloc: StaggerLoc | None = None, from_file: bool = False
    ) -> None:
        """Make room for a mask (ones) or for areas."""
        place = StaggerLoc.CENTER if staggerloc is None else staggerloc
        if from_file or place != StaggerLoc.CENTER:
            raise unsupported("a mask or area from a file or away from the cell centres")
        if item == GridItem.MASK:
            self.mask[place] = np.ones(self.max_index, np.int32, order="F")
        else:
            raise unsupported("a Grid with areas of the user's own")

    def get_item(self, item: GridItem, staggerloc: StaggerLoc | None = None) -> Array | None:
        place = StaggerLoc.CENTER if staggerloc is None else staggerloc
        return self.mask[place] if item == GridItem.MASK else self.area[place]

    def field_shape(self, staggerloc: StaggerLoc, meshloc: MeshLoc) -> tuple[int, ...]:
        if staggerloc != StaggerLoc.CENTER:
            raise unsupported("a Field on a Grid away from the cell centres")
        return tuple(int(n) for n in self.max_index)

    def points(self, meshloc: MeshLoc) -> Points:
        lon, lat = self.get_coords(staggerloc=StaggerLoc.CENTER)
        mask = self.mask[StaggerLoc.CENTER]
        return Points(lon.ravel("F"), lat.ravel("F"), None if mask is None else mask.ravel("F"))

    def polygons(self, meshloc: MeshLoc, keep: Array | None) -> Polygons:
        from narcf_geo.kernels.polygons import Polygons

        lon, lat = self.get_coords(staggerloc=StaggerLoc.CORNER)
        if self.num_peri_dims:
            lon, lat = (np.concatenate([a, a[:1]]) for a in (lon, lat))
        return Polygons.from_corners(lon.T, lat.T, keep)


class LocStream(_Destroyable, dict):  # type: ignore[type-arg]
    """Points: a dictionary of arrays, "ESMF:Lon" and "ESMF:Lat" in degrees among them."""

    def __init__(
        self,
        location_count: int,
        coord_sys: CoordSys | None = None,
        name: str | None = None,
        **ignored: Any,
    ) -> None:
        super().__init__()
        self.size = int(location_count)
        self.coord_sys = _require_sphere(coord_sys)
        self.name = name
        self.rank = 1

    @property
    def mask(self) -> list[Array] | None:
        return [self["ESMF:Mask"]] if "ESMF:Mask" in self else None

    def field_shape(self, staggerloc: StaggerLoc, meshloc: MeshLoc) -> tuple[int, ...]:
        return (self.size,)

    def points(self, meshloc: MeshLoc) -> Points:
        return Points(self["ESMF:Lon"], self["ESMF:Lat"], self.get("ESMF:Mask"))

    def polygons(self, meshloc: MeshLoc, keep: Array | None) -> Polygons:
        raise EsmpyError("a LocStream has points, not cells: use a Grid or Mesh to conserve")


class Mesh(_Destroyable):
    """Nodes, and elements (polygons of any shape) between them."""

    def __init__(
        self,
        parametric_dim: int | None = None,
        spatial_dim: int | None = None,
        coord_sys: CoordSys | None = None,
        **other: Any,
    ) -> None:
        if (parametric_dim, spatial_dim) != (2, 2) or any(v is not None for v in other.values()):
            raise unsupported("a Mesh that is not of two dimensions and made in memory")
        self.coord_sys = _require_sphere(coord_sys)
        self.parametric_dim = self.spatial_dim = self.rank = 2
        self.size: list[int | None] = [None, None]
        self.mask: list[Array | None] = [None, None]
        self.coords: list[list[Array] | None] = [None, None]
        self._cells: tuple[Floats, Array, Array] | None = None

    @property
    def node_count(self) -> int | None:
        return self.size[MeshLoc.NODE]

    @property
    def element_count(self) -> int | None:
        return self.size[MeshLoc.ELEMENT]

    def add_nodes(
        self, node_count: int, node_ids: ArrayLike, node_coords: ArrayLike, node_owners: ArrayLike
    ) -> None:
        """Set the nodes: `node_coords` is longitude, latitude, longitude, ..."""
        pairs = np.asarray(node_coords, np.float64).reshape(int(node_count), 2)
        self.size[MeshLoc.NODE] = int(node_count)
        self.coords[MeshLoc.NODE] = [pairs[:, 0], pairs[:, 1]]

    def add_elements(
        self,
        element_count: int,
        element_ids: ArrayLike,
        element_types: ArrayLike,
        element_conn: ArrayLike,
        element_mask: ArrayLike | None = None,
        element_area: ArrayLike | None = None,
        element_coords: ArrayLike | None = None,
    ) -> None:
        """Set the elements: the number of corners of each and their nodes, counted from 0."""
        from narcf_geo.core.errors import NarcfError
        from narcf_geo.kernels.polygons import unit_vectors
        from narcf_geo.kernels.triangulate import polygons

        nodes = self.coords[MeshLoc.NODE]
        if nodes is None:
            raise EsmpyError("the Mesh has no nodes: call add_nodes before add_elements")
        if element_area is not None:
            raise unsupported("a Mesh with areas of the user's own")
        counts = np.asarray(element_types, np.int64)
        conn = np.asarray(element_conn, np.int64)[: counts.sum()]
        self._cells = unit_vectors(*nodes), conn, counts
        try:
            polygons(*self._cells)
        except NarcfError as error:
            raise EsmpyError(str(error)) from error
        self.size[MeshLoc.ELEMENT] = int(element_count)
        if element_mask is not None:
            self.mask[MeshLoc.ELEMENT] = np.asarray(element_mask, np.int32)
        if element_coords is not None:
            pairs = np.asarray(element_coords, np.float64).reshape(int(element_count), 2)
            self.coords[MeshLoc.ELEMENT] = [pairs[:, 0], pairs[:, 1]]

    def get_coords(self, coord_dim: int, meshloc: MeshLoc = MeshLoc.NODE) -> Array:
        return self._coords(meshloc)[coord_dim]

    def _coords(self, meshloc: MeshLoc) -> list[Array]:
        coords = self.coords[meshloc]
        if coords is None:
            raise EsmpyError(f"the Mesh has no {MeshLoc(meshloc).name} coordinates")
        return coords

    def field_shape(self, staggerloc: StaggerLoc, meshloc: MeshLoc) -> tuple[int, ...]:
        size = self.size[meshloc]
        if size is None:
            raise EsmpyError(f"the Mesh has no {MeshLoc(meshloc).name}s yet")
        return (size,)

    def points(self, meshloc: MeshLoc) -> Points:
        lon, lat = self._coords(meshloc)
        return Points(lon, lat, self.mask[meshloc])

    def polygons(self, meshloc: MeshLoc, keep: Array | None) -> Polygons:
        from narcf_geo.kernels.triangulate import polygons

        if meshloc != MeshLoc.ELEMENT or self._cells is None:
            raise EsmpyError("conservative regridding needs a Field on a Mesh's elements")
        return polygons(*self._cells, keep)
