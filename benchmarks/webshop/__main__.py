"""Measures time and memory of WebShop, beside the original: `python -m benchmarks.webshop`.

A walker takes random available actions, and searches for the instruction. Every size is measured in a process of its
own, first as plain files, then with the index that `hero data webshop` writes. The last line is a JSON object of all
figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.webshop.catalogue import write
from benchmarks.webshop.measure import FURTHER, PHASES
from hero.envs.webshop.catalogue.disk_index import open_index, write_index
from hero.envs.webshop.catalogue.files import locate
from hero.envs.webshop.shop import MAX_ITEMS_BYTES
from hero.errors import DataError
from hero_cli.terminal import report_errors

FULL: Final = 1_181_436
"""Number of products of the original's full set."""
ORIGINAL: Final = {
    "first_wall_s": "2 to 5",
    "first_mb": "285",
    "further_mb": "285",
    "resets_per_cpu_s": "119",
    "steps_per_cpu_s": "24.5",
}
"""The original with 1,000 products, measured on another day on two such cores."""
ORIGINAL_FULL: Final = {"first_wall_s": "420 to 480", "resident_after_mb": "15,000"}
"""The original with all of its products."""
ROWS: Final = {
    "prepare_wall_s": "preparing the index, s of the clock",
    "prepare_cpu_s": "preparing the index, s of the processor",
    "files_wall_s": "first environment without an index, s of the clock",
    "first_wall_s": "first environment, s of the clock",
    "first_cpu_s": "first environment, s of the processor",
    "further_cpu_s": "a further environment, s of the processor",
    "first_mb": "memory of the first environment, MB",
    "further_mb": "memory of a further environment, MB",
    "resident_after_mb": "resident after the walk, MB",
    "alone_after_mb": "of that, in no file that processes share, MB",
    "resets_per_cpu_s": "resets per s of the processor",
    "steps_per_cpu_s": "steps per s of the processor",
}


def is_prepared(directory: Path) -> bool:
    """Returns whether there is an index of the files as they are now."""
    try:
        return open_index(directory) is not None
    except DataError:  # of an older format, say
        return False


def generated(keep: Path, count: int, bars: Progress) -> Path:
    """Returns a directory of generated files, which are written if they are missing."""
    directory = keep / f"generated-{count}"
    if not (directory / "title_nouns.json").exists():
        task = bars.add_task(f"generating {count:,} products", total=count)
        write(directory, count, lambda amount: bars.advance(task, amount))
    return directory


def linked(directory: Path, data: Path) -> Path:
    """Fills a directory with links to the files of another, so that nothing is written beside these, and returns it."""
    files = locate(data.resolve()).values()
    directory.mkdir(parents=True, exist_ok=True)
    for link in filter(Path.is_symlink, directory.iterdir()):  # perhaps to files of another name
        link.unlink()
    for file in files:
        (directory / file.name).symlink_to(file)
    return directory


def measured(directory: Path, steps: int) -> dict[str, Any]:
    """Returns the figures that `benchmarks.webshop.measure` prints; exits where it fails, since it has printed why."""
    command = [sys.executable, "-m", "benchmarks.webshop.measure", str(directory), "--steps", str(steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise typer.Exit(done.returncode)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def figures_of(directory: Path, steps: int, bars: Progress) -> dict[str, Any]:
    """Returns all figures of a directory, which gets an index if it has none."""
    figures: dict[str, Any] = {}
    items = locate(directory)["items"].stat().st_size
    if items <= MAX_ITEMS_BYTES:
        plain = linked(directory.with_name(f"{directory.name}-plain"), directory)
        figures["files_wall_s"] = measured(plain, 0)["first_wall_s"]
    if not is_prepared(directory):
        task = bars.add_task("preparing", total=items)

        def report(phase: str, done: int, total: int) -> None:
            if phase == "items":
                bars.update(task, completed=done)

        began, clock = time.process_time(), time.perf_counter()
        write_index(directory, report)
        figures["prepare_cpu_s"] = time.process_time() - began
        figures["prepare_wall_s"] = time.perf_counter() - clock
    return figures | measured(directory, steps)


def shown(figures: Mapping[str, Any], key: str) -> str:
    value = figures.get(key, "")
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.001 else f"{value:.5f}"


@report_errors
def main(
    data: Annotated[Path | None, typer.Option(help="Directory of the original's 1,000 products.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Measure 1.18 million generated products as well.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Few steps; less than a minute.")] = False,
    keep: Annotated[Path, typer.Option(help="Where generated files and indexes are kept.")] = Path(
        "runs/webshop-benchmark"
    ),
) -> None:
    """Prints the table, the phases of a step, and all figures as JSON."""
    results: dict[str, dict[str, Any]] = {}
    small = 2000 if quick else 20_000
    with Progress(transient=True) as bars:
        if data is None:
            results["1,000 generated"] = figures_of(generated(keep, 1000, bars), small, bars)
        else:
            results["given files"] = figures_of(linked(keep / "given", data), small, bars)
        if quick:
            results["5,000 generated"] = figures_of(generated(keep, 5000, bars), 1000, bars)
        if full:
            results[f"{FULL:,} generated"] = figures_of(generated(keep, FULL, bars), small // 4, bars)
    console = Console(width=160)
    table = Table("", "original, 1,000", "original, all", *results, title="WebShop")
    for key, title in ROWS.items():
        values = [shown(figures, key) for figures in (ORIGINAL, ORIGINAL_FULL, *results.values())]
        table.add_row(title, *values)
    console.print(table)
    shares = Table("share of a step, %", *PHASES)
    for name, figures in results.items():
        shares.add_row(name, *(str(figures["phases_percent"][phase]) for phase in PHASES))
    console.print(shares)
    console.print(
        f"A further environment is the mean of {FURTHER}. Memory is what becomes resident, mapped files included."
    )
    typer.echo(json.dumps(results))


if __name__ == "__main__":
    typer.run(main)
