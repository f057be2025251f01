"""Train from Python, with parts of your own, and watch: `hero eval DIR` and `hero run --model DIR` read what it writes.

`Training` plays, reviews and updates by a plan, and a `Callback` sees everything and changes nothing. The settings are
those of `hero run`: they give the plan, and they tell later commands what the run was.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hero import envs
from hero.callback import Callback
from hero.distill.learners import Distillation
from hero.distill.trainer import TorchTrainer
from hero.models import tiny
from hero.reflect.rules import RulesReflector
from hero.runs.writer import Run
from hero.train import Training
from hero_cli.settings import Settings


class Watch(Callback):
    """Prints the success of each step."""

    def on_step_end(self, row: Mapping[str, Any]) -> None:
        print(f"step {row['step']}: {100 * row['rollout']['success']:.0f} % of the episodes are a success")


def main(out: Path, steps: int = 2, episodes: int = 16, eval_tasks: int = 20) -> None:
    """Trains the policy that ships with the package on the embedded WebShop."""
    settings = Settings(model="tiny", steps=steps, episodes=episodes, eval_tasks=eval_tasks, reflector="rules")
    with Run.create(out, settings.record()) as run:
        Training(
            run_dir=run,
            plan=settings.plan(),
            trainer=TorchTrainer(tiny.load(), learning_rate=2e-4, teacher_weights="ema"),
            reflector=RulesReflector(),
            learner=Distillation(),
            envs=[envs.make("webshop", split="train") for _ in range(8)],
            eval_envs=[envs.make("webshop", split="validation") for _ in range(8)],
            callback=Watch(),
        ).run()
        first, last = run.rows("evals")[0], run.rows("evals")[-2]
    print(f"validation: {100 * first['success']['value']:.0f} to {100 * last['success']['value']:.0f} %, in {out}")


if __name__ == "__main__":
    main(Path(mkdtemp()) / "run")
