from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from narcf_geo.budget import COLUMNS
from narcf_geo.errors import NarcfError
from narcf_geo.report import ReportContext, ReportFigure, write_report

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000030000000208020000001216f14d"
    "0000001149444154789c63f8cfc0f01f8c19fe4329001ff405fb6b6e8f4b0000000049454e44ae426082"
)


def scores(r: float, rmse: float, bias: float, first: str, last: str) -> dict:
    per_year = 8000 * bias
    period = [first, last]
    numbers = {"r": r, "rmse": rmse, "bias": bias, "bias_TgC_per_year": per_year}
    return {**numbers, "n": 1234, "period": period}


def budget(years: range) -> pd.DataFrame:
    rows = []
    for year in years:
        parts = [
            (4, "deciduous broadleaf forest", 2e6, -500.0 - 4 * (year % 10)),
            (12, "croplands", 3e6, 90.0),
        ]
        parts.append(("all", "whole region", 5e6, sum(part[3] for part in parts)))
        rows += [
            (b, name, year, km2, tgc / km2 * 2.64e3, tgc, 0.5 * tgc) for b, name, km2, tgc in parts
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.fixture
def context(tmp_path: Path) -> ReportContext:
    picture = tmp_path / "map.png"
    picture.write_bytes(PNG)
    return ReportContext(
        title="Flux of <North> America",
        months=[f"{year}-{month:02d}" for year in (2013, 2014) for month in range(1, 13)],
        metrics={
            "train": scores(0.96, 0.21, 0.001, "2007-01", "2012-12"),
            "validation": scores(0.93, 0.27, -0.004, "2013-01", "2013-12"),
            "test": scores(0.8764, 0.284, 0.0053, "2014-01", "2014-12"),
            "by_month": {"7": scores(0.81, 0.5, 0.1, "2014-07", "2014-07")},
            "by_biome": {
                "12": {"name": "croplands", **scores(0.7, 0.4, 0.2, "2014-01", "2014-12")}
            },
            "reference": {"test": scores(0.61, 0.6, 0.02, "2014-01", "2014-12")},
            "truth": scores(0.94, 0.2, 0.003, "2014-01", "2014-12"),
        },
        biomes=budget(range(2013, 2015)),
        figures=[ReportFigure("Mean flux", 'A map with "quotes"', picture)],
        provenance=[("Weather", "NARR & <friends>")],
        summary={"Region": "North America"},
        synthetic="twin experiment",
        reference="FLUXCOM",
        warnings=["Outside the published range."],
    )


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
    january = dataclasses.replace(
        context, months=["2001-01"], biomes=budget(range(2001, 2002)), synthetic=""
    )
    page = Page(write_report(tmp_path / "index.html", january))
    assert "In January 2001 the land of the region was a net sink" in page.text
    assert "it took up 414 TgC" in page.text
    assert "PgC per year" not in page.text
    assert "synthetic" not in page.text.lower()


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
