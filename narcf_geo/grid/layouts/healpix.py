"""HEALPix (Gorski et al. 2005, doi:10.1086/427976): cells of equal area, numbered in two ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.sizes import require_room
from narcf_geo.grid.layouts.common import Layout, attribute, used_dims
from narcf_geo.grid.layouts.corners import mesh_of_rings
from narcf_geo.grid.mesh import Mesh

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_ROW = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])
_COLUMN = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])

MOST_LEVEL = 29
"""Finest level whose cell numbers are integers of 64 bits."""

_TOLERANCE = 5e-4
"""About how far a great circle may leave a curved edge, as a share of the width of a cell."""


def recognise(ds: xr.Dataset) -> Layout | None:
    """Recognise a grid mapping or a coordinate of cell numbers that says HEALPix."""
    for name, v in ds.variables.items():
        attrs = v.attrs
        if "healpix" in (
            str(attrs.get("grid_mapping_name")).lower(),
            str(attrs.get("grid_name")).lower(),
        ):
            numbers = _numbers(ds, str(name))
            variables = frozenset({str(name)} | ({numbers} if numbers else set()))
            return Layout("HEALPix", variables, lambda a=dict(attrs), n=numbers: _build(ds, a, n))  # type: ignore[misc]
    return None


def _numbers(ds: xr.Dataset, name: str) -> str | None:
    """Return the name of the coordinate that holds cell numbers."""
    if ds[name].ndim == 1:
        return name
    for other, v in ds.variables.items():
        standard = attribute(v, "standard_name") == "healpix_index"
        if v.ndim == 1 and v.dtype.kind in "iu" and (standard or other in ("cell_ids", "crs_cell")):
            return str(other)
    return None


def _build(ds: xr.Dataset, attrs: dict[str, Any], numbers: str | None) -> Mesh:
    keys = ("healpix_nside", "nside")
    nside = next((int(attrs[k]) for k in keys if k in attrs), None)
    levels = ("refinement_level", "level", "healpix_level", "depth")
    if nside is None:
        level = next((int(attrs[k]) for k in levels if k in attrs), None)
        if level is not None and not 0 <= level <= MOST_LEVEL:
            raise NarcfError(f"expected a HEALPix level of 0 to {MOST_LEVEL}, found {level!s:.20}")
        nside = None if level is None else 2**level
    if nside is None:
        raise NarcfError(
            f"expected healpix_nside or refinement_level in the HEALPix grid mapping, found {attrs}"
        )
    scheme = next(
        (attrs[k] for k in ("healpix_order", "indexing_scheme", "order", "nest") if k in attrs),
        "nested",
    )
    nest = {"nest": True, "nested": True, "true": True, "1": True, "ring": False}.get(
        str(scheme).lower(), False if str(scheme).lower() in ("false", "0") else None
    )
    if nest is None:
        raise NarcfError(f"expected HEALPix numbered 'nested' or 'ring', found {scheme!r}")
    if numbers is not None:
        cells = ds[numbers].values
        return healpix_mesh(nside, nest, cells, dim=str(ds[numbers].dims[0]))
    size = 12 * nside**2
    dims = [d for dims in used_dims(ds, set()) for d in dims if ds.sizes[d] == size]
    dims += [str(d) for d, n in ds.sizes.items() if n == size]
    if not dims:
        raise NarcfError(
            f"expected {size} cells of HEALPix nside {nside}, found dimensions {dict(ds.sizes)}; "
            "a part of them needs a coordinate with standard_name healpix_index"
        )
    return healpix_mesh(nside, nest, dim=str(dims[0]))


def healpix_mesh(nside: int, nest: bool, cells: ArrayLike | None = None, dim: str = "cell") -> Mesh:
    """Return the cells of HEALPix; see `Mesh.healpix`."""
    if nside < 1 or (nest and nside & (nside - 1)):
        raise UsageError(
            f"expected a positive nside, a power of 2 for nested numbers, found {nside}"
        )
    size = 12 * nside**2
    if nside > 2**MOST_LEVEL:
        raise UsageError(f"expected nside up to 2**{MOST_LEVEL}, found {nside:.3g}")
    if cells is None:
        require_room(size * 100, f"HEALPix of nside {nside} and {size:,} cells", UsageError)
    numbers = np.arange(size) if cells is None else np.asarray(cells).astype("int64").ravel()
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < size:
        raise UsageError(
            f"expected cells 0 to {size - 1} of HEALPix nside {nside}, found {numbers.min()} to "
            f"{numbers.max()}"
        )
    face, x, y = (_of_nested if nest else _of_ring)(nside, numbers)
    lon, lat = _place(face, (x + 0.5) / nside, (y + 0.5) / nside)
    lon_v, lat_v, counts = _outlines(nside, face, x, y)
    return mesh_of_rings(lon_v, lat_v, counts, lon=lon, lat=lat, dims=(dim,))


def _outlines(
    nside: int, face: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the corners of all cells around them, and their number in each cell."""
    corner = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
    begin, step = corner[:4], np.diff(corner, axis=0)
    # Edges bend the more, the fewer rings lie between them and the pole: as many from both sides.
    row = _ROW[face][:, None] - (np.stack([x, y], -1)[:, None] + begin + step / 2).sum(-1) / nside
    ring = np.clip(np.minimum(row, 4 - row) * nside, 0.5, nside)
    number = np.ceil(np.sqrt(1 / (8 * _TOLERANCE * ring)) - 1e-9).astype(int)
    edge = np.repeat(np.arange(number.size), number.ravel())
    first = np.cumsum(number) - number.ravel()
    along = (np.arange(edge.size) - first[edge]) / number.ravel()[edge]
    cell, side = np.divmod(edge, 4)
    at = np.stack([x, y], -1)[cell] + begin[side] + along[:, None] * step[side]
    return *_place(face[cell], *(at / nside).T), number.sum(axis=1)


def _place(face: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return longitudes and latitudes, degrees, of places (0..1) on the twelve base cells."""
    row = _ROW[face] - x - y
    north, south = row < 1, row > 3
    width = np.where(north, row, np.where(south, 4 - row, 1.0))
    cap = width**2 / 3
    z = np.where(north, 1 - cap, np.where(south, cap - 1, (2 - row) * 2 / 3))
    # Near the poles the sine loses digits that the distance from the pole keeps.
    polar = np.degrees(2 * np.arcsin(width / np.sqrt(6)))
    lat = np.where(north, 90 - polar, np.where(south, polar - 90, np.degrees(np.arcsin(z))))
    turn = _COLUMN[face] * width + x - y
    with np.errstate(divide="ignore", invalid="ignore"):
        lon = np.where(width < 1e-15, 0.0, 45 * turn / width)
    return lon % 360, lat


def _of_nested(nside: int, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    face, rest = np.divmod(cells, nside**2)
    x, y = np.zeros_like(rest), np.zeros_like(rest)
    for bit in range(int(nside).bit_length()):
        x |= (rest >> (2 * bit) & 1) << bit
        y |= (rest >> (2 * bit + 1) & 1) << bit
    return face, x, y


def _of_ring(nside: int, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return base cell and place in it of cells numbered in rings; after HEALPix' ring2xyf."""
    cap = 2 * nside * (nside - 1)
    size = 12 * nside**2
    north, south = cells < cap, cells >= size - cap
    from_pole = np.where(south, size - 1 - cells, cells)
    ring = (1 + _root(1 + 2 * from_pole)) // 2
    within = from_pole - 2 * ring * (ring - 1)
    along = np.where(south, 4 * ring - 1 - within, within) + 1
    band, position = np.divmod(cells - cap, 4 * nside)
    middle = ~(north | south)
    width = np.where(middle, nside, ring)
    row = np.where(middle, band + nside, np.where(south, 4 * nside - ring, ring))
    along = np.where(middle, position + 1, along)
    shift = np.where(middle, (row + nside) & 1, 0)
    up = (along - (band + 1) // 2 + nside - 1) // nside
    down = (along - (2 * nside + 1 - band) // 2 + nside - 1) // nside
    equatorial = np.where(up == down, up | 4, np.where(down < up, down, up + 8))
    quarter = (along - 1) // np.maximum(width, 1)
    face = np.where(middle, equatorial, np.where(south, quarter + 8, quarter))
    r = row - _ROW[face] * nside + 1
    p = 2 * along - _COLUMN[face] * width - shift - 1
    p = np.where(p >= 2 * nside, p - 8 * nside, p)
    return face, (p - r) >> 1, (-p - r) >> 1


def _root(values: np.ndarray) -> np.ndarray:
    root = np.sqrt(values.astype("float64")).astype("int64")
    root -= root * root > values
    root += (root + 1) ** 2 <= values
    return root
