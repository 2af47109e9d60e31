from __future__ import annotations

import numpy as np
import pytest
import shapely

from narcf_geo.grid import Grid
from narcf_geo.outputs import polygons
from narcf_geo.outputs.polygons import biome_outlines, cell_polygons


def apart(one, other) -> float:
    """The largest area that only one of two biomes of a name covers, square degrees."""
    gap = shapely.symmetric_difference(one.geometry.to_numpy(), other.geometry.to_numpy())
    return shapely.area(gap).max()


def test_outlines_are_the_union_of_the_cells(america):
    flux = america["flux"].copy()
    flux[:, 30:33, 50:55] = np.nan
    ds = america.assign(flux=flux)
    cells = cell_polygons(ds)
    assert len(cells) == int(flux.notnull().any("time").sum())
    union = cells[["igbp_class", "biome", "geometry"]].dissolve("biome")
    found = biome_outlines(ds)
    assert found.index.tolist() == union.index.tolist()
    assert found["igbp_class"].tolist() == union["igbp_class"].tolist()
    assert found.crs == union.crs
    assert found.is_valid.all()
    np.testing.assert_allclose(*(shapely.area(f.geometry) for f in (found, union)), rtol=1e-12)
    assert apart(found, union) < 1e-9
    # The control: one cell of another class shows.
    biome = ds["biome"].copy()
    row, column = np.argwhere(biome.values == 12)[0]
    biome[row, column] = 10
    other = biome_outlines(ds.assign(biome=biome))
    assert apart(other, union) == pytest.approx(1.0)


def test_a_large_map_has_no_polygon_a_cell_and_coarser_outlines(america, monkeypatch):
    monkeypatch.setattr(polygons, "MOST_CELLS", 1000)
    monkeypatch.setattr(polygons, "MOST_BLOCKS", 1000)
    assert cell_polygons(america) is None
    found = biome_outlines(america.chunk(time=5, lat=20, lon=30))
    assert found.is_valid.all()
    known = america["flux"].notnull().any("time").values
    # Blocks of three cells: all that are known are covered, and little beside.
    assert known.sum() <= shapely.area(found.geometry).sum() < 1.4 * known.sum()
    west, south, east, north = found.total_bounds
    box = Grid.from_dataset(america).extent
    assert (box[0] <= south) & (north <= box[1]) & (box[2] <= west) & (east <= box[3])
    edges = np.array(found.geometry.get_coordinates())
    assert set(np.unique((edges[:, 0] + 170) % 3)) <= {0.0}
