"""Episodes: in order, complete, repeatable, and with nothing privileged in a prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.chat.base import drift_tokens
from hero.chat.context import ContextBuilder, conversation, window
from hero.envs.base import StepResult, TextEnv
from hero.errors import ConfigError, PolicyError, UnavailableError
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.types import Action, Message, Stop, Tokens, Tools, Trajectory, Turn
from tests.tiny_models import random_model

SECRET = "PRIVILEGED"
NAN = float("nan")


class DiceEnv(TextEnv):
    """Throws dice; each task is of one kind, by its number modulo 6.

    0: ends by itself; 1: cuts itself off; 2: raises on reset; 3: raises on its third step; 4, 5: go on for ever.
    """

    env_id: ClassVar[str] = "dice"
    instructions = "Throw."
    tools = Tools(({"type": "function", "function": {"name": "throw"}},), "Play.")
    num_tasks = 100

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        self.task, self.steps = task, 0
        if task % 6 == 2:
            raise LookupError("no dice")
        return f"dice {task}: {self.np_random.integers(100)}", {"goal": SECRET}

    def task_id(self, task: int) -> str:
        return f"dice-{task}"

    def apply(self, action: str) -> StepResult:
        self.steps += 1
        kind, over = self.task % 6, self.steps == 2 + self.task // 6 % 3
        if kind == 3 and self.steps == 3:
            raise LookupError("dice lost")
        thrown = int(self.np_random.integers(100))
        return StepResult(
            f"after {action!r}: {thrown}",
            reward=1234.5 + thrown,
            terminated=kind == 0 and over,
            truncated=kind == 1 and over,
            action_valid=bool(action),
            feedback=f"{SECRET} {self.steps}",
            success=kind == 0 and over,
            metrics={"thrown": thrown, "doubled": self.steps > 2},
            info={"available_actions": [SECRET], "reward_parts": {SECRET: 1.0}},
        )


def echo(messages: Sequence[Message]) -> str:
    return f"{len(messages)} {messages[-1].content[-2:]}" if "5" not in messages[-1].content else ""


def alone(task: Task, build: ContextBuilder, max_turns: int) -> Trajectory:
    """An episode as it should be, played by itself, the straightforward way."""
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


@given(tasks, st.integers(1, 5), st.integers(1, 6), st.none() | st.integers(0, 3))
def test_episodes_are_those_of_playing_one_task_at_a_time(
    played: list[Task], envs: int, max_turns: int, size: int | None
) -> None:
    build = conversation if size is None else window(size)
    found = rollout(
        [DiceEnv() for _ in range(envs)], FunctionPolicy(echo), played, build_context=build, max_turns=max_turns
    )
    assert found == [alone(task, build, max_turns) for task in played]


@given(tasks, st.integers(1, 5))
def test_no_prompt_shows_what_is_privileged(played: list[Task], envs: int) -> None:
    found = rollout([DiceEnv() for _ in range(envs)], FunctionPolicy(echo), played, max_turns=4)
    for turn in (turn for trajectory in found for turn in trajectory.turns):
        shown = "\n".join(message.content for message in turn.prompt)
        assert SECRET not in shown
        assert str(turn.reward) not in shown
        assert set(turn.info) <= {"action_valid", "success", "metrics"}
        assert SECRET in turn.feedback


@given(st.lists(st.tuples(st.text(), st.text()), max_size=6), st.text(), st.text(), st.integers(0, 7))
def test_prompts_are_the_dialogue_so_far(
    played: list[tuple[str, str]], instructions: str, observation: str, size: int
) -> None:
    opening = [Message("system", instructions)] if instructions else []
    turns: list[Turn] = []
    for (seen, action), (following, _) in pairwise([*played, (observation, "")]):
        turns.append(Turn(conversation(opening, turns, seen), Action(action), following, 0.0))
    system = [("system", instructions)] if instructions else []
    dialogue = [line for seen, action in played for line in (("user", seen), ("assistant", action))]
    newest = ("user", observation)

    def plain(build: ContextBuilder) -> list[tuple[str, str]]:
        return [(message.role, message.content) for message in build(opening, turns, observation)]

    assert plain(conversation) == [*system, *dialogue, newest]
    assert plain(window(size)) == [*system, *dialogue[max(0, len(dialogue) - 2 * size) :], newest]


def test_a_window_cannot_be_negative() -> None:
    with pytest.raises(ConfigError, match="-1"):
        window(-1)


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
def test_on_turn_hears_of_every_turn_in_order(played: list[Task]) -> None:
    heard: dict[int, list[Turn]] = {place: [] for place in range(len(played))}
    found = rollout(
        [DiceEnv(), DiceEnv()],
        FunctionPolicy(echo),
        played,
        max_turns=4,
        on_turn=lambda place, turn: heard[place].append(turn),
    )
    assert [tuple(turns) for turns in heard.values()] == [trajectory.turns for trajectory in found]


def test_what_a_policy_raises_is_no_data() -> None:
    def refuse(messages: Sequence[Message]) -> str:
        raise PolicyError("cannot")

    with pytest.raises(PolicyError, match="cannot"):
        rollout([DiceEnv()], FunctionPolicy(refuse), [Task(0, 0)], max_turns=1)


START = ("dice", {"task_id": "dice"})


class Misshapen(DiceEnv):
    """Answers what it is told to."""

    def __init__(self, start: Any = START, step: Any = None) -> None:
        super().__init__()
        self.answers = start, step

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self.answers[0]

    def step(self, action: str) -> Any:
        return self.answers[1]


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (None, r"reset must return \(observation, info\), not None"),
        ("dice", r"reset must return \(observation, info\), not 'dice'"),
        (("a", {}, 1), "reset must return"),
        ((3, {"task_id": "a"}), "the observation of reset must be a str, not 3"),
        (("a", None), "the info of reset must be a dict, not None"),
        (("a", {}), "the info of reset must have task_id, a str, not None"),
    ],
)
def test_a_start_out_of_shape_is_data(start: Any, named: str) -> None:
    (found,) = rollout([Misshapen(start)], FunctionPolicy(echo), [Task(7, 0)], max_turns=2)
    assert (found.stop, found.turns, found.task_id) == (Stop.ERROR, (), "7")
    assert re.match(f"TypeError: {named}", found.error)


@pytest.mark.parametrize(
    ("step", "named"),
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
def test_a_step_out_of_shape_is_data(step: Any, named: str) -> None:
    (found,) = rollout([Misshapen(step=step)], FunctionPolicy(echo), [Task(0, 0)], max_turns=2)
    assert (found.stop, found.turns, found.task_id) == (Stop.ERROR, (), "dice")
    assert re.match(named, found.error)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (None, "act must return 1 actions, not None"),
        ([], "act must return 1 actions, not \\[\\]"),
        (["click"], r"act must return hero\.types\.Action, not 'click'"),
    ],
)
def test_a_policy_that_does_not_answer_each_prompt_is_named(answer: Any, named: str) -> None:
    class Dumb:
        def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> Any:
            return answer

    with pytest.raises(PolicyError, match=f"Dumb.{named}"):
        rollout([DiceEnv()], Dumb(), [Task(0, 0)], max_turns=1)


def test_an_interrupt_within_an_environment_is_no_data() -> None:
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
    ("envs", "limits", "named"),
    [(0, {"max_turns": 1}, "environment"), (1, {"max_turns": 0}, "max_turns = 0"),
     (1, {"max_turns": 1, "max_tokens": 9}, "FunctionPolicy cannot count")],
)  # fmt: skip
def test_impossible_limits_are_refused(envs: int, limits: dict[str, int], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        rollout([DiceEnv() for _ in range(envs)], FunctionPolicy(echo), [Task(0, 0)], **limits)  # type: ignore[arg-type]


def token_rollout(envs: int, seed: int = 0, max_turns: int = 4, **options: Any) -> list[Trajectory]:
    policy = random_model(context=512).policy(seed=seed, max_new_tokens=2)
    played = [Task(index, index) for index in (4, 0, 5, 6, 1)]
    return rollout([DiceEnv() for _ in range(envs)], policy, played, max_turns=max_turns, **options)


def tokens_of(trajectory: Trajectory) -> list[Tokens]:
    return [turn.action.tokens for turn in trajectory.turns if turn.action.tokens]


SAMPLED = [Task((4, 0, 5, 6, 1, 10)[number % 6], number % 3, episode=number) for number in range(16)]
"""Of different lengths, siblings among them."""
LM = random_model(context=512)


def ids(found: Sequence[Trajectory]) -> list[list[tuple[int, ...]]]:
    return [[tokens.action_ids for tokens in tokens_of(trajectory)] for trajectory in found]


def sampled(tasks: Sequence[Task], envs: int = 16, **changes: Any) -> list[list[tuple[int, ...]]]:
    """The ids of each episode, by a new policy."""
    policy = replace(LM, **changes).policy(max_new_tokens=6)
    return ids(rollout([DiceEnv() for _ in range(envs)], policy, tasks, max_turns=4, seed=3))


TOGETHER = sampled(SAMPLED)


@settings(max_examples=15)
@given(st.permutations(range(16)), st.integers(1, 16), st.integers(1, 16), st.integers(1, 3000))
def test_what_an_episode_samples_depends_on_nothing_but_itself(
    order: list[int], size: int, envs: int, batch_tokens: int
) -> None:
    found: dict[int, list[tuple[int, ...]]] = {}
    for first in range(0, 16, size):
        part = order[first : first + size]
        found |= zip(part, sampled([SAMPLED[n] for n in part], envs, batch_tokens=batch_tokens), strict=True)
    assert [found[n] for n in range(16)] == TOGETHER
    assert len({str(episode) for episode in TOGETHER}) == 16


def test_two_threads_may_share_a_policy() -> None:
    policy = LM.policy(max_new_tokens=6)

    def half(tasks: Sequence[Task]) -> list[list[tuple[int, ...]]]:
        return ids(rollout([DiceEnv() for _ in range(4)], policy, tasks, max_turns=4, seed=3))

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(half, (SAMPLED[:8], SAMPLED[8:]))
    assert one + other == TOGETHER


def test_an_episode_without_a_number_has_that_of_its_place() -> None:
    assert sampled([replace(task, episode=None) for task in SAMPLED]) == TOGETHER


class Listening(FunctionPolicy):
    """Keeps the seeds that it is given."""

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


@pytest.mark.parametrize("envs", [1, 3])
def test_every_prompt_extends_the_ledger_of_a_model(envs: int) -> None:
    found = token_rollout(envs)
    assert token_rollout(envs) == found
    assert token_rollout(envs, seed=1) != found
    assert {turn.action.cut_off for trajectory in found for turn in trajectory.turns} == {True, False}
    for trajectory in found:
        assert len(tokens_of(trajectory)) == len(trajectory.turns) > 1
        for before, now in pairwise(tokens_of(trajectory)):
            assert drift_tokens(before.prompt_ids + before.action_ids, now.prompt_ids) == 0
        assert not any("drift_tokens" in turn.info for turn in trajectory.turns)


def test_drift_is_recorded_where_a_context_builder_drops_turns() -> None:
    for trajectory in token_rollout(2, build_context=window(1)):
        drifts = [turn.info.get("drift_tokens", 0) for turn in trajectory.turns]
        ledgers = tokens_of(trajectory)
        expected = [
            drift_tokens(before.prompt_ids + before.action_ids, now.prompt_ids) for before, now in pairwise(ledgers)
        ]
        assert drifts == [0, *expected]
        assert all(drift > 0 for drift in expected[1:])


class Measured(FunctionPolicy):
    """A policy whose every prompt and reply come to 10 tokens."""

    def __init__(self, context_length: int) -> None:
        super().__init__(echo)
        self.context_length = context_length

    def count(self, prompt: Sequence[Message]) -> int:
        return 10


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
    (found,) = rollout([DiceEnv()], Measured(context), [Task(4, 0)], max_turns=1, max_tokens=limit)
    assert found.stop is stop


@pytest.mark.parametrize("limit", [60, 90, 120, None])
def test_an_episode_ends_before_it_outgrows_its_tokens(limit: int | None) -> None:
    found = token_rollout(2, max_turns=50, max_tokens=limit)
    model = random_model(context=512)
    allowed = limit or model.context_length
    assert {trajectory.stop for trajectory in found} >= {Stop.MAX_TOKENS}
    for trajectory in found:
        lengths = [len(tokens.prompt_ids) + 2 for tokens in tokens_of(trajectory)]
        assert all(length <= allowed for length in lengths)
        if trajectory.stop is Stop.MAX_TOKENS:
            last = trajectory.turns[-1] if trajectory.turns else None
            following = (*last.prompt, last.action.message(), Message("user", last.observation)) if last else None
            assert following is None or len(model.chat.encode(following)) + 2 > allowed
