"""The contract passes a good environment, and reports the fault of each of many broken ones."""

from __future__ import annotations

import contextlib
import random
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from hero import envs, registry
from hero.envs.base import StepResult, TextEnv
from hero.envs.checks import shapes
from hero.envs.checks.played import HOSTILE
from hero.envs.contract import check_text_env, contract
from hero.errors import ConfigError
from hero.types import Message, Tools, Trajectory


class GuessEnv(TextEnv):
    """Guess a digit, with the help of a hint that changes from episode to episode."""

    env_id = "guess"
    instructions = "Answer with one digit."
    num_tasks = 10

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        self.target, self.turns = task, 0
        return f"Not {self.pick(10) + 10}. Guess.", self.facts()

    def apply(self, action: str) -> StepResult:
        self.turns += 1
        valid = self.understands(action)
        solved = action == str(self.target)
        return StepResult(
            f"Wrong or right? {self.pick(100)}",
            reward=float(solved),
            terminated=solved,
            truncated=self.turns == 5 and not solved,
            action_valid=valid,
            feedback="" if valid else "that is not one of the ten digits",
            success=solved,
            metrics={"guesses": self.turns},
            info=self.facts(),
        )

    def task_id(self, task: int) -> str:
        return f"digit-{task}"

    def facts(self) -> dict[str, Any]:
        return {"available_actions": [str(digit) for digit in range(10)]}

    def understands(self, action: str) -> bool:
        return action in [str(digit) for digit in range(10)]

    def pick(self, below: int) -> int:
        return int(self.np_random.integers(below))


def test_a_good_environment_passes() -> None:
    check_text_env(GuessEnv)


def test_free_text_actions_pass() -> None:
    class Chat(GuessEnv):
        def facts(self) -> dict[str, Any]:
            return {}

        def understands(self, action: str) -> bool:
            return True

    check_text_env(Chat)


BROKEN: list[tuple[str, Callable[[], Any]]] = []


def broken(message: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Registers a broken environment with the message that it must be met with."""

    def register(make: Callable[[], Any]) -> Callable[[], Any]:
        BROKEN.append((message, make))
        return make

    return register


class Changed(GuessEnv):
    """Lets a broken variant change what a step shows."""

    def step(self, action: str) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        return self.change(*super().step(action))

    def change(self, observation: str, reward: Any, done: bool, cut: bool, info: dict[str, Any]) -> Any:
        raise NotImplementedError


@broken("must build a hero.envs.base.TextEnv")
def plain_gymnasium() -> gymnasium.Env[Any, Any]:
    return gymnasium.make("CartPole-v1")


@broken("set env_id")
class Nameless(GuessEnv):
    env_id = ""


@broken("num_tasks must be an int")
class Countless(GuessEnv):
    num_tasks = 0


@broken("instructions must be a str")
class Wordless(GuessEnv):
    instructions = None  # type: ignore[assignment]


@broken("tools must be None or hero.types.Tools")
class Listed(GuessEnv):
    tools = [{"name": "guess"}]  # type: ignore[assignment]  # noqa: RUF012


@broken("the instructions must describe them")
class Undescribed(GuessEnv):
    instructions = ""
    tools = Tools((), "")


@broken("noop_reward must give a finite number or None, not 'nothing'")
class Worthless(GuessEnv):
    def noop_reward(self, task: int) -> str:  # type: ignore[override]
        return "nothing"


@broken("noop_reward must give a finite number or None, not nan")
class Unknown(GuessEnv):
    def noop_reward(self, task: int) -> float:
        return float("nan")


@broken("provenance must return a dict of plain JSON")
class Unknowable(GuessEnv):
    def provenance(self) -> Any:
        return {"data": Path("/data")}


@broken("provenance must return a dict of plain JSON, its `arguments` a dict")
class Unarguable(GuessEnv):
    def provenance(self) -> Any:
        return {"arguments": ["data"]}


@broken(r"call super\(\).__init__\(\)")
class OwnSpaces(GuessEnv):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = gymnasium.spaces.Text(8)  # type: ignore[assignment]


@broken(r"call super\(\).__init__\(\)")
class NoSpaces(GuessEnv):
    def __init__(self) -> None:
        self.num_tasks = 10


@broken("must be picklable")
class Unpicklable:
    def __init__(self) -> None:
        self.lock = (value for value in range(3))

    def __call__(self) -> GuessEnv:
        return GuessEnv()


@broken(r"reset must return \(observation, info\)")
class OldReset(GuessEnv):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=seed, options=options)[0]


@broken("Untold.begin must return .observation, info., not 'Guess.'")
class Untold(GuessEnv):
    def begin(self, task: int) -> Any:
        return "Guess."


@broken("FiveTuple.apply must return a StepResult, not .'Wrong', 0.0, ")
class FiveTuple(GuessEnv):
    def apply(self, action: str) -> Any:
        return "Wrong", 0.0, False, False, {}


@broken("check_env complains: Deterministic")
class IgnoresSeed(GuessEnv):
    def pick(self, below: int) -> int:
        return int(np.random.default_rng().integers(below))


@broken(r"the action '' raised ValueError.*any string is a legal action")
class Strict(GuessEnv):
    def understands(self, action: str) -> bool:
        if not action:
            raise ValueError("empty")
        return super().understands(action)


@broken("raised UnicodeEncodeError")
class Latin(GuessEnv):
    def understands(self, action: str) -> bool:
        action.encode("latin-1")
        return super().understands(action)


@broken("available_actions names what can be done, yet .* was valid")
class Credulous(GuessEnv):
    def understands(self, action: str) -> bool:
        return True


@broken("action_valid is False: list only what works now")
class ListsTooMuch(GuessEnv):
    def understands(self, action: str) -> bool:
        return action in "123"


@broken("step must return observation, reward, two bools and info")
class OldStep(Changed):
    def change(self, *step: Any) -> Any:
        return (*step[:3], step[4])


@broken("info must have action_valid, a bool")
class NumberedVerdict(Changed):
    def change(self, *step: Any) -> Any:
        step[4]["action_valid"] = int(step[4]["action_valid"])
        return step


@broken("info must have feedback, a str")
class NoFeedback(Changed):
    def change(self, *step: Any) -> Any:
        del step[4]["feedback"]
        return step


@broken("feedback is empty; say what was wrong")
class Mute(Changed):
    def change(self, *step: Any) -> Any:
        return (*step[:4], step[4] | {"feedback": ""})


@broken("the observation holds the feedback .* which a policy must not see")
class Leaky(Changed):
    def change(self, observation: str, *rest: Any) -> Any:
        return (f"{observation} ({rest[-1]['feedback']})", *rest)


@broken("the reward is '0.0', not a finite float")
class TextReward(Changed):
    def change(self, observation: str, reward: Any, *rest: Any) -> Any:
        return (observation, str(reward), *rest)


@broken(r"info\['score'\] is .* which JSON cannot carry")
class NumpyInfo(GuessEnv):
    def facts(self) -> dict[str, Any]:
        return super().facts() | {"score": np.float32(0.5)}


@broken("info must have task_id, a non-empty str")
class NumberedTasks(GuessEnv):
    def facts(self) -> dict[str, Any]:
        return super().facts() | {"task_id": self.target}


@broken("info must have available_actions, a list of str")
class OneAction(GuessEnv):
    def facts(self) -> dict[str, Any]:
        return {"available_actions": "guess"}


@broken("the metrics in the info of step must be a dict of str to numbers, not 5")
class OneMetric(GuessEnv):
    def apply(self, action: str) -> StepResult:
        return replace(super().apply(action), metrics=self.turns)


@broken("the metric 'guesses' must be a finite number, not nan")
class NoMetric(GuessEnv):
    def apply(self, action: str) -> StepResult:
        return replace(super().apply(action), metrics={"guesses": float("nan")})


@broken("must start the same task under every seed")
class IgnoresTask(GuessEnv):
    def task_id(self, task: int) -> str:
        return f"digit-{self.pick(10)}"


@broken("different tasks must have different task_ids")
class OneName(GuessEnv):
    def task_id(self, task: int) -> str:
        return "digit"


@broken("'task': -1.* was accepted; with 10 tasks it must raise")
class Wraps(GuessEnv):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        task = (options or {}).get("task")
        return super().reset(seed=seed, options=None if task is None else {"task": task % 10})


@broken("raised IndexError; with 10 tasks it must raise")
class BareError(GuessEnv):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        try:
            return super().reset(seed=seed, options=options)
        except ConfigError as error:
            raise IndexError("no such task") from error


@broken("the info of the last step must have success, a bool")
class NoSuccess(Changed):
    def change(self, *step: Any) -> Any:
        step[4].pop("success", None)
        return step


@broken("a step after the end of the episode went through")
class Undead(Changed):
    def change(self, *step: Any) -> Any:
        self._running = True
        return step


@broken("a step after the end raised TypeError")
class Crashes(Changed):
    def step(self, action: str) -> Any:
        if not self._running:
            raise TypeError("None")
        return super().step(action)

    def change(self, *step: Any) -> Any:
        return step


@broken("the global random state was changed")
class DrawsGlobally(GuessEnv):
    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        random.random()
        return super().begin(task)


@broken("equal seeds .* gave different episodes .* share no state between instances")
class Shared(GuessEnv):
    episodes = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        if seed == 99:
            Shared.episodes += 1
        return super().reset(seed=seed, options=options)

    def pick(self, below: int) -> int:
        return (super().pick(below) + Shared.episodes) % below


@broken("an instance that was played before answers otherwise than a new one")
class Hoards(GuessEnv):
    """Shows earlier episodes in its observations, as a package was seen to do."""

    played = 0

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        observation, info = super().begin(task)
        self.played += 1
        return observation + " (again)" * (self.played > 1), info


@broken("is_right must return True, False or None, not 'yes'")
class Wordy(GuessEnv):
    def is_right(self, trajectory: Trajectory, turn: int, action: str) -> Any:
        return "yes"


@broken("is_right raised ValueError.* any string may be asked about")
class Numeric(GuessEnv):
    def is_right(self, trajectory: Trajectory, turn: int, action: str) -> bool:
        return int(action) == int(trajectory.task_id.removeprefix("digit-"))


@broken("an instance that did not play the episode says otherwise")
class Remembers(GuessEnv):
    target = -1

    def is_right(self, trajectory: Trajectory, turn: int, action: str) -> bool:
        return self.target >= 0


@broken("had another answer because is_right was asked before it")
class Disturbs(GuessEnv):
    def is_right(self, trajectory: Trajectory, turn: int, action: str) -> None:
        self.turns = 0


@pytest.mark.parametrize(("message", "make"), BROKEN, ids=[getattr(make, "__name__", "instance") for _, make in BROKEN])
def test_a_broken_environment_is_reported_with_the_remedy(message: str, make: Callable[[], Any]) -> None:
    build = make() if make is Unpicklable else make
    with pytest.raises(AssertionError, match=message):
        check_text_env(build)


class Exits(GuessEnv):
    def apply(self, action: str) -> StepResult:
        if action == "\0":
            sys.exit("bye")
        return super().apply(action)


class ExitsAtReset(GuessEnv):
    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        sys.exit("bye")


@pytest.mark.parametrize("make", [Exits, ExitsAtReset])
def test_an_environment_that_ends_the_process_breaks_the_contract_and_ends_nothing(make: Any) -> None:
    with pytest.raises(AssertionError, match=r"SystemExit\('bye'\)"):
        check_text_env(make)
    for point in contract():
        with contextlib.suppress(Exception):
            point.check(make)


def test_a_reset_that_never_ends_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hangs(GuessEnv):
        def begin(self, task: int) -> tuple[str, dict[str, Any]]:
            while True:
                pass

    monkeypatch.setattr(shapes, "MAX_SECONDS", 0.2)
    with pytest.raises(AssertionError, match=r"reset took longer than 0\.2 s"):
        check_text_env(Hangs)


def test_an_action_that_is_never_answered_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hangs(GuessEnv):
        def apply(self, action: str) -> StepResult:
            while action == "\0":
                pass
            return super().apply(action)

    monkeypatch.setattr(shapes, "MAX_SECONDS", 0.2)
    with pytest.raises(AssertionError, match=r"the action '\\x00' was not answered within 0\.2 s"):
        check_text_env(Hangs)


def test_what_other_packages_warn_of_is_not_gymnasium_s_complaint() -> None:
    class Warns(GuessEnv):
        def begin(self, task: int) -> tuple[str, dict[str, Any]]:
            warnings.warn("the old name goes away", DeprecationWarning, stacklevel=2)
            return super().begin(task)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_text_env(Warns)


class PatientEnv(GuessEnv):
    """Gives the answer away after a wrong guess, and takes as many as it needs."""

    def apply(self, action: str) -> StepResult:
        return replace(super().apply(action), observation=f"It is {self.target}.", truncated=False)


def solve(messages: Sequence[Message]) -> str:
    """Asks once, and then says what it was told."""
    assert messages[0] == Message("system", "Answer with one digit.")
    told = re.fullmatch(r"It is (\d)\.", messages[-1].content)
    return told[1] if told else "9"


def test_a_script_that_solves_the_tasks_passes() -> None:
    check_text_env(PatientEnv, solve)


class SpoilsTheEnd(PatientEnv):
    """Answers badly where random play hardly gets: after a wrong guess that was followed by a right one."""

    def apply(self, action: str) -> StepResult:
        result = super().apply(action)
        return replace(result, success=None) if result.success and self.turns == 2 else result


class DrawsAtTheEnd(PatientEnv):
    def apply(self, action: str) -> StepResult:
        result = super().apply(action)
        return replace(result, observation=str(random.random())) if result.success and self.turns == 2 else result


@pytest.mark.parametrize(
    ("make", "script", "message"),
    [
        (
            PatientEnv,
            lambda messages: "eleven",
            r"in task 0, after step 0 of the script \('eleven'\) action_valid is False",
        ),
        (PatientEnv, lambda messages: "9" if len(messages) < 5 else "8", "the script did not end task 0 within 200"),
        (GuessEnv, lambda messages: "9", "ended without success"),
        (PatientEnv, lambda messages: 3, "the script returned 3, not the text of an action"),
        (SpoilsTheEnd, solve, "info of the last step must have success"),
        (DrawsAtTheEnd, solve, "played task 0 twice, and the answers differed"),
    ],
)
def test_what_a_script_meets_is_reported(make: Any, script: Any, message: str) -> None:
    *_, point = contract(script)
    with pytest.raises(AssertionError, match=message):
        point.check(make)


@pytest.mark.parametrize("name", sorted({"taubench", "webshop", *registry.names("hero.envs")} - {"gym"}))
def test_every_registered_environment_passes(name: str) -> None:
    check_text_env(partial(envs.make, name))


def test_hostile_actions_cover_what_models_write() -> None:
    joined = "".join(HOSTILE)
    assert "" in HOSTILE
    assert max(map(len, HOSTILE)) >= 100_000
    assert any(ord(character) > 0xFFFF for character in joined)
    assert {"\n", "\x00", "[", "{"} <= set(joined)
