"""Every public name has a docstring, and packages hold modules but no code of their own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source import modules

MODULES = modules()
Documented = ast.Module | ast.ClassDef | ast.FunctionDef


def declared(node: ast.AST) -> bool:
    """Returns whether a method is only declared, so that its protocol's docstring documents it."""
    return isinstance(node, ast.FunctionDef) and ast.unparse(node.body[-1]) == "..." and len(node.body) == 1


def public(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Documented]]:
    """Yields public classes, functions and methods with their dotted names."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_") and not declared(node):
            yield prefix + node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node, f"{prefix}{node.name}.")


INHERITED = {
    "act",
    "encode",
    "encode_reply",
    "decode",
    "stop_ids",
    "sample",
    "contains",
    "is_np_flattenable",
    "step",
    "begin",
    "apply",
    "start",
    "task_id",
    "reset",
    "render",
}
"""Methods of a protocol or a base class, which documents them; `examples` and `reflect` say more than theirs do."""


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("hero_cli")])
def test_every_public_name_has_a_docstring(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    assert ast.get_docstring(tree) or not tree.body, f"{module} needs a docstring"
    bare = [
        name for name, node in public(tree) if not ast.get_docstring(node) and name.rpartition(".")[2] not in INHERITED
    ]
    assert not bare, f"without docstring in {module}: {', '.join(bare)}"


@pytest.mark.parametrize(
    "module", [name for name, path in MODULES.items() if path.name == "__init__.py" and name != "hero.envs"]
)
def test_packages_are_near_empty(module: str) -> None:
    docstring_or_version = (ast.Expr, ast.Assign)
    assert all(isinstance(node, docstring_or_version) for node in ast.parse(MODULES[module].read_text("utf-8")).body)


def test_no_module_has_a_vague_name() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler"}
    assert not {Path(path).stem for path in MODULES.values()} & vague
