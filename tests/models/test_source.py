"""A path is never asked of the hub, and a name of the hub is never taken for a path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hero.errors import ConfigError
from hero.models import load as loading
from hero.models.source import local_path

NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,12}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda part: not part.lower().endswith(".gguf")
)
"""Parts of names on the hub."""


@st.composite
def paths(draw: st.DrawFn) -> str:
    """Draws a source that can only be a path, and leads nowhere."""
    parts = [*draw(st.lists(NAMES, min_size=1, max_size=4)), "there-is-nothing-here"]
    kind = draw(st.sampled_from(["prefix", "backslash", "gguf", "slashes", "directory", "end"]))
    name = "/".join(parts[-2:])
    if kind == "prefix":
        return draw(st.sampled_from(["./", "../", "/", "~/", "."])) + name
    if kind == "backslash":
        return draw(st.sampled_from(["", "C:\\"])) + "\\".join(parts)
    if kind == "gguf":
        return draw(st.sampled_from([name, parts[-1]])) + draw(st.sampled_from([".gguf", ".GGUF"]))
    if kind == "slashes":
        return "/".join([parts[0], *parts])
    return "a-directory-of-mine/" + parts[-1] if kind == "directory" else name + "/"


@pytest.fixture(scope="module", autouse=True)
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Works in a directory that holds one directory and one file."""
    path = tmp_path_factory.mktemp("directory")
    (path / "a-directory-of-mine").mkdir()
    (path / "a-directory-of-mine" / "notes.txt").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        # Whatever is loaded by its name is asked for here.
        patch.setattr(loading, "load_pretrained", lambda source, path, dtype: pytest.fail(f"asked for {source}"))
        yield path


@given(paths())
@example("model.GGUF")
@example("C:\\model")
def test_a_path_that_leads_nowhere_is_refused_without_the_hub(source: str) -> None:
    with pytest.raises(ConfigError, match=r"it is a path, since .* nothing in that place"):
        loading.load(source)


@given(NAMES, NAMES)
def test_names_of_the_hub_are_no_paths(owner: str, name: str) -> None:
    assert local_path(name) is None
    assert local_path(f"{owner}/{name}") is None


def test_what_is_here_is_taken_from_here(directory: Path) -> None:
    (directory / "another-directory" / "name").mkdir(parents=True)
    assert local_path("another-directory/name") == Path("another-directory/name")
    assert local_path("./a-directory-of-mine") == Path("a-directory-of-mine")
    (directory / "model.gguf").touch()
    assert local_path("model.gguf") == Path("model.gguf")
    with pytest.raises(ConfigError, match=r"no model 'a-directory-of-mine/notes\.txt': that is a file"):
        loading.load("a-directory-of-mine/notes.txt")
