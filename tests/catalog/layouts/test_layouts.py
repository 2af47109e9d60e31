"""What `catalog add` makes of each layout, unedited: right values, or one clear question."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from catalog.layouts.layout import shape
from catalog.layouts.registered import LAYOUTS, Layout
from catalog.layouts.table import table

from narcf_geo.catalog.add import append, draft
from narcf_geo.catalog.catalog import Catalog, Entry
from narcf_geo.catalog.check import check
from narcf_geo.core.errors import NarcfError
from narcf_geo.grid import Grid


def labels(ds: xr.Dataset) -> tuple:
    """Return the months of a dataset: YYYY-MM, numbers of a climatology, none where static."""
    if "time" not in ds.dims:
        return ()
    time = ds["time"]
    return tuple(str(t)[:7] if time.dtype.kind == "M" else int(t) for t in time.values)


def compare(ds: xr.Dataset, case: Layout) -> None:
    """Hold the variables to the values that the fixture was made of, in every cell."""
    assert case.want is not None
    assert labels(ds) == tuple(case.months)
    grid = Grid.from_dataset(ds)
    lon, lat = grid.centers()
    for name, (values, offset) in case.want.items():
        array = ds[name]
        dims = [d for d in ("time",) if d in array.dims]
        found = array.transpose(*dims, *grid.dims).values
        expected = np.multiply.outer(np.asarray(values), shape(lat, lon)) + offset
        expected = expected if dims else expected[0]
        valid = np.isfinite(found)
        assert valid.mean() > 0.7, name
        scale = np.abs(expected).max()
        np.testing.assert_allclose(
            found[valid], expected[valid], rtol=case.rtol, atol=case.rtol * scale, err_msg=name
        )


def question_of(entry: Entry) -> str:
    """Return what reading refuses, or what `catalog check` says is wrong."""
    try:
        entry.read()
    except NarcfError as error:
        return str(error)
    return "\n".join(f.text for f in check(entry)[0] if f.level == "error")


@pytest.mark.parametrize("case", LAYOUTS, ids=lambda case: case.name)
@pytest.mark.filterwarnings("default")  # as users have it: a warning may hide what is wrong
def test_unedited(case: Layout, tmp_path: Path) -> None:
    path = case.write(tmp_path)
    catalog = tmp_path / "catalog.yaml"
    append(draft(path, "it", catalog), "it", catalog)
    entry = Catalog.open(catalog)["it"]
    assert entry.metadata.role == case.role
    if not case.asks:
        compare(entry.read(), case)
    else:
        found = question_of(entry)
        assert re.search(case.asks, found), found or "no question"
    if case.answer:
        text = catalog.read_text()
        for old, new in zip(case.answer[::2], case.answer[1::2], strict=True):
            assert old in text
            text = text.replace(old, new)
        catalog.write_text(text)
        compare(Catalog.open(catalog)["it"].read(), case)


def test_there_are_enough_layouts() -> None:
    assert len({case.product for case in LAYOUTS}) == len(LAYOUTS) >= 40


def test_a_wrong_value_or_month_is_seen(tmp_path: Path) -> None:
    (case,) = (c for c in LAYOUTS if c.name == "rain_rate")
    catalog = tmp_path / "catalog.yaml"
    append(draft(case.write(tmp_path), "it", catalog), "it", catalog)
    ds = Catalog.open(catalog)["it"].read().load()
    compare(ds, case)
    with pytest.raises(AssertionError):
        compare(ds.assign(precip=ds["precip"] * 1.001), case)
    with pytest.raises(AssertionError):
        compare(ds.isel(time=[1, 0]), case)
    with pytest.raises(AssertionError):
        compare(ds.assign_coords(lat=ds["lat"].values[::-1]), case)


def test_the_table_of_the_docs_is_that_of_the_layouts() -> None:
    docs = Path(__file__).parents[3] / "docs" / "catalog.md"
    assert table() in docs.read_text(encoding="utf-8")


def test_a_table_of_sites_is_no_grid(tmp_path: Path) -> None:
    sites = [(40 + 1.37 * k, -100 + 2.71 * k % 17) for k in range(12)]
    rows = [f"{lon},{lat},2001-{m:02d},1.5" for lat, lon in sites for m in (1, 2)]
    path = tmp_path / "towers.csv"
    path.write_text("\n".join(["lon,lat,month,nee", *rows]) + "\n")
    with pytest.raises(NarcfError, match=r"found 12 points .* as sites have"):
        draft(path, "it", tmp_path / "c.yaml")
    # The cells of a grid are read, with the same column of months.
    cells = [(40.5 + k // 4, -99.5 + k % 4) for k in range(12)]
    rows = [f"{lon},{lat},2001-{m:02d},1.5" for lat, lon in cells for m in (1, 2)]
    path.write_text("\n".join(["lon,lat,month,nee", *rows]) + "\n")
    assert "role: target" in draft(path, "it", tmp_path / "c.yaml")


def test_a_virtual_raster_of_files_elsewhere_is_refused(tmp_path: Path) -> None:
    (case,) = (c for c in LAYOUTS if c.name == "virtual")
    path = case.write(tmp_path)
    text = path.read_text()
    assert ">a.tif<" in text
    path.write_text(text.replace(">a.tif<", ">/vsicurl/https://example.org/a.tif<"))
    with pytest.raises(NarcfError, match=r"found /vsicurl/https://example\.org/a\.tif; get"):
        draft(path, "it", tmp_path / "c.yaml")


def test_a_packed_file_that_is_cut_short_or_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.nc.gz").write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(NarcfError, match=r"a\.nc\.gz: cannot be unpacked"):
        draft(tmp_path / "a.nc.gz", "it", tmp_path / "c.yaml")
    (tmp_path / "a.nc.zip").write_bytes(b"PK")
    with pytest.raises(NarcfError, match=r"the suffix '\.zip'; unpack it first"):
        draft(tmp_path / "a.nc.zip", "it", tmp_path / "c.yaml")
