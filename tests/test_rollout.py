"""Episodes: in order, complete, repeatable, and with nothing privileged in a prompt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.chat.context import ContextBuilder, conversation, window
from hero.envs.base import StepResult
from hero.errors import ConfigError, PolicyError, UnavailableError
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.types import Action, Message, Stop, Trajectory, Turn
from tests.dice import SECRET, DiceEnv, echo

NAN = float("nan")


def alone(task: Task, build: ContextBuilder, max_turns: int) -> Trajectory:
    """Plays an episode by itself, the straightforward way."""
    env, turns, task_id, stop, error = DiceEnv(), [], str(task.index), Stop.MAX_TURNS, ""
    try:
        observation, info = env.reset(seed=task.seed, options={"task": task.index})
        task_id = info["task_id"]
        for _ in range(max_turns):
            prompt = build([Message("system", "Throw.", tools=DiceEnv.tools)], turns, observation)
            action = echo(prompt)
            observation, reward, terminated, truncated, info = env.step(action)
            facts = {"action_valid": info["action_valid"]}
            if terminated or truncated:  # only the environment's own end is one that it calls a success or not
                facts["success"] = info["success"]
                facts["metrics"] = {name: float(value) for name, value in info["metrics"].items()}
            turns.append(Turn(prompt, Action(action), observation, reward, info["feedback"], facts))
            if terminated or truncated:
                stop = Stop.TERMINATED if terminated else Stop.TRUNCATED
                break
    except LookupError as raised:
        stop, error = Stop.ERROR, f"LookupError: {raised}"
    return Trajectory("dice", task_id, task.seed, tuple(turns), stop, error)


tasks = st.lists(st.builds(Task, st.integers(0, 99), st.integers(0, 5)), max_size=12)


@given(
    tasks,
    st.integers(1, 5),
    st.integers(1, 6),
    st.none() | st.integers(0, 3),
    st.sampled_from([(False, False), (True, False), (False, True), (True, True)]),
)
def test_episodes_are_those_of_playing_one_task_at_a_time(
    played: list[Task], count: int, max_turns: int, size: int | None, waits: tuple[bool, bool]
) -> None:
    build = conversation if size is None else window(size)
    envs, policy = [DiceEnv() for _ in range(count)], WaitingPolicy(echo)
    envs[0].waits, policy.waits = waits
    seen: Counter[int] = Counter()
    trajectories = rollout(
        *(envs, policy, played), build_context=build, max_turns=max_turns, on_turn=lambda task, _: seen.update([task])
    )
    assert trajectories == [alone(task, build, max_turns) for task in played]
    assert seen == {task: len(each.turns) for task, each in enumerate(trajectories) if each.turns}


class WaitingPolicy(FunctionPolicy):
    waits = True


class PatientEnv(DiceEnv):
    """Begins the first task only after the second has ended; or, where that never happens, not at all."""

    waits = True

    def __init__(self, ended: Event, outcome: Exception | None = None) -> None:
        super().__init__()
        self.ended, self.outcome = ended, outcome
        self.waited: bool | None = None

    def begin(self, task: int) -> tuple[str, Mapping[str, Any]]:
        if task == 0:
            self.waited = self.ended.wait(60)
            assert self.waited
        elif self.outcome:
            raise self.outcome
        return super().begin(task)

    def apply(self, action: str) -> StepResult:
        result = super().apply(action)
        if self.task == 1 and (result.terminated or result.truncated):
            self.ended.set()
        return result


@pytest.mark.parametrize("policy", [FunctionPolicy(echo), WaitingPolicy(echo)])
def test_an_episode_that_waits_holds_up_no_other(policy: FunctionPolicy) -> None:
    ended = Event()
    tasks = [Task(0, 3), Task(1, 3), Task(2, 3)]
    trajectories = rollout([PatientEnv(ended), PatientEnv(ended)], policy, tasks, max_turns=50)
    assert trajectories == [alone(task, conversation, 50) for task in tasks]


def test_a_prompt_that_waits_for_its_answer_holds_up_no_episode() -> None:
    ended = Event()

    def answer(messages: Sequence[Message]) -> str:
        if "dice 4:" in messages[1].content:
            assert ended.wait(60)
        return echo(messages)

    tasks = [Task(4, 3), Task(1, 3)]
    trajectories = rollout([PatientEnv(ended), PatientEnv(ended)], WaitingPolicy(answer), tasks, max_turns=5)
    assert trajectories == [alone(task, conversation, 5) for task in tasks]


def test_a_service_that_is_given_up_ends_the_rollout_while_others_wait() -> None:
    never = Event()
    envs = [PatientEnv(never), PatientEnv(never, UnavailableError("gone"))]
    with pytest.raises(UnavailableError, match="gone"):
        rollout(envs, FunctionPolicy(echo), [Task(0, 3), Task(1, 3)], max_turns=5)
    assert envs[0].waited is None
    never.set()


@given(tasks, st.integers(1, 5))
def test_no_prompt_shows_privileged_text(played: list[Task], envs: int) -> None:
    trajectories = rollout([DiceEnv() for _ in range(envs)], FunctionPolicy(echo), played, max_turns=4)
    for turn in (turn for trajectory in trajectories for turn in trajectory.turns):
        shown = "\n".join(message.content for message in turn.prompt)
        assert SECRET not in shown
        assert str(turn.reward) not in shown
        assert set(turn.info) <= {"action_valid", "success", "metrics"}
        assert SECRET in turn.feedback


class Counting(FunctionPolicy):
    """A policy that remembers how many prompts it was given at a time."""

    def __init__(self) -> None:
        super().__init__(echo)
        self.sizes: list[int] = []

    def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
        self.sizes.append(len(prompts))
        return super().act(prompts, seeds)


def test_all_environments_are_asked_at_once_and_never_idle() -> None:
    policy = Counting()
    rollout([DiceEnv(), DiceEnv(), DiceEnv()], policy, [Task(4, seed) for seed in range(7)], max_turns=3)
    assert policy.sizes == [3, 3, 3, 3, 3, 3, 1, 1, 1]


@given(tasks)
def test_on_turn_is_called_with_every_turn_in_order(played: list[Task]) -> None:
    heard: dict[int, list[Turn]] = {episode: [] for episode in range(len(played))}
    trajectories = rollout(
        [DiceEnv(), DiceEnv()],
        FunctionPolicy(echo),
        played,
        max_turns=4,
        on_turn=lambda episode, turn: heard[episode].append(turn),
    )
    assert [tuple(turns) for turns in heard.values()] == [trajectory.turns for trajectory in trajectories]


def test_an_error_of_the_policy_ends_the_rollout() -> None:
    def refuse(messages: Sequence[Message]) -> str:
        raise PolicyError("cannot")

    with pytest.raises(PolicyError, match="cannot"):
        rollout([DiceEnv()], FunctionPolicy(refuse), [Task(0, 0)], max_turns=1)


START = ("dice", {"task_id": "dice"})


class Misshapen(DiceEnv):
    """Returns the given results, whatever their shape."""

    def __init__(self, start: Any = START, step: Any = None) -> None:
        super().__init__()
        self.answers = start, step

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self.answers[0]

    def step(self, action: str) -> Any:
        return self.answers[1]


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (None, r"reset must return \(observation, info\), not None"),
        ("dice", r"reset must return \(observation, info\), not 'dice'"),
        (("a", {}, 1), "reset must return"),
        ((3, {"task_id": "a"}), "the observation of reset must be a str, not 3"),
        (("a", None), "the info of reset must be a dict, not None"),
        (("a", {}), "the info of reset must have task_id, a str, not None"),
    ],
)
def test_a_start_out_of_shape_is_data(start: Any, message: str) -> None:
    (trajectory,) = rollout([Misshapen(start)], FunctionPolicy(echo), [Task(7, 0)], max_turns=2)
    assert (trajectory.stop, trajectory.turns, trajectory.task_id) == (Stop.ERROR, (), "7")
    assert re.match(f"TypeError: {message}", trajectory.error)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (None, "TypeError: step must return .*, not None"),
        (("a", 0.0, True, {}), "TypeError: step must return"),
        ((b"a", 0.0, True, False, {}), "TypeError: the observation of step must be a str, not b'a'"),
        (("a", 0.0, True, False, None), "TypeError: the info of step must be a dict, not None"),
        (("a", "1", True, False, {}), "ValueError: the reward of step must be a finite number, not '1'"),
        (("a", NAN, True, False, {}), "ValueError: the reward of step must be a finite number, not nan"),
        (("a", float("inf"), True, False, {}), "ValueError: the reward of step must be a finite number, not inf"),
        (("a", 10**400, True, False, {}), "ValueError: the reward of step must be a finite number, not 1000"),
        (("a", 0.0, True, False, {"feedback": None}), "TypeError: the feedback in the info of step must be a str"),
        (
            ("a", 0.0, True, False, {"metrics": [1]}),
            r"TypeError: the metrics in .* must be .*, not \[1\]",
        ),
        (
            ("a", 0.0, True, False, {"metrics": {1: 1}}),
            "TypeError: the metrics in the info of step must be a",
        ),
        (
            ("a", 0.0, True, False, {"metrics": {"m": "1"}}),
            "ValueError: the metric 'm' must be a .*, not '1'",
        ),
        (
            ("a", 0.0, True, False, {"metrics": {"m": NAN}}),
            "ValueError: the metric 'm' must be a .*, not nan",
        ),
    ],
)
def test_a_step_out_of_shape_is_data(step: Any, message: str) -> None:
    (trajectory,) = rollout([Misshapen(step=step)], FunctionPolicy(echo), [Task(0, 0)], max_turns=2)
    assert (trajectory.stop, trajectory.turns, trajectory.task_id) == (Stop.ERROR, (), "dice")
    assert re.match(message, trajectory.error)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "act must return 1 actions, not None"),
        ([], "act must return 1 actions, not \\[\\]"),
        (["click"], r"act must return hero\.types\.Action, not 'click'"),
    ],
)
def test_a_policy_that_does_not_answer_each_prompt_is_named(answer: Any, message: str) -> None:
    class Dumb:
        def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> Any:
            return answer

    with pytest.raises(PolicyError, match=f"Dumb.{message}"):
        rollout([DiceEnv()], Dumb(), [Task(0, 0)], max_turns=1)


def test_an_interrupt_within_an_environment_ends_the_rollout() -> None:
    class Interrupted(DiceEnv):
        def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rollout([Interrupted()], FunctionPolicy(echo), [Task(0, 0)], max_turns=1)


@pytest.mark.parametrize("when", ["reset", "step"])
def test_a_service_that_was_given_up_ends_all_episodes_at_once(when: str) -> None:
    class Cut(DiceEnv):
        asked = 0

        def reset(self, **options: Any) -> tuple[str, dict[str, Any]]:
            self.call("reset")
            return super().reset(**options)

        def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
            self.call("step")
            return super().step(action)

        def call(self, what: str) -> None:
            if what == when:
                Cut.asked += 1
                raise UnavailableError("the user does not answer")

    with pytest.raises(UnavailableError, match="does not answer"):
        rollout([Cut(), Cut()], FunctionPolicy(echo), [Task(0, 0)] * 9, max_turns=2)
    assert Cut.asked == 1


@pytest.mark.parametrize(
    ("envs", "limits", "message"),
    [(0, {"max_turns": 1}, "environment"), (1, {"max_turns": 0}, "max_turns = 0"),
     (1, {"max_turns": 1, "max_tokens": 9}, "FunctionPolicy cannot count")],
)  # fmt: skip
def test_impossible_limits_are_refused(envs: int, limits: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rollout([DiceEnv() for _ in range(envs)], FunctionPolicy(echo), [Task(0, 0)], **limits)  # type: ignore[arg-type]


class Listening(FunctionPolicy):
    """A policy that keeps its seeds."""

    def __init__(self) -> None:
        super().__init__(echo)
        self.seeds: list[int] = []

    def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
        assert seeds is not None
        assert len(seeds) == len(prompts)
        self.seeds += seeds
        return super().act(prompts)


def test_every_action_has_a_seed_of_its_own() -> None:
    policy = Listening()
    for seed in range(3):
        rollout([DiceEnv(), DiceEnv()], policy, [Task(4, 0) for _ in range(5)], max_turns=4, seed=seed)
    assert len(set(policy.seeds)) == 3 * 5 * 4
    assert all(0 <= seed < 2**63 for seed in policy.seeds)


@pytest.mark.parametrize(("episode", "seed"), [(-1, 0), (0, -1)])
def test_negative_seeds_and_episodes_are_refused(episode: int, seed: int) -> None:
    with pytest.raises(ConfigError, match="seed or episode of -1 is not possible"):
        rollout([DiceEnv()], FunctionPolicy(echo), [Task(0, 0, episode)], max_turns=1, seed=seed)


class Measured(FunctionPolicy):
    """A policy whose every prompt and reply come to 10 tokens."""

    def __init__(self, context_length: int) -> None:
        super().__init__(echo)
        self.context_length = context_length

    def count(self, prompt: Sequence[Message]) -> int:
        return 10


def test_a_limit_of_no_tokens_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_tokens = 0 leaves no room to act"):
        rollout([DiceEnv()], Measured(10), [Task(4, 0)], max_turns=1, max_tokens=0)


@pytest.mark.parametrize(
    ("context", "limit", "stop"),
    [
        (10, None, Stop.MAX_TURNS),
        (9, None, Stop.MAX_TOKENS),
        (10, 11, Stop.MAX_TURNS),
        (9, 11, Stop.MAX_TOKENS),
        (11, 10, Stop.MAX_TURNS),
        (11, 9, Stop.MAX_TOKENS),
    ],
)
def test_both_limits_may_be_reached_and_not_exceeded(context: int, limit: int | None, stop: Stop) -> None:
    (trajectory,) = rollout([DiceEnv()], Measured(context), [Task(4, 0)], max_turns=1, max_tokens=limit)
    assert trajectory.stop is stop
