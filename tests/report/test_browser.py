"""The page at work in a browser: slider, reading a cell, sorting, accessibility, no network.

``tests/README.md`` says how to install what these tests need.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from narcf_geo.report import ReportContext, interactive_map, write_report

pytestmark = pytest.mark.slow

WIDTHS = {"phone": (390, 844), "desktop": (1280, 900)}
AXE_PLACES = (
    os.environ.get("AXE_CORE", ""),
    Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js",
    "/usr/local/lib/node_modules/axe-core/axe.min.js",
    "/usr/lib/node_modules/axe-core/axe.min.js",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is in the extra 'checks'"
    )
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def axe() -> str:
    for place in AXE_PLACES:
        if place and Path(place).is_file():
            return Path(place).read_text(encoding="utf-8")
    pytest.skip("axe-core is not installed (npm install axe-core, or its path in AXE_CORE)")


@pytest.fixture
def show(browser: Any) -> Iterator[Any]:
    """Open a page at a width; when done, no error and no request off the page may have come."""
    opened = []

    def at(path: Path, width: str = "desktop") -> Any:
        size = WIDTHS[width]
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        errors: list[str] = []
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: errors.append(request.url) if off(request) else None)
        opened.append((page, errors))
        page.goto(path.as_uri())
        page.locator("html[data-map=ready]").wait_for(state="attached")
        return page

    def off(request: Any) -> bool:
        return not request.url.startswith(("data:", "blob:", "file:"))

    yield at
    for page, errors in opened:
        page.close()
        assert errors == []


@pytest.fixture
def report(america, context: ReportContext, tmp_path: Path) -> Path:
    """Two fields of two years, and a biome without a reference."""
    flux = america["flux"]
    data = interactive_map({"Estimate": flux, "Half": flux / 2}, america["biome"])
    lone = context.biomes[context.biomes["biome"] == 12].assign(
        biome=3, name="deciduous needleleaf forest", flux_TgC=-3.0, reference_TgC=float("nan")
    )
    table = pd.concat([lone, context.biomes], ignore_index=True)
    return write_report(
        tmp_path / "index.html", dataclasses.replace(context, map=data, biomes=table)
    )


def test_the_slider_moves_by_mouse_and_by_keyboard(show, report):
    assert report.stat().st_size < 6e6
    page = show(report)
    label, slider = page.locator("#map-label"), page.locator("#map-month")
    assert label.text_content() == "July 2015"
    before = page.locator("#map-canvas").screenshot()
    slider.focus()
    for key, month in (
        ("Home", "January 2014"),
        ("ArrowRight", "February 2014"),
        ("End", "December 2015"),
        ("ArrowLeft", "November 2015"),
    ):
        page.keyboard.press(key)
        assert label.text_content() == month
        assert slider.get_attribute("aria-valuetext") == month
    assert page.locator("#map-canvas").screenshot() != before
    box = slider.bounding_box()
    page.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)
    assert label.text_content() == "January 2014"
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    assert label.text_content() == "December 2015"
    page.locator("#map-play").press("Enter")
    page.locator("#map-label", has_text="January 2014").wait_for()


def test_a_cell_is_read_by_pointing_and_by_keys(show, report, america):
    page = show(report)
    readout, box = page.locator("#map-readout"), page.locator("#map-box")
    box.hover()
    by_mouse = readout.text_content()
    assert "July 2015: " in by_mouse
    assert "µmol m⁻² s⁻¹" in by_mouse
    place, _, value = by_mouse.partition("July 2015: ")
    lat, lon = (float(part.strip().split("°")[0]) for part in place.split(",")[:2])
    flux = america["flux"].sel(time="2015-07-01", lat=lat, lon=-lon).item()
    assert float(value.split()[0].replace("−", "-")) == pytest.approx(flux, abs=0.006)
    assert page.locator("#map-series .line").get_attribute("d").count("L") == 23
    page.select_option("#map-field", label="Half")
    box.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    half = float(readout.text_content().split("2015: ")[1].split()[0].replace("−", "-"))
    assert half == pytest.approx(flux / 2, abs=0.006)
    page.mouse.move(box.bounding_box()["x"] + 5, box.bounding_box()["y"] + 200)
    assert readout.text_content() == "No land cell here."


def test_the_table_is_sorted_by_mouse_and_by_keyboard(show, report):
    page = show(report, "phone")
    table = page.locator("table.sortable")

    def column(number: int) -> list[float]:
        cells = f"rows => rows.map(r => r.cells[{number}].dataset.value)"
        return [float(v) for v in table.locator("tbody tr").evaluate_all(cells)]

    flux = table.locator("thead button").nth(1)
    flux.click()
    up = column(1)
    assert len(up) == 3
    assert up == sorted(up)
    assert flux.locator("..").get_attribute("aria-sort") == "ascending"
    flux.focus()
    page.keyboard.press("Enter")
    assert column(1) == up[::-1]
    assert flux.locator("..").get_attribute("aria-sort") == "descending"
    headings = table.locator("thead th").all_text_contents()
    place = next(n for n, text in enumerate(headings) if "FLUXCOM" in text)
    table.locator("thead th").nth(place).locator("button").press("Space")
    *known, missing = column(place)
    assert known == sorted(known)
    assert np.isnan(missing), "what is missing comes last"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_project_report_is_accessible_and_fits(show, axe, tiny_run, tmp_path, width):
    page = show(tiny_run / "report" / "index.html", width)
    images = page.locator("img").evaluate_all("all => all.map(i => i.alt)")
    assert len(images) > 5
    assert all(len(alt) > 20 for alt in images)
    assert len(set(images)) == len(images)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=tmp_path / f"{width}.png")
    assert np.asarray(Image.open(tmp_path / f"{width}.png").convert("L")).std() > 20
    for part in page.locator("details").all():
        part.evaluate("d => { d.open = true; }")
    assert grave_findings(page, axe) == []
    # The control: what axe must find.
    page.evaluate("for (const i of document.images) i.removeAttribute('alt')")
    page.evaluate("document.querySelector('.lead').style.color = '#ccc'")
    assert {"image-alt", "color-contrast"} <= {rule for rule, *_ in grave_findings(page, axe)}


def grave_findings(page: Any, axe: str) -> list[tuple[str, str, str]]:
    """Return rule, impact and place of each serious or critical finding of axe-core."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        (rule["id"], rule["impact"], node["html"][:200])
        for rule in found
        for node in rule["nodes"]
        if rule["impact"] in ("serious", "critical")
    ]
