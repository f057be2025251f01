"""The examples run as they stand, with the results that they promise."""

from __future__ import annotations

import re

import pytest

from examples import hero_by_hand, loss_in_your_trainer, reflector_on_your_logs, webshop_in_your_loop
from hero.types import Verdict


def test_the_whole_method_runs_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = hero_by_hand.main(steps=2, episodes=4, eval_tasks=3, max_turns=4)
    assert len(before.outcomes) == len(after.outcomes) == 3
    printed = re.findall(r"step \d: \d/4 successes, (\d+) examples, loss (\d\.\d+)", capsys.readouterr().out)
    assert len(printed) == 2
    assert all(int(examples) > 0 and float(loss) > 0 for examples, loss in printed)


def test_the_loss_alone_makes_the_student_like_the_teacher() -> None:
    losses = loss_in_your_trainer.main()
    assert losses[-1] < losses[0] / 10


def test_a_reflector_alone_judges_the_log_of_another_agent() -> None:
    diagnosis = reflector_on_your_logs.main()
    assert [(finding.turn, finding.verdict) for finding in diagnosis.findings] == [
        (1, Verdict.INVALID),
        (2, Verdict.UNNECESSARY),
        (3, Verdict.UNNECESSARY),
        (4, Verdict.FAILED),
    ]


def test_the_environment_alone_is_played_in_a_plain_loop() -> None:
    assert webshop_in_your_loop.main(episodes=10) > 0.2
