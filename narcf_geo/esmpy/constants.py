"""ESMPy's enumerations, with ESMF's numbers, and the error of what is not supported."""

from __future__ import annotations

from enum import IntEnum

from narcf_geo.core.errors import UsageError


class EsmpyError(UsageError, ValueError):
    """A question this stand-in cannot answer; a ValueError, as xESMF expects of ESMPy."""


def unsupported(what: str) -> EsmpyError:
    """Return the error for a part of ESMF that is not here."""
    return EsmpyError(
        f"{what} is not supported by narcf_geo's stand-in for ESMPy: install ESMPy itself "
        "(conda install -c conda-forge esmpy), which is then used instead"
    )


class CoordSys(IntEnum):
    CART = 0
    SPH_DEG = 1
    SPH_RAD = 2


class ExtrapMethod(IntEnum):
    NONE = 0
    NEAREST_STOD = 1
    NEAREST_IDAVG = 2
    NEAREST_D = 3
    CREEP = 4
    CREEP_NRST_D = 5


class GridItem(IntEnum):
    MASK = 0
    AREA = 1


class LineType(IntEnum):
    CART = 0
    GREAT_CIRCLE = 1


class LogKind(IntEnum):
    SINGLE = 0
    MULTI = 1
    MULTI_ON_ERROR = 2
    NONE = 3


class MeshElemType(IntEnum):
    TRI = 3
    QUAD = 4


class MeshLoc(IntEnum):
    NODE = 0
    ELEMENT = 1


class NormType(IntEnum):
    DSTAREA = 0
    FRACAREA = 1


class PoleKind(IntEnum):
    NONE = 0
    MONOPOLE = 1
    BIPOLE = 2


class PoleMethod(IntEnum):
    NONE = 0
    ALLAVG = 1
    NPNTAVG = 2
    TEETH = 3


class Region(IntEnum):
    TOTAL = 0
    SELECT = 1
    EMPTY = 2


class RegridMethod(IntEnum):
    BILINEAR = 0
    PATCH = 1
    CONSERVE = 2
    NEAREST_STOD = 3
    NEAREST_DTOS = 4
    CONSERVE_2ND = 5


class StaggerLoc(IntEnum):
    CENTER = 0
    EDGE1 = 1
    EDGE2 = 2
    CORNER = 3


class TypeKind(IntEnum):
    I4 = 3
    I8 = 4
    R4 = 5
    R8 = 6


class UnmappedAction(IntEnum):
    ERROR = 0
    IGNORE = 1
