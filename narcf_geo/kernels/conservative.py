"""Conservative weights between grids or meshes.

Only imported when weights are computed: it imports numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from narcf_geo.grid import Mesh
from narcf_geo.grid.sphere import EdgeKind, require_edges
from narcf_geo.kernels.blocks import LARGE, Side, weights_in_blocks
from narcf_geo.kernels.overlap import Normalisation, areas, normalise, overlap_areas
from narcf_geo.kernels.rectilinear import axis_matrices

if TYPE_CHECKING:
    from narcf_geo.grid import Cells


def conservative_weights(
    source: Cells,
    target: Cells,
    *,
    normalisation: Normalisation = "conservative",
    source_mask: ArrayLike | None = None,
    target_mask: ArrayLike | None = None,
    edges: EdgeKind = "great_circles",
) -> sparse.csr_array:
    """First-order conservative weights between any two grids or meshes.

    With great circles as edges they are the weights of ESMF, to about 1e-12.

    Parameters
    ----------
    source, target
        A `Grid` or `Mesh` in any orientation, longitude range and place, poles included.
    normalisation
        "conservative" divides an overlap by the target cell's area: a row sums to the covered
        fraction. "conservative_normed" divides by the covered area: a row sums to 1.
    source_mask, target_mask
        Shape of their grid; a cell with 0 (or False) takes no part.
    edges
        On what the cells of a rectilinear grid end in the north and in the south: "great_circles"
        between their corners as in ESMF, or "parallels", exact, as in CDO. The edges of all
        other grids and of meshes are great circles.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (n_target, n_source), cells in C order, indices sorted; the weighted mean of a
        field is ``weights @ field.ravel()``. A target cell without overlap has an empty row.

    Raises
    ------
    NarcfError
        A cell has crossing edges, a corner that is not finite, or exceeds half a sphere.
    UsageError
        A mask's shape is not its grid's, or the normalisation or the kind of edges is unknown.
    """
    require_edges(edges)
    ours = Side.of(source, source_mask, edges, "source")
    theirs = Side.of(target, target_mask, edges, "target")
    if ours.parallel and theirs.parallel:
        return _along_axes(ours, theirs, normalisation)
    meshed = isinstance(source, Mesh) or isinstance(target, Mesh)
    if not meshed and ours.size + theirs.size > LARGE:
        return weights_in_blocks(ours, theirs, normalisation)
    cells = theirs.cells()
    return normalise(overlap_areas(ours.cells(), cells), cells, normalisation)


def _along_axes(source: Side, target: Side, normalisation: Normalisation) -> sparse.csr_array:
    y, x = axis_matrices(source.grid, target.grid)  # type: ignore[arg-type]
    cells = target.cells()
    kept = np.ones(source.size) if source.mask is None else source.mask.ravel().astype(float)
    share = sparse.csr_array(sparse.kron(y, x, format="csr"))
    overlap = sparse.csr_array(sparse.diags_array(areas(cells)) @ share @ sparse.diags_array(kept))
    overlap.eliminate_zeros()
    return normalise(overlap, cells, normalisation)
