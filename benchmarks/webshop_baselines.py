"""Measures two shoppers without a model on 1,000 products: `python -m benchmarks.webshop_baselines --data DIR`.

Both search for the whole instruction and buy the first hit; the second clicks the wanted options that the page offers
before it buys. They read the text of the pages, as a language model would, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.goals.splits import SplitBy
from hero.envs.webshop.page_parts import SELECTED, SEPARATOR
from hero.evaluate import evaluate
from hero.evaluation import Evaluation
from hero.policy import FunctionPolicy, Script
from hero.rollout import Task
from hero.types import Message
from hero_cli.terminal import report_errors

WAYS: Final[dict[str, Literal["upstream"] | None]] = {"upstream": "upstream", "mended": None}
AFTER_OPTIONS: Final = 7
"""Number of nodes of an item page after its options: title, price, rating, three sub-pages, buy."""


class Result(NamedTuple):
    """Score and success in percent, to a tenth."""

    score: float
    success: float


ORIGINAL: Final = {
    ("first hit", "test"): Result(57.1, 2.2),
    ("first hit", "validation"): Result(56.5, 1.1),
    ("with options", "test"): Result(78.9, 57.2),
    ("with options", "validation"): Result(78.3, 52.7),
}
"""Results of the original on these ranges of goals (commit 64fa2a5, `random.seed(42)` before its constructor)."""


def first_hit(messages: Sequence[Message], *, options: bool) -> str:
    """Returns the next action after a conversation whose earlier actions were chosen by the same function.

    Args:
        options: whether to click the wanted options before buying.
    """
    page = messages[-1].content.split(SEPARATOR)
    if page[-1] == "Search":
        return f"search[{page[2]}]"
    if page[-1] != "Buy Now":
        hits = page[page.index("Next >") + 1 :]
        return f"click[{hits[0] if hits else 'back to search'}]"
    clicked = [message.content for message in messages if message.role == "assistant"]
    clicks = [f"click[{value}]" for value in wanted(page)] if options else []
    return next((click for click in clicks if click not in clicked), "click[buy now]")


def wanted(page: Sequence[str]) -> Iterator[str]:
    """Yields the options of an item page that its instruction asks for: "... with size: 10, and color: dark red"."""
    offered = [text.removesuffix(SELECTED) for text in page[4:-AFTER_OPTIONS]]
    instruction = f"{page[1]}, and "
    for group, value in combinations(offered, 2):
        if any(f"{before}{group}: {value}, and " in instruction for before in (" with ", ", and ")):
            yield value


POLICIES: Final[dict[str, Script]] = {
    "first hit": partial(first_hit, options=False),
    "with options": partial(first_hit, options=True),
}


def play(env: WebShopEnv, baseline: str) -> Evaluation:
    """Plays one baseline on every task of an environment."""
    tasks = [Task(index, 0) for index in range(env.num_tasks)]
    return evaluate([env], FunctionPolicy(POLICIES[baseline]), tasks, max_turns=15)


def result(evaluation: Evaluation) -> Result:
    return Result(round(evaluation.score.value, 1), round(100 * evaluation.success.value, 1))


def measure(data: Path, split_by: SplitBy, split: str) -> list[dict[str, Any]]:
    """Returns a record per baseline: its split, and its results upstream, mended and, if recorded, in the original."""
    records = []
    for baseline in POLICIES:
        results = {}
        for name, compat in WAYS.items():
            env = WebShopEnv(data=data, split=split, split_by=split_by, compat=compat)
            results[name] = result(play(env, baseline))
        if split_by == "goal":
            results["original"] = ORIGINAL[baseline, split]
        facts = {"baseline": baseline, "split": split, "split_by": split_by, "goals": env.num_tasks}
        records.append(facts | {name: each._asdict() for name, each in results.items()})
    return records


@report_errors
def main(data: Annotated[Path, typer.Option(help="Directory of the original's files, with 1,000 products.")]) -> None:
    """Prints a row per baseline and split, and all of it as JSON."""
    splits: list[tuple[SplitBy, str]]
    splits = [("goal", "test"), ("goal", "validation"), ("product", "test"), ("product", "validation")]
    progress = track(splits, "Shopping...", console=Console(stderr=True), transient=True)
    records = [record for split_by, split in progress for record in measure(data, split_by, split)]
    columns = ("upstream", "mended", "original")
    table = Table("baseline", "split", "by", "goals", *columns, title="Score / success in %")
    for record in records:
        cells = [f"{record[name]['score']}/{record[name]['success']}" for name in columns if name in record]
        table.add_row(record["baseline"], record["split"], record["split_by"], str(record["goals"]), *cells)
    Console().print(table)
    typer.echo(json.dumps({"results": records}))


if __name__ == "__main__":
    typer.run(main)
