"""Fetching from a server on this machine that is slow, wrong or breaks off; no other network."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import shutil
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from narcf_geo.catalog import download as downloading
from narcf_geo.catalog import fetch as fetching
from narcf_geo.catalog.catalog import Catalog
from narcf_geo.core.errors import NarcfError, UsageError
from narcf_geo.core.lock import hold

BODY = bytes(range(256)) * 3000
SHA = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Counts requests, and serves each path as its name says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str, str | None]] = []
        self.logins: list[str | None] = []
        self.pieces = [300_000, 300_000]
        self.archive = b""
        self.version = '"one"'

    def count(self, path: str) -> int:
        return sum(p == path for method, p, _ in self.seen if method == "GET")


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.seen.append((self.command, self.path, self.headers.get("Range")))
        self.server.logins.append(self.headers.get("Authorization"))
        name = self.path.rpartition("/")[2]
        if name.startswith("missing"):
            return self.answer(404, b"")
        if name.startswith("locked"):
            return self.answer(401, b"")
        if name.startswith("busy") and self.server.count(self.path) < 3:
            return self.answer(503, b"")
        if name.startswith("moved"):
            return self.answer(302, b"", Location=f"/elsewhere/{name[6:]}")
        if name.startswith("tofile"):
            return self.answer(302, b"", Location="file:///etc/passwd")
        if name.startswith("inward"):
            return self.answer(302, b"", Location=f"http://{name[7:]}/x?key=s3cr3t")
        if name.startswith("circle"):
            return self.answer(302, b"", Location=self.path)
        if name.startswith("slow") and self.server.count(self.path) < 2:
            time.sleep(0.6)
        if name.startswith("page"):
            return self.answer(200, b"<html>", **{"Content-Type": "text/html; charset=utf-8"})
        if name.startswith("archive"):
            return self.answer(200, self.server.archive)
        if name.startswith("breaks"):
            return self.ranged()
        return self.answer(200, BODY)

    def ranged(self) -> None:
        start = 0
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range") == self.server.version:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        part = BODY[start:]
        send = part[: self.server.pieces.pop(0)] if self.server.pieces else part
        self.answer(206 if start else 200, send, len(part), ETag=self.server.version)

    def answer(self, code: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)
        self.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def catalog(tmp_path: Path, server: Server) -> Callable[..., Catalog]:
    def make(*files: str, sha256: dict[str, str] | None = None, **fetch: Any) -> Catalog:
        base = f"http://127.0.0.1:{server.server_address[1]}/folder/"
        source = {
            "description": "x",
            "driver": "netcdf",
            "args": {"urlpath": "data/*.nc"},
            "metadata": {
                "role": "predictor",
                "sha256": sha256 or {},
                "fetch": {"url": [base + file for file in files], **fetch},
            },
        }
        (tmp_path / "c.yaml").write_text(yaml.safe_dump({"sources": {"it": source}}))
        return Catalog.open(tmp_path / "c.yaml")

    return make


def run(catalog: Catalog) -> list[Path]:
    return fetching.fetch(fetching.plan(catalog, "it"), lambda *_: None, wait=0.01)


def zipped(name: str, content: bytes) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name, content)
        return file.getvalue()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_files_of_a_period_and_their_lock(catalog: Callable, server: Server) -> None:
    them = catalog("a_{year}{month}.nc", period=["2007-12", "2008-01"])
    paths = run(them)
    assert [p.name for p in paths] == ["a_200712.nc", "a_200801.nc"]
    assert all(p.read_bytes() == BODY for p in paths)
    lock = fetching.read_lock(paths[0].parent)
    assert lock["a_200801.nc"]["sha256"] == SHA
    assert lock["a_200801.nc"]["size"] == len(BODY)
    server.seen.clear()
    run(them)
    assert server.seen == []
    paths[0].write_bytes(b"damaged")
    run(them)
    assert paths[0].read_bytes() == BODY
    assert len(server.seen) == 1


def test_a_file_that_breaks_off_is_continued(catalog: Callable, server: Server) -> None:
    (path,) = run(catalog("breaks.nc", sha256={"breaks.nc": SHA}))
    assert path.read_bytes() == BODY
    starts = [int(r[6:-1]) for _, _, r in server.seen if r]
    assert len(starts) == 2
    assert 200_000 < starts[0] <= 300_000
    assert 400_000 < starts[1] <= 600_000
    assert names(path.parent) == ["breaks.nc", fetching.LOCK]


def test_a_file_that_changed_meanwhile_is_begun_again(
    catalog: Callable, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".breaks.nc.part").write_bytes(b"old")
    (tmp_path / "data" / ".breaks.nc.part.version").write_text('"zero"')
    server.pieces.clear()
    (path,) = run(catalog("breaks.nc"))
    assert path.read_bytes() == BODY
    assert server.seen[0][2] == "bytes=3-"


def test_it_gives_up_but_keeps_what_it_has(
    catalog: Callable, server: Server, tmp_path: Path
) -> None:
    server.pieces = [80_000] * 5
    with pytest.raises(NarcfError, match=r"5 attempts failed.*run the same command again"):
        run(catalog("breaks.nc"))
    assert "breaks.nc" not in names(tmp_path / "data")
    assert (tmp_path / "data" / ".breaks.nc.part").stat().st_size >= 5 * 65_536
    (path,) = run(catalog("breaks.nc"))
    assert path.read_bytes() == BODY


def test_a_busy_server_is_asked_again(catalog: Callable, server: Server) -> None:
    (path,) = run(catalog("busy.nc"))
    assert path.read_bytes() == BODY
    assert len(server.seen) == 3


def test_a_slow_server_is_left_and_asked_again(
    catalog: Callable, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "_TIMEOUT", (1, 0.2))
    (path,) = run(catalog("slow.nc"))
    assert path.read_bytes() == BODY
    assert len(server.seen) == 2


def test_a_wrong_checksum_leaves_nothing(catalog: Callable, tmp_path: Path) -> None:
    with pytest.raises(NarcfError, match=r"expected the SHA-256 checksum 0000.*discarded"):
        run(catalog("a.nc", sha256={"a.nc": "0" * 64}))
    assert names(tmp_path / "data") == []


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("missing.nc", "HTTP status 404.*fetch.url"),
        ("locked.nc", "HTTP status 401.*login"),
        ("tofile.nc", "refused to follow its redirect from http:// to file:///etc/passwd"),
        ("inward_169.254.169.254", r"redirect to the link-local address http://169\.254\S+/x;"),
        ("inward_0xa9fea9fe", "redirect to the link-local address"),
        ("inward_10.0.0.7", "redirect to the private address"),
        ("page.nc", "found a web page"),
        ("circle.nc", "more than 10 redirects"),
    ],
)
def test_refused_at_once(
    catalog: Callable, server: Server, tmp_path: Path, file: str, words: str
) -> None:
    with pytest.raises(NarcfError, match=words):
        run(catalog(file))
    assert len(server.seen) == (10 if file == "circle.nc" else 1)
    assert names(tmp_path / "data") == []


def test_the_others_arrive_when_one_fails(catalog: Callable, tmp_path: Path) -> None:
    with pytest.raises(NarcfError, match=r"missing\.nc"):
        run(catalog("a.nc", "missing.nc", "moved_b.nc"))
    assert names(tmp_path / "data") == ["a.nc", fetching.LOCK, "moved_b.nc"]


def test_ctrl_c_stops_the_others_and_keeps_their_parts(
    catalog: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interrupt reaches the main thread, here when the first file is written down."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "_write_lock", interrupt)

    def slow_after_the_first(name: str, *_: object) -> None:
        time.sleep(0.0 if name == "a.nc" else 0.3)

    downloads = fetching.plan(catalog("a.nc", "b.nc", "c.nc"), "it")
    with pytest.raises(KeyboardInterrupt):
        fetching.fetch(downloads, slow_after_the_first, workers=1)
    assert "a.nc" in names(tmp_path / "data")
    assert ".b.nc.part" in names(tmp_path / "data")
    assert not {"b.nc", "c.nc"} & set(names(tmp_path / "data"))


@pytest.mark.parametrize(
    "file",
    [
        *("..%2F..%2Fevil.nc", "%2e%2e", ".hidden", "", "a%5Cb.nc", "a%00.nc", "C:a", "nul.nc"),
        *("narcf.yaml", "Data_Catalog.yaml", "fetched.lock.json", "a%0Ab"),
    ],
)
def test_names_that_lead_elsewhere(catalog: Callable, server: Server, file: str) -> None:
    with pytest.raises(UsageError, match="ends in a file name"):
        run(catalog(file))
    assert server.seen == []


def test_a_public_server_leads_to_no_private_one(
    catalog: Callable, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of these tests is taken for a public one; what it leads to is this computer."""
    real = downloading._reach
    monkeypatch.setattr(
        downloading, "_reach", lambda url: "public" if "/folder/" in url else real(url)
    )
    with pytest.raises(NarcfError, match="redirect to the loopback address"):
        run(catalog("moved_a.nc"))
    assert len(server.seen) == 1
    monkeypatch.undo()
    assert len(run(catalog("moved_a.nc"))) == 1


def test_where_cloud_machines_find_their_keys_is_never_asked(tmp_path: Path) -> None:
    url = "http://169.254.169.254/latest/a.nc"
    download = downloading.Download("it", url, tmp_path / "a.nc", None, None, False)
    with pytest.raises(UsageError, match="refused to ask a link-local address"):
        downloading.size(download)


SECRETS = ("s3cr3t", "al%69ce", "alice", "p%40ss", "p@ss")


@pytest.mark.parametrize(
    "file", ["a.nc", "missing.nc", "page.nc", "circle.nc", "tofile.nc", "locked.nc", "moved_a.nc"]
)
def test_logins_and_queries_of_addresses_are_told_nowhere(
    catalog: Callable, server: Server, tmp_path: Path, file: str, in_process: Callable
) -> None:
    catalog(f"{file}?key=s3cr3t")
    path = tmp_path / "c.yaml"
    path.write_text(path.read_text().replace("//127", "//al%69ce:p%40ss@127"))
    server.pieces.clear()
    said = []
    for options in ((), ("--dry-run",), ("--debug",)):
        done = in_process("catalog", "fetch", "it", "--catalog", path, *options)
        said.append(done.stdout + done.stderr)
    said += [p.read_text(errors="replace") for p in tmp_path.rglob("*.json")]
    assert "folder/" in "".join(said)
    assert [secret for secret in SECRETS if secret in "".join(said)] == []
    # They were sent all the same.
    assert server.logins[0] == "Basic " + base64.b64encode(b"alice:p@ss").decode()
    assert server.seen[0][1].endswith("?key=s3cr3t")


def test_a_server_that_is_gone_is_told_of_without_secrets(tmp_path: Path) -> None:
    closed = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    closed.server_close()
    url = f"http://alice:p%40ss@127.0.0.1:{closed.server_port}/a.nc?key=s3cr3t#s3cr3t"
    download = downloading.Download("it", url, tmp_path / "a.nc", None, None, False)
    with pytest.raises(NarcfError, match="the server cannot be reached") as caught:
        fetching.fetch([download], lambda *_: None, wait=0.01)
    said = "".join(traceback.format_exception(caught.value)) + repr(download)
    assert [secret for secret in SECRETS if secret in said] == []


def test_a_login_of_netrc_is_not_sent_in_the_open(
    catalog: Callable, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login alice password p@ss\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    run(catalog("a.nc"))
    assert server.logins == [None]


def test_the_token_goes_to_its_host_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", " secret\r\n")
    download = downloading.Download("a", "", Path("a"), None, "earthdata", False)
    sent = {"Authorization": "Bearer secret"}
    assert downloading._token("https://urs.earthdata.nasa.gov/x", download) == sent
    for url in (
        "http://urs.earthdata.nasa.gov/x",
        "https://earthdata.nasa.gov.evil.org/x",
        "https://evilearthdata.nasa.gov.org/",
        "https://example.org/urs.earthdata.nasa.gov",
    ):
        assert not downloading._token(url, download)


@pytest.mark.parametrize("token", ["s3cr3t\nHost: evil", "s3cr3t p", "s3cr3té", "s3cr3t\x7f"])
def test_what_cannot_be_a_token_is_refused_unseen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str
) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", token)
    url = "https://data.earthdata.nasa.gov/a.nc"
    download = downloading.Download("it", url, tmp_path / "a.nc", None, "earthdata", False)
    with pytest.raises(UsageError, match="EARTHDATA_TOKEN: expected a token") as caught:
        downloading._token(url, download)
    assert "s3cr3t" not in str(caught.value)


def test_a_file_that_was_not_fetched_is_not_replaced(catalog: Callable, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.nc").write_bytes(b"mine")
    with pytest.raises(NarcfError, match=r"a\.nc: expected nothing, or a file of .*move it away"):
        run(catalog("a.nc", sha256={"a.nc": SHA}))
    assert (tmp_path / "data" / "a.nc").read_bytes() == b"mine"
    (tmp_path / "data" / "a.nc").write_bytes(BODY)
    assert len(run(catalog("a.nc", sha256={"a.nc": SHA}))) == 1


def test_more_than_there_is_room_for_is_not_begun(
    catalog: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda _: usage._replace(free=9))
    with pytest.raises(NarcfError, match=r"expected room for 768,000 bytes .* found 9"):
        run(catalog("a.nc"))
    assert names(tmp_path / "data") == []


def test_a_hidden_folder_is_refused(catalog: Callable, server: Server) -> None:
    with pytest.raises(UsageError, match=r"does not begin with a dot, found \.ssh"):
        run(catalog("authorized_keys", folder="../somewhere/.ssh"))
    assert server.seen == []


def test_a_part_that_is_a_link_is_not_written_to(
    catalog: Callable, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "data" / ".a.nc.part").symlink_to(tmp_path / "mine")
    with pytest.raises(NarcfError, match="found a link"):
        run(catalog("a.nc"))
    assert (tmp_path / "mine").read_text() == "mine"


def test_an_archive_is_unpacked_again_where_it_changed(
    catalog: Callable, server: Server, tmp_path: Path
) -> None:
    for content in (b"old", b"new"):
        server.archive = zipped("b.nc", content=content)
        run(catalog("archive.zip", unpack=True))
        assert (tmp_path / "data" / "b.nc").read_bytes() == content
        lock = fetching.read_lock(tmp_path / "data")
        assert list(lock["archive.zip"]["unpacked"]) == ["b.nc"]
        (tmp_path / "data" / "archive.zip").unlink()
        lock["archive.zip"].pop("sha256")
        (tmp_path / "data" / fetching.LOCK).write_text(json.dumps(lock))


def test_dry_run_fetches_nothing(
    catalog: Callable, server: Server, tmp_path: Path, in_process: Callable
) -> None:
    catalog("a.nc", "moved_b.nc")
    file = tmp_path / "c.yaml"
    done = in_process("catalog", "fetch", "it", "--catalog", file, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "2 files, 1.5 MB; nothing was fetched" in done.stdout
    assert {method for method, _, _ in server.seen} == {"HEAD"}
    assert not (tmp_path / "data").exists()
    done = in_process("catalog", "fetch", "it", "--catalog", file)
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "data") == ["a.nc", fetching.LOCK, "moved_b.nc"]


def test_a_size_that_cannot_be_asked_for(tmp_path: Path) -> None:
    closed = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    closed.server_close()
    url = f"http://127.0.0.1:{closed.server_port}/a.nc"
    download = downloading.Download("it", url, tmp_path / "a.nc", None, None, False)
    with pytest.raises(NarcfError, match="cannot be reached"):
        downloading.size(download)


def test_nothing_is_put_into_the_package() -> None:
    with pytest.raises(UsageError, match="narcf-geo init DIR"):
        fetching.plan(Catalog.open(), "narr")


def test_a_second_fetch_into_the_folder_is_refused(
    catalog: Callable, server: Server, tmp_path: Path
) -> None:
    them = catalog("a.nc")
    folder = tmp_path / "data"
    with hold(folder / ".fetch.lock", str(folder)), ThreadPoolExecutor(1) as pool:
        with pytest.raises(NarcfError, match=r"data is in use by process \d+ on "):
            pool.submit(run, them).result()
        assert names(folder) == [".fetch.lock"]
    assert server.seen == []
    run(them)
    assert names(folder) == ["a.nc", fetching.LOCK]


KILLED = """
import os, sys
from pathlib import Path
from narcf_geo.catalog import unpack
unpack._place = lambda *_: os._exit(9)
unpack.unpack(Path(sys.argv[1]))
"""


def test_what_a_killed_fetch_unpacked_goes(catalog: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "old.zip").write_bytes(zipped("b.nc", BODY))
    command = [sys.executable, "-c", KILLED, str(folder / "old.zip")]
    assert subprocess.run(command, check=False).returncode == 9
    (left,) = [path for path in folder.iterdir() if path.name != "old.zip"]
    assert left.is_dir()
    assert (left / "b.nc").read_bytes() == BODY
    run(catalog("a.nc"))
    assert names(folder) == ["a.nc", fetching.LOCK, "old.zip"]
