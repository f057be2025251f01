"""Plays episodes: the only module in which an environment and a policy meet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from hero.chat.base import drift_tokens
from hero.chat.context import ContextBuilder, conversation
from hero.envs.validate import brief, read_start, read_step
from hero.errors import ConfigError, PolicyError, UnavailableError
from hero.policy import ContextLimited, Policy, derived_seed
from hero.types import JSON, Action, Message, Stop, Tokens, Trajectory, Turn

if TYPE_CHECKING:
    import gymnasium

    from hero.envs.base import TextEnv

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """A task to play one episode of.

    Attributes:
        index: index of the task in the environment's split.
        seed: seed that the environment is reset with.
        episode: number of the episode, 0 or more, among those that are played with one seed of `rollout`; None for its
            position in the call. It names the episode's random numbers and does not count for equality: siblings are
            equal.
    """

    index: int
    seed: int
    episode: int | None = field(default=None, compare=False)


def rollout(
    envs: Sequence[gymnasium.Env[str, str]],
    policy: Policy,
    tasks: Sequence[Task],
    *,
    build_context: ContextBuilder = conversation,
    max_turns: int,
    max_tokens: int | None = None,
    seed: int = 0,
    on_turn: Callable[[int, Turn], None] | None = None,
) -> list[Trajectory]:
    """Plays every task once.

    As many episodes are under way as there are environments; the policy answers all of them in one call, and an
    environment that has finished takes the next task at once. An exception of an environment, or a malformed answer,
    ends its episode and is recorded in it; all other exceptions propagate.

    Each action is drawn from a random stream of its own, named by `seed`, `Task.episode` and the number of the turn. So
    an episode depends neither on which others are played with it nor on how many at a time.

    Args:
        envs: separate instances of one `TextEnv`, in wrappers of gymnasium or not.
        build_context: writes each prompt.
        max_turns: maximum number of turns; an episode that reaches it ends with `Stop.MAX_TURNS`.
        max_tokens: maximum number of tokens; an episode whose next prompt and longest reply would exceed it ends with
            `Stop.MAX_TOKENS`. The context of a `ContextLimited` policy is a limit in any case.
        seed: seed of the policy's random numbers, 0 or more.
        on_turn: is called after every turn with the position of its task in `tasks`.

    Returns:
        One trajectory per task, in the order of the tasks.

    Raises:
        ConfigError: no environments, one that is not a text environment, a limit below 1, a negative seed or number of
            an episode, or `max_tokens` with a policy that cannot count tokens.
        PolicyError: the policy did not answer each prompt with an `Action`.
        UnavailableError: a service that the environment needs has been given up.
    """
    from hero.envs.base import text_env

    if not envs:
        raise ConfigError("a rollout needs at least one environment")
    if max_turns < 1:
        raise ConfigError(f"max_turns = {max_turns} leaves no turn to play; give at least 1")
    if (least := min([seed, *(task.episode or 0 for task in tasks)])) < 0:
        raise ConfigError(f"a seed or episode of {least} is not possible; give 0 or more")
    fits = _token_limit(policy, max_tokens)
    waiting, idle = deque(enumerate(tasks)), [text_env(env) for env in reversed(envs)]
    trajectories: dict[int, Trajectory] = {}
    running: list[_Episode] = []
    while waiting or running:
        while waiting and idle:
            running.append(_Episode(*waiting.popleft(), idle.pop()))
        for episode in running:
            episode.prepare(build_context, fits)
        acting = [episode for episode in running if episode.stop is None]
        for episode, action in zip(acting, _actions(policy, acting, seed), strict=True):
            if (turn := episode.step(action, max_turns)) and on_turn:
                on_turn(episode.position, turn)
        for episode in running:
            if episode.stop is not None:
                trajectories[episode.position] = episode.trajectory(episode.stop)
                idle.append(episode.env)
        running = [episode for episode in running if episode.stop is None]
    return [trajectories[position] for position in range(len(tasks))]


def _actions(policy: Policy, episodes: Sequence[_Episode], seed: int) -> Sequence[Action]:
    """Returns the next action of each episode."""
    actions = policy.act([episode.prompt for episode in episodes], [episode.action_seed(seed) for episode in episodes])
    if not isinstance(actions, Sequence) or len(actions) != len(episodes):
        raise PolicyError(f"{type(policy).__name__}.act must return {len(episodes)} actions, not {brief(actions)}")
    for action in actions:
        if not isinstance(action, Action):
            raise PolicyError(f"{type(policy).__name__}.act must return hero.types.Action, not {brief(action)}")
    return actions


def _token_limit(policy: Policy, max_tokens: int | None) -> Callable[[Sequence[Message]], bool]:
    """Returns a function of a prompt that returns whether its longest reply fits, too."""
    if not isinstance(policy, ContextLimited):
        if max_tokens is not None:
            raise ConfigError(
                f"max_tokens = {max_tokens}, but {type(policy).__name__} cannot count tokens; leave it out"
            )
        return lambda prompt: True
    limit = policy.context_length if max_tokens is None else min(max_tokens, policy.context_length)
    if limit < 1:
        raise ConfigError(f"max_tokens = {max_tokens} leaves no room to act; give at least 1")
    return lambda prompt: policy.count(prompt) <= limit


@dataclass
class _Episode:
    """An episode under way."""

    position: int
    task: Task
    env: TextEnv
    task_id: str = ""
    prompt: tuple[Message, ...] = ()
    observation: str = ""
    turns: list[Turn] = field(default_factory=list)
    stop: Stop | None = None
    error: str = ""

    def prepare(self, build_context: ContextBuilder, fits: Callable[[Sequence[Message]], bool]) -> None:
        """Writes the next prompt; resets the environment before the first."""
        if not self.prompt:
            self.task_id = str(self.task.index)
            options = {"task": self.task.index}
            start = self._ask(lambda: read_start(self.env.reset(seed=self.task.seed, options=options)))
            if start is None:
                return
            self.observation, self.task_id = start
        env = self.env
        opening = (Message("system", env.instructions, tools=env.tools),) if env.instructions else ()
        self.prompt = build_context(opening, self.turns, self.observation)
        if not fits(self.prompt):
            self.stop = Stop.MAX_TOKENS

    def action_seed(self, seed: int) -> int:
        """Returns the seed of the next action."""
        episode = self.position if self.task.episode is None else self.task.episode
        return derived_seed(seed, episode, len(self.turns))

    def step(self, action: Action, max_turns: int) -> Turn | None:
        """Takes one action; returns None where the environment raised."""
        answer = self._ask(lambda: read_step(self.env.step(action.text)))
        if answer is None:
            return None
        self.observation, reward, terminated, truncated, info = answer
        if terminated or truncated:
            self.stop = Stop.TERMINATED if terminated else Stop.TRUNCATED
        turn = Turn(
            prompt=self.prompt,
            action=action,
            observation=self.observation,
            reward=reward,
            feedback=info.get("feedback", ""),
            info=self._facts(action, info),
        )
        self.turns.append(turn)
        if self.stop is None and len(self.turns) == max_turns:
            self.stop = Stop.MAX_TURNS
        return turn

    def trajectory(self, stop: Stop) -> Trajectory:
        return Trajectory(self.env.env_id, self.task_id, self.task.seed, tuple(self.turns), stop, self.error)

    def _ask(self, call: Callable[[], T]) -> T | None:
        """Returns the environment's answer; None where it raised or the answer is malformed, which ends the episode."""
        try:
            return call()
        except UnavailableError:  # the next episode would wait for it as long
            raise
        except Exception as error:  # foreign code: whatever it raises is data
            self.stop, self.error = Stop.ERROR, f"{type(error).__name__}: {error}"
            return None

    def _facts(self, action: Action, info: dict[str, Any]) -> dict[str, JSON]:
        """Returns the public part of a step's info, chosen by name so that nothing privileged slips through."""
        facts: dict[str, JSON] = {}
        for name in ("action_valid", "tool_call"):
            if name in info:
                facts[name] = bool(info[name])
        if self.stop is not None:
            if "success" in info:
                facts["success"] = bool(info["success"])
            if metrics := info.get("metrics"):
                facts["metrics"] = metrics
        if self.turns and (drift := _drift(self.turns[-1].action.tokens, action.tokens)):
            facts["drift_tokens"] = drift
        return facts


def _drift(before: Tokens | None, after: Tokens | None) -> int:
    if before is None or after is None:
        return 0
    return drift_tokens(before.prompt_ids + before.action_ids, after.prompt_ids)
