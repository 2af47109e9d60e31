"""What the corners of a grid must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from narcf_geo.core.errors import NarcfError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def checked_corners(lon_b: ArrayLike, lat_b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return edges or corners as copies in double precision, latitudes within -90..90.

    Raises
    ------
    NarcfError
        When shapes do not fit, edges turn back, or a corner is not on the globe.
    """
    x, y = np.array(lon_b, "float64"), np.array(lat_b, "float64")
    if (
        not ((x.ndim == y.ndim == 1) or (x.ndim == 2 and x.shape == y.shape))
        or min(x.shape + y.shape) < 2
    ):
        raise NarcfError(
            "expected 1-D cell edges or 2-D corners of one shape, at least 2 along each axis, "
            f"found shapes {x.shape} (longitude) and {y.shape} (latitude)"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise NarcfError(
            "expected finite cell corners, found NaN or infinity; a grid needs the position of "
            "every cell, masked ones too"
        )
    if max(y.max(), -y.min()) > 90 + 1e-6:
        raise NarcfError(
            f"expected latitudes of cell corners within -90..90 degrees, found {y.min():g} to "
            f"{y.max():g}; are longitude and latitude swapped?"
        )
    np.clip(y, -90, 90, out=y)
    if x.ndim == 1:
        for name, edges in (("longitude", x), ("latitude", y)):
            steps = np.diff(edges)
            if not ((steps > 0).all() or (steps < 0).all()):
                raise NarcfError(
                    f"expected {name} edges that rise or fall throughout, found a turn at "
                    f"{edges[1:-1][np.diff(np.sign(steps)) != 0][:3]} degrees"
                )
        if abs(x[-1] - x[0]) > 360 + 1e-6:
            raise NarcfError(
                f"expected longitudes that go round the globe once, found {x[0]:g} to {x[-1]:g}; "
                "drop the repeated columns"
            )
    return x, y
