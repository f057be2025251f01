"""Checks of an environment by playing it well, as a script of its author does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hero.chat.context import conversation
from hero.envs.base import TextEnv
from hero.envs.checks.played import check_ended
from hero.envs.checks.shapes import check_start, check_step, start_episode, take_step
from hero.errors import require
from hero.policy import Script
from hero.types import Action, Message, Turn

MAX_STEPS: Final = 200
"""Number of steps within which a script has to solve a task."""


def check_script(make: Callable[[], TextEnv], script: Script) -> None:
    """Checks that a script solves the first, the middle and the last task, with valid actions, and does so again."""
    used = make()
    for task in sorted({0, used.num_tasks // 2, used.num_tasks - 1}):
        answers = _solve(used, script, task)
        require(
            answers == _solve(make(), script, task),
            f"the script played task {task} twice, and the answers differed: draw everything from self.np_random, "
            "share no state between instances, and see that the script keeps none",
        )


def _solve(env: TextEnv, script: Script, task: int) -> list[Any]:
    """Returns all answers of an episode."""
    start = start_episode(env, 0, task)
    check_start(start, f"at the start of task {task}")
    opening = (Message("system", env.instructions, tools=env.tools),) if env.instructions else ()
    answers: list[Any] = [start]
    turns: list[Turn] = []
    for index in range(MAX_STEPS):
        prompt = conversation(opening, turns, answers[-1][0])
        action = script(prompt)
        require(isinstance(action, str), f"the script returned {action!r:.60}, not the text of an action")
        step = take_step(env, action)
        check_step(step, where := f"in task {task}, after step {index} of the script ({action!r:.60})")
        require(step[4]["action_valid"] is True, f"{where} action_valid is False: {step[4]['feedback']}")
        answers.append(step)
        turns.append(Turn(prompt, Action(action), step[0], float(step[1])))
        if step[2] or step[3]:
            require(step[4]["success"] is True, f"{where} the episode ended without success")
            check_ended(env)
            return answers
    raise AssertionError(f"the script did not end task {task} within {MAX_STEPS} steps")
