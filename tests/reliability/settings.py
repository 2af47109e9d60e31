"""What may be wrong with narcf.yaml: what is replaced, by what, and words of the message."""

from __future__ import annotations

PERIOD = "period: {start: 2007-01, end: 2009-12}"
REGION = "region: {name: Tiny, west: -100, south: 40, east: -88, north: 50}"
WEATHER = "  weather: [temp, R_sw]\n"
MODEL = (
    "model: {preset: narcf-25, epochs: 8, batch_size: 32, unbiased: true, members: 2, halves: true}"
)

BROKEN: list[tuple[str, str, str]] = [
    ("title:", "tilte:", "did you mean 'title'"),
    ("title: A tiny region", "title: [A, B]", "title"),
    ("title: A tiny region", "title: 'A tiny", "not valid YAML"),
    ("title: A tiny region", "title: *nobody", "undefined alias"),
    ("title: A tiny region", "title: !!python/name:os.system x", "not valid YAML"),
    ("title: A tiny region", "\ttitle: A", "spaces, not with a tab"),
    ("title: A tiny region", "title: A\ntitle: B", "second time"),
    (REGION, "", "region"),
    (REGION, "region: America", "region"),
    (REGION, "region: {west: -100, south: 40, east: -88}", "north"),
    ("west: -100", "west: west", "west"),
    ("west: -100", "west: .nan", "west"),
    ("west: -100", "west: -.inf", "west"),
    ("west: -100", "west: -4000", "west"),
    ("west: -100", "west: -88", "region is empty"),
    ("west: -100", "west: -100.4", "resolution that divides the box"),
    ("south: 40", "south: -140", "south"),
    ("north: 50", "north: 95", "north"),
    ("north: 50", "north: 40", "region is empty"),
    ("north: 50", "north: 30", "region is empty"),
    ("south: 40", "south: 49", "at least 2 rows"),
    (PERIOD, "", "period"),
    (PERIOD, "period: 2007", "period"),
    (PERIOD, "period: {start: 2009-12, end: 2007-01}", "period"),
    (PERIOD, "period: {start: 2007-13, end: 2009-12}", "2007-13"),
    (PERIOD, "period: {start: 2007-01}", "end"),
    (PERIOD, "period: {start: yesterday, end: today}", "yesterday"),
    ("land_cover: {source: igbp}", "land_cover: {}", "source"),
    ("land_cover: {source: igbp}", "land_cover: {source: igpb}", "'igpb'"),
    ("land_cover: {source: igbp}", "land_cover: {source: igbp, min_land: 2}", "min_land"),
    (WEATHER, "  wether: [temp, R_sw]\n", "'wether'"),
    (WEATHER, "  weather: []\n", "weather"),
    (WEATHER, "  weather: temp\n", "weather"),
    (WEATHER, "  weather: [temp, temp]\n", "temp"),
    (WEATHER, "  weather: [7]\n", "weather"),
    (f"predictors:\n{WEATHER}  ndvi: [ndvi]\n", "predictors: {}\n", "predictors"),
    (f"predictors:\n{WEATHER}  ndvi: [ndvi]\n", "", "predictors"),
    ("target: {source: inversion}", "target: {source: inversoin}", "'inversoin'"),
    ("target: {source: inversion}", "target: inversion", "target"),
    ("reference: {source: fluxcom}", "reference: {source: nobody}", "'nobody'"),
    ("kind: period", "kind: periods", "kind"),
    ("train: {start: 2007-01", "train: {start: 2006-12", "outside the period"),
    ("test: {start: 2009-01", "test: {start: 2008-12", "test"),
    ("  train: {start: 2007-01, end: 2007-12}\n", "", "train"),
    (MODEL, "model: best", "model"),
    ("preset: narcf-25", "preset: narcf-26", "narcf-26"),
    ("epochs: 8", "epochs: 0", "epochs"),
    ("epochs: 8", "epochs: many", "epochs"),
    ("epochs: 8", "epoch: 8", "'epochs'"),
    ("batch_size: 32", "batch_size: -1", "batch_size"),
    ("unbiased: true", "dropout: 1", "dropout"),
    ("members: 2", "members: 1000", "members"),
    ("members: 2", "members: 3", "even number"),
    ("unbiased: true", "hidden: [0]", "hidden"),
    ("unbiased: true", "loss: l2", "loss"),
    ("title:", "resolution: 0\ntitle:", "resolution"),
    ("title:", "resolution: 1e-5\ntitle:", "memory|resolution"),
    ("title:", "min_coverage: 2\ntitle:", "min_coverage"),
    ("title:", "seed: -1\ntitle:", "seed"),
    ("title:", "catalog: [a]\ntitle:", "catalog"),
]
"""Each is refused with exit code 2, and the message names narcf.yaml."""
