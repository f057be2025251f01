"""Reads the source of the package without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = {"hero": ROOT / "hero", "hero_cli": ROOT / "cli"}


def modules() -> dict[str, Path]:
    """Returns the path of every module of the distribution by its full name; packages stand for their `__init__`."""
    paths = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            paths[".".join(parts).removesuffix(".__init__")] = path
    return paths


def imports(path: Path, *, deferred: bool, typing: bool = False) -> Iterator[str]:
    """Yields names of modules that a file imports.

    Args:
        deferred: count imports inside functions as well, not only those that run with the module itself.
        typing: count imports below `if TYPE_CHECKING:` as well.
    """
    names = modules()
    for node in _statements(ast.parse(path.read_text("utf-8")), deferred, typing):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node, path)
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner in names else source


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """Returns the full name of the module in a `from`, relative or not."""
    if not node.level:
        return str(node.module)
    package, folder = next((name, folder) for name, folder in PACKAGES.items() if path.is_relative_to(folder))
    parents = [package, *path.relative_to(folder).parts[:-1]]
    base = parents[: len(parents) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _statements(tree: ast.AST, deferred: bool, typing: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not typing and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not deferred:
            continue
        yield node
        yield from _statements(node, deferred, typing)
