"""Reads the data of tau2-bench: its databases and tasks, played with the tools of v1.

The files do not say which version they are. So the beginning of their fingerprint names the version, and a task with
unknown keys is refused.
"""

from __future__ import annotations

from pathlib import Path

from hero.envs.taubench.data.fields import entries, strings
from hero.envs.taubench.data.reading import read_json, read_text
from hero.envs.taubench.data.tables import COLUMNS, read_snapshot
from hero.envs.taubench.data.tau2_task import read_task
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.tools.schemas import schemas
from hero.envs.taubench.world import SPLITS, Domain, Split, World
from hero.errors import DataError
from hero.fingerprint import fingerprint


def find(directory: Path, domain: Domain) -> Path | None:
    """Returns the directory of a domain below a root of the data; None where there is none."""
    below = Path("tau2") / "domains" / domain
    candidates = (directory / below, directory / "data" / below, directory / "tau2" / "data" / below)
    return next((path for path in candidates if (path / "db.json").is_file()), None)


def read(directory: Path, domain: Domain) -> World:
    """Reads a domain from the directory that `find` returned.

    Raises:
        DataError: a file is missing or malformed; the message names the file and the record.
    """
    path = directory / "db.json"
    database = read_json(path)
    if not isinstance(database, dict) or not COLUMNS[domain].keys() <= database.keys():
        raise DataError(f"{path} must have the tables {', '.join(COLUMNS[domain])}")
    tables = {name: database[name] for name in COLUMNS[domain]}
    snapshot = read_snapshot(domain, tables, dict.fromkeys(tables, str(path)))
    tasks = _tasks(directory / "tasks.json", domain)
    where = str(directory / "split_tasks.json")
    splits = read_json(directory / "split_tasks.json")
    if not isinstance(splits, dict):
        raise DataError(f"{where} must be a dict of lists of task ids")
    of_split: dict[Split, tuple[ServiceTask, ...]] = {}
    for split in SPLITS:
        names = strings(entries(splits, split, where), f"{where}: {split}")
        if unknown := [name for name in names if name not in tasks]:
            raise DataError(f"{where}: {split} names task {unknown[0]!r}, which is not there")
        of_split[split] = tuple(tasks[name] for name in names)
    hashed = fingerprint(*sources(directory, domain))
    return World(
        domain=domain,
        version=f"tau2-{hashed[:8]}",
        snapshot=snapshot,
        schemas=schemas(domain),
        policy=read_text(directory / "policy.md"),
        tasks=of_split,
        fingerprint=hashed,
    )


def sources(directory: Path, domain: Domain) -> list[Path]:
    """Returns the files that `read` reads; some may be missing."""
    return [directory / name for name in ("db.json", "policy.md", "tasks.json", "split_tasks.json")]


def _tasks(path: Path, domain: Domain) -> dict[str, ServiceTask]:
    """Returns the tasks by id."""
    records = read_json(path)
    if not isinstance(records, list):
        raise DataError(f"{path}: a list of tasks is needed, not a {type(records).__name__}")
    tasks = [read_task(record, domain, f"{path}: task {index}") for index, record in enumerate(records)]
    return {task.id: task for task in tasks}
