"""Regridding between structured grids: conservative weights, one coverage rule, lazy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narcf_geo.regrid.regridder import regrid
from narcf_geo.regrid.weights import SeparableWeights, SparseWeights, compute_weights

if TYPE_CHECKING:
    from xesmf import Regridder

    from narcf_geo.regrid.overlap import conservative_weights

__all__ = [
    "Regridder",
    "SeparableWeights",
    "SparseWeights",
    "compute_weights",
    "conservative_weights",
    "regrid",
]


def __getattr__(name: str) -> Any:
    if name == "conservative_weights":
        from narcf_geo.regrid.overlap import conservative_weights

        return conservative_weights
    if name == "Regridder":
        from xesmf import Regridder

        return Regridder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
