"""Weight files: one NetCDF file that xESMF, ESMF's tools and CDO read.

The weights stand there twice, under the names of ESMF (``S``, ``row``, ``col``) and of SCRIP
(``remap_matrix``, ``dst_address``, ``src_address``), both counting from 1 in C order.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import sparse

from narcf_geo.core.constants import EARTH_RADIUS
from narcf_geo.core.contained import require_contained
from narcf_geo.core.errors import NarcfError, UnreadableError, UsageError
from narcf_geo.core.files import atomic_path
from narcf_geo.grid import Cells
from narcf_geo.grid.sphere import EdgeKind
from narcf_geo.regridding.meshes import as_rows
from narcf_geo.regridding.weights import (
    SeparableWeights,
    SparseWeights,
    Weights,
    compute_weights,
    edges_between,
)

LAYOUT = "2"
MAX_ENTRIES = 200_000_000
MAP_METHODS = {
    "conservative": "Conservative remapping",
    "conservative_normed": "Conservative remapping",
    "bilinear": "Bilinear remapping",
    "nearest_s2d": "Nearest neighbor",
    "nearest_d2s": "Nearest neighbor",
}
NORMALIZATIONS = {"conservative": "destarea", "conservative_normed": "fracarea"}


def save_weights(weights: Weights, path: str | os.PathLike[str]) -> Path:
    """Write weights to a NetCDF file in the SCRIP and ESMF layouts.

    Parameters
    ----------
    weights
        Of `compute_weights`. Those of two rectilinear grids are multiplied out.
    path
        The file, written whole or not at all.

    Raises
    ------
    UsageError
        When the file would hold more than 200 million weights.
    """
    if isinstance(weights, SeparableWeights) and weights.y.nnz * weights.x.nnz > MAX_ENTRIES:
        raise UsageError(
            f"expected at most {MAX_ENTRIES} weights in a file, found "
            f"{weights.y.nnz * weights.x.nnz} between {weights.source} and {weights.target}; "
            "rectilinear grids need no weight file: leave it out"
        )
    matrix = weights.matrix().tocoo()
    row, column = (c.astype("int32") + 1 for c in matrix.coords)
    ds = xr.Dataset(
        {
            "S": ("n_s", matrix.data),
            "row": ("n_s", row),
            "col": ("n_s", column),
            "remap_matrix": (("num_links", "num_wgts"), matrix.data[:, None]),
            "dst_address": ("num_links", row),
            "src_address": ("num_links", column),
        },
        attrs={
            "title": "Regridding weights",
            "conventions": "SCRIP",
            "map_method": MAP_METHODS.get(weights.method, weights.method),
            "normalization": NORMALIZATIONS.get(weights.method, "none"),
            "source_grid": repr(weights.source),
            "dest_grid": repr(weights.target),
            **_identity(weights.source, weights.target, weights.method, weights.edges),
            "narcf_overlapping": getattr(weights, "partly", 0),
            "narcf_weights": _checksum(matrix.data, row, column),
        },
    )
    areas = [a.ravel() / EARTH_RADIUS**2 for a in (weights.source_area, weights.target_area)]
    inside = matrix.T @ areas[1]
    fractions = (
        np.divide(inside, areas[0], out=np.zeros_like(inside), where=areas[0] > 0),
        matrix.sum(axis=1),
    )
    for side, grid, area, fraction in zip(
        ("src", "dst"), (weights.source, weights.target), areas, fractions, strict=True
    ):
        size = f"{side}_grid_size"
        lon, lat = grid.centers()
        ds[f"{side}_grid_dims"] = (f"{side}_grid_rank", np.array(grid.shape[::-1], "int32"))
        for name, value, units in (
            ("center_lat", np.radians(lat), "radians"),
            ("center_lon", np.radians(lon), "radians"),
            ("area", area, "square radians"),
            ("frac", fraction, "unitless"),
            ("imask", (area > 0).astype("int32"), "unitless"),
        ):
            ds[f"{side}_grid_{name}"] = (size, value.ravel(), {"units": units})
    encoding = {n: {"zlib": True, "shuffle": True, "_FillValue": None} for n in ds.data_vars}
    path = Path(path)
    with atomic_path(path) as temporary:
        ds.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
    return path


def load_weights(
    path: str | os.PathLike[str],
    source: Cells,
    target: Cells,
    method: str = "conservative",
    edges: EdgeKind = "parallels",
) -> SparseWeights:
    """Read weights that `save_weights` wrote for these two grids.

    Raises
    ------
    NarcfError
        When the file is of another program, of other grids, another method or other edges, or
        damaged.
    """
    path = Path(path)
    source, target = as_rows(source), as_rows(target)
    try:
        require_contained(path)
        with xr.open_dataset(path, engine="netcdf4") as ds:
            attrs = dict(ds.attrs)
            _require_ours(path, attrs)
            data, row, column = (ds[n].values for n in ("S", "row", "col"))
    except UnreadableError:
        raise
    except (OSError, KeyError, ValueError) as error:
        raise NarcfError(
            f"expected a weight file, found that {path} cannot be read as one ({error}); "
            "delete it to have it made again"
        ) from error
    for key, expected in _identity(source, target, method, edges).items():
        if attrs.get(key) != expected:
            raise NarcfError(
                f"expected weights by {method} with {edges} from {source} to {target}, found in "
                f"{path} weights by {attrs.get('narcf_method')} with {attrs.get('narcf_edges')} "
                f"from {attrs.get('source_grid')} to {attrs.get('dest_grid')} ({key} differs); "
                "delete it or name another file"
            )
    if attrs["narcf_weights"] != _checksum(data, row, column):
        raise NarcfError(
            f"expected the weights that were written to {path}, found others (checksum differs); "
            "delete it to have it made again"
        )
    shape = int(np.prod(target.shape)), int(np.prod(source.shape))
    matrix = sparse.csr_array((data, (row - 1, column - 1)), shape=shape)
    kind = _edges(source, target, method, edges)
    partly = int(attrs.get("narcf_overlapping", 0))
    return SparseWeights(source, target, matrix, method, kind, partly)


def stored_weights(
    path: str | os.PathLike[str],
    source: Cells,
    target: Cells,
    method: str = "conservative",
    edges: EdgeKind = "parallels",
) -> Weights:
    """Return the weights kept at `path`, computed and written first when they are not there.

    Parameters
    ----------
    path
        A file, or an existing folder, in which each pair of grids and method has a file of its
        own. Two rectilinear grids with parallels as edges take no room in a folder: their weights
        are made at once.
    source, target, method, edges
        As in `compute_weights`.
    """
    path = Path(path)
    source, target = as_rows(source), as_rows(target)
    if path.is_dir():
        rectilinear = source.is_rectilinear and target.is_rectilinear
        if method == "conservative" and rectilinear and edges == "parallels":
            return compute_weights(source, target, method, edges)
        identity = "".join(_identity(source, target, method, edges).values())
        path = path / f"{method}_{hashlib.sha256(identity.encode()).hexdigest()[:16]}.nc"
    if not path.exists():
        save_weights(compute_weights(source, target, method, edges), path)
    return load_weights(path, source, target, method, edges)


def _require_ours(path: Path, attrs: dict) -> None:
    if "narcf_weights" not in attrs:
        raise NarcfError(
            f"expected a weight file of narcf-geo, found {path} without its marks (map_method "
            f"{attrs.get('map_method')!r}); to use weights of another program, read them with "
            "xesmf.Regridder(..., reuse_weights=True, filename=...) and pass the regridder"
        )


def _edges(source: Cells, target: Cells, method: str, edges: EdgeKind) -> EdgeKind:
    """Return the edges that weights have: only conservative ones have a choice."""
    if method == "conservative":
        return edges_between(source, target, edges)
    return "great_circles"


def _identity(source: Cells, target: Cells, method: str, edges: EdgeKind) -> dict[str, str]:
    return {
        "narcf_layout": LAYOUT,
        "narcf_source": source.digest,
        "narcf_target": target.digest,
        "narcf_method": method,
        "narcf_edges": _edges(source, target, method, edges),
    }


def _checksum(data: np.ndarray, row: np.ndarray, column: np.ndarray) -> str:
    sha = hashlib.sha256(data.astype("<f8").tobytes())
    sha.update(row.astype("<i4").tobytes())
    sha.update(column.astype("<i4").tobytes())
    return sha.hexdigest()
