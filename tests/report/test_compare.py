from __future__ import annotations

import dataclasses
import re
import shutil

import pandas as pd
import pytest

from narcf_geo.report import OtherRun, write_report
from narcf_geo.report.compare import side_by_side


@pytest.fixture
def other(context) -> OtherRun:
    """Twice the flux, in 2014 and 2015 rather than 2013 and 2014, without croplands."""
    table = context.biomes.assign(
        year=lambda t: t["year"] + 1, flux_TgC=lambda t: 2 * t["flux_TgC"]
    )
    metrics = {**context.metrics, "test": {**context.metrics["test"], "r": 0.5, "bias": None}}
    return OtherRun("The other", metrics, table[table["biome"] != 12])


def test_only_years_of_both_are_compared(context, other):
    sides = side_by_side(context.metrics, context.biomes, other)
    assert [row["name"] for row in sides["years"]] == ["2014"]
    # -426 TgC in 2014 here; there twice that of 2013.
    assert sides["years"][0]["values"] == pytest.approx([-426, -844])
    biomes = {row["name"]: row["values"] for row in sides["biomes"]}
    assert list(biomes) == ["deciduous broadleaf forest", "croplands"]
    assert biomes["deciduous broadleaf forest"] == pytest.approx([-516, -1024])
    assert biomes["croplands"] == pytest.approx([90, float("nan")], nan_ok=True)
    assert sides["scores"][0]["values"] == [0.8764, 0.5]


def test_the_page_puts_them_side_by_side(context, other, tmp_path):
    page = write_report(tmp_path / "a.html", dataclasses.replace(context, other=other))
    text = page.read_text(encoding="utf-8")
    assert "Two runs side by side" in text
    assert "“The other”" in text
    assert not re.search(r">\s*nan\s*<", text)
    alone = write_report(tmp_path / "b.html", context).read_text(encoding="utf-8")
    assert "side by side" not in alone


def test_flux_shared_by_fraction_stands_beside_that_by_majority(context, tmp_path):
    shared = context.biomes.assign(flux_TgC=context.biomes["flux_TgC"] + 7)
    rest = shared[shared["biome"] == 12].assign(biome="rest", name="no class")
    whole = dataclasses.replace(
        context, shared=shared, biomes=pd.concat([context.biomes, rest]).reset_index(drop=True)
    )
    text = write_report(tmp_path / "a.html", whole).read_text(encoding="utf-8")
    assert "By fraction" in text
    assert 'data-value="-507.0"' in text
    assert "no class" in text


def test_the_report_of_a_project_and_of_two(tiny_run, copy_of, in_process):
    project = copy_of(tiny_run)
    report = project / "report"
    majority = pd.read_csv(report / "biome_budget.csv")
    fraction = pd.read_csv(report / "biome_budget_by_fraction.csv")
    for table in (majority, fraction):
        for year, rows in table.groupby("year"):
            whole = rows[rows["biome"] == "all"]["flux_TgC"].item()
            parts = rows[rows["biome"] != "all"]["flux_TgC"].sum()
            assert parts == pytest.approx(whole, rel=1e-4), year
    monthly = pd.read_csv(report / "biome_budget_monthly.csv")
    whole = monthly[(monthly["biome"] == "all") & monthly["month"].str.startswith("2008")]
    yearly = whole["flux_TgC"].sum()
    wanted = majority[(majority["biome"] == "all") & (majority["year"] == 2008)]["flux_TgC"].item()
    assert yearly == pytest.approx(wanted, rel=1e-4)
    import geopandas as gpd

    polygons = gpd.read_file(report / "biome_budget.gpkg", layer="biomes")
    assert set(polygons["biome"]) == set(majority["name"]) - {"whole region"}
    assert polygons.crs.to_epsg() == 4326

    other = shutil.copytree(project, project.with_name("second"))
    done = in_process("report", "-C", project, "--compare", other)
    assert done.returncode == 0, done.stderr
    page = (report / "compare.html").read_text(encoding="utf-8")
    assert "“second”" in page
    shutil.rmtree(other / "prediction.zarr")
    done = in_process("report", "-C", project, "--compare", other)
    assert done.returncode == 1
    assert "narcf-geo predict" in done.stderr


@pytest.mark.parametrize(
    ("total", "synthetic", "warned"),
    [(-650.0, "", False), (-1400.0, "", True), (200.0, "", True), (-1400.0, "twin", False)],
)
def test_totals_outside_the_published_range_are_warned_of(total, synthetic, warned, tiny_run):
    import xarray as xr

    from narcf_geo.project.project import Project
    from narcf_geo.project.settings import Region
    from narcf_geo.report.contents import _outside_published

    project = Project.open(tiny_run)
    prediction = xr.Dataset(coords={"time": range(12)}, attrs={"synthetic": synthetic})
    america = Region(name="North America", west=-170, south=10, east=-50, north=70)
    settings = project.settings.model_copy(update={"region": america})
    whole = dataclasses.replace(project, settings=settings)
    assert bool(_outside_published(whole, prediction, total)) == warned
    assert not _outside_published(project, prediction, total), "a part of the continent"


def test_narrow_intervals_and_extrapolation_are_warned_of(tiny_run):
    import json

    from narcf_geo.project.project import Project, open_prediction
    from narcf_geo.report.contents import _Facts, _warnings

    project = Project.open(tiny_run)
    prediction = open_prediction(project).load()
    metrics = json.loads((tiny_run / "evaluation" / "metrics.json").read_text("utf-8"))

    def said(held: float, applicable: float, **more: object) -> str:
        intervals = {"observed": {"test": {"coverage": {"0.95": held}}}}
        whole = {**metrics, "intervals": intervals, **more}
        inside = prediction["lon"] < prediction["lon"].quantile(applicable)
        fields = prediction.assign(applicable=inside & prediction["flux"].notnull())
        return " ".join(_warnings(project, whole, fields, _Facts.of(fields)))

    assert "hold 85% of the observed values of the test data" in said(0.85, 1.0)
    assert "too narrow" not in said(0.94, 1.0)
    assert "are extrapolated" in said(0.94, 0.5)

    def mean_map(**better: bool) -> dict[str, object]:
        errors = {"estimate": 0.066, "training_mean": 0.035}
        return {"test": dict.fromkeys(better, errors), "averaging_is_better": better}

    known = said(0.94, 1.0, mean_map=mean_map(target=False, truth=True))
    assert "RMSE against the truth 0.035 and 0.066" in known
    assert "gives a better map" in said(0.94, 1.0, mean_map=mean_map(target=True))
    assert "gives a better map" not in said(0.94, 1.0, mean_map=mean_map(target=True, truth=False))


@pytest.mark.parametrize(
    ("before", "after"), [('"features"', '"other"'), ('"noise": ', '"noise": -')]
)
def test_a_damaged_bundle_is_named(tiny_run, copy_of, before, after):
    from narcf_geo.core.errors import NarcfError
    from narcf_geo.project.project import Project
    from narcf_geo.report.contents import write_comparison

    folder = copy_of(tiny_run)
    path = folder / "model" / "bundle.json"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    project = Project.open(folder)
    with pytest.raises(NarcfError, match=r"bundle\.json: (features|flux_error.noise)"):
        write_comparison(project, project)
