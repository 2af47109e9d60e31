"""Parts of the true flux that no predictor shows: what was disturbed long ago, and a trend."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from narcf_geo.sample.ecosystem import GRAMS_PER_UMOL
from narcf_geo.sample.geography import NORTH, SOUTH, WATER, Array, cell_area, centres
from narcf_geo.sample.products import mean_year

BARE = (WATER, 13, 15, 16, 17)
"""Classes without a legacy: water, towns, ice, barren land, unclassified."""

LEGACY_WIDTH = 2.0
"""Of the smoothing kernel, half-degree cells: patches hang together over about 200 km."""


def legacy(rng: np.random.Generator, fractions: Array, cells: Array, size: float) -> Array:
    """Return a static flux of disturbance and regrowth, g C m-2 a day (cell,).

    It follows the vegetated share of a cell, and adds up to nothing over all cells.

    Parameters
    ----------
    fractions : array, (18, 120, 240)
        IGBP class fractions of the box's half-degree cells.
    cells : array, bool (120, 240)
        Cells with land and weather.
    size : float
        Standard deviation over these cells, weighted by area, umol m-2 s-1.
    """
    patches = ndimage.gaussian_filter(rng.standard_normal(cells.shape), LEGACY_WIDTH)[cells]
    vegetated = 1 - fractions[list(BARE)][:, cells].sum(axis=0)
    area = np.broadcast_to(cell_area(centres(SOUTH, NORTH, 0.5), 0.5)[:, None], cells.shape)[cells]
    flux = vegetated * (patches - np.average(patches, weights=area * vegetated))
    return flux * size * GRAMS_PER_UMOL / np.sqrt(np.average(flux**2, weights=area))


def growing_sink(gpp: Array, share: float) -> Array:
    """Return by how much uptake departs from that of the middle of the period (time, cell).

    `share` of the mean year's GPP is added each year; `gpp` has whole years, unit as given.
    """
    years = (np.arange(len(gpp)) - (len(gpp) - 1) / 2) / 12
    return share * years[:, None] * mean_year(gpp)
