"""How often the rules reflector is right about WebShop: `python -m benchmarks.rules`.

Shoppers with one habit each play; afterwards every finding is held against the hidden goal, which the reflector never
sees. A turn is *good* if it leads towards a purchase of full reward. Advice is right if it would have been good.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from hero.envs.webshop.actions import parse_action
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.goals.goals import Goal
from hero.envs.webshop.page_parts import Page, State
from hero.envs.webshop.reward import score
from hero.policy import FunctionPolicy
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.types import Finding, Trajectory, Verdict

FAULTS: Final = (Verdict.FAILED, Verdict.INVALID, Verdict.UNNECESSARY)
RATE: Final = 0.7
"""How often a habit has its way where it can show."""
COLUMNS: Final = (
    *("turns", "bad turns", "of these faulted", "advised", "advice right", "fault right", "praise right"),
    "needed clicks faulted",
)


class Oracle:
    """Knows the goal of the episode that an environment is playing, and what is good in its state."""

    def __init__(self, env: WebShopEnv) -> None:
        self.env = env

    @property
    def goal(self) -> Goal:
        return self.env._goal

    @property
    def state(self) -> State:
        return self.env._state

    def shown(self) -> list[str]:
        """Codes of the results on the page."""
        return [node.text for node in self.env._clickables.values() if node.text in self.env._shop.inventory.products]

    def serves(self, asin: str) -> bool:
        """Whether the product can be bought for full reward."""
        product = self.env._shop.inventory.products[asin]
        options = {group: value for group, values in product.options.items() for value in values if self.asked(value)}
        return score(self.goal, product, options, self.env._shop.prices[asin]).total == 1.0

    def asked(self, value: str) -> bool:
        return value in self.goal.options

    def missing(self) -> list[str]:
        """Options of the goal that the product of the page offers and that are not chosen."""
        product = self.env._shop.inventory.products[self.state.asin]
        chosen = set(self.state.options.values())
        return [
            value
            for values in product.options.values()
            for value in values
            if self.asked(value) and value not in chosen
        ]

    def needed(self, value: str) -> bool:
        """Whether a purchase of full reward owes it to the click on a value: the product's, an option's, to buy."""
        product, price = self.env._shop.inventory.products[self.state.asin], self.env._shop.prices[self.state.asin]
        rest = {group: chosen for group, chosen in self.state.options.items() if chosen != value}
        bought = value in ("buy now", product.asin.lower())
        return bought or (rest != self.state.options and score(self.goal, product, rest, price).total < 1.0)

    def finds(self, query: str) -> bool:
        """Whether the first page of results has a product that serves."""
        found = self.env._shop.inventory.index.search(query)[: self.env._shop.inventory.page_size]
        return any(map(self.serves, found))

    def good(self, action: str) -> bool | None:
        """Whether an action leads on; None where that is a matter of taste."""
        command = parse_action(action)
        if command is None:
            return False
        if command.verb == "search":
            return self.state.page is Page.SEARCH and self.finds(command.argument)
        value = command.argument
        if self.state.page is Page.RESULTS:
            return self._good_on_results(value)
        if self.state.page is Page.ITEM:
            return self._good_on_item(value)
        return None if value in ("< prev", "back to search") else False

    def _good_on_results(self, value: str) -> bool | None:
        codes = {code.lower(): code for code in self.shown()}
        if value in codes:
            return self.serves(codes[value])
        return not any(map(self.serves, codes.values()))

    def _good_on_item(self, value: str) -> bool | None:
        serves = self.serves(self.state.asin)
        if value == "buy now":
            return serves and not self.missing()
        if value in ("< prev", "back to search"):
            return not serves
        if value in ("description", "features", "reviews"):
            return None
        return serves and self.asked(value) and value in self.missing()


Habit = Callable[[Oracle, random.Random, str], str | None]
"""The careless action in a state, given the query that would be right; None where the habit does not show."""


def few_words(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    words = query.split()
    if oracle.state.page is not Page.SEARCH or len(words) < 2:
        return None
    words.pop(rng.randrange(len(words)))
    return f"search[{' '.join(words)}]"


def first_result(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    return f"click[{oracle.shown()[0]}]" if oracle.state.page is Page.RESULTS and oracle.shown() else None


def any_result(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    return f"click[{rng.choice(oracle.shown())}]" if oracle.state.page is Page.RESULTS and oracle.shown() else None


def no_options(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    return "click[buy now]" if oracle.state.page is Page.ITEM and oracle.missing() else None


def any_option(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    if oracle.state.page is not Page.ITEM:
        return None
    values = [
        value for group in oracle.env._shop.inventory.products[oracle.state.asin].options.values() for value in group
    ]
    return f"click[{rng.choice(values)}]" if values and rng.random() < 0.5 else None


def wander(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    pool = [value for value in oracle.env._clickables if value not in ("buy now", "search")]
    return f"click[{rng.choice([*pool, 'purple rain'])}]" if rng.random() < 0.5 else None


HABITS: Final[dict[str, tuple[Habit, ...]]] = {
    "careful": (),
    "few words": (few_words,),
    "first result": (first_result,),
    "any result": (any_result,),
    "skips options": (no_options,),
    "any option": (any_option,),
    "wanders": (wander,),
    "all of these": (few_words, any_result, no_options, any_option, wander),
}


@dataclass
class Shopper:
    """Plays well but for its habits, and notes at every turn what the oracle thought of the state."""

    oracle: Oracle
    habits: tuple[Habit, ...]
    rng: random.Random
    judges: list[dict[str, bool | None]] = field(default_factory=list)

    def __call__(self, messages: object) -> str:
        habit = self.rng.choice(self.habits) if self.habits else None
        query = self._query()
        careless = habit(self.oracle, self.rng, query) if habit and self.rng.random() < RATE else None
        return careless or self._careful(query)

    def _query(self) -> str:
        text = re.sub(r",? ?(and )?price lower than .*", "", self.oracle.goal.text.lower())
        fillers = "find me i am looking for a an that is need please show would like to buy with in and".split()
        wanted = [word for word in re.findall(r"[\w-]+", text) if word not in fillers]
        return " ".join(word for word in wanted if not self.oracle.asked(word) and f"{word}s" not in fillers)

    def _careful(self, query: str) -> str:
        oracle, state = self.oracle, self.oracle.state
        if state.page is Page.SEARCH:
            return f"search[{query}]"
        if state.page is Page.RESULTS:
            serving = [code for code in oracle.shown() if oracle.serves(code)]
            return f"click[{serving[0]}]" if serving else "click[back to search]"
        if state.page is Page.ITEM and oracle.serves(state.asin):
            return f"click[{oracle.missing()[0]}]" if oracle.missing() else "click[buy now]"
        return "click[< prev]"


@dataclass
class Tally:
    """Counts of turns and findings."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, good: bool | None, verdict: Verdict | None, advice: bool | None, advised: bool) -> None:
        """Notes one turn: whether it was good, what the finding says, and whether its advice would have been good."""
        faulted = verdict in FAULTS
        self.counts["turns"] += 1
        self.counts["bad"] += good is False
        self.counts["bad, faulted"] += good is False and faulted
        self.counts["bad, advised"] += good is False and advised
        self.counts["faulted"] += faulted and good is not None
        self.counts["praised"] += verdict is Verdict.USEFUL and good is not None
        self.counts["praised, good"] += verdict is Verdict.USEFUL and good is True
        self.counts["advised"] += advised and advice is not None
        self.counts["advised, right"] += advised and advice is True

    def add_needed(self, oracle: Oracle, trajectory: Trajectory, findings: Mapping[int, Finding]) -> None:
        """Notes the clicks that a purchase of full reward needed, about to be made; faulted if all equal ones are."""
        findings_of: dict[str, list[Finding | None]] = {}
        for number, turn in enumerate(trajectory.turns):
            if (
                (command := parse_action(turn.action.text))
                and command.verb == "click"
                and oracle.needed(command.argument)
            ):
                findings_of.setdefault(command.argument, []).append(findings.get(number))
        self.counts["needed"] += len(findings_of)
        self.counts["needed, faulted"] += sum(
            all(finding is not None and finding.verdict in FAULTS for finding in equal)
            for equal in findings_of.values()
        )

    def share(self, part: str, whole: str) -> str:
        return f"{100 * self.counts[part] / self.counts[whole]:.1f} %" if self.counts[whole] else "-"

    def cells(self) -> list[str]:
        """By the columns of `COLUMNS`."""
        counts = self.counts
        return [
            str(counts["turns"]),
            str(counts["bad"]),
            self.share("bad, faulted", "bad"),
            self.share("bad, advised", "bad"),
            f"{self.share('advised, right', 'advised')} of {counts['advised']}",
            f"{self.share('bad, faulted', 'faulted')} of {counts['faulted']}",
            f"{self.share('praised, good', 'praised')} of {counts['praised']}",
            f"{counts['needed, faulted']} of {counts['needed']}",
        ]


def measure(env: WebShopEnv, habits: tuple[Habit, ...], episodes: int, seed: int) -> tuple[Tally, list[str]]:
    """Plays, reflects, and plays again with the oracle looking on; returns the tally and what went wrong."""
    rng = random.Random(seed)
    oracle, tally, wrong = Oracle(env), Tally(), []
    tasks = [Task(rng.randrange(env.num_tasks), number) for number in range(episodes)]
    shopper = Shopper(oracle, habits, rng)
    played = rollout([env], FunctionPolicy(shopper), tasks, max_turns=15)
    for task, trajectory, diagnosis in zip(tasks, played, RulesReflector().reflect(played), strict=True):
        env.reset(seed=task.seed, options={"task": task.index})
        findings = {finding.turn: finding for finding in diagnosis.findings}
        for number, turn in enumerate(trajectory.turns):
            finding, action = findings.get(number), turn.action.text
            advice = finding.advice if finding else ""
            good, right = oracle.good(action), oracle.good(advice) if advice else None
            tally.add(good, finding.verdict if finding else None, right, bool(advice))
            if right is False or (finding and finding.verdict is Verdict.USEFUL and good is False):
                wrong.append(f"{oracle.goal.text}\n  {turn.prompt[-1].content[:1500]}\n  {action} -> {finding}")
            if number == len(trajectory.turns) - 1 and trajectory.reward >= 1:
                tally.add_needed(oracle, trajectory, findings)
            env.step(action)
    return tally, wrong


def main(
    data: Annotated[Path | None, typer.Option(help="Directory of the original's files.")] = None,
    human: Annotated[bool, typer.Option("--human", help="Human instructions of the original's files.")] = False,
    level: Annotated[str, typer.Option(help="Level of the embedded catalogue.")] = "medium",
    episodes: Annotated[int, typer.Option(help="Episodes per habit.")] = 300,
    wrong: Annotated[int, typer.Option(help="Print that many wrong findings per habit.")] = 0,
) -> None:
    """Prints one row per habit."""
    console = Console()
    table = Table("habit", *COLUMNS)
    kind: dict[str, Any] = {"split": "test", "goals": "human"} if human else {}
    env = WebShopEnv(data=data, level=level, **kind)
    for name, habits in HABITS.items():
        tally, mistakes = measure(env, habits, episodes, seed=0)
        table.add_row(name, *tally.cells())
        for mistake in mistakes[:wrong]:
            console.print(f"[{name}] {mistake}", markup=False, highlight=False)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
