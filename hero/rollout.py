"""Plays episodes: the only module in which an environment and a policy meet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hero.chat.context import ContextBuilder, conversation
from hero.envs.validate import brief
from hero.episode import Episode, Task
from hero.errors import ConfigError, PolicyError
from hero.policy import ContextLimited, Policy
from hero.types import Action, Message, Trajectory, Turn

if TYPE_CHECKING:
    import gymnasium

    from hero.envs.base import TextEnv

__all__ = ["Task", "rollout"]


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
    environment that has finished takes the next task at once. Where environments or the policy wait for something
    outside of this process (their attribute `waits`), each episode has a thread while it waits, and goes on without the
    others. An exception of an environment, a malformed answer, or, without threads, none within its `step_timeout`,
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
    texts = [text_env(env) for env in envs]
    waits = any(getattr(each, "waits", False) for each in (*texts, policy))
    game = _Game(policy, seed, max_turns, build_context, _token_limit(policy, max_tokens), on_turn or _ignore)
    return (_play_apart if waits else _play_together)(game, texts, tasks)


@dataclass(frozen=True)
class _Game:
    """Holds what all episodes of a rollout have in common."""

    policy: Policy
    seed: int
    max_turns: int
    build_context: ContextBuilder
    fits: Callable[[Sequence[Message]], bool]
    on_turn: Callable[[int, Turn], None]

    def goes_on(self, episode: Episode) -> bool:
        """Writes the next prompt of an episode; returns whether it goes on."""
        if episode.stop is None:
            episode.write_prompt(self.build_context, self.fits)
        return episode.stop is None

    def act(self, episodes: Sequence[Episode]) -> Sequence[Action]:
        """Returns the next action of each episode."""
        if not episodes:
            return []
        policy, seeds = self.policy, [episode.action_seed(self.seed) for episode in episodes]
        actions = policy.act([episode.prompt for episode in episodes], seeds)
        if not isinstance(actions, Sequence) or len(actions) != len(episodes):
            raise PolicyError(f"{type(policy).__name__}.act must return {len(episodes)} actions, not {brief(actions)}")
        for action in actions:
            if not isinstance(action, Action):
                raise PolicyError(f"{type(policy).__name__}.act must return hero.types.Action, not {brief(action)}")
        return actions

    def step(self, episode: Episode, action: Action) -> Turn | None:
        """Takes one action; returns None where the environment raised."""
        return episode.step(action, self.max_turns)


def _play_together(game: _Game, envs: Sequence[TextEnv], tasks: Sequence[Task]) -> list[Trajectory]:
    """Plays turn by turn, all episodes at a time."""
    waiting, idle = deque(enumerate(tasks)), [*reversed(envs)]
    ended: list[Episode] = []
    running: list[Episode] = []
    while waiting or running:
        while waiting and idle:
            running.append(Episode(*waiting.popleft(), idle.pop()))
            running[-1].start()
        acting = [episode for episode in running if game.goes_on(episode)]
        for episode, action in zip(acting, game.act(acting), strict=True):
            if turn := game.step(episode, action):
                game.on_turn(episode.position, turn)
        ended += (stopped := [episode for episode in running if episode.stop is not None])
        idle += [episode.env for episode in stopped]
        running = [episode for episode in running if episode.stop is None]
    return _trajectories(ended)


def _play_apart(game: _Game, envs: Sequence[TextEnv], tasks: Sequence[Task]) -> list[Trajectory]:
    """Plays each episode in a thread while it waits; the policy answers whichever is ready, or waits in the thread."""
    waiting, idle = deque(enumerate(tasks)), [*reversed(envs)]
    ended: list[Episode] = []

    def start(episode: Episode) -> tuple[Episode, Turn | None]:
        episode.start()
        return episode, None

    def step(episode: Episode, action: Action | None) -> tuple[Episode, Turn | None]:
        return episode, game.step(episode, action or game.act([episode])[0])

    with _threads(len(envs)) as threads:
        pending: set[Future[tuple[Episode, Turn | None]]] = set()
        while waiting or pending:
            while waiting and idle:
                pending.add(threads.submit(start, Episode(*waiting.popleft(), idle.pop())))
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            acting = []
            for episode, turn in (future.result() for future in done):
                if turn:
                    game.on_turn(episode.position, turn)
                if game.goes_on(episode):
                    acting.append(episode)
                else:
                    ended.append(episode)
                    idle.append(episode.env)
            actions = [None] * len(acting) if getattr(game.policy, "waits", False) else game.act(acting)
            pending |= {threads.submit(step, *each) for each in zip(acting, actions, strict=True)}
    return _trajectories(ended)


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Makes threads for the block; where it raises, it does not wait for what they wait for."""
    threads = ThreadPoolExecutor(count, thread_name_prefix="episode")
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _trajectories(episodes: Sequence[Episode]) -> list[Trajectory]:
    """Returns the trajectories of episodes that have stopped, in the order of their tasks."""
    ordered = sorted(episodes, key=lambda episode: episode.position)
    return [episode.trajectory(episode.stop) for episode in ordered if episode.stop is not None]


def _ignore(position: int, turn: Turn) -> None:
    """Does nothing."""


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
