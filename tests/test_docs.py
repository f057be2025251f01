"""The documents are true to the code: their examples run, and their links lead somewhere."""

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
    assert blocks(path, "toml")
    namespace: dict[str, Any] = {"__name__": path.stem}
    exec("\n".join(blocks(path, "python")), namespace)
    for entry in blocks(path, "toml"):
        for group, points in tomllib.loads(entry)["project"]["entry-points"].items():
            assert registry.names(group), f"{group} is not a group that the package knows"
            for target in points.values():
                assert target.partition(":")[2] in namespace, f"{target} is not what {name} builds"


def test_the_tree_in_the_readme_is_that_of_the_package() -> None:
    (tree,) = re.findall(r"^```\n(hero/\n.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    shown, folders = set[Path](), [ROOT]
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        names = re.split(r"\s{2,}", line.strip())[0].split()
        if names[0].endswith(("/", ".py")) and indent <= 4:
            folders[indent // 2 + 1 :] = [folders[indent // 2] / names[0]]
            shown |= {folders[indent // 2] / name for name in names}
    assert not {path for path in shown if not path.exists()}
    rooms = {path.parent for path in ROOT.glob("hero/*/__init__.py")} | set(ROOT.glob("hero/*.py"))
    assert rooms - {ROOT / "hero" / "__init__.py"} <= shown


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8")):
        assert path.parent.joinpath(target).exists(), f"{path.name} points to {target}"


@pytest.mark.parametrize(
    "path",
    [path for path in DOCUMENTS if path.name != "CHANGELOG.md"],  # which also names what is gone
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_modules_that_are_named_exist(path: Path) -> None:
    for name in set(re.findall(r"\bhero(?:\.[a-z_]+)+\b", path.read_text("utf-8"))):
        parts = name.split(".")
        if parts[1] in ("reflectors", "learners", "rules", "data", "teachers"):  # entry-point groups
            continue
        for depth in range(len(parts), 1, -1):
            try:
                module = import_module(".".join(parts[:depth]))
            except ModuleNotFoundError:
                continue
            assert depth == len(parts) or hasattr(module, parts[depth]), f"{path.name} names {name}"
            break
        else:
            pytest.fail(f"{path.name} names {name}")
