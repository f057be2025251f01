"""`hero data webshop`: check the files of the original WebShop and index them, once."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hero.errors import DataError

from .terminal import console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

PHASES = {
    "attributes": "reading attributes",
    "human": "reading human instructions",
    "title_nouns": "reading nouns",
    "items": "reading products",
    "index": "sorting the index",
    "goals": "numbering goals",
}


def webshop(
    directory: Annotated[Path, typer.Option("--from", help="Directory of the original's files.")],
) -> None:
    """Check the files of the original WebShop, and write an index into their directory that opens at once.

    Needs items_shuffle*.json, items_ins_v2*.json and items_human_ins.json, which the set-up script of
    princeton-nlp/WebShop downloads, one size of the catalogue in a directory. Makes title_nouns.json with spaCy where
    it is missing, and DIR/hero_index. Then use it with --env-arg data=DIR.
    """
    from hero.envs.validate import real_path

    out = console()
    directory = real_path(directory)
    try:
        with _bars(out) as bars:
            _check(out, bars, directory)
            _make_nouns(out, bars, directory)
            _write_index(out, bars, directory)
    except OSError as error:
        raise DataError(f"{error.filename or directory} cannot be read: {error.strerror or error}") from error
    out.print(f"use it with: hero play --env webshop --env-arg {shlex.quote(f'data={directory}')}", markup=False)


def _check(out: Console, bars: Progress, directory: Path) -> None:
    """Reports for every file whether it is one that the original published."""
    from hero.envs.webshop.catalogue.checksums import identify
    from hero.envs.webshop.catalogue.files import FILES, candidates

    files = candidates(directory)
    for name, pattern in FILES.items():
        for file in files[name]:
            size = file.stat().st_size
            identity = "not a file of the original, which asks spaCy instead"
            if name != "title_nouns":
                original = identify(file, _bar(bars, f"checking {file.name}", size))
                identity = f"the original's {original}" if original else "not a known file of the original"
            out.print(f"{file.name}  {size:,} bytes  {identity}", markup=False)
        if not files[name]:
            out.print(f"{pattern}  missing", style="yellow", markup=False)
    if missing := [pattern for name, pattern in FILES.items() if not files[name] and name != "title_nouns"]:
        raise DataError(
            f"{directory} holds no {', no '.join(missing)}: fetch what the set-up script of "
            "the original, princeton-nlp/WebShop, downloads"
        )


def _make_nouns(out: Console, bars: Progress, directory: Path) -> None:
    """Makes the one file that the original does not have."""
    from hero.envs.webshop.catalogue.files import candidates
    from hero.envs.webshop.catalogue.title_nouns import make_title_nouns

    files = candidates(directory)
    if not files["title_nouns"] and len(files["items"]) == 1:
        size = files["items"][0].stat().st_size
        nouns = make_title_nouns(directory, _bar(bars, "finding nouns", size))
        out.print(f"{nouns.name}  made with spaCy", markup=False)


def _write_index(out: Console, bars: Progress, directory: Path) -> None:
    from hero.envs.webshop.catalogue.disk_index import INDEX, open_index, write_index
    from hero.envs.webshop.catalogue.files import locate

    locate(directory)
    try:
        if open_index(directory) is not None:
            out.print(f"{INDEX}  is there already, and belongs to these files", markup=False)
            return
    except DataError as error:
        out.print(f"{INDEX}  is written again: {error}", markup=False)
    tasks = {name: bars.add_task(title, total=None, start=False, visible=False) for name, title in PHASES.items()}

    def report(phase: str, done: int, total: int) -> None:
        bars.start_task(tasks[phase])
        bars.update(tasks[phase], completed=done, total=total, visible=True)

    start = time.perf_counter()
    write_index(directory, report)
    index = open_index(directory)
    assert index is not None
    if not len(index.goals.order) + len(index.goals.human):
        out.print("no product has an instruction: the files do not belong together", style="yellow", markup=False)
    out.print(
        f"{INDEX}  {len(index.products):,} products, {len(index.goals.order):,} synthetic goals and "
        f"{index.goals.human[:, 1].sum():,} human ones, in {time.perf_counter() - start:.1f} s",
        markup=False,
    )


@contextmanager
def _bars(out: Console) -> Iterator[Progress]:
    from rich import progress

    with progress.Progress(
        progress.TextColumn("{task.description:>26}"), progress.BarColumn(), progress.TaskProgressColumn(),
        progress.TimeElapsedColumn(), progress.TextColumn("left"), progress.TimeRemainingColumn(),
        console=out, transient=True, disable=not out.is_terminal,
    ) as bars:  # fmt: skip
        yield bars


def _bar(bars: Progress, title: str, total: int) -> Callable[[int], None]:
    """Returns a function that advances a new bar."""
    task = bars.add_task(title, total=total)
    return lambda amount: bars.advance(task, amount)
