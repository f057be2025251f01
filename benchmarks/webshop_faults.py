"""Measures the faults of the original WebShop: `python -m benchmarks.webshop_faults --data DIR`.

Every row counts one thing twice: with `compat="upstream"`, which has the faults, and without, where they are mended.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.webshop_baselines import POLICIES, WAYS, play, result
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.goals.goals import Goal, draw_prices, synthetic_goals
from hero.envs.webshop.goals.splits import SplitBy
from hero.envs.webshop.page_parts import SEPARATOR, NodeKind, Page, State
from hero.envs.webshop.pages import clickables, nodes
from hero.envs.webshop.reward import score
from hero.envs.webshop.shop import Shop, open_shop
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.types import Trajectory
from hero_cli.terminal import report_errors

SEEDS: Final = range(10)
"""Goal seeds whose shops differ like runs of the original, which draws prices and bounds unseeded."""
BASELINE: Final = "with options"


class Row(NamedTuple):
    """One fault, measured in both ways."""

    fault: str
    upstream: str
    mended: str


def share(flags: Iterable[bool]) -> str:
    """Returns the number of true flags and of all; without a percentage where there are none."""
    every = list(flags)
    if not every:
        return "0 of 0"
    return f"{sum(every)} of {len(every)} ({100 * sum(every) / len(every):.1f} %)"


def open_files(data: Path, *, seed: int = 42, split_by: SplitBy = "goal") -> Shop:
    directory = data.resolve()
    return open_shop(level="", seed=0, data=directory, instruction_kind="synthetic", goal_seed=seed, split_by=split_by)


def leaks(data: Path) -> Iterator[Row]:
    """Counts the goals of each split that training has seen; "mended" is the split by product."""
    shops = open_files(data), open_files(data, split_by="product")

    def seen_in_train(shop: Shop, split: str, fact: Callable[[Goal], object]) -> str:
        seen = {fact(goal) for goal in shop.goals["train"]}
        return share(fact(goal) in seen for goal in shop.goals[split])

    for split in ("test", "validation"):
        yield Row(
            f"products that the {split} goals are of",
            *(str(len({goal.product.asin for goal in shop.goals[split]})) for shop in shops),
        )
        yield Row(
            f"{split} goals whose product is in train too",
            *(seen_in_train(shop, split, lambda goal: goal.product.asin) for shop in shops),
        )
        yield Row(
            f"{split} goals whose instruction, but for options and price, is in train too",
            *(seen_in_train(shop, split, lambda goal: goal.product.synthetic) for shop in shops),
        )


def options(data: Path) -> Iterator[Row]:
    """Counts goals that cannot be reached, and options that another value fulfils."""
    shop = open_files(data)
    goals = [goal for part in shop.goals.values() for goal in part]
    rng = random.Random(0)

    def reached(goal: Goal, chosen: dict[str, str], upstream: bool) -> bool:
        price = shop.prices[goal.product.asin]
        return score(goal, goal.product, chosen, price, upstream=upstream).total == 1.0

    def confused(goal: Goal, group: str, value: str, upstream: bool) -> bool:
        alone = replace(goal, options=(value,), groups=(group,))
        others = (other for other in goal.product.options[group] if other != value)
        return any(reached(alone, {group: other}, upstream) for other in others)

    def asked(goal: Goal) -> dict[str, str]:
        """Returns the requested options that can be chosen."""
        return {group: value for group, value in zip(goal.groups, goal.options, strict=True) if value}

    own = [(goal, asked(goal)) for goal in goals]
    drawn = [
        (goal, {group: rng.choice(values) for group, values in goal.product.options.items()})
        for goal in goals
        if goal.options
    ]
    values = [
        (goal, group, value)
        for goal in {goal.product.asin: goal for goal in goals}.values()
        for group, offered in goal.product.options.items()
        for value in dict.fromkeys(offered)
    ]
    ways = (True, False)
    yield Row(
        "goals that their own product with their own options does not fulfil",
        *(share(not reached(*purchase, upstream) for purchase in own) for upstream in ways),
    )
    yield Row(
        "goals with options that their own product fulfils with options drawn at random",
        *(share(reached(*purchase, upstream) for purchase in drawn) for upstream in ways),
    )
    yield Row(
        "values of options for which another of the group counts too",
        *(share(confused(*value, upstream) for value in values) for upstream in ways),
    )


def item_pages(data: Path) -> Iterator[Row]:
    """Counts values of options that an item page does not mark, or that cannot be clicked."""
    inventory = open_files(data).inventory
    values = [
        (asin, group, value)
        for asin, product in inventory.products.items()
        for group, offered in product.options.items()
        for value in offered
    ]

    def unmarked(asin: str, group: str, value: str, upstream: bool) -> bool:
        state = State(page=Page.ITEM, query="x", asin=asin, options={group: value})
        return not any(node.chosen and node.text == value for node in nodes(inventory, "", state, upstream=upstream))

    def needs_blanks(asin: str, group: str, value: str, upstream: bool) -> bool:
        page = nodes(inventory, "", State(page=Page.ITEM, asin=asin), upstream=upstream)
        return value.strip() not in clickables(page, upstream=upstream)

    def is_empty(asin: str, group: str, value: str, upstream: bool) -> bool:
        return not value

    def shares_text(asin: str, group: str, value: str, upstream: bool) -> bool:
        page = nodes(inventory, "", State(page=Page.ITEM, asin=asin), upstream=upstream)
        same = [node for node in page if node.kind is not NodeKind.TEXT and node.text.strip().lower() == value.strip()]
        return any(node.kind is not NodeKind.OPTION or node.group != group for node in same)

    for fault, holds in (
        ("values that text_rich does not mark once they are selected", unmarked),
        ("values that must be clicked with blanks around them", needs_blanks),
        ("values that are empty, which no action can click", is_empty),
        ("values that are named like a button or a value of another group", shares_text),
    ):
        yield Row(fault, *(share(holds(*value, upstream) for value in values) for upstream in (True, False)))


def episodes(data: Path) -> Iterator[Row]:
    """Counts pages and rewards of the second baseline on the test goals, also by the original's reward."""
    envs = [WebShopEnv(data=data, split="test", compat=compat) for compat in WAYS.values()]
    policy = FunctionPolicy(POLICIES[BASELINE])
    played: list[list[Trajectory]] = []
    judged = []
    for env in envs:
        rewards = []
        played.append([])
        for index in range(env.num_tasks):
            played[-1] += rollout([env], policy, [Task(index, 0)], max_turns=15)
            state = env._state
            product, price = env._shop.inventory.products[state.asin], env._shop.prices[state.asin]
            rewards.append(score(env._goal, product, state.options, price, upstream=True).total)
        judged.append(percent(rewards))
    clicks = [[turn for episode in every for turn in episode.turns[2:-1]] for every in played]
    yield Row(
        "option clicks after which the page reads as before",
        *(share(turn.observation == turn.prompt[-1].content for turn in every) for every in clicks),
    )
    yield Row(
        "last pages that show the reward",
        *(share(str(each.reward) in each.turns[-1].observation.split(SEPARATOR) for each in every) for every in played),
    )
    yield Row(f'score/success of "{BASELINE}"', *(percent([each.reward for each in every]) for every in played))
    yield Row("the same purchases, judged by the original's reward", *judged)


def percent(rewards: Sequence[float]) -> str:
    """Returns score and success in percent."""
    solved = sum(reward == 1.0 for reward in rewards)
    return f"{100 * sum(rewards) / len(rewards):.1f}/{100 * solved / len(rewards):.1f}"


def bounds(data: Path) -> Iterator[Row]:
    """Compares prices and bounds of successive runs: the original's draw their own, ours share one seed."""
    items = list(open_files(data).inventory.products.values())

    def run(seed: int) -> tuple[list[Goal], dict[str, float]]:
        rng = random.Random(seed)
        prices = draw_prices(items, rng)
        return synthetic_goals(items, prices, rng), prices

    ways = [list(pairwise(map(run, seeds))) for seeds in (SEEDS, [SEEDS[0]] * len(SEEDS))]
    yield Row(
        "goals whose price bound differs from run to run",
        *(
            share(
                one.price_upper != other.price_upper
                for (goals, _), (others, _) in runs
                for one, other in zip(goals, others, strict=True)
            )
            for runs in ways
        ),
    )
    yield Row(
        "products whose price differs from run to run",
        *(share(one[asin] != other[asin] for (_, one), (_, other) in runs for asin in one) for runs in ways),
    )


def spread(data: Path) -> Iterator[Row]:
    """Measures the effect of unseeded draws on the score of a run."""
    cells = []
    ways: list[tuple[Literal["upstream"] | None, Sequence[int]]]
    ways = [("upstream", SEEDS), (None, [42] * len(SEEDS))]
    for compat, seeds in ways:
        envs = (WebShopEnv(data=data, split="test", goal_seed=seed, compat=compat) for seed in seeds)
        results = [result(play(env, BASELINE)) for env in envs]
        scores, successes = zip(*results, strict=True)
        cells.append(f"{min(scores)}/{min(successes)} to {max(scores)}/{max(successes)}")
    yield Row(f'score/success of "{BASELINE}" over {len(SEEDS)} runs', *cells)


@report_errors
def main(data: Annotated[Path, typer.Option(help="Directory of the original's files, with 1,000 products.")]) -> None:
    """Prints a row per fault, and all of it as JSON."""
    parts = (leaks, options, item_pages, episodes, bounds, spread)
    rows = [
        row for part in track(parts, "Counting...", console=Console(stderr=True), transient=True) for row in part(data)
    ]
    table = Table(*Row._fields, show_lines=True)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    typer.echo(json.dumps({"faults": [row._asdict() for row in rows]}))


if __name__ == "__main__":
    typer.run(main)
