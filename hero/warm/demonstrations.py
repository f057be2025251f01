"""The recipe of a small base for any environment, from a script that plays it well.

The base knows the environment, reviews its episodes rightly and follows advice, but acts carelessly, as an instruct
model does: what hindsight can then teach it is what it knows already.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from hero.chat.base import Chat
from hero.deadline import time_limit
from hero.distill.teacher import HindsightTeacher
from hero.envs.base import TextEnv
from hero.errors import ConfigError
from hero.policy import FunctionPolicy, Script
from hero.reflect.model import review_prompt
from hero.rollout import Task, rollout
from hero.types import Diagnosis, Finding, Message, Stop, Trajectory, Verdict
from hero.warm.recipe import Phase, Recipe
from hero.warm.rows import Row, as_lines, episode_row, review_row, teacher_rows

EPISODES = 60
"""Number of episodes per player that are turned into rows at a time."""
PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"
ASTRAY, CARELESS = 0.2, 0.3
"""Shares of random and of careless actions in the episodes that the skill is learned from."""


SCRIPT_SECONDS = 60.0
"""Seconds within which a script has to answer."""


def checked(script: Script, name: str) -> Script:
    """Returns a script whose mistakes are named.

    Raises:
        ConfigError: by the returned script, where the given one raises, takes too long, or answers with no text.
    """

    def ask(messages: Sequence[Message]) -> str:
        try:
            with time_limit(SCRIPT_SECONDS, name):
                action = script(messages)
        except (Exception, SystemExit) as error:  # foreign code
            shown = messages[-1].content[-200:]
            raise ConfigError(
                f"{name} raised {type(error).__name__}: {error}; it has to answer every conversation, after mistakes "
                f"as well, such as one that ends with {shown!r}"
            ) from error
        if not isinstance(action, str):
            raise ConfigError(f"{name} returned {action!r:.60}; it has to return the text of an action")
        return action

    return ask


def advisable(script: Script) -> Script:
    """Returns a script whose actions a review can advise.

    Raises:
        ConfigError: by the returned script, where an action of the given one has several lines.
    """

    def ask(messages: Sequence[Message]) -> str:
        if len((action := script(messages)).splitlines()) > 1:
            raise ConfigError(
                f"the script returned {action!r:.60}, which has several lines; a review has one for a turn, so that it "
                "cannot advise such an action"
            )
        return action

    return ask


@dataclass(frozen=True)
class Player:
    """Acts as the habit at a given rate, at random at another, and as the script otherwise.

    Attributes:
        script: plays well.
        habit: plays carelessly; None for actions at random.
        actions: actions to choose from at random.
    """

    script: Script
    habit: Script | None
    actions: Sequence[str]
    rng: random.Random
    careless: float
    astray: float = 0.0

    def __call__(self, messages: Sequence[Message]) -> str:
        chance = self.rng.random()
        if chance < self.astray:
            return self.rng.choice(self.actions)
        if chance < self.astray + self.careless:
            return self.habit(messages) if self.habit else self.rng.choice(self.actions)
        return self.script(messages)


def review(trajectory: Trajectory, script: Script) -> Diagnosis:
    """Returns a finding about every turn: useful where the script would have acted so, else with what it would do."""
    findings = []
    for index, turn in enumerate(trajectory.turns):
        good = script(turn.prompt)
        if turn.action.text == good:
            findings.append(Finding(index, Verdict.USEFUL))
        else:
            verdict = Verdict.UNNECESSARY if turn.info.get("action_valid", True) else Verdict.INVALID
            findings.append(Finding(index, verdict, advice=good))
    return Diagnosis("script", tuple(findings))


@dataclass(frozen=True)
class Demonstrations:
    """Scripted play of an environment's training tasks.

    Attributes:
        actions: all actions that the script took in some episodes, for mistakes at random.
    """

    env: TextEnv
    script: Script
    habit: Script | None
    max_turns: int
    actions: tuple[str, ...]

    @classmethod
    def of(cls, env: TextEnv, script: Script, habit: Script | None, max_turns: int, seed: int) -> Demonstrations:
        """Plays some episodes well, to see that the script can, and which actions there are.

        Raises:
            ConfigError: it fails in more than half of them, always does the same, or the environment raises. What the
                scripts do wrong, here or later, is one as well (see `checked`).
        """
        rng = random.Random(seed)
        script, habit = advisable(checked(script, "the script")), habit and checked(habit, "the habit")
        trial = cls(env, script, habit, max_turns, ("",))
        episodes = trial.play(trial.player(rng, 0.0), rng, 2 * EPISODES)
        if broken := next((episode for episode in episodes if episode.stop is Stop.ERROR), None):
            raise ConfigError(f"the environment failed in task {broken.task_id}: {broken.error}")
        solved = sum(episode.success for episode in episodes)
        if solved < len(episodes) / 2:
            raise ConfigError(
                f"the script solves {solved} of {len(episodes)} tasks within {max_turns} turns, and nothing can be "
                "learned from that; make it play better, or give more --max-turns"
            )
        actions = tuple(sorted({turn.action.text for episode in episodes for turn in episode.turns}))
        if len(actions) < 2:
            raise ConfigError(f"the script always does the same, {actions[0]!r}; there is nothing to learn")
        return cls(env, script, habit, max_turns, actions)

    def player(self, rng: random.Random, careless: float, astray: float = 0.0) -> Player:
        """Returns a player that makes mistakes at these rates."""
        return Player(self.script, self.habit, self.actions, rng, careless, astray)

    def play(self, player: Player, rng: random.Random, episodes: int = EPISODES) -> list[Trajectory]:
        """Plays episodes of tasks that are drawn at random."""
        tasks = [Task(rng.randrange(self.env.num_tasks), rng.randrange(2**31)) for _ in range(episodes)]
        return rollout([self.env], FunctionPolicy(player), tasks, max_turns=self.max_turns)

    def recipe(self, *, careless: float, skill_steps: int, habit_steps: int) -> Recipe:
        """Returns the recipe of a base: first the skill from episodes with mistakes, then the habit.

        Args:
            careless: share of careless actions in the episodes that the habit is learned from.
        """
        skill, habit = partial(self._skill, careless=careless), partial(self._habit, careless=careless)
        phases = Phase("skill", skill, skill_steps, 4096, 2e-3), Phase("habit", habit, habit_steps, 4096, 4e-4)
        return Recipe(self._texts, PATTERN, vocabulary=1000, digits=1, phases=phases)

    def _texts(self, rng: random.Random) -> Iterator[str]:
        for trajectory in self.play(self.player(rng, CARELESS, ASTRAY), rng, 5 * EPISODES):
            if trajectory.turns:
                diagnosis = review(trajectory, self.script)
                yield from (message.content for message in review_prompt(trajectory))
                yield as_lines(diagnosis)
                for index in range(len(trajectory.turns)):
                    if context := HindsightTeacher().context(trajectory, index, diagnosis):
                        yield context[-1].content

    def _skill(self, chat: Chat, index: int, rng: random.Random, careless: float) -> Iterator[Row]:
        """Yields episodes of which right actions and reviews are learned, and answers to hindsight."""
        for player in (self.player(rng, CARELESS, ASTRAY), self.player(rng, careless)):
            for trajectory in self._played(player, rng):
                diagnosis = review(trajectory, self.script)
                yield episode_row(chat, trajectory, diagnosis, imitate=False)
                yield from teacher_rows(chat, trajectory, diagnosis, rng, share=0.3)

    def _habit(self, chat: Chat, index: int, rng: random.Random, careless: float) -> Iterator[Row]:
        """Yields careless episodes to imitate, and rows that keep reviews and answers to hindsight right."""
        for trajectory in self._played(self.player(rng, careless), rng):
            diagnosis = review(trajectory, self.script)
            yield episode_row(chat, trajectory, diagnosis, imitate=True)
            yield from teacher_rows(chat, trajectory, diagnosis, rng, share=0.3)
        for trajectory in self._played(self.player(rng, CARELESS, ASTRAY), rng):
            diagnosis = review(trajectory, self.script)
            yield review_row(chat, trajectory, diagnosis)
            yield from teacher_rows(chat, trajectory, diagnosis, rng, share=0.3)

    def _played(self, player: Player, rng: random.Random) -> list[Trajectory]:
        return [trajectory for trajectory in self.play(player, rng) if trajectory.turns]
