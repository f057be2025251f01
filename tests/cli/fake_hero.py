"""The command `hero` with a trainer that needs no model, so that a run takes a moment; and accidents on demand.

The environment variable ACCIDENT is the name of a run directory, a step, and what happens in its first update:

    fail        an error
    death       the end of the process without any cleaning up
    interrupt   Ctrl-C in the terminal of the process that started this one, whose signal it then waits for
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from hero.distill.base import Example
from hero.errors import ConfigError
from hero_cli import build, curve, parts, provenance
from hero_cli.main import main
from tests.doubles import GuessTrainer


class AccidentalTrainer(GuessTrainer):
    """A `GuessTrainer` that meets with an accident at a step."""

    def __init__(self, step: int, kind: str) -> None:
        super().__init__()
        self.step, self.kind = step, kind

    def update(self, examples: Sequence[Example]) -> Mapping[str, float]:
        if self.updates + 1 == self.step:
            if self.kind == "fail":
                raise ConfigError("the dice are loaded")
            if self.kind == "death":
                os._exit(9)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # so that none comes before it is waited for
            os.killpg(os.getpgid(os.getppid()), signal.SIGINT)
            signal.sigwait({signal.SIGINT})
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            signal.raise_signal(signal.SIGINT)
        return super().update(examples)


def make_trainer(settings: object, lm: object, processes: object) -> GuessTrainer:
    name, step, kind = os.environ.get("ACCIDENT", "- 0 none").split()
    return AccidentalTrainer(int(step), kind) if sys.argv[-1].endswith(name) else GuessTrainer()


if __name__ == "__main__":
    build.require_train_extra = lambda: None
    curve.draw_curve = lambda *arguments: None
    provenance.model_provenance = lambda source: {"path": source}  # type: ignore[assignment, misc]
    build.make_trainer = make_trainer  # type: ignore[assignment]
    build.require_memory = lambda settings, lm, processes: build.MemoryNote("", fits=True)
    lm = SimpleNamespace(
        model=SimpleNamespace(device=SimpleNamespace(type="cpu")), learning_rate=1e-5, max_new_tokens=4
    )
    parts.load_trainable = lambda *choice: lm  # type: ignore[assignment, return-value]
    main()
