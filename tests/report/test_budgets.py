"""The budget tables of a project and the files that hold them."""

from __future__ import annotations

import dataclasses

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from narcf_geo.project.project import Project, open_cube, open_prediction
from narcf_geo.report import budgets as tables


@pytest.fixture
def project(tiny_run, tmp_path) -> Project:
    """The tiny project, its reports into another folder, with two regions beside each other."""
    project = Project.open(tiny_run)
    region = project.settings.region
    middle = (region.west + region.east) / 2 + 0.3
    boxes = {
        "west": (region.west, region.south, middle, region.north),
        "east": (middle, region.south, region.east - 1, region.north),
    }
    shapes = [shapely.box(*box) for box in boxes.values()]
    path = tmp_path / "regions.gpkg"
    gpd.GeoDataFrame({"name": [*boxes]}, geometry=shapes, crs="EPSG:4326").to_file(path)
    settings = project.settings.model_copy(update={"regions": str(path)})
    return dataclasses.replace(project, settings=settings)


def test_parts_of_every_table_sum_to_the_region(project):
    cube, prediction = open_cube(project).load(), open_prediction(project).load()
    budgets = tables.project_budgets(project, cube, prediction)
    for table, part, by in (
        (budgets.biomes, "biome", "year"),
        (budgets.shared, "biome", "year"),
        (budgets.monthly, "biome", "month"),
        (budgets.regions, "region", "year"),
    ):
        wide = table.pivot(index=by, columns=part, values="flux_TgC")
        whole = wide.pop("all")
        pd.testing.assert_series_equal(wide.sum(axis=1), whole, check_names=False, rtol=1e-9)
    assert {"west", "east", "rest", "all"} == set(budgets.regions["region"])
    named = budgets.regions.set_index("region")["name"]
    assert set(named["rest"]) == {"outside"}


def test_tables_are_written_as_csv_and_polygons(project, tmp_path, monkeypatch):
    cube, prediction = open_cube(project).load(), open_prediction(project).load()
    budgets = tables.project_budgets(project, cube, prediction)
    elsewhere = dataclasses.replace(project, directory=tmp_path)
    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    files = tables.write_budgets(budgets, prediction, elsewhere)
    assert sorted(path.name for path in files) == [
        "biome_budget.csv",
        "biome_budget.gpkg",
        "biome_budget_by_fraction.csv",
        "biome_budget_monthly.csv",
        "region_budget.csv",
    ]
    regions = gpd.read_file(tmp_path / "report" / "biome_budget.gpkg", layer="regions")
    assert set(regions["units"]) == {"TgC yr-1"}
    assert set(budgets.regions["months"]) == {12}
    means = budgets.regions.groupby("name")[["flux_TgC", "reference_TgC", "target_TgC"]].mean()
    assert means.loc["west"].nunique() == 3
    for row in regions.itertuples():
        for column in means:
            assert getattr(row, column) == pytest.approx(means[column][row.name])
    assert sorted(regions["name"]) == ["east", "west"]
    biomes = gpd.read_file(tmp_path / "report" / "biome_budget.gpkg", layer="biomes")
    assert list(biomes.columns[:2]) == ["igbp_class", "biome"]


def test_no_table_begins_a_cell_with_a_formula(project, tmp_path):
    cube, prediction = open_cube(project).load(), open_prediction(project).load()
    budgets = tables.project_budgets(project, cube, prediction)
    named = budgets.regions.assign(
        region=lambda t: "=" + t["region"], name=lambda t: "+" + t["name"]
    )
    elsewhere = dataclasses.replace(project, directory=tmp_path)
    tables.write_budgets(dataclasses.replace(budgets, regions=named), prediction, elsewhere)
    back = pd.read_csv(tmp_path / "report" / "region_budget.csv")
    assert set(back["region"]) == {f"'={name}" for name in ("west", "east", "rest", "all")}
    assert back["name"].str.startswith("'+").all()
    # Fluxes are negative numbers, and stay so to the last digit.
    assert (back["flux_TgC"] < 0).any()
    assert back["flux_TgC"].tolist() == budgets.regions["flux_TgC"].tolist()


def test_tables_are_written_as_parquet_too_where_it_can_be(project, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is in the extra 'parquet'")
    cube, prediction = open_cube(project).load(), open_prediction(project).load()
    budgets = tables.project_budgets(project, cube, prediction)
    elsewhere = dataclasses.replace(project, directory=tmp_path)
    files = {path.name for path in tables.write_budgets(budgets, prediction, elsewhere)}
    assert "biome_budget_monthly.parquet" in files
    back = pd.read_parquet(tmp_path / "report" / "biome_budget_monthly.parquet")
    pd.testing.assert_frame_equal(back, budgets.monthly, check_dtype=False)


@pytest.mark.parametrize("months", [slice(2, None), slice(2, 11)], ids=["two whole years", "none"])
def test_the_page_and_the_geopackage_give_the_same_numbers(project, months):
    from narcf_geo.report.rows import _part_rows

    cube, prediction = open_cube(project).load(), open_prediction(project).load()
    prediction = prediction.isel(time=months)
    budgets = tables.project_budgets(project, cube, prediction)
    layer = tables.biome_polygons(prediction, budgets.biomes)["biomes"].set_index("biome")
    whole = prediction.sizes["time"] > 12
    assert set(layer["units"]) == {"TgC yr-1" if whole else "TgC in the months there are"}
    parts = budgets.biomes[budgets.biomes["biome"] != "all"]
    rows = {row["name"]: row for row in _part_rows(parts, whole)}
    assert rows.keys() == set(layer.index)
    used = parts[parts["months"] == 12] if whole else parts
    wanted = used.groupby("name")["flux_TgC"].sum() / (2 if whole else 1)
    for name, row in rows.items():
        for key in ("flux", "target", "reference"):
            assert row[key] == pytest.approx(layer[f"{key}_TgC"][name], nan_ok=True)
        assert row["flux"] == pytest.approx(wanted[name])
