"""Arrays that are to be combined, on one grid: paired by label, never by position."""

from __future__ import annotations

import xarray as xr

from narcf_geo.core.errors import GridMismatchError
from narcf_geo.fields.axes import in_house_order
from narcf_geo.grid.sphere import places_differ

TOLERANCE = 1e-6
"""Of a cell: how far apart two positions may be and still be one."""


def on_one_grid(first: xr.DataArray, *others: xr.DataArray | None) -> tuple:
    """Return arrays with the same cells in the same order and with the same labels.

    Parameters
    ----------
    first : xarray.DataArray
        Sets the grid. Its axes are put in house order; see `narcf_geo.fields.in_house_order`.
    *others : xarray.DataArray or None
        On the same cells, in any order, with axes of any names. None stays None.

    Returns
    -------
    tuple of xarray.DataArray
        All of them, dimensions (..., lat, lon), with the coordinates of the first.

    Raises
    ------
    GridMismatchError
        When cells are more than 1e-6 of a cell apart, or of another number. The rounding of
        single-precision coordinates is allowed for.

    Examples
    --------
    >>> north_first = xr.DataArray([[2.0], [1.0]], {"lat": [1.5, 0.5], "lon": [7.0]},
    ...                            ("lat", "lon"))
    >>> rising = xr.DataArray([[10.0], [20.0]], {"lat": [0.5, 1.5 + 1e-13], "lon": [7.0]},
    ...                       ("lat", "lon"))
    >>> one, other = on_one_grid(north_first, rising)
    >>> (one * other).values.tolist()
    [[10.0], [40.0]]
    """
    first = in_house_order(first)
    return first, *(
        None if other is None else _as(first, in_house_order(other)) for other in others
    )


def _as(first: xr.DataArray, other: xr.DataArray) -> xr.DataArray:
    plane = first["lat"].dims
    if len(plane) == 2 and set(plane) == set(other["lat"].dims):
        other = other.transpose(..., *plane)
    for name in ("lat", "lon"):
        one, two = first[name], other[name]
        if one.dims != two.dims or places_differ(one.values, two.values, TOLERANCE):
            names = [f"{a.name!r}" if a.name is not None else "" for a in (first, other)]
            one_name, other_name = names if names[0] != names[1] else ("", "")
            raise GridMismatchError(
                f"expected {other_name or 'the second array'} on the grid of "
                f"{one_name or 'the first'} ({describe(first)}), found {describe(other)}; regrid "
                "one to the other, or choose the same cells of both"
            )
    # Without the other coordinates of the first, such as its single month.
    return other.assign_coords({n: first[n].reset_coords(drop=True) for n in ("lat", "lon")})


def describe(field: xr.DataArray) -> str:
    """Return the cells of a field in a few words."""
    lat, lon = field["lat"].values, field["lon"].values
    size = " x ".join(str(field.sizes[d]) for d in field["lat"].dims)
    if lat.ndim == 1:
        size = f"{lat.size} x {lon.size}"
    ends = [f"{v.flat[0]:.10g} to {v.flat[-1]:.10g}" for v in (lat, lon)]
    return f"{size} cells, latitude {ends[0]}, longitude {ends[1]}"
