"""Tasks of newer tau2-bench: their rewards, the state an episode begins in, and the tasks that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hero.envs.taubench.env import TauBenchEnv
from hero.envs.taubench.users.base import STOP
from hero.errors import DataError
from tests.envs.taubench.files import CANCEL, write_tau2
from tests.envs.taubench.recorded import RecordedUser

ACTION = {"action_id": "0_0", "name": "cancel_pending_order", "arguments": CANCEL, "info": None}
LOOK = {"name": "get_order_details", "arguments": {"order_id": "#W1"}}
RIGHT = {"name": "cancel_pending_order", "arguments": CANCEL}


def task(criteria: dict[str, Any] | None = None, **rest: Any) -> dict[str, Any]:
    """Returns a task to cancel order #W1 and to say 12.5, graded by criteria of which some are others."""
    usual = {"actions": [ACTION], "communicate_info": ["12.5"], "nl_assertions": None}
    return {
        "id": "0",
        "user_scenario": {"persona": None, "instructions": {"reason_for_call": "Cancel #W1."}},
        "initial_state": None,
        "evaluation_criteria": usual | (criteria or {}),
    } | rest


def write(root: Path, *tasks: dict[str, Any]) -> Path:
    domain = write_tau2(root)
    records = [record | {"id": str(index)} for index, record in enumerate(tasks)]
    (domain / "tasks.json").write_text(json.dumps(records))
    (domain / "split_tasks.json").write_text(json.dumps({"train": [record["id"] for record in records]}))
    return root


def played(root: Path, record: dict[str, Any], *actions: Any) -> tuple[float, dict[str, float]]:
    """Plays an episode of one task and returns its reward and metrics; an action that is not a str is a call."""
    env = TauBenchEnv(data=write(root, record), user=RecordedUser())
    env.reset(options={"task": 0})
    for action in (*actions, "BYE"):
        step = env.step(action if isinstance(action, str) else json.dumps(action))
    assert step[0] == STOP
    assert (step[1] == 1) == step[4]["success"]
    assert actions or step[1] == env.noop_reward(0)
    return step[1], step[4]["metrics"]


@pytest.mark.parametrize(
    ("basis", "needs_database", "needs_words", "needs_call"),
    [
        (None, True, True, False),
        (["DB", "COMMUNICATE"], True, True, False),
        (["DB"], True, False, False),
        (["DB", "NL_ASSERTION"], True, False, False),
        (["DB", "ENV_ASSERTION"], True, False, False),
        (["COMMUNICATE"], False, True, False),
        (["ACTION"], False, False, True),
        (["DB", "ACTION"], True, False, True),
        (["NL_ASSERTION"], False, False, False),
        ([], False, False, False),
    ],
)
def test_the_reward_is_what_its_basis_names(
    tmp_path: Path, basis: list[str] | None, needs_database: bool, needs_words: bool, needs_call: bool
) -> None:
    record = task({} if basis is None else {"reward_basis": basis})
    failing = {**RIGHT, "arguments": CANCEL | {"reason": "moved"}}
    ways: list[tuple[list[Any], bool, bool, bool]] = [
        ([], False, False, False),
        ([RIGHT], True, False, True),
        (["It was 12.5."], False, True, False),
        ([RIGHT, "It was 12.5."], True, True, True),
        ([failing], False, False, False),
    ]
    for index, (actions, database, words, call) in enumerate(ways):
        reward, parts = played(tmp_path / str(index), record, *actions)
        right = (database or not needs_database) and (words or not needs_words) and (call or not needs_call)
        assert reward == float(right), (actions, parts)
        assert ("r_calls" in parts) == needs_call


@pytest.mark.parametrize(
    ("compared", "arguments", "counts"),
    [
        (None, CANCEL, True),
        (None, CANCEL | {"reason": "moved"}, False),
        (None, {"order_id": "#W1"}, True),  # what the agent leaves out is not compared, as in the original
        (None, CANCEL | {"more": 1}, False),
        (["order_id"], CANCEL | {"reason": "moved"}, True),
        (["order_id"], {"reason": "no longer needed"}, False),
        ([], {}, True),
    ],
)
def test_wanted_calls_are_compared_by_the_arguments_that_matter(
    tmp_path: Path, compared: list[str] | None, arguments: dict[str, Any], counts: bool
) -> None:
    record = task({"reward_basis": ["ACTION"], "actions": [ACTION | {"compare_args": compared}]})
    assert played(tmp_path, record, {"name": "cancel_pending_order", "arguments": arguments})[0] == float(counts)


@pytest.mark.parametrize("criteria", [None, {"actions": None}])
def test_a_task_without_actions_takes_any_database_for_right(tmp_path: Path, criteria: Any) -> None:
    record = task(criteria and criteria | {"reward_basis": ["DB"]})
    record |= {} if criteria else {"evaluation_criteria": None}
    for index, actions in enumerate([[], [RIGHT]]):
        assert played(tmp_path / str(index), record, *actions)[0] == 1
    assert played(tmp_path / "2", task({"actions": [], "reward_basis": ["DB"]}), RIGHT)[0] == 0


def test_an_episode_begins_in_the_state_of_its_task(tmp_path: Path) -> None:
    state = {
        "initialization_data": {
            "agent_data": {
                "orders": {"#W1": {"address": {"city": "Y"}, "items": [{"item_id": "5"}]}, "#W9": {"status": "new"}}
            },
            "user_data": None,
        },
        "initialization_actions": [
            {"env_type": "assistant", "func_name": "cancel_pending_order", "arguments": CANCEL | {"order_id": "#W2"}}
        ],
        "message_history": None,
    }
    record = task({"reward_basis": ["DB"]}, initial_state=state)
    env = TauBenchEnv(data=write(tmp_path, record, task({"actions": []})), user=RecordedUser())
    env.reset(options={"task": 0})
    order = json.loads(env.step(json.dumps(LOOK))[0])
    assert (order["address"]["city"], order["address"]["zip"], order["items"]) == ("Y", "12345", [{"item_id": "5"}])
    assert '"status": "new"' in env.step(json.dumps(LOOK | {"arguments": {"order_id": "#W9"}}))[0]
    assert '"cancelled"' in env.step(json.dumps(LOOK | {"arguments": {"order_id": "#W2"}}))[0]
    env.step(json.dumps(RIGHT))
    assert env.step("BYE")[1] == 1
    assert env.noop_reward(0) == 0
    env.reset(options={"task": 1})
    assert '"X"' in env.step(json.dumps(LOOK))[0]
    idle = task({"reward_basis": ["DB"], "actions": []}, initial_state=state)
    assert played(tmp_path / "idle", idle)[0] == 1


def test_a_setup_that_fails_is_an_error(tmp_path: Path) -> None:
    call = {"env_type": "assistant", "func_name": "get_order_details", "arguments": {"order_id": "#W8"}}
    env = TauBenchEnv(data=write(tmp_path, task(initial_state={"initialization_actions": [call]})))
    with pytest.raises(DataError, match="task 0 cannot be set up: get_order_details answers Error: order not found"):
        env.reset(options={"task": 0})


REFUSED: list[tuple[dict[str, Any], str]] = [
    (task({"reward_basis": ["DB", "NL_ASSERTION"], "nl_assertions": ["It is kind."]}), "graded by nl_assertions"),
    (task({"reward_basis": ["ENV_ASSERTION"], "env_assertions": [{"func_name": "x"}]}), "graded by env_assertions"),
    (task({"reward_basis": ["DB", "KINDNESS"]}), "reward_basis has 'KINDNESS', which is not known"),
    (task({"rubric": ["x"]}), "evaluation_criteria has 'rubric', which is not known"),
    (task({"actions": [ACTION | {"allow_partial_match": True}]}), "an action has 'allow_partial_match'"),
    (task({"actions": [ACTION | {"requestor": "user"}]}), "an action is the user's"),
    (task({"actions": [ACTION | {"name": "grant_wish"}]}), "an action calls 'grant_wish', which is not here"),
    (task({"reward_basis": ["ACTION"], "actions": [ACTION | {"name": "get_item_details"}]}), "'get_item_details'"),
    (task(initial_state={"message_history": [{"role": "user", "content": "Hi."}]}), "has a message_history"),
    (task(initial_state={"initialization_data": {"user_data": {"x": 1}}}), "has user_data"),
    (task(initial_state={"initialization_data": {"agent_data": {"wishes": {}}}}), "changes 'wishes'"),
    (task(initial_state={"initialization_data": {"agent_data": {"orders": {"#W1": 5}}}}), "other than records"),
    (task(initial_state={"initialization_actions": [{"env_type": "user", "func_name": "think"}]}), "call 'think'"),
    (task(initial_state={"initialization_actions": [{"env_type": "assistant", "func_name": "x"}]}), "call 'x'"),
    (task(initial_state={"weather": "rain"}), "initial_state has 'weather', which is not known"),
    (task(user_tools=["x"]), "user_tools are not supported"),
]


@pytest.mark.parametrize(("record", "reason"), REFUSED)
def test_tasks_that_cannot_be_honoured_are_refused_by_name_or_left_out(
    tmp_path: Path, record: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DataError, match=f"1 of 2 tasks of train .*: 1. Of task 1: .*{reason}.*skip_refused=true"):
        TauBenchEnv(data=write(tmp_path, task(), record))
    env = TauBenchEnv(data=tmp_path, skip_refused=True)
    assert [kept.id for kept in env._tasks] == ["0"]
    assert env.env_id.endswith("-less-1/scripted")


def test_tasks_that_were_left_out_show_in_the_env_id_of_every_split(tmp_path: Path) -> None:
    write(tmp_path, task(), task(user_tools=["x"]))
    splits = tmp_path / "tau2" / "domains" / "retail" / "split_tasks.json"
    splits.write_text(json.dumps({"train": ["0", "1"], "test": ["0"]}))
    env_ids = [TauBenchEnv(data=tmp_path, split=split, skip_refused=True).env_id for split in ("train", "test")]
    assert env_ids[0] == env_ids[1]
    assert "-less-1/" in env_ids[0]
    assert "-less-" not in TauBenchEnv(data=tmp_path, split="test").env_id


def test_assertions_that_do_not_count_refuse_nothing(tmp_path: Path) -> None:
    criteria = {"nl_assertions": ["It is kind."], "env_assertions": [{"func_name": "x"}], "reward_basis": ["DB"]}
    assert played(tmp_path, task(criteria), RIGHT)[0] == 1


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (task({"reward_basis": "DB"}), "reward_basis"),
        (task({"reward_basis": [5]}), "reward_basis: a str is needed"),
        (task({"actions": [5]}), "an action must be a dict"),
        (task({"actions": [ACTION | {"compare_args": "x"}]}), "compare_args must be a list"),
        (task(initial_state=[1]), "initial_state must be a dict"),
        (task(initial_state={"initialization_data": 5}), "initialization_data must be a dict"),
        (task(initial_state={"initialization_actions": [5]}), "an initialization action must be a dict"),
        (task(user_scenario={"instructions": 5}), "instructions must be a dict"),
    ],
)
def test_damaged_tasks(tmp_path: Path, record: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"tasks\.json: task 0.*{message}"):
        TauBenchEnv(data=write(tmp_path, record))


def test_instructions_may_be_one_text_and_have_a_persona(tmp_path: Path) -> None:
    env = TauBenchEnv(data=write(tmp_path, task(user_scenario={"persona": "You are old.", "instructions": "Call."})))
    assert env._tasks[0].instruction == "You are old.\nCall."


def test_other_data_are_another_environment_wherever_they_are(tmp_path: Path) -> None:
    first, copy, other = (
        TauBenchEnv(data=write(tmp_path / name, task(criteria)))
        for name, criteria in (("first", {}), ("copy", {}), ("other", {"communicate_info": ["13"]}))
    )
    assert first.env_id == copy.env_id != other.env_id
    identities = [{key: env.provenance()[key] for key in ("env_id", "data")} for env in (first, copy, other)]
    assert identities[0] == identities[1]
    assert identities[0]["data"] != identities[2]["data"]
