"""Archives: what they may bring, and that nothing else is written, whatever is in them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narcf_geo.catalog import unpack as unpacking
from narcf_geo.catalog.unpack import unpack
from narcf_geo.core.errors import NarcfError

Make = Callable[..., bytes]


def zipped(*names: str, content: bytes = b"1 2", **attributes: int) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                info = zipfile.ZipInfo("x")
                info.filename = name
                info.compress_type = zipfile.ZIP_DEFLATED
                for key, value in attributes.items():
                    setattr(info, key, value)
                archive.writestr(info, content)
        return file.getvalue()


def tarred(
    *names: str, content: bytes = b"1 2", kind: bytes = tarfile.REGTYPE, mode: str = "w:gz"
) -> bytes:
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
            for name in names:
                info = tarfile.TarInfo(name)
                info.type, info.mode = kind, 0o6777
                if kind == tarfile.REGTYPE:
                    info.size = len(content)
                else:
                    info.linkname = "/etc/passwd"
                archive.addfile(info, io.BytesIO(content))
        return file.getvalue()


def files(folder: Path) -> dict[str, bytes]:
    found = (p for p in sorted(folder.rglob("*")) if not p.is_dir())
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


@pytest.fixture
def archive(tmp_path: Path) -> Callable[[bytes, str], Path]:
    def write(content: bytes, name: str = "a.bin") -> Path:
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def refused(path: Path, words: str) -> None:
    """Hold an archive to be refused, with nothing written in its folder or above it."""
    before = files(path.parents[1])
    with pytest.raises(NarcfError, match=words) as caught:
        unpack(path)
    assert str(path) in str(caught.value)
    assert files(path.parents[1]) == before
    assert [p for p in path.parent.iterdir() if p.is_dir() and p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.zip", zipped("deep/b.asc"), "deep/b.asc"),
        ("a.tar", tarred("./deep/b.asc", mode="w"), "deep/b.asc"),
        ("a.tgz", tarred("deep/b.asc"), "deep/b.asc"),
        ("a.tar.bz2", tarred("deep/b.asc", mode="w:bz2"), "deep/b.asc"),
        ("a.tar.xz", tarred("deep/b.asc", mode="w:xz"), "deep/b.asc"),
        ("b.asc.gz", gzip.compress(b"1 2"), "b.asc"),
        ("b.asc.bz2", bz2.compress(b"1 2"), "b.asc"),
        ("b.asc.xz", lzma.compress(b"1 2"), "b.asc"),
        ("a.zip", zipped("s.zarr/.zgroup"), "s.zarr/.zgroup"),
        ("a.zip", zipped("b.asc", ".DS_Store", "__MACOSX/._b.asc", "._b.asc"), "b.asc"),
        ("a.tgz", tarred("wrf_2009-01-01_00:00:00"), "wrf_2009-01-01_00:00:00"),
        ("a.zip", zipped("temp été.asc"), "temp été.asc"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,  # they hold the time
)
def test_good_archives(archive: Callable, name: str, content: bytes, expected: str) -> None:
    path = archive(content, name)
    assert list(unpack(path)) == [expected]
    assert files(path.parent) == {name: content, expected: b"1 2"}
    mode = (path.parent / expected).stat().st_mode
    assert not mode & (stat.S_ISUID | stat.S_IXUSR | stat.S_IWOTH)
    assert list(unpack(path)) == [expected]  # again: it is there, with the same content


@pytest.mark.parametrize("make", [zipped, tarred])
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["../evil"], "outside"),
        (["/evil"], "outside"),
        (["//host/share/evil"], "outside"),
        (["a/../../evil"], "outside"),
        (["..\\evil"], "backslash"),
        (["C:\\evil"], "backslash"),
        (["C:evil", "b"], "drive"),
        (["a/\uff23\uff1aevil"], "drive"),
        ([".bashrc"], "hidden"),
        (["a/.git/config"], "hidden"),
        ([".narcf/state.json"], "hidden"),
        ([".zgroup"], "hidden"),
        (["x.nc", "narcf.yaml"], "'narcf.yaml'.*project's own"),
        (["a/NARCF.yaml"], "project's own"),
        (["\uff4earcf.yaml"], "project's own"),
        (["data_catalog.yaml"], "project's own"),
        (["fetched.lock.json"], "project's own"),
        (["narcf\u200d.yaml"], "invisible"),
        (["a\u202egpj.exe"], "invisible"),
        (["a\nb"], "invisible"),
        (["a\x1b[2Jb"], "invisible"),
        (["\u2025/evil"], "stand for a dot"),
        (["a\uff0fb"], "stand for a dot"),
        (["nul.nc"], "every system"),
        (["COM1"], "every system"),
        (["a./b"], "every system"),
        (["b "], "every system"),
        (["a.nc", "A.nc"], "'a.nc' again on some systems"),
        (["café.nc", "cafe\u0301.nc"], "again on some systems"),
        (["a.nc", "a.nc"], "again on some systems"),
        (["a", "a/b"], "again on some systems"),
        (["D/a", "d/b"], "again on some systems"),
        (["n" * 300], "cannot be unpacked"),
        (["a.bin"], "would replace"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_refused(
    archive: Callable, make: Make, names: list[str], words: str
) -> None:
    refused(archive(make("good.nc", *names)), words)


TRICKY = st.text("ab./\\:~ \0\n\u202e\uff0e\uff0fA\u0301é", max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(TRICKY.filter(bool), min_size=1, max_size=4), st.booleans())
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_any_names_give_plain_files_below_or_nothing(names: list[str], as_zip: bool) -> None:
    content = zipped(*names) if as_zip else tarred(*names)
    with tempfile.TemporaryDirectory() as top:
        path = Path(top) / "in" / "archive"
        path.parent.mkdir()
        path.write_bytes(content)
        try:
            held = set(unpack(path))
        except NarcfError:
            held = set()
        assert set(files(Path(top))) == {"in/archive", *(f"in/{name}" for name in held)}
        assert not [name for name in held if re.search(r"(^|/)\.|[\\\0\n]|\.(/|$)", name)]


def test_a_name_that_ends_at_a_nul_is_refused(archive: Callable) -> None:
    content = zipped("narcf.yamlX.nc").replace(b"narcf.yamlX.nc", b"narcf.yaml\0.nc")
    refused(archive(content), "invisible")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
def test_links_and_devices_are_refused(archive: Callable, kind: bytes) -> None:
    refused(archive(tarred("link", kind=kind)), "link, device")


def test_a_link_in_a_zip_and_an_encrypted_member_are_refused(archive: Callable) -> None:
    link = zipped("link", content=b"/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16)
    refused(archive(link), "link or device")
    plain = zipped("a.nc")
    place = plain.index(b"PK\x01\x02") + 8
    refused(archive(plain[:place] + b"\1" + plain[place + 1 :]), "encrypted")


DAMAGED = {
    "text": b"no archive",
    "nothing": b"",
    "zip, cut": zipped("a.nc")[:-30],
    "zip, another sum": zipped("a.nc", content=bytes(range(256))).replace(
        bytes(range(99)), b"x" * 99
    ),
    "tar.gz, cut": tarred("a.nc", content=np.random.default_rng(1).bytes(9000))[:-900],
    "tar, cut": tarred("a.nc", "b.nc", mode="w")[:1024],
    "tar, another sum of a header": tarred("a.nc", "b.nc", mode="w").replace(b"b.nc", b"c.nc"),
    "gz, cut": gzip.compress(b"1 2" * 99)[:-4],
    "zip, the end alone": b"PK\x05\x06" + bytes(18),
    "zip, empty": zipped(),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_archives_leave_nothing(archive: Callable, what: str) -> None:
    refused(archive(DAMAGED[what]), "expected|cannot be unpacked")


ZEROS = bytes(3_000_000)


BOMBS = {
    "zip": zipped("a.nc", content=ZEROS),
    "tar.gz": tarred("a.nc", content=ZEROS),
    "tar.xz": tarred("a.nc", content=ZEROS, mode="w:xz"),
    "gz": gzip.compress(ZEROS),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_what_unpacks_to_a_hundred_times_its_size_is_refused(
    archive: Callable, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(BOMBS[kind], "a.nc.gz")
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1_000_000)
    refused(path, "at most 1,000,000 bytes")
    monkeypatch.setattr(unpacking, "FREE_BYTES", 4_000_000)
    assert list(unpack(path)) == ["a.nc"]


def test_a_header_of_megabytes_is_refused(archive: Callable) -> None:
    refused(archive(gzip.compress(tarred("p" * 3_000_000, mode="w"))), "found more")


def test_a_size_that_is_not_true_is_counted(
    archive: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory of the zip says 3 bytes; the member holds three millions."""
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1_000_000)
    content = zipped("a.nc", content=ZEROS)
    refused(archive(content.replace(len(ZEROS).to_bytes(4, "little"), b"\3\0\0\0")), "damaged")


def test_too_many_members_are_refused(archive: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_FILES", 3)
    for make in (zipped, tarred):
        refused(archive(make("a", "b", "c", "d")), "at most 3 members")
        assert len(unpack(archive(make("a", "b", "c")))) == 3
        for name in "abc":
            (archive(b"").parent / name).unlink()


def test_more_than_there_is_room_for_is_refused(
    archive: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = unpacking.shutil.disk_usage("/")
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: usage._replace(free=2))
    for make in (zipped, tarred):
        refused(archive(make("a")), "expected room for 3 bytes")


def test_a_file_that_is_there_stays(archive: Callable) -> None:
    path = archive(zipped("a.nc", "b.nc"))
    (path.parent / "b.nc").write_bytes(b"mine")
    refused(path, r"refused to unpack 'b.nc', which would replace .*b\.nc: move that away")
    # One that an earlier version of the archive brought is replaced.
    (path.parent / "b.nc").unlink()
    held = unpack(path)
    path = archive(zipped("a.nc", "b.nc", content=b"new"))
    with pytest.raises(NarcfError, match="would replace"):
        unpack(path)
    unpack(path, held)
    assert files(path.parent)["b.nc"] == b"new"
    # Unless it was changed since.
    (path.parent / "a.nc").write_bytes(b"mine")
    with pytest.raises(NarcfError, match=r"a\.nc.*would replace"):
        unpack(archive(zipped("a.nc", "b.nc", content=b"newer")), held)
    assert files(path.parent)["b.nc"] == b"new"


def test_links_in_the_folder_are_not_followed(archive: Callable, tmp_path: Path) -> None:
    path = archive(zipped("to/a.nc", "b.nc"))
    (tmp_path / "elsewhere").mkdir()
    (path.parent / "to").symlink_to(tmp_path / "elsewhere")
    refused(path, "no folder of its own")
    (path.parent / "to").unlink()
    (path.parent / "b.nc").symlink_to(tmp_path / "elsewhere" / "new")
    with pytest.raises(NarcfError, match="would replace"):
        unpack(path)
    assert list((tmp_path / "elsewhere").iterdir()) == []
