"""The contract of text environments, as a list of checks: run `check_text_env(MyEnv)` in the tests of an adapter.

Random play finds most breaches, not all: a check of the end of an episode, say, only runs if play gets there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from hero.envs.base import TextEnv
from hero.envs.checks.declared import check_declarations, check_gymnasium, check_picklable
from hero.envs.checks.labels import check_labels
from hero.envs.checks.played import (
    check_determinism,
    check_episodes,
    check_global_random,
    check_hostile_actions,
    check_tasks,
)

Check: TypeAlias = Callable[[Callable[[], TextEnv]], None]
"""A function that takes a builder of the environment, and raises AssertionError with the remedy for a breach."""

CHECKS: Final[Mapping[str, Check]] = {
    "declares its name, tasks, tools, baseline and provenance": check_declarations,
    "can be sent to other processes": check_picklable,
    "accepts any string as an action": check_hostile_actions,
    "passes gymnasium's own checks": check_gymnasium,
    "starts tasks by number": check_tasks,
    "answers every step of an episode as the contract asks": check_episodes,
    "repeats an episode under the same seed and actions": check_determinism,
    "leaves the global random state alone": check_global_random,
    "labels actions by the trajectory alone": check_labels,
}
"""The points of the contract, in the order in which they are checked."""


def check_text_env(make: Callable[[], TextEnv]) -> None:
    """Checks that an environment keeps the contract of `TextEnv`.

    Args:
        make: builds the environment; is called several times.

    Raises:
        AssertionError: a check failed; the message says what to change.
    """
    for check in CHECKS.values():
        check(make)
