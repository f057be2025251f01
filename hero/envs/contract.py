"""The contract of text environments, point by point: run `check_text_env(MyEnv)` in the tests of an adapter.

Random play finds most breaches, not all: a check of the end of an episode, say, only runs if play gets there. A script
that plays well gets further.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from hero.envs.base import TextEnv
from hero.envs.checks.declared import check_declarations, check_gymnasium, check_picklable
from hero.envs.checks.labels import check_labels
from hero.envs.checks.played import (
    check_determinism,
    check_episodes,
    check_global_random,
    check_hostile_actions,
    check_reuse,
    check_tasks,
)
from hero.envs.checks.scripted import check_script
from hero.policy import Script

Check: TypeAlias = Callable[[Callable[[], TextEnv]], None]
"""A function that takes a builder of the environment, and raises AssertionError with the remedy for a breach."""


class Point(NamedTuple):
    """A point of the contract.

    Attributes:
        name: what the environment does if it keeps it.
        why: what goes wrong where it is broken.
    """

    name: str
    why: str
    run: Check

    def check(self, make: Callable[[], TextEnv]) -> None:
        """Checks the point.

        Args:
            make: builds the environment; is called several times.

        Raises:
            AssertionError: it is broken; the message says what to change.
        """
        try:
            self.run(make)
        except SystemExit as error:
            raise AssertionError(
                f"the environment ended the process by {error!r}; raise an exception instead"
            ) from error


CONTRACT: Final = (
    Point(
        "declares its name, tasks, tools, baseline and provenance",
        "results are filed under the name, and a run plays tasks by number",
        check_declarations,
    ),
    Point(
        "can be sent to other processes",
        "gymnasium's asynchronous vector environments build it there",
        check_picklable,
    ),
    Point("accepts any string as an action", "models write anything", check_hostile_actions),
    Point("passes gymnasium's own checks", "its wrappers and vectors rely on them", check_gymnasium),
    Point("starts tasks by number", "methods are compared on the same tasks, and siblings share one", check_tasks),
    Point(
        "answers every step of an episode as the contract asks",
        "rollouts keep what is answered, and end an episode whose answer is malformed",
        check_episodes,
    ),
    Point(
        "repeats an episode under the same seed and actions",
        "a run could not be resumed or repeated, and siblings would have different tasks",
        check_determinism,
    ),
    Point(
        "answers after other episodes as if it were new",
        "an instance plays one episode after another, and what it keeps of them leaks into the next",
        check_reuse,
    ),
    Point(
        "leaves the global random state alone",
        "whatever else draws numbers in the process would no longer be repeatable",
        check_global_random,
    ),
    Point(
        "labels actions by the trajectory alone",
        "diagnoses are measured after the episode, by an instance that did not play it",
        check_labels,
    ),
)
"""The points of the contract, in the order in which they are checked."""


def contract(script: Script | None = None) -> tuple[Point, ...]:
    """Returns the points to check: those of `CONTRACT`, and with a script that it solves the tasks."""
    if script is None:
        return CONTRACT
    solved = "an episode that ends well is reached by good actions alone, and random play rarely gets there"
    return (*CONTRACT, Point("is solved by its script", solved, partial(check_script, script=script)))


def check_text_env(make: Callable[[], TextEnv], script: Script | None = None) -> None:
    """Checks that an environment keeps the contract of `TextEnv`.

    Args:
        make: builds the environment; is called several times.
        script: plays well; it has to solve the tasks.

    Raises:
        AssertionError: a check failed; the message says what to change.
    """
    for point in contract(script):
        point.check(make)
