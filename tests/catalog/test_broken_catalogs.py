"""Forty catalogs that are wrong: each a one-message error with file, line and remedy."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narcf_geo.catalog.catalog import Catalog
from narcf_geo.core.errors import NarcfError, UsageError

GOOD = """\
metadata:
  version: 1
sources:
  air:
    description: air temperature
    driver: netcdf
    args:
      urlpath: "{{ folder }}/air_{year}.nc"
      chunks: {time: 12}
    parameters:
      folder: {type: str, default: "{{ CATALOG_DIR }}/data"}
    metadata:
      role: predictor
      variables:
        temp: {name: air, units: K}
  flux:
    description: a flux
    driver: csv
    args: {urlpath: flux.csv}
    metadata:
      role: target
      time: "2001-01"
      variables:
        flux: {name: nee}
      fetch: {url: https://example.org/flux.csv}
"""

FLUX = "        flux: {name: nee}"
BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
)

# What is replaced, by what, the line of the message (0: none), and words of it.
BROKEN: list[tuple[str, str, int, list[str]]] = [
    ("metadata:\n  version", "metdata:\n  version", 1, ["metdata", "'metadata'"]),
    ("version: 1", "version: 2", 2, ["metadata.version", "1"]),
    ("version: 1", "extends: nowhere.yaml", 2, ["expected a catalog at", "nowhere.yaml"]),
    ("version: 1", "extends: https://example.org/c.yaml", 2, ["path on this computer"]),
    ("sources:", "source:", 3, ["unknown key", "sources"]),
    ("  air:", "  air temperature:", 4, ["sources", "expected a name"]),
    ("  air:", "  ../../etc/air:", 4, ["expected a name"]),
    ("  air:", "  7:", 4, ["string"]),
    ("  flux:\n    desc", "  air:\n    desc", 16, ["'air'", "second time", "keep one"]),
    ("description: air", "descripton: air", 5, ["descripton", "'description'"]),
    ("    driver: netcdf\n", "", 4, ["sources.air", "driver", "required"]),
    ("driver: netcdf", "driver: netcfd", 6, ["'netcfd'", "did you mean 'netcdf'"]),
    ("driver: netcdf", "driver: [netcdf]", 6, ["driver"]),
    ("driver: netcdf", "\tdriver: netcdf", 6, ["not valid YAML", "spaces, not with a tab"]),
    ("    args:\n", "    arsg:\n", 7, ["arsg", "'args'"]),
    ("urlpath: flux.csv", "urlpth: flux.csv", 19, ["urlpth", "'urlpath'"]),
    ("urlpath: flux.csv", "urlpath: ''", 19, ["expected a path"]),
    ("urlpath: flux.csv", "urlpath: []", 19, ["expected a path"]),
    ("urlpath: flux.csv", "urlpath: 7", 19, ["string"]),
    ("urlpath: flux.csv", "urlpath: 'https://a.org/b.csv'", 19, ["on this computer", "fetch"]),
    ("urlpath: flux.csv", "urlpath: 's3://bucket/b.csv'", 19, ["on this computer"]),
    ("{time: 12}", "{time: many}", 9, ["chunks.time", "'many'"]),
    ("type: str", "type: text", 11, ["folder.type", "'text'"]),
    ("role: predictor", "role: predicter", 13, ["'predicter'", "'landcover'"]),
    ("      role: predictor\n", "", 12, ["role", "required"]),
    ("units: K", "unit: K", 15, ["temp.unit", "'units'"]),
    ("units: K", "scale: big", 15, ["temp.scale", "'big'"]),
    ("units: K", "month: 13", 15, ["temp.month", "12"]),
    ("units: K", "select: [1]", 15, ["temp.select"]),
    ("2001-01", "2001-13", 22, ["time", "2001-13"]),
    ('time: "2001-01"', "monthly_mean: 90", 22, ["monthly_mean", "less than or equal to 1"]),
    ('time: "2001-01"', "climatology: perhaps", 22, ["climatology", "perhaps"]),
    ('time: "2001-01"', 'time: "2001-01"\n      climatology: true', 20, ["excludes"]),
    ('time: "2001-01"', "sign: up", 22, ["sign", "'to_atmosphere'"]),
    ('time: "2001-01"', "legend: modis", 22, ["legend", "'igbp_water0'"]),
    (FLUX, "        temp: {name: nee}", 20, ["target needs `flux`"]),
    (FLUX, f"{FLUX}\n        bio_flux: {{}}", 20, ["two targets", "keep `flux`"]),
    ("https://example.org/flux.csv", "ftp://example.org/a", 25, ["https://"]),
    ("https://example.org/flux.csv", "file:///etc/passwd", 25, ["https://"]),
    ("https://example.org/flux.csv", "'https://a.org/{year}.nc'", 25, ["period"]),
    ("https://example.org/flux.csv", "https://a.org/b, perod: [a, b]", 25, ["'period'"]),
    ("{url: https", "{period: ['2001-01', 'x'], url: https", 25, ["YYYY-MM"]),
    ("      fetch:", "      sha256: {../a: '00'}\n      fetch:", 25, ["'..'"]),
    ("      fetch:", "      sha256: {a.nc: '00'}\n      fetch:", 25, ["64 hexadecimal"]),
    ("description: a flux", "description: !!python/object/apply:os.getcwd []", 17, ["not valid"]),
    ("description: a flux", "description: *nobody", 17, ["undefined alias"]),
    ("description: a flux", "description: 'a flux", 17, ["not valid YAML"]),
    ("description: a flux", "description: [a", 17, ["not valid YAML"]),
    ("description: a flux", "description: {a: b}", 17, ["string"]),
    (GOOD, BOMB, 0, ["nodes after expanding aliases"]),
    (GOOD, "sources: {}\n", 1, ["sources", "at least 1"]),
    (GOOD, "", 0, ["an empty file"]),
    (GOOD, "[" * 300, 1, ["nested deeper", "bracket"]),
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_one_message(tmp_path: Path, number: int) -> None:
    before, after, line, words = BROKEN[number]
    assert before in GOOD
    path = tmp_path / "cat.yaml"
    path.write_text(GOOD.replace(before, after, 1))
    with pytest.raises(UsageError) as caught:
        Catalog.open(path)
    message = str(caught.value)
    # YAML itself notices an open quote or bracket only where it ends.
    open_end = after in ("description: 'a flux", "description: [a")
    assert f"cat.yaml:{line if not open_end else ''}" in message or not line
    assert "cat.yaml" in message
    for word in words:
        assert word in message
    assert os.listdir(tmp_path) == ["cat.yaml"]


def test_there_are_forty() -> None:
    assert len(BROKEN) >= 40


def test_the_good_one_is_good(tmp_path: Path) -> None:
    (tmp_path / "cat.yaml").write_text(GOOD)
    assert list(Catalog.open(tmp_path / "cat.yaml")) == ["air", "flux"]


NEST = """\
sources:
  inner:
    driver: yaml_file_cat
    args: {{path: "{}"}}
"""


def test_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NEST.format("{{ CATALOG_DIR }}/b.yaml"))
    (tmp_path / "b.yaml").write_text(NEST.format("a.yaml"))
    with pytest.raises(UsageError, match=r"b\.yaml:4: .*circle: a\.yaml -> b\.yaml -> a\.yaml"):
        Catalog.open(tmp_path / "a.yaml")
    (tmp_path / "self.yaml").write_text(
        "metadata: {extends: self.yaml}\n" + GOOD[GOOD.index("sources:") :]
    )
    with pytest.raises(UsageError, match=r"self\.yaml:1: .*circle"):
        Catalog.open(tmp_path / "self.yaml")


def test_an_error_in_a_nested_catalog_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NEST.format("b.yaml"))
    (tmp_path / "b.yaml").write_text(GOOD.replace("driver: csv", "driver: cvs"))
    with pytest.raises(UsageError, match=r"b\.yaml:18: .*did you mean 'csv'"):
        Catalog.open(tmp_path / "a.yaml")


def test_errors_later_name_the_line_of_the_entry(tmp_path: Path) -> None:
    path = tmp_path / "cat.yaml"
    path.write_text(GOOD)
    with pytest.raises(NarcfError, match=r"cat\.yaml:8: source 'air': expected a file at"):
        Catalog.open(path)["air"].files()
    with pytest.raises(NarcfError, match=r"cat\.yaml:19: .*`narcf-geo catalog fetch flux`"):
        Catalog.open(path)["flux"].files()
    (tmp_path / "flux.csv").write_text("lon,lat,gpp\n1.5,2.5,0\n2.5,3.5,0\n")
    with pytest.raises(NarcfError, match=r"cat\.yaml:24: .*'nee': not in the file; it has: gpp"):
        Catalog.open(path)["flux"].read()
    (tmp_path / "flux.csv").write_text("lon,lat,nee\n1.5,2.5,0\n2.5,3.5,0\n")
    with pytest.raises(NarcfError, match=r"cat\.yaml:24: .*found none; state it.*`units:`"):
        Catalog.open(path)["flux"].read()


_SCRAPS = st.sampled_from(
    ["{{", "}}", "{{ CATALOG_DIR }}", "{{ folder }}", "{{ env(NO_SUCH) }}", "{year}", "{", "}", "[",
     "../", "*", "?", ":", "\n", "  ", "- ", "&a ", "*a", "<<: ", "!!set ", "''", "~", "1e999",
     "\x85", "é", "\x00", "netcdf", "zarr", "yaml_file_cat", "target", "0", "-1", "true", "#"]
)  # fmt: skip


@settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cut=st.integers(0, len(GOOD)), length=st.integers(0, 12), scrap=_SCRAPS, twice=_SCRAPS)
def test_nothing_else_comes_out(
    tmp_path: Path, cut: int, length: int, scrap: str, twice: str
) -> None:
    path = tmp_path / "cat.yaml"
    text = GOOD[:cut] + scrap + GOOD[cut + length :]
    path.write_text(text.replace("K}", f"K{twice}}}"), encoding="utf-8")
    catalog = _outcome(lambda: Catalog.open(path))
    if isinstance(catalog, str):
        assert path.name in catalog
        return
    assert list(catalog)
    for name in catalog:
        files = _outcome(lambda name=name: catalog[name].files())
        assert path.name in files if isinstance(files, str) else all(f.exists() for f in files)


def _outcome(call: Callable) -> Any:
    """Return what a call gives, or the words with which it is refused."""
    try:
        return call()
    except NarcfError as error:
        return str(error)


def test_a_thousand_entries_in_two_seconds(tmp_path: Path) -> None:
    entry = GOOD[GOOD.index("  air:") : GOOD.index("  flux:")]
    text = "sources:\n" + "".join(entry.replace("air:", f"air_{k}:", 1) for k in range(1000))
    (tmp_path / "cat.yaml").write_text(text)
    command = Path(sys.executable).with_name("narcf-geo")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [command, "catalog", "list", "--catalog", tmp_path / "cat.yaml"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.count("air_") >= 1000
    # Its own time, since other work on the machine counts for nothing here.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


def test_storage_options_are_not_quoted(tmp_path: Path) -> None:
    for option in ("anon: s3cr3t", "endpoint_url: s3cr3t", "secret: s3cr3t", "s3cr3t"):
        args = f"urlpath: flux.csv, storage_options: {{{option}}}"
        (tmp_path / "c.yaml").write_text(GOOD.replace("urlpath: flux.csv", args))
        with pytest.raises(UsageError, match=r"c\.yaml:19: .*storage_options") as caught:
            Catalog.open(tmp_path / "c.yaml")
        assert ("s3cr3t" in str(caught.value)) == (option == "s3cr3t")  # a key is named
