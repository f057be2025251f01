"""Against the original: every observation, reward and database hash that was recorded of it."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from typing import Any

import pytest

from hero.envs.taubench.action import Call
from hero.envs.taubench.data.locate import open_world
from hero.envs.taubench.database import Database
from hero.envs.taubench.env import TauBenchEnv
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.world import Domain, World
from tests.envs.taubench.recorded import DATA, RecordedUser, lines, needs_recordings

pytestmark = needs_recordings
RESPOND = "respond"


def world(domain: Domain) -> World:
    return open_world(domain, DATA.resolve(), 0)


def environment(domain: Domain, split: str) -> TauBenchEnv:
    return TauBenchEnv(domain=domain, split=split, data=DATA, user=RecordedUser())


def written(name: str, arguments: dict[str, Any]) -> str:
    """Returns an action as a model writes it."""
    if name == RESPOND:
        return str(arguments["content"])
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def in_order(arguments: dict[str, Any], task: ServiceTask) -> dict[str, Any]:
    """Returns recorded arguments with the keys in the order of the task; it shows in answers and was not recorded."""
    return next((dict(call.arguments) for call in task.actions if call.arguments == arguments), arguments)


def test_a_fresh_database_has_the_hash_of_the_original() -> None:
    for name, domain in (("retail_dev", "retail"), ("airline_test_first10", "airline")):
        assert world(domain).snapshot.hash == next(lines(name))["db_hash_initial"]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["retail_dev", "retail_train_sample", "airline_test_first10"])
def test_episodes_are_those_that_were_recorded(name: str) -> None:
    variants: Counter[str] = Counter()
    for episode in lines(name):
        env = environment(episode["domain"], episode["split"])
        _, info = env.reset(options={"task": episode["task_index"]})
        gold = env._world.gold(env._task)
        assert gold.hash == episode["db_hash_gold"]
        for step in episode["steps"]:
            action = written(step["name"], in_order(step["kwargs"], env._task))
            text, reward, terminated, truncated, info = env.step(action)
            assert text == step.get("obs", text)
            assert sha256(text.encode()).hexdigest() == step["obs_sha256"]
            assert (reward, terminated, truncated) == (step["reward"], step["done"], False)
        assert (reward, terminated) == (episode["reward"], episode["done"])
        assert info["db_hash"] == episode["db_hash_final"]
        recorded = episode["reward_info"]
        parts = info["metrics"]
        assert parts["r_actions"] == recorded.get("r_actions", parts["r_actions"])
        assert parts["r_outputs"] == recorded.get("r_outputs", parts["r_outputs"])
        variants[episode["variant"]] += 1
    assert variants["gold"] >= 10


@pytest.mark.parametrize("domain", ["retail", "airline"])
def test_random_calls_are_answered_as_recorded(domain: Domain) -> None:
    played = 0
    for sequence in lines(f"fuzz_{domain}"):
        db = Database(world(domain).snapshot)
        for step in sequence["steps"]:
            answer = world(domain).call(db, Call(step["name"], step["kwargs"]))
            if step["python_exception_text"]:
                assert answer.startswith("Error: ")
            else:
                assert answer == step["obs"]
            played += 1
        assert db.hash() == sequence["db_hash"]
    assert played > 500


@pytest.mark.parametrize(
    ("domain", "split", "tasks", "noop"),
    [
        ("retail", "test", 115, 7),
        ("retail", "dev", 20, 1),
        ("retail", "train", 500, None),
        ("airline", "test", 50, 19),
    ],
)
def test_the_recorded_solution_is_rewarded_on_every_task_and_the_no_op_baseline_on_few(
    domain: Domain, split: str, tasks: int, noop: int | None
) -> None:
    env = environment(domain, split)
    assert env.num_tasks == tasks
    idle = 0
    for index in range(tasks):
        env.reset(options={"task": index})
        calls = [written(call.name, dict(call.arguments)) for call in env._task.actions]
        outputs = " ; ".join(env._task.outputs) or "done"
        # A transfer ends the episode, so the outputs come before it.
        leaves = bool(env._task.actions) and env._task.actions[-1].name == "transfer_to_human_agents"
        actions = [*calls[:-1], outputs, calls[-1]] if leaves else [*calls, outputs, "BYE"]
        for action in actions:
            _, reward, terminated, _, info = env.step(action)
            if terminated:
                break
        assert (reward, terminated, info["success"]) == (1.0, True, True), env._task
        env.reset(options={"task": index})
        env.step("done")
        idle += int(env.step("BYE")[1])
    assert noop in (None, idle)


def test_edits_anywhere_give_the_hash_of_the_whole_text() -> None:
    snapshot = world("airline").snapshot
    db = Database(snapshot)
    for key in ("ZZZ", "AAA", "HATHAT"):
        db.add("reservations", key, {"reservation_id": key})
    db.edit("users", "mia_li_3668")["email"] = "a@b"
    db.edit("flights", "HAT001")["origin"] = "é\ud800"
    tables = {name: dict(db.items(name)) for name in snapshot.tables}

    def hashable(value: Any) -> Any:
        if isinstance(value, dict):
            return tuple((key, hashable(inner)) for key, inner in sorted(value.items()))
        return tuple(map(hashable, value)) if isinstance(value, list) else value

    assert db.hash() == sha256(str(hashable(tables)).encode()).hexdigest()
