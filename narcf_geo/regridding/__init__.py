"""Regridding between structured grids: conservative weights, one coverage rule, lazy arrays.

Importing this package makes ``import xesmf`` work where ESMPy is not installed: see
`narcf_geo.esmpy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narcf_geo import esmpy
from narcf_geo.regridding.regridder import regrid
from narcf_geo.regridding.weights import SeparableWeights, SparseWeights, compute_weights
from narcf_geo.regridding.weights_file import load_weights, save_weights, stored_weights

if TYPE_CHECKING:
    from xesmf import Regridder

    from narcf_geo.kernels.conservative import conservative_weights
    from narcf_geo.regridding.files import regrid_file

__all__ = [
    "Regridder",
    "SeparableWeights",
    "SparseWeights",
    "compute_weights",
    "conservative_weights",
    "load_weights",
    "regrid",
    "regrid_file",
    "save_weights",
    "stored_weights",
]

esmpy.register()


def __getattr__(name: str) -> Any:
    if name == "conservative_weights":
        from narcf_geo.kernels.conservative import conservative_weights

        return conservative_weights
    if name == "regrid_file":
        from narcf_geo.regridding.files import regrid_file

        return regrid_file
    if name == "Regridder":
        from xesmf import Regridder

        return Regridder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
