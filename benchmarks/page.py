"""How large the page of a run is, how long it takes to write, and how long a browser takes until it can be used.

python -m benchmarks.page RUN repeats the training episodes of a run, with what `hero score` wrote of it, to runs of
more and more episodes. The browser is measured where playwright and Chromium are installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from hero.look.html import write_page
from hero.look.notes import Note, beside, read_notes
from hero.look.story import Source

SIZES = (100, 300, 1000, 3000)
REPEATS = 3


def repeated(run: Path, count: int, folder: Path) -> Source:
    """Makes a run of `count` episodes out of those of another, steps and scores included."""
    copy = folder / f"run-{count}"
    copy.mkdir()
    for name in ("config.json", "steps.jsonl", "evals.jsonl"):
        shutil.copy(run / name, copy / name)
    lines = (run / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "episodes.jsonl").write_bytes(b"".join(islice(cycle(lines), count)))
    scores = beside(run, "scores")
    notes: dict[str, Note] = read_notes(scores, "scores", run)[1] if scores.is_file() else {}
    given = {f"training/{n + 1}": notes.get(f"training/{n % len(lines) + 1}", {}) for n in range(count)}
    return Source(copy, given if notes else {})


def ready_after(file: Path) -> float | None:
    """Returns the seconds until a browser can use a page, the median of some loads; None without a browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return None
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        seconds = []
        for _ in range(REPEATS):
            page = browser.new_page()
            page.goto(file.as_uri())
            page.wait_for_function("document.documentElement.dataset.ready", timeout=120_000)
            seconds.append(int(page.evaluate("document.documentElement.dataset.ready")) / 1000)
            page.close()
        browser.close()
    return median(seconds)


def main() -> None:
    """Measures pages of several sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    table = Table("episodes", "turns", "scored", "MB", "written, s", "usable after, s", box=None, pad_edge=False)
    with tempfile.TemporaryDirectory() as folder:
        for count in SIZES:
            source = repeated(run, count, Path(folder))
            file = Path(folder) / "page.html"
            start = time.perf_counter()
            size = write_page(file, [source], max_episodes=count)
            written = time.perf_counter() - start
            with (source.path / "episodes.jsonl").open() as lines:
                turns = sum(len(json.loads(line)["trajectory"]["turns"]) for line in lines)
            ready = ready_after(file)
            shown = "no browser" if ready is None else f"{ready:.2f}"
            scored = "yes" if source.scores else "no"
            table.add_row(str(count), str(turns), scored, f"{size / 1e6:.2f}", f"{written:.2f}", shown)
    Console().print(table)


if __name__ == "__main__":
    main()
