"""Equal files have equal fingerprints, and no others."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.errors import DataError
from hero.fingerprint import fingerprint
from tests.platforms import make_link, make_pipe

names = st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=3).map("/".join)
trees = st.dictionaries(names, st.binary(max_size=3), max_size=4).filter(
    lambda tree: not any(f"{name}/" in other for name in tree for other in tree)
)


def written(tree: dict[str, bytes], path: Path) -> Path:
    path.mkdir()
    for name, content in reversed(tree.items()):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


@given(st.lists(trees, min_size=1, max_size=2), st.lists(trees, min_size=1, max_size=2))
def test_fingerprints_are_equal_where_names_and_contents_are(
    tmp_path_factory: pytest.TempPathFactory, first: list[dict[str, bytes]], second: list[dict[str, bytes]]
) -> None:
    home = tmp_path_factory.mktemp("trees")
    fingerprints = [
        fingerprint(*(written(tree, home / f"{side}{index}") for index, tree in enumerate(side_trees)))
        for side, side_trees in (("first", first), ("second", second))
    ]
    assert (fingerprints[0] == fingerprints[1]) == (first == second)


def test_a_file_counts_by_its_own_name_wherever_it_is(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        written({"x": b"1", "y": b"1"}, tmp_path / folder)
    assert fingerprint(tmp_path / "a" / "x") == fingerprint(tmp_path / "b" / "x") != fingerprint(tmp_path / "a" / "y")
    assert len(fingerprint(tmp_path / "a")) == len(hashlib.sha256().hexdigest())


def test_the_order_of_a_directory_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = written({"x": b"1", "y": b"2", "z/x": b"3"}, tmp_path / "tree")
    listed = Path.iterdir
    fingerprints = set()
    for turned in (False, True):
        monkeypatch.setattr(Path, "iterdir", lambda path, turned=turned: iter(sorted(listed(path), reverse=turned)))
        fingerprints.add(fingerprint(tree))
    assert len(fingerprints) == 1


def test_hidden_files_of_a_directory_do_not_count(tmp_path: Path) -> None:
    tree = written({"x/y": b"1"}, tmp_path / "tree")
    before = fingerprint(tree)
    (tree / "x" / ".DS_Store").write_bytes(b"2")
    shutil.copytree(tree / "x", tree / ".cache")
    assert fingerprint(tree) == before


def test_the_target_of_a_link_counts(tmp_path: Path) -> None:
    tree = written({"x": b"1", "folder/y": b"2"}, tmp_path / "tree")
    linked = written({}, tmp_path / "linked")
    for name in ("x", "folder"):
        make_link(linked / name, tree / name)
    assert fingerprint(linked) == fingerprint(tree)


@pytest.mark.parametrize("kind", ["missing", "dangling", "itself", "above", "pipe", "device"])
def test_a_path_that_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "odd"
    if kind == "pipe":
        make_pipe(path)
    elif kind != "missing":
        make_link(path, {"itself": path, "above": tmp_path, "dangling": "nowhere", "device": "/dev/zero"}[kind])
    for given_ in (path, *([tmp_path] if kind != "missing" else [])):
        with pytest.raises(DataError, match="odd"):
            fingerprint(given_)


def test_names_that_differ_in_case_are_sorted_alike_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = written({"B": b"1", "a": b"2", "c/D": b"3", "c/b": b"4"}, tmp_path / "tree")
    before = fingerprint(tree)
    monkeypatch.setattr(PurePath, "__lt__", lambda one, other: str(one).lower() < str(other).lower())  # as on Windows
    assert [file.name for file in sorted(tree.iterdir())] == ["a", "B", "c"]
    assert fingerprint(tree) == before
