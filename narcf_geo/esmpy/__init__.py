"""A stand-in for ESMPy: the part of its API that xESMF calls, on narcf_geo's own kernels.

ESMPy is not on PyPI, so that an xESMF installed by pip cannot be imported. Importing
`narcf_geo.regridding` registers this package as ``esmpy`` wherever no real ESMPy is installed; the
top-level module ``ESMF``, the name xESMF falls back to, is this package too.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

from narcf_geo.esmpy import constants, geometry, regrid
from narcf_geo.esmpy.constants import (
    CoordSys,
    EsmpyError,
    ExtrapMethod,
    GridItem,
    LineType,
    LogKind,
    MeshElemType,
    MeshLoc,
    NormType,
    PoleKind,
    PoleMethod,
    Region,
    RegridMethod,
    StaggerLoc,
    TypeKind,
    UnmappedAction,
)
from narcf_geo.esmpy.geometry import Grid, LocStream, Mesh
from narcf_geo.esmpy.regrid import Field, Manager, Regrid

__version__ = "8.9.0+narcf.geo"

__all__ = [
    "CoordSys",
    "EsmpyError",
    "ExtrapMethod",
    "Field",
    "Grid",
    "GridItem",
    "LineType",
    "LocStream",
    "LogKind",
    "Manager",
    "Mesh",
    "MeshElemType",
    "MeshLoc",
    "NormType",
    "PoleKind",
    "PoleMethod",
    "Region",
    "Regrid",
    "RegridMethod",
    "StaggerLoc",
    "TypeKind",
    "UnmappedAction",
    "api",
    "local_pet",
    "pet_count",
    "register",
]

api = SimpleNamespace(
    constants=constants,
    esmpymanager=regrid,
    field=regrid,
    grid=geometry,
    locstream=geometry,
    mesh=geometry,
    regrid=regrid,
)


def local_pet() -> int:
    """Return the number of this process among those of the run: 0."""
    return 0


def pet_count() -> int:
    """Return the number of processes of the run: 1."""
    return 1


def register(*, replace: bool = False) -> bool:
    """Make ``import esmpy`` find this stand-in, unless a real ESMPy is installed.

    Parameters
    ----------
    replace
        Take the place of a real ESMPy too. Call it before xESMF is imported.

    Returns
    -------
    bool
        Whether ``esmpy`` is the stand-in now.
    """
    here = sys.modules[__name__]
    if replace or ("esmpy" not in sys.modules and find_spec("esmpy") is None):
        sys.modules["esmpy"] = here
    return sys.modules.get("esmpy") is here


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"narcf_geo's stand-in for ESMPy has no {name!r}: it has what xESMF needs; for the rest "
        "install ESMPy itself (conda install -c conda-forge esmpy)"
    )
