"""References of kerchunk: pieces of files in their folder, and of no others unless allowed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from narcf_geo.core.errors import UnreadableError
from narcf_geo.fields.references import require_own_references


def written(folder: Path, target: str, **more: object) -> str:
    refs = {".zgroup": '{"zarr_format": 2}', "a/0.0": [target, 0, 8], "a/0.1": "base64:AAAA"}
    (folder / "cube.json").write_text(json.dumps({"version": 1, "refs": refs, **more}))
    return str(folder / "cube.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("mine/a.nc", "other/a.nc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(16))
    (tmp_path / "mine/link.nc").symlink_to(tmp_path / "other/a.nc")
    return tmp_path / "mine"


def test_own_files_are_read(folder: Path) -> None:
    require_own_references(written(folder, str(folder / "a.nc")))
    require_own_references(written(folder, f"file://{folder}/a.nc"))


@pytest.mark.parametrize(
    "target",
    [
        *("/etc/passwd", "{0}/../other/a.nc", "{0}/link.nc", "file:///etc/passwd", "/dev/zero"),
        *("https://example.org/a.nc", "s3://bucket/a.nc", "simplecache::https://a.org/a.nc"),
        *("{{u}}/a.nc", "http://127.0.0.1/a.nc"),
    ],
)
def test_others_are_refused_unless_allowed(
    folder: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target if "{{" in target else target.format(folder)
    location = written(folder, target)
    with pytest.raises(UnreadableError, match=r"cube\.json: 'a/0\.0': expected a file below"):
        require_own_references(location)
    monkeypatch.setenv("NARCF_REFERENCES", f"https://example.org/ {folder.parent / 'other'}")
    if "example.org" in target or "other" in target or "link" in target:
        require_own_references(location)
    else:
        with pytest.raises(UnreadableError, match="expected a file below"):
            require_own_references(location)


@pytest.mark.parametrize(
    "more", [{"templates": {"u": "{{ 7*7 }}"}}, {"gen": [{"key": "a", "url": "b"}]}]
)
def test_templates_that_run_code_are_refused(folder: Path, more: dict) -> None:
    with pytest.raises(UnreadableError, match="found templates"):
        require_own_references(written(folder, str(folder / "a.nc"), **more))


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"refs": 1}', '{"a": [1]}', "7"])
def test_what_is_no_references_is_said_in_words(folder: Path, text: str) -> None:
    (folder / "cube.json").write_text(text)
    with pytest.raises(UnreadableError, match=r"cube\.json: .*expected"):
        require_own_references(str(folder / "cube.json"))
