"""Projected images that reach beyond the globe: full disks, tiles at the rim of a world map."""

from __future__ import annotations

from narcf_geo.core.errors import NarcfError
from narcf_geo.grid.globe import Placed
from narcf_geo.grid.mesh import Mesh


def cells_on_globe(where: Placed, dims: tuple[str, str]) -> Mesh:
    """Return the cells whose four corners are on the globe; the others take no part.

    Parameters
    ----------
    where : Placed
        Corners (ny + 1, nx + 1) and centres (ny, nx) in degrees, infinite off the globe.
    dims : tuple of str
        Names of the dimensions.

    Raises
    ------
    NarcfError
        When no cell is on the globe.
    """
    mesh = Mesh.from_corners(where.lon_b, where.lat_b, lon=where.lon, lat=where.lat, dims=dims)
    if not mesh.counts.size:
        raise NarcfError(
            f"expected {dims[1]!r} and {dims[0]!r} inside the projection of the grid mapping, "
            "found no cell that has longitudes and latitudes; are the units right?"
        )
    return mesh
