"""Reads the data of tau-bench v1: a checkout of it, or a directory with the same records in JSON files.

The task modules and tool classes of a checkout are Python: they are read, never run.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from hero.envs.taubench.data.fields import entries, field, mapping, read_call, strings
from hero.envs.taubench.data.reading import loads, read_json, read_text
from hero.envs.taubench.data.tables import COLUMNS, read_snapshot
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.tools.schemas import schemas
from hero.envs.taubench.world import SPLITS, Domain, Split, World
from hero.errors import DataError
from hero.fingerprint import fingerprint

RECORDS: Final = ("Task", "Action")
"""The constructors in the task modules, which take only keywords."""


def find(directory: Path, domain: Domain) -> Path | None:
    """Returns the directory of a domain below a root of the data; None where there is none."""
    candidates = (directory / "tau_bench" / "envs" / domain, directory / "envs" / domain, directory / domain)
    return next((path for path in candidates if (path / "wiki.md").is_file()), None)


def read(directory: Path, domain: Domain) -> World:
    """Reads a domain from the directory that `find` returned.

    Raises:
        DataError: a file is missing or malformed; the message names the file and the record.
    """
    files = _tables_files(directory, domain)
    tables = {name: read_json(path) for name, path in files.items()}
    snapshot = read_snapshot(domain, tables, {name: str(path) for name, path in files.items()})
    tasks = {split: _tasks(directory, domain, split) for split in SPLITS}
    if not any(tasks.values()):
        raise DataError(f"{directory} holds no tasks: neither tasks_*.py nor ../tasks_{domain}_*.json")
    return World(
        domain=domain,
        version="v1",
        snapshot=snapshot,
        schemas=_schemas(directory, domain),
        policy=read_text(directory / "wiki.md"),
        tasks=tasks,
        fingerprint=fingerprint(*sources(directory, domain)),
    )


def sources(directory: Path, domain: Domain) -> list[Path]:
    """Returns the files that `read` reads; the tables may be missing."""
    task_files = [path for split in SPLITS if (path := _tasks_file(directory, domain, split))]
    tables = _tables_files(directory, domain).values()
    return [*tables, directory / "wiki.md", *task_files, *_tools_files(directory, domain)]


def _tables_files(directory: Path, domain: Domain) -> dict[str, Path]:
    folder = directory / "data" if (directory / "data").is_dir() else directory
    return {name: folder / f"{name}.json" for name in COLUMNS[domain]}


def _tasks_file(directory: Path, domain: Domain, split: Split) -> Path | None:
    candidates = (directory.parent / f"tasks_{domain}_{split}.json", directory / f"tasks_{split}.py")
    return next((path for path in candidates if path.is_file()), None)


def _tools_files(directory: Path, domain: Domain) -> list[Path]:
    records = directory.parent / f"tools_{domain}.json"
    return [records] if records.is_file() else sorted((directory / "tools").glob("*.py"))


def _tasks(directory: Path, domain: Domain, split: Split) -> tuple[ServiceTask, ...]:
    """Returns the tasks of a split; empty where it has no file."""
    path = _tasks_file(directory, domain, split)
    if path is None:
        return ()
    records = read_json(path) if path.suffix == ".json" else _list_of(path)
    if not isinstance(records, list):
        raise DataError(f"{path}: a list of tasks is needed, not a {type(records).__name__}")
    return tuple(_task(record, f"{split}-{index}", f"{path}: task {index}") for index, record in enumerate(records))


def _task(record: Any, name: str, where: str) -> ServiceTask:
    record = mapping(record, where)
    return ServiceTask(
        id=name,
        instruction=field(record, "instruction", str, where),
        actions=tuple(read_call(action, "kwargs", where) for action in field(record, "actions", list, where)),
        outputs=strings(entries(record, "outputs", where), f"{where}: outputs"),
        user_id=field(record, "user_id", str, where),
    )


def _list_of(path: Path) -> Any:
    """Returns the list that a task module assigns, with its records as dicts."""
    tree = _parsed(path)
    values = [node.value for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    lists = [value for value in values if isinstance(value, ast.List)]
    if len(lists) != 1:
        raise DataError(f"{path}: one list of tasks is needed, not {len(lists)}")
    return [_literal(item, f"{path}: task {index}") for index, item in enumerate(lists[0].elts)]


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(read_text(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{path} is not Python: {error}; fetch it again") from error


def _literal(node: ast.expr, where: str) -> Any:
    try:
        value = ast.literal_eval(ast.fix_missing_locations(_Records().visit(node)))
        return loads(json.dumps(value))  # refuses sets, which have no order, and so no text to be hashed
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{where}: {error}; fetch it again") from error


class _Records(ast.NodeTransformer):
    """Replaces the construction of a record by a dict of its keywords."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id not in RECORDS or node.args:
            return node
        keys: list[ast.expr | None] = [ast.Constant(keyword.arg) for keyword in node.keywords]
        return ast.Dict(keys, [keyword.value for keyword in node.keywords])


def _schemas(directory: Path, domain: Domain) -> list[Mapping[str, Any]]:
    """Returns the original's schemas, sorted by name; our own where it brings none."""
    records: list[Any] = []
    for path in _tools_files(directory, domain):
        records += read_json(path) if path.suffix == ".json" else _infos(path)
    if not records:
        return schemas(domain)
    try:
        return sorted(records, key=lambda schema: str(schema["function"]["name"]))
    except (KeyError, TypeError) as error:
        raise DataError(f"{directory}: a tool schema has no function name: {error!r}") from error


def _infos(path: Path) -> Iterator[Any]:
    """Yields the result of `get_info` of every tool class of a module."""
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.FunctionDef) and node.name == "get_info":
            last = node.body[-1]
            if isinstance(last, ast.Return) and last.value is not None:
                yield _literal(last.value, f"{path}: get_info")
