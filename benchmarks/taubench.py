"""Measures the costs of TauBench beside the original's, and scores of the no-op baseline and of the gold solution.

`python -m benchmarks.taubench --data DIR`; without --data it measures the embedded world. All times are processor time.
The last line is a JSON object of all figures.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from hero.envs.taubench.data.locate import EMBEDDED
from hero.envs.taubench.env import TauBenchEnv
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.tools.shared import TRANSFER
from hero.envs.taubench.users.base import STOP
from hero.envs.taubench.world import SPLITS, Domain
from hero.errors import HeroError
from hero.evaluation import Evaluation
from hero.outcomes import Outcome
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.types import Message, Trajectory

ORIGINAL: Final[dict[str, dict[str, float]]] = {
    "retail": {"reset_ms": 18, "final_ms": 206, "read_us": 32, "further_mb": 13},
    "airline": {"reset_ms": 55, "final_ms": 759, "read_us": 24, "further_mb": 22},
}
"""Figures of tau-bench v1 (commit 59a200c6), measured on another day on a core like these: a reset reads the files; the
final reward hashes twice (94 and 352 ms), and reads the files and replays in between, which is counted as one reset."""
ROWS: Final = {
    "first_ms": "first environment, ms",
    "further_ms": "a further environment, ms",
    "further_mb": "memory of a further environment, MB",
    "reset_ms": "reset, ms",
    "read_us": "a step that reads, µs",
    "write_us": "a step that writes, µs",
    "final_ms": "final reward, ms",
    "final_first_ms": "final reward, first time of a task, ms",
    "final_wrong_ms": "final reward of a wrong database, at worst, ms",
    "episode_ms": "reset and final reward, ms",
}
LEAVE: Final = "goodbye"
"""The message that ends a conversation with the silent user."""
FURTHER: Final = 50
"""Number of further environments that are measured."""


class Silent:
    """A user who replies yes to everything and waits for the end."""

    name = "silent"

    def open(self, task: ServiceTask) -> str:
        return "Hello."

    def reply(self, message: str) -> str:
        return STOP if message == LEAVE else "Yes."


def plan(task: ServiceTask) -> list[str]:
    """Returns the actions that solve a task: its calls, and the required outputs."""
    calls = [call.text() for call in task.actions if call.name != TRANSFER]
    return [*calls, " ; ".join(task.outputs) or "done", LEAVE]


def timed(call: Callable[[], object], repeats: int = 1) -> float:
    """Returns the milliseconds of processor time of one call."""
    start = time.process_time()
    for _ in range(repeats):
        call()
    return 1000 * (time.process_time() - start) / repeats


def costs(domain: Domain, data: str | Path, split: str) -> dict[str, float]:
    """Measures one domain; returns its figures by the keys of `ROWS`."""

    def build() -> TauBenchEnv:
        return TauBenchEnv(domain=domain, split=split, data=data, user=Silent())

    figures = {"first_ms": timed(build)}
    tracemalloc.start()
    envs = [build() for _ in range(FURTHER)]
    for env in envs:
        env.reset(seed=0)
    figures["further_mb"] = tracemalloc.get_traced_memory()[0] / FURTHER / 1e6
    tracemalloc.stop()
    figures["further_ms"] = timed(build, FURTHER)
    env = envs[0]
    figures["reset_ms"] = timed(lambda: env.reset(options={"task": 0}), 300)
    finals: dict[str, list[float]] = {"final_first_ms": [], "final_ms": [], "final_wrong_ms": []}
    steps: dict[str, list[float]] = {"read_us": [], "write_us": []}
    for key in finals:
        for task in range(env.num_tasks):
            env.reset(options={"task": task})
            actions = plan(env._tasks[task])
            for action in actions[:-1] if key != "final_wrong_ms" else ():
                before = env._db.changes()
                spent = 1000 * timed(lambda action=action: env.step(action))  # type: ignore[misc]
                steps["read_us" if env._db.changes() == before else "write_us"].append(spent)
            if key == "final_wrong_ms":
                spoil(env)
            finals[key].append(timed(lambda: env.step(LEAVE)))
    figures |= {name: fmean(values) for name, values in (finals | steps).items() if values}
    return figures | {"episode_ms": figures["reset_ms"] + figures["final_ms"]}


def spoil(env: TauBenchEnv) -> None:
    """Writes something that no task requires into the very first record, so that everything is hashed anew."""
    tables = env._world.snapshot.tables
    table = min(tables)
    env._db.edit(table, min(tables[table]))["spoilt"] = True


Agent = Callable[[TauBenchEnv, Sequence[Message]], str]


def nothing(env: TauBenchEnv, messages: Sequence[Message]) -> str:
    """Ends the conversation at once."""
    return LEAVE


def gold(env: TauBenchEnv, messages: Sequence[Message]) -> str:
    """Does what the task asks for, which no agent can see."""
    return plan(env._task)[sum(message.role == "assistant" for message in messages)]


def played(env: TauBenchEnv, agent: Agent, trials: int) -> list[Trajectory]:
    """Plays every task `trials` times."""
    policy = FunctionPolicy(lambda messages: agent(env, messages))
    tasks = [Task(index, trial) for index in range(env.num_tasks) for trial in range(trials)]
    return rollout([env], policy, tasks, max_turns=100)


def results(domain: Domain, data: str | Path, trials: int) -> Iterator[dict[str, Any]]:
    """Yields a record per split and agent; none for splits without tasks."""
    for split in SPLITS:
        try:
            env = TauBenchEnv(domain=domain, split=split, data=data, user=Silent())
        except HeroError:
            continue
        for agent in (nothing, gold):
            episodes = played(env, agent, trials)
            evaluation = Evaluation(tuple(map(Outcome.of, episodes)))
            errors = [sum(turn.info["action_valid"] is False for turn in episode.turns) for episode in episodes]
            yield {
                "env": env.env_id,
                "split": split,
                "agent": agent.__name__,
                "tasks": env.num_tasks,
                "solved": round(evaluation.success.value * env.num_tasks, 1),
                "success": evaluation.success.record(),
                f"pass^{trials}": evaluation.pass_hat(trials),
                "turns": evaluation.turns.value,
                "tool_errors": fmean(errors),
            }


def main(
    data: Annotated[str, typer.Option(help="Directory of the original's data, or embedded.")] = EMBEDDED,
    trials: Annotated[int, typer.Option(help="Number of trials per task; also the k of pass^k.", min=1)] = 2,
) -> None:
    """Prints costs, and the scores of the no-op baseline and of the gold solution."""
    domains: tuple[Domain, ...] = ("retail",) if data == EMBEDDED else ("retail", "airline")
    figures: dict[str, dict[str, float]] = {domain: costs(domain, data, "test") for domain in domains}
    table = Table("", *(column for domain in domains for column in (domain, "original")), title="Processor time")
    for key, title in ROWS.items():
        cells = []
        for domain in domains:
            theirs = ORIGINAL[domain] | {"episode_ms": ORIGINAL[domain]["reset_ms"] + ORIGINAL[domain]["final_ms"]}
            cells += [f"{figures[domain][key]:.3g}", f"{theirs[key]:g}" if key in theirs else ""]
        table.add_row(title, *cells)
    ratios = {}
    for domain in domains:
        theirs = ORIGINAL[domain]["reset_ms"] + ORIGINAL[domain]["final_ms"]
        ratios[domain] = {"times_less": theirs / figures[domain]["episode_ms"]}
        wrong = figures[domain]["reset_ms"] + figures[domain]["final_wrong_ms"]
        ratios[domain]["times_less_where_wrong"] = theirs / wrong
    for key, title in (
        ("times_less", "times less than the original's"),
        ("times_less_where_wrong", "the same at worst"),
    ):
        table.add_row(title, *(cell for domain in domains for cell in (f"{ratios[domain][key]:.0f}", "")))
    records = [record for domain in domains for record in results(domain, data, trials)]
    scores = Table("environment", "split", "agent", "solved", f"pass^{trials}", "turns", "tool errors")
    for record in records:
        scores.add_row(
            record["env"],
            record["split"],
            record["agent"],
            f"{record['solved']:g} of {record['tasks']}",
            f"{100 * record[f'pass^{trials}']:.1f} %",
            f"{record['turns']:.2f}",
            f"{record['tool_errors']:.3f}",
        )
    out = Console()
    out.print(table)
    out.print(scores)
    costs_and_ratios = {domain: figures[domain] | ratios[domain] for domain in domains}
    typer.echo(json.dumps({"benchmark": "taubench", "data": data, "costs": costs_and_ratios, "results": records}))


if __name__ == "__main__":
    typer.run(main)
