"""YAML that is wrong in every way a user or an attacker may make it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from narcf_geo.catalog.schema import CatalogFile
from narcf_geo.core.errors import UsageError
from narcf_geo.core.yamlfile import load
from narcf_geo.project.settings import Settings

GOOD = """\
title: a project
region: {west: -100, south: 40, east: -88, north: 50}
period: {start: 2007-01, end: 2009-12}
land_cover: {source: igbp}
predictors:
  weather: [temp, precip]
target: {source: inversion}
split:
  kind: period
  train: {start: 2007-01, end: 2007-12}
  validation: {start: 2008-01, end: 2008-12}
  test: {start: 2009-01, end: 2009-12}
model: {preset: narcf-25}
"""


def read(tmp_path: Path, text: str | bytes, schema: type = Settings) -> object:
    path = tmp_path / "narcf.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, schema)


def refusal(tmp_path: Path, text: str | bytes, schema: type = Settings) -> str:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text, schema)
    return str(caught.value)


def test_the_good_file_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert isinstance(found, Settings)
    assert found.predictor_names == ["temp", "precip"]


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("title:", "tittle:", 1, ["tittle", "did you mean 'title'"]),
        ("preset:", "prest:", 13, ["model.prest", "did you mean 'preset'"]),
        ("  train:", "  trian:", 10, ["split.trian", "did you mean 'train'"]),
        ("{source: inversion}", "{sorce: inversion}", 7, ["did you mean 'source'"]),
        ("title: a project", "qqq: a project", 1, ["unknown key; known here:", "resolution"]),
        ("narcf-25", "narcf-26", 13, ["model.preset", "narcf-26", "narcf-25"]),
        ("2009-12}\nland", "2009-13}\nland", 3, ["YYYY-MM", "2009-13"]),
        ("start: 2008-01", "start: 2007-12", 8, ["share months"]),
        ("start: 2009-01", "start: 2010-01", 12, ["2010-01 is after end 2009-12"]),
        ("end: 2009-12}\nland", "end: 2009-11}\nland", 1, ["outside the period"]),
        ("east: -88", "east: -100", 2, ["empty"]),
        ("south: 40", "south: .nan", 2, ["south"]),
        ("[temp, precip]", "[temp, temp]", 1, ["temp", "keep one"]),
        ("[temp, precip]", "7", 6, ["list", "7"]),
        ("target: {source: inversion}\n", "", 1, ["target", "required"]),
    ],
)
def test_the_message_names_line_key_and_remedy(
    tmp_path: Path, before: str, after: str, line: int, words: list[str]
) -> None:
    assert before in GOOD
    message = refusal(tmp_path, GOOD.replace(before, after, 1))
    assert f"narcf.yaml:{line}: " in message
    for word in words:
        assert word in message
    assert "Traceback" not in message


def test_a_misspelt_key_deep_in_a_catalog(tmp_path: Path) -> None:
    text = (
        "sources:\n  a:\n    description: x\n    driver: netcdf\n    args: {urlpath: a.nc}\n"
        "    metadata:\n      role: predictor\n      variables:\n        temp: {nmae: air}\n"
    )
    message = refusal(tmp_path, text, CatalogFile)
    assert "narcf.yaml:9: sources.a.metadata.variables.temp.nmae" in message
    assert "did you mean 'name'" in message


def test_a_repeated_key(tmp_path: Path) -> None:
    message = refusal(tmp_path, GOOD + "title: again\n")
    assert "narcf.yaml:14: 'title' is here a second time" in message


def test_a_repeated_key_deep_down(tmp_path: Path) -> None:
    message = refusal(tmp_path, GOOD.replace("west: -100", "west: -100, west: -99"))
    assert "narcf.yaml:2: 'west' is here a second time" in message


def test_a_tab(tmp_path: Path) -> None:
    assert "narcf.yaml:6: not valid YAML" in refusal(
        tmp_path, GOOD.replace("  weather", "\tweather")
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "an empty file"),
        ("# only a comment\n", "an empty file"),
        ("- a\n- b\n", "a list"),
        ("just text\n", "a str"),
        (b"title: caf\xe9\n", "UTF-8"),
        (b"title: \x00\n", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system ['touch harm']\n", "not valid YAML"),
        ("{[a, b]: 1}\n", "not valid YAML"),
        ("{{a: b}: 1}\n", "not valid YAML"),
        ("a: !!int ''\n", "not valid YAML"),
        ("a: !!bool maybe\n", "not valid YAML"),
        ("a: !!timestamp yesterday\n", "not valid YAML"),
        ("a: 2007-13-45\n", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("1: 2\n", "Keys should be strings"),
    ],
)
def test_what_is_no_mapping_of_plain_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | bytes, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert word in refusal(tmp_path, text)
    assert os.listdir(tmp_path) == ["narcf.yaml"]


def test_an_alias_bomb(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "nodes after expanding aliases" in refusal(tmp_path, "\n".join(lines))


def test_an_alias_to_itself(tmp_path: Path) -> None:
    assert "nodes after expanding aliases" in refusal(tmp_path, "a: &a [*a]\n")


def test_no_such_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"narcf\.yaml: no such file; `narcf-geo init"):
        load(tmp_path / "narcf.yaml", Settings)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "narcf.yaml").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "narcf.yaml", Settings)


_KEYS = ["title", "region", "west", "split", "kind", "sources", "metadata", "args", "a"]
_SCRAPS = st.sampled_from(
    [*_KEYS, ": ", "- ", "\n", "  ", "{", "}", "[", "]", "&a ", "*a", "<<: ", "!!int ", "!!set ",
     "!!float ", "!!binary ", "!!timestamp ", "!!omap ", "!!pairs ", "? ", "|", ">", "'", '"', "#",
     "\t", "---\n", "%YAML 9.9\n", "1:2:3", "0x", "0o9", ".inf", "~", "2007-01-01", "\ufeff", "é"]
)  # fmt: skip
_TEXT = st.one_of(
    st.lists(_SCRAPS, max_size=25).map("".join),
    st.text(max_size=60),
    st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), _SCRAPS).map(
        lambda cut: GOOD[: cut[0]] + cut[2] + GOOD[cut[0] + cut[1] :]
    ),
).map(lambda text: text.encode("utf-8", "replace"))


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.one_of(_TEXT, st.binary(max_size=40)))
@example(text=b"? [a]\n: 1\n")
@example(text=b"!!float ''")
def test_nothing_but_a_usage_error_comes_out(tmp_path: Path, text: bytes) -> None:
    for schema in (Settings, CatalogFile):
        try:
            found = read(tmp_path, text, schema)
        except UsageError as error:
            found = str(error)
        assert isinstance(found, schema) or "narcf.yaml" in found


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("\n".join(f"k{i}: {i}" for i in range(400_000)), "at most 4 MB"),
        ("\n".join(f"k{i}: {i}" for i in range(100_000)), "at most 100000 values"),
        (f"a: &a 1\nb: [{','.join(['*a'] * 390_000)}]", "at most 100000 values"),
        ("[" * 1_000_000, "nest"),
        ("\n".join(" " * i + "a:" for i in range(1000)), "nested deeper"),
        (f"title: {'x' * 200_000}", "a value of 200000 characters"),
        (f"{GOOD}seed: {'9' * 500}\n", "a value of 500 characters"),
        (f"{GOOD}seed: 0x{'f' * 390}\n", "a number of about 470 digits"),
        (GOOD + "".join(f"key{i}: 1\n" for i in range(10_000)), "and 9980 more problems"),
    ],
)
def test_a_file_that_is_too_much_is_refused_in_a_second(
    tmp_path: Path, text: str, word: str
) -> None:
    begin = time.process_time()
    message = refusal(tmp_path, text)
    assert time.process_time() - begin < 2
    assert word in message
    assert len(message) < 10_000


def test_as_much_as_a_large_catalog_is_read(tmp_path: Path) -> None:
    sums = "".join(f"        f{i}.nc: a{i:063x}\n" for i in range(5000))
    text = (
        f"sources:\n  a:\n    description: {'x' * 5000}\n    driver: netcdf\n"
        f"    args: {{urlpath: a.nc}}\n    metadata:\n      role: predictor\n      sha256:\n{sums}"
    )
    found = read(tmp_path, text, CatalogFile)
    assert len(found.sources["a"].metadata.sha256) == 5000  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "narcf.yaml")
    with pytest.raises(UsageError, match="expected a file, found a pipe"):
        load(tmp_path / "narcf.yaml", Settings)


def test_a_path_that_no_file_can_have() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(Path("a\0b.yaml"), Settings)
