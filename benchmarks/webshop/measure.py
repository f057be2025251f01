"""Measures what one directory of products costs a process: `python -m benchmarks.webshop.measure DIR`.

Linux only: memory is read from /proc. Times are processor seconds; the construction is measured in wall-clock seconds,
too.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final
from unittest.mock import patch

import typer

from hero.envs.webshop import pages
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.products.packed import PackedProducts
from hero.envs.webshop.search.index import Index
from hero_cli.terminal import report_errors

FURTHER: Final = 100
"""Number of environments over which the cost of a further one is averaged."""
MAX_TURNS: Final = 15
"""Maximum number of steps of an episode."""
PHASES: Final = ("search", "products", "page", "reward", "info", "rest")


class Stopwatch:
    """Measures the seconds of each phase of a step, without nested phases; `rest` is the part outside all others."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._phases = ["outside"]
        self._since = time.perf_counter()

    def timed(self, phase: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function, timed as a phase."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            if len(self._phases) == 1 and phase != "rest":  # outside of a step
                return work(*args, **kwargs)
            self.switch()
            self._phases.append(phase)
            try:
                return work(*args, **kwargs)
            finally:
                self.switch()
                self._phases.pop()

        return timed

    def switch(self) -> None:
        """Adds the time since the last call to the current phase."""
        now = time.perf_counter()
        self.seconds[self._phases[-1]] += now - self._since
        self._since = now


class Walker:
    """Takes a random available action, and searches for the instruction."""

    def __init__(self, env: WebShopEnv, seed: int) -> None:
        self.env = env
        self.rng = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()

    def walk(self, steps: int) -> None:
        """Plays whole episodes until at least `steps` steps were taken."""
        while self.counts["step"] < steps:
            task = {"task": self.rng.randrange(self.env.num_tasks)}
            _, info = self._timed("reset", lambda task=task: self.env.reset(options=task))  # type: ignore[misc]
            for _ in range(MAX_TURNS):
                action = self.rng.choice(info["available_actions"])
                if action == "search[...]":
                    action = f"search[{self.env._goal.text}]"
                _, _, over, _, info = self._timed("step", lambda action=action: self.env.step(action))  # type: ignore[misc]
                if over:
                    break

    def rate(self, kind: str) -> float:
        """Returns resets or steps per second."""
        return self.counts[kind] / self.seconds[kind]

    def _timed(self, kind: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        self.seconds[kind] += time.process_time() - start
        self.counts[kind] += 1
        return result


def memory() -> dict[str, float]:
    """Returns megabytes: `resident` with mapped files, and `alone` without files, of this process only."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    fields = dict(line.split(":") for line in lines)
    return {name: int(fields[key].split()[0]) / 1024 for name, key in (("resident", "Rss"), ("alone", "Anonymous"))}


def phases(env: WebShopEnv, steps: int) -> dict[str, float]:
    """Returns the percentage of each phase in the steps of a walk; a separate walk, since timing takes time."""
    watch = Stopwatch()
    watched = (
        ("search", Index, "search"),
        ("products", PackedProducts, "__getitem__"),
        ("page", pages, "nodes"),
        ("page", pages, "text"),
        ("page", pages, "clickables"),
        ("info", WebShopEnv, "_info"),
        ("rest", WebShopEnv, "step"),
    )
    patches = [patch.object(owner, name, watch.timed(phase, getattr(owner, name))) for phase, owner, name in watched]
    patches.append(patch("hero.envs.webshop.env.score", watch.timed("reward", WebShopEnv.apply.__globals__["score"])))
    for one in patches:
        one.start()
    Walker(env, seed=2).walk(steps)
    for one in patches:
        one.stop()
    total = sum(watch.seconds[phase] for phase in PHASES)
    return {phase: round(100 * watch.seconds[phase] / total, 1) for phase in PHASES}


@report_errors
def main(
    data: Annotated[Path, typer.Argument(help="Directory of files, with or without an index.")],
    steps: Annotated[int, typer.Option(help="Steps of the walk; 0 for the construction alone.")] = 0,
) -> None:
    """Prints the figures as JSON."""
    before = memory()
    began, clock = time.process_time(), time.perf_counter()
    env = WebShopEnv(data=data)
    figures: dict[str, Any] = {
        "first_cpu_s": time.process_time() - began,
        "first_wall_s": time.perf_counter() - clock,
        "tasks": env.num_tasks,
        "products": len(env._shop.inventory.products),
    }
    first = memory()
    began = time.process_time()
    others = [WebShopEnv(data=data) for _ in range(FURTHER)]
    figures["further_cpu_s"] = (time.process_time() - began) / len(others)
    figures["first_mb"] = first["resident"] - before["resident"]
    figures["further_mb"] = (memory()["resident"] - first["resident"]) / len(others)
    if steps:
        Walker(env, seed=0).walk(min(steps, 1000))  # the first steps read the files that are mapped
        walker = Walker(env, seed=1)
        walker.walk(steps)
        after = memory()
        figures |= {
            "steps_per_cpu_s": walker.rate("step"),
            "resets_per_cpu_s": walker.rate("reset"),
            "resident_after_mb": after["resident"],
            "alone_after_mb": after["alone"],
            "phases_percent": phases(env, steps),
        }
    typer.echo(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
