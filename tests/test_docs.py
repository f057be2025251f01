"""The documents say what is true: their examples run, and their links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from hero import registry
from tests.source import ROOT

DOCUMENTS = sorted([*ROOT.joinpath("docs").rglob("*.md"), *ROOT.glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
GUIDES = ["add-an-env.md", "add-a-reflector.md", "add-a-learner.md"]


def blocks(path: Path, language: str) -> list[str]:
    return [code for kind, code in BLOCK.findall(path.read_text("utf-8")) if kind == language]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_examples_run(path: Path) -> None:
    namespace: dict[str, Any] = {"__name__": path.stem}
    for code in blocks(path, "python"):
        exec(compile(code, str(path), "exec"), namespace)


@pytest.mark.parametrize("name", GUIDES)
def test_guides_show_an_example_and_how_it_is_registered(name: str) -> None:
    path = ROOT / "docs" / name
    assert blocks(path, "python")
    (entry,) = blocks(path, "toml")
    ((group, points),) = tomllib.loads(entry)["project"]["entry-points"].items()
    assert registry.names(group), f"{group} is not a group that the package knows"
    namespace: dict[str, Any] = {"__name__": path.stem}
    exec("\n".join(blocks(path, "python")), namespace)
    for target in points.values():
        assert target.partition(":")[2] in namespace, f"{target} is not what {name} builds"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8")):
        assert path.parent.joinpath(target).exists(), f"{path.name} points to {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_that_are_named_exist(path: Path) -> None:
    for name in set(re.findall(r"\bhero(?:\.[a-z_]+)+\b", path.read_text("utf-8"))):
        parts = name.split(".")
        if parts[1] in ("reflectors", "learners", "rules"):  # entry-point groups
            continue
        for depth in range(len(parts), 1, -1):
            try:
                found = import_module(".".join(parts[:depth]))
            except ModuleNotFoundError:
                continue
            assert depth == len(parts) or hasattr(found, parts[depth]), f"{path.name} names {name}"
            break
        else:
            pytest.fail(f"{path.name} names {name}")
