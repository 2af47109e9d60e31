"""The page at work in a browser: slider, reading a cell, sorting, no error, no network."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess

import pandas as pd
import pytest

from narcf_geo.report import interactive_map, write_report

pytestmark = pytest.mark.slow

DRIVE = """
<script>
const errors = [], ready = () => document.documentElement.dataset.map === "ready";
window.addEventListener("error", (e) => errors.push(e.message));
window.addEventListener("unhandledrejection", (e) => errors.push(String(e.reason)));
document.addEventListener("securitypolicyviolation", (e) => errors.push(e.blockedURI));
const wait = setInterval(() => {
  if (!ready()) return;
  clearInterval(wait);
  const get = (name) => document.getElementById("map-" + name);
  const slider = get("month"), found = {errors};
  found.start = get("label").textContent;
  slider.value = 0;
  slider.dispatchEvent(new Event("input"));
  found.first = get("label").textContent;
  const key = (k) => get("box").dispatchEvent(new KeyboardEvent("keydown", {key: k}));
  for (let n = 0; n < 200 && !get("readout").textContent.includes("µmol"); n++) {
    key(n % 3 ? "ArrowDown" : "ArrowRight");
  }
  found.read = get("readout").textContent;
  found.series = get("series").querySelector(".line").getAttribute("d").split("L").length;
  const table = document.querySelector("table.sortable");
  const column = () => [...table.tBodies[0].rows].map((r) => Number(r.cells[1].dataset.value));
  const button = table.tHead.querySelectorAll("button")[1];
  button.click();
  found.up = column();
  button.click();
  found.down = column();
  table.tHead.querySelectorAll("button")[2].click();
  found.reference = [...table.tBodies[0].rows].map((r) => r.cells[3].dataset.value);
  const note = document.createElement("script");
  note.type = "text/found";
  note.textContent = JSON.stringify(found);
  document.body.append(note);
}, 20);
</script></body>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    return path


def test_slider_reading_and_sorting_work(chromium, america, context, tmp_path):
    flux = america["flux"]
    data = interactive_map({"Estimate": flux, "Half": flux / 2}, america["biome"])
    lone = context.biomes[context.biomes["biome"] == 12].assign(
        biome=3, name="deciduous needleleaf forest", flux_TgC=-3.0, reference_TgC=float("nan")
    )
    table = pd.concat([lone, context.biomes], ignore_index=True)
    whole = dataclasses.replace(context, map=data, biomes=table)
    path = write_report(tmp_path / "index.html", whole)
    assert path.stat().st_size < 6e6
    path.write_text(path.read_text("utf-8").replace("</body>", DRIVE), encoding="utf-8")
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000",
            f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = re.search(r'<script type="text/found">(.*?)</script>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    state = json.loads(found[1])
    assert state["errors"] == []
    assert state["start"] == "July 2015"
    assert state["first"] == "January 2014"
    assert "January 2014: " in state["read"]
    assert state["series"] == 24
    assert state["up"] == sorted(state["up"])
    assert state["down"] == state["up"][::-1]
    assert len(state["up"]) == 3
    assert state["reference"][-1] == "nan"
    assert [float(v) for v in state["reference"][:2]] == sorted(map(float, state["reference"][:2]))
