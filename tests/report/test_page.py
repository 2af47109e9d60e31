from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from narcf_geo.core.errors import NarcfError
from narcf_geo.report import OtherRun, ReportFigure, interactive_map, write_report


class Page(HTMLParser):
    """The text, the tags and the ``data-value`` of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.quiet = 0
        self.feed(path.read_text(encoding="utf-8"))
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.quiet += tag in ("style", "script")

    def handle_endtag(self, tag):
        self.quiet -= tag in ("style", "script")

    def handle_data(self, data):
        if not self.quiet:
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def numbers(self):
        values = [attrs["data-value"] for _, attrs in self.tags if "data-value" in attrs]
        return [float(v) for v in values if re.fullmatch(r"-?[\d.]+(e-?\d+)?", v)]


def test_the_page_says_what_the_region_did(context, tmp_path):
    page = Page(write_report(tmp_path / "index.html", context))
    # Totals of -422 and -426 TgC.
    assert "From 2013 to 2014 the land of the region was a net sink" in page.text
    assert "it took up 0.424 PgC per year" in page.text
    assert "between −0.426 and −0.422 PgC" in page.text
    assert "taken up by deciduous broadleaf forest (−514 TgC per year). Most was rel" in page.text
    assert "released by croplands (+90.0 TgC per year)." in page.text
    assert "r = 0.876" in page.text
    assert "42.4 TgC per year too high (too little uptake), 10 %" in page.text
    assert "Synthetic twin experiment." in page.text
    assert "Outside the published range." in page.text


def test_numbers_on_the_page_are_those_of_the_table_and_metrics(context, tmp_path):
    page = Page(write_report(tmp_path / "index.html", context))
    for value in context.biomes["flux_TgC"]:
        assert any(np.isclose(value, number, rtol=1e-12) for number in page.numbers), value
    test = context.metrics["test"]
    for name in ("r", "rmse", "bias", "bias_TgC_per_year"):
        assert test[name] in page.numbers
    for against in context.metrics["mean_map"]["test"].values():
        assert {against["estimate"], against["training_mean"]} <= set(page.numbers)
    forest = context.biomes[context.biomes["biome"] == 4]["flux_TgC"].mean()
    assert any(np.isclose(forest, number) for number in page.numbers)
    assert not any(np.isclose(forest * 1.01, number) for number in page.numbers)


def test_the_page_needs_nothing_from_outside(context, tmp_path):
    path = write_report(tmp_path / "index.html", context)
    page = Page(path)
    for name, attrs in page.tags:
        for key in ("src", "href", "action", "data"):
            link = attrs.get(key, "#")
            assert link.startswith(("#", "data:image/png;base64,")), (name, link)
    source = path.read_text(encoding="utf-8")
    assert "url(" not in source
    assert "@import" not in source
    assert "default-src 'none'" in source


def test_text_is_escaped_and_pictures_are_described(context, tmp_path):
    path = write_report(tmp_path / "index.html", context)
    source = path.read_text(encoding="utf-8")
    assert "Flux of &lt;North&gt; America" in source
    assert "NARR &amp; &lt;friends&gt;" in source
    picture = Page(path).all("img")[0]
    assert picture["alt"] == 'A map with "quotes"'
    assert (picture["width"], picture["height"]) == ("3", "2")


HOSTILE = "</script><img src=x onerror=\"alert('a')\">{{ 7 * 7 }}]]>--><svg/onload=alert(1)>"


def hostile(context):
    """A report in which every name from data is a piece of HTML."""
    table = context.biomes.assign(name=[f"{name} {HOSTILE}" for name in context.biomes["name"]])
    regions = table.rename(columns={"biome": "region"})
    metrics = context.metrics | {
        "by_region": {HOSTILE: context.metrics["test"]},
        "by_biome": {"12": context.metrics["by_biome"]["12"] | {"name": HOSTILE}},
    }
    flux, biome = fluxes()
    return dataclasses.replace(
        context,
        **dict.fromkeys(("title", "synthetic", "target", "reference"), HOSTILE),
        metrics=metrics,
        biomes=table,
        regions=regions,
        figures=[dataclasses.replace(context.figures[0], title=HOSTILE, alt=HOSTILE)],
        provenance=[(HOSTILE, HOSTILE)],
        summary={HOSTILE: HOSTILE},
        warnings=[HOSTILE],
        citation=[HOSTILE],
        files={HOSTILE: HOSTILE},
        other=OtherRun(HOSTILE, metrics, table),
        map=interactive_map({HOSTILE: flux, f"2 {HOSTILE}": flux}, biome),
    )


def fluxes():
    """A flux of 3 x 4 cells and 12 months, and its biomes."""
    flux = xr.DataArray(
        np.random.default_rng(1).normal(size=(12, 3, 4)),
        dims=("time", "lat", "lon"),
        coords={
            "time": pd.date_range("2013-01", periods=12, freq="MS"),
            "lat": np.arange(40.5, 43),
            "lon": np.arange(-100.5, -97),
        },
    )
    return flux, xr.full_like(flux[0], 4).drop_vars("time")


def test_names_from_data_are_text_and_nothing_else(context, tmp_path):
    path = write_report(tmp_path / "index.html", hostile(context))
    source, page = path.read_text(encoding="utf-8"), Page(path)
    plain = dataclasses.replace(hostile(context), title="plain")
    assert HOSTILE not in source
    assert page.text.count("onerror=\"alert('a')\">{{ 7 * 7 }}") > 20
    assert [attrs["alt"] for attrs in page.all("img")] == [HOSTILE]
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert len(page.all("script")) == 2
    assert len(Page(write_report(tmp_path / "plain.html", plain)).tags) == len(page.tags)
    data = source.split('id="map-data">')[1].split("</script>")[0]
    assert json.loads(data)["fields"][0]["name"] == HOSTILE


def test_no_script_but_its_own_may_run(context, tmp_path):
    source = write_report(tmp_path / "index.html", context).read_text(encoding="utf-8")
    script = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (
        a["content"] for a in Page(tmp_path / "index.html").all("meta") if "http-equiv" in a
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "table.sortable" in script


def test_it_can_be_read_with_a_keyboard_and_a_screen_reader(context, tmp_path):
    page = Page(write_report(tmp_path / "index.html", context))
    assert page.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for attrs in page.all("a"):
        assert attrs["href"][1:] in ids
    for attrs in page.all("section"):
        assert attrs["aria-labelledby"] in ids
    scrolls = [a for _, a in page.tags if "scroll" in a.get("class", "")]
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolls)
    assert len(page.all("button")) == 5


def test_part_of_a_year_gets_no_yearly_figure(context, tmp_path):
    table = context.biomes[context.biomes["year"] == 2013]
    table = table.assign(year=2001, months=1, coverage=31 / 365)
    january = dataclasses.replace(context, months=["2001-01"], biomes=table, synthetic="")
    page = Page(write_report(tmp_path / "index.html", january))
    assert "In January 2001 the land of the region was a net sink" in page.text
    assert "it took up 422 TgC" in page.text
    assert "PgC per year" not in page.text
    assert "synthetic" not in page.text.lower()


def test_incomplete_years_are_marked_and_in_no_mean(context, tmp_path):
    part = context.biomes["year"] == 2014
    croplands = (context.biomes["biome"] == 12) & ~part
    table = context.biomes.copy()
    table.loc[part, ["months", "coverage"]] = 7, 0.58
    table.loc[croplands, ["months", "coverage"]] = 11, 0.91
    table.loc[~part, "reference_coverage"] = 0.6
    page = Page(write_report(tmp_path / "index.html", dataclasses.replace(context, biomes=table)))
    assert "From 2013 to 2013" in page.text
    # -422 TgC is the total of 2013; the mean with 2014 would be -424.
    assert "it took up 0.422 PgC per year" in page.text
    assert "2014 (7 months)" in page.text
    assert "2014: not all twelve months; left out of all means." in page.text
    assert "58 %" in page.text
    assert "(of 60 %)" in page.text
    # Croplands have no year with all months: no mean, and the months beside the total of 2013.
    assert "+90.0 (11 months)" in page.text
    assert "released by croplands" not in page.text
    assert "croplands CRO n/a" in page.text
    assert "width:nan" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_missing_scores_and_reference_are_said(context, tmp_path):
    metrics = dict(context.metrics, reference=None, truth=None)
    metrics["validation"] = {"r": None, "rmse": None, "bias": float("nan"), "n": 0, "period": []}
    table = context.biomes.assign(reference_TgC=float("nan"))
    page = Page(
        write_report(
            tmp_path / "index.html", dataclasses.replace(context, metrics=metrics, biomes=table)
        )
    )
    assert "n/a" in page.text
    assert "Comparison with" not in page.text
    assert "nan" not in page.text


def test_the_same_bytes_again(context, tmp_path):
    first = write_report(tmp_path / "a.html", context).read_bytes()
    assert write_report(tmp_path / "b.html", context).read_bytes() == first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {"metrics": {"train": c.metrics["train"]}}, "found none of"),
        (lambda c: {"biomes": c.biomes[c.biomes["biome"] != "all"]}, "whole region"),
        (
            lambda c: {"figures": [ReportFigure("Gone", "", Path("no/map.png"))]},
            "expected the figure 'Gone'",
        ),
    ],
)
def test_refusals_leave_nothing_behind(context, tmp_path, change, message):
    with pytest.raises(NarcfError, match=message):
        write_report(tmp_path / "index.html", dataclasses.replace(context, **change(context)))
    assert not list(tmp_path.glob("*.html"))


def test_intervals_applicability_and_regions_are_said(context, tmp_path):
    table = context.biomes.assign(
        flux_TgC_std=10.0,
        flux_TgC_lower=context.biomes["flux_TgC"] - 20,
        flux_TgC_upper=context.biomes["flux_TgC"] + 20,
    )
    regions = table.rename(columns={"biome": "region"})
    regions = regions.assign(region=regions["name"].replace("whole region", "all"))
    metrics = {
        **context.metrics,
        "intervals": {
            "flux": {
                "validation": {"coverage": {"0.95": 0.951}},
                "test": {"coverage": {"0.95": 0.87234}},
            }
        },
        "by_region": {"croplands": context.metrics["test"]},
        "ceiling": {"r": 0.97531, "rmse": 0.24681},
        "reference": {
            **context.metrics["truth"],
            "test": context.metrics["test"],
            "common": {
                "estimate": context.metrics["train"],
                "reference": context.metrics["validation"],
            },
        },
    }
    whole = dataclasses.replace(
        context, biomes=table, regions=regions, metrics=metrics, applicable=0.9999
    )
    page = Page(write_report(tmp_path / "index.html", whole))
    assert "(95 % interval −0.444 to −0.404)" in page.text
    assert "−534 to −494" in page.text, "of the forest, a mean over both years"
    assert "87.2 %" in page.text
    assert "95 % of the true flux" in page.text
    assert "no more than r = 0.975 and no less than 0.247 µmol" in page.text
    assert "In 99.9 % of area and months" in page.text
    assert "Flux by region" in page.text
    assert "Skill by region" in page.text
    assert "in the cells and test months that all have" in page.text
    plain = Page(write_report(tmp_path / "plain.html", context))
    for word in ("95 %", "How sure it is", "by region"):
        assert word not in plain.text


def test_the_tool_is_cited_beside_its_sources(context, tmp_path):
    cited = dataclasses.replace(context, citation=["Someone (2020): Weather."])
    page = Page(write_report(tmp_path / "index.html", cited))
    assert "Someone (2020): Weather." in page.text
    assert "narcf-geo, version" in page.text
