"""Files of the original are distinguished from others."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hero.envs.webshop.catalogue import checksums
from hero.envs.webshop.catalogue.checksums import KnownFile, identify
from tests.envs.webshop.recorded import DATA, needs_recordings


def test_a_file_is_identified_by_its_size_and_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(b"shoes").hexdigest()
    monkeypatch.setattr(checksums, "KNOWN_FILES", (KnownFile("the shoes", 5, digest[:8], digest[-4:]),))
    read: list[int] = []
    for content, name in ((b"shoes", "the shoes"), (b"socks", None), (b"shoes ", None)):
        (tmp_path / "file").write_bytes(content)
        assert identify(tmp_path / "file", read.append) == name
    assert read == [5, 5]  # what has another size need not be read


@needs_recordings
def test_the_recorded_attributes_are_the_originals() -> None:
    assert identify(DATA / "items_ins_v2_1000.json", lambda _: None) == "items_ins_v2_1000.json"
    assert identify(DATA / "items_shuffle_1000.json", lambda _: None) is None
