"""The documents are true to the code: their examples run, and their links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from hero import registry
from tests.source import ROOT

DOCUMENTS = sorted([*ROOT.joinpath("docs").rglob("*.md"), *ROOT.glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
GUIDES = ["add-an-env.md", "add-a-reflector.md", "add-a-learner.md", "add-a-teacher.md"]


def script(path: str) -> ModuleType:
    """Loads a script, which is in no package."""
    spec = spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SITE = script("scripts/docs_site.py")


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


def pages(nav: Any) -> list[str]:
    """Returns the pages of a navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    return [page for entry in (nav.values() if isinstance(nav, dict) else nav) for page in pages(entry)]


def test_the_navigation_of_the_site_has_every_document_once() -> None:
    shown = pages(yaml.safe_load(ROOT.joinpath("mkdocs.yml").read_text("utf-8"))["nav"])
    written = [path.relative_to(ROOT / "docs").as_posix() for path in DOCUMENTS if path.is_relative_to(ROOT / "docs")]
    assert sorted(shown) == sorted([*written, *SITE.PAGES.values()])


def test_the_reference_is_about_modules_and_members_that_exist() -> None:
    names = [name for path in ROOT.glob("docs/api/*.md") for name in re.findall("^::: (.+)$", path.read_text(), re.M)]
    assert len(names) == len(set(names)) > 20
    for name in names:
        module, _, member = name.rpartition(".")
        assert find_spec(name) if member.islower() else hasattr(import_module(module), member), name


def test_links_of_the_repository_become_links_of_the_site() -> None:
    text = "[a](../x.py#L1) [b](https://c.d) `[e](f)` [g](#h)\n```\n[i](j)\n```\n![k](l.svg)"
    seen: list[str] = []
    changed = SITE.with_links(text, "docs/api/m.md", lambda path: seen.append(path) or "new")
    assert seen == ["docs/x.py", "docs/api/l.svg"]
    assert changed == "[a](new#L1) [b](https://c.d) `[e](f)` [g](#h)\n```\n[i](j)\n```\n![k](new)"


def test_blocks_are_set_apart_for_the_site() -> None:
    assert SITE.for_python("a\n```py\n  | b\n```\nc\n* d\n\n  | e |\n") == (
        "a\n\n```py\n  | b\n```\n\nc\n* d\n\n    | e |\n"
    )


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p>These:\n- one</p>", True),
        ("<p>These</p>\n<ul>\n<li>one - two</li></ul>", False),
        ("<p>These:\n| a | b |</p>", True),
        ("<p>a</p><p>b\n1. c</p>", True),
        ("<p>minus\n1 is - well - 3</p>", False),
    ],
)
def test_lists_and_tables_that_the_site_would_not_show_are_found(html: str, found: bool) -> None:
    assert bool(SITE.UNREAD.search(html)) == found


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
