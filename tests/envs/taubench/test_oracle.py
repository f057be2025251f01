"""Labels from the right calls of a task: against databases, answers and the recordings of the original."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.envs.taubench.action import Call
from hero.envs.taubench.answers import is_error
from hero.envs.taubench.data.embedded.world import generate
from hero.envs.taubench.data.locate import open_world
from hero.envs.taubench.env import TauBenchEnv
from hero.envs.taubench.oracle import Oracle
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.tools.domains import reads, writes
from hero.envs.taubench.tools.shared import TRANSFER
from hero.errors import ConfigError
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from tests.envs.taubench.recorded import DATA, lines, needs_recordings

WORLD = generate()
TASKS = [task for task in WORLD.tasks["train"] if any(writes(call.name) for call in task.actions)]
HAND_OVER = Call(TRANSFER, {"summary": "all done"})


def labels(oracle: Oracle, calls: list[Call]) -> list[bool | None]:
    """Returns the label of each call of an episode."""
    actions = [call.text() for call in calls]
    progress = oracle.progress(tuple(actions))[:-1]
    return [oracle.is_right(before, action) for before, action in zip(progress, actions, strict=True)]


def joined(tasks: list[ServiceTask]) -> ServiceTask:
    """Returns a task that asks for what several tasks ask for."""
    return replace(tasks[0], id="+".join(task.id for task in tasks), actions=tuple(chain(*(t.actions for t in tasks))))


@settings(max_examples=60)
@given(st.data())
def test_the_database_is_right_just_when_all_right_changes_and_no_others_were_made(data: st.DataObject) -> None:
    drawn = data.draw(st.lists(st.sampled_from(TASKS), min_size=4, max_size=4, unique_by=id))
    wanted = drawn[: data.draw(st.integers(1, 3))]
    task, pool = joined(wanted), [call for each in (*wanted, drawn[3]) for call in each.actions]
    calls = data.draw(st.permutations(pool)) if data.draw(st.booleans()) else data.draw(st.lists(st.sampled_from(pool)))
    oracle, db = Oracle(WORLD, task), WORLD.start(task)
    effective = []
    for call, label in zip(calls, labels(oracle, calls), strict=True):
        before = db.changes()
        WORLD.call(db, call)
        if db.changes() != before:
            effective.append(label)
        elif writes(call.name):
            assert label is False
    left = oracle.progress(tuple(call.text() for call in calls))[-1].left
    assert (db.changes() == WORLD.gold(task).changes) == (all(effective) and not left)
    assert set(effective) <= {True, False}
    assert sum(map(bool, effective)) + len(left) == len(wanted)


@given(st.data())
def test_reading_is_right_when_it_is_answered_and_new(data: st.DataObject) -> None:
    task = data.draw(st.sampled_from(TASKS))
    others = [call for each in TASKS[:3] for call in each.actions]
    wrong = [Call("get_order_details", {"order_id": "#W0"}), Call("get_order_details", {}), Call("nothing", {})]
    calls = data.draw(st.lists(st.sampled_from([*task.actions, *others, *wrong]), max_size=8))
    db, answered, outdated = WORLD.start(task), [], []
    for call, label in zip(calls, labels(Oracle(WORLD, task), calls), strict=True):
        refused = is_error(WORLD.call(db, call))
        if writes(call.name):
            outdated += [] if refused else answered
            answered = answered if refused else []
        elif refused:
            assert label is False
        else:
            assert label is (None if call in outdated else call not in answered)
            answered.append(call)


def test_arguments_count_by_their_effect() -> None:
    task = next(task for task in TASKS if task.actions[-1].name == "modify_pending_order_address")
    right, oracle = task.actions[-1], Oracle(WORLD, task)
    backwards = Call(right.name, dict(reversed(right.arguments.items())))
    elsewhere = Call(right.name, {**right.arguments, "city": "Nowhere"})
    assert labels(oracle, [backwards, right]) == [True, False]
    assert labels(oracle, [elsewhere, right]) == [False, True]
    assert labels(oracle, [Call(right.name, {**right.arguments, "order_id": "#W0"}), right]) == [False, True]


def test_handing_over_is_right_when_the_task_asks_for_it_and_nothing_is_left() -> None:
    task = TASKS[0]
    change = task.actions[-1]
    assert labels(Oracle(WORLD, task), [HAND_OVER]) == [False]
    assert labels(Oracle(WORLD, task), [change, HAND_OVER]) == [True, False]
    handed = Oracle(WORLD, replace(task, actions=(*task.actions, HAND_OVER)))
    assert labels(handed, [HAND_OVER]) == [False]
    assert labels(handed, [change, HAND_OVER]) == [True, True]


@pytest.mark.parametrize(
    ("action", "label"),
    [
        ("Hello, what is your email?", None),
        ('{"name": "respond", "arguments": {"content": "Hi."}}', None),
        ('{"name": "think", "arguments": {"thought": "hm"}}', None),
        ('{"name": "think", "arguments": {}}', False),
        ('<tool_call>{"name": </tool_call>', False),
        ('{"name": "nothing", "arguments": {}}', False),
    ],
)
def test_words_are_left_open_and_what_cannot_be_read_is_wrong(action: str, label: bool | None) -> None:
    oracle = Oracle(WORLD, TASKS[0])
    assert oracle.is_right(oracle.progress(())[0], action) is label


def test_an_environment_that_did_not_play_the_episode_labels_it() -> None:
    env = TauBenchEnv(data="embedded")
    task = TASKS[0]
    actions = iter([*(call.text() for call in task.actions), "bye", "bye"])
    policy = FunctionPolicy(lambda messages: next(actions))
    (played,) = rollout([env], policy, [Task(env._tasks.index(task), 0)], max_turns=len(task.actions) + 2)
    fresh = TauBenchEnv(data="embedded")
    found = [fresh.is_right(played, index, turn.action.text) for index, turn in enumerate(played.turns)]
    assert found == [True] * len(task.actions) + [None] * 2
    change = task.actions[-1].text()
    assert [fresh.is_right(played, index, change) for index in range(len(found))][-2:] == [False, False]


def test_an_environment_of_any_split_answers_and_an_unknown_task_is_named() -> None:
    env, task = TauBenchEnv(data="embedded"), TASKS[0]
    (played,) = rollout([env], FunctionPolicy(lambda _: "x"), [Task(env._tasks.index(task), 0)], max_turns=1)
    other = TauBenchEnv(data="embedded", split="test")
    change = next(call for call in task.actions if writes(call.name)).text()
    assert other.is_right(played, 0, change) is True
    with pytest.raises(ConfigError, match="taubench/retail/embedded/scripted has no task 'nowhere-1'; build the env"):
        other.is_right(replace(played, task_id="nowhere-1"), 0, change)


@needs_recordings
@pytest.mark.parametrize("name", ["retail_dev", "retail_train_sample", "airline_test_first10"])
def test_recorded_solutions_are_right(name: str) -> None:
    for record in lines(name):
        world = open_world(record["domain"], DATA.resolve(), 0)
        task = world.tasks[record["split"]][record["task_index"]]
        calls = [Call(step["name"], step["kwargs"]) for step in record["steps"] if step["name"] != "respond"]
        found = labels(Oracle(world, task), calls)
        changes = [label for call, label in zip(calls, found, strict=True) if writes(call.name)]
        if record["variant"] in ("gold", "gold_no_outputs", "drop_last_write"):
            assert all(changes)
        if record["variant"] == "gold_twice":  # the second time all are refused, or change what is right already
            assert sum(map(bool, changes)) * 2 == len(changes)
        if record["variant"] == "reads_only":
            assert not changes
            assert all(label for call, label in zip(calls, found, strict=True) if reads(call.name))


@needs_recordings
def test_a_call_of_the_task_that_its_tool_refuses_is_not_waited_for() -> None:
    world = open_world("retail", DATA.resolve(), 0)
    for number in (12, 13):
        task = world.tasks["test"][number]
        oracle = Oracle(world, task)
        wrong = [
            call.name for call, label in zip(task.actions, labels(oracle, [*task.actions]), strict=True) if not label
        ]
        assert wrong == ["return_delivered_order_items"]
        assert oracle.progress(tuple(call.text() for call in task.actions))[-1].left == ()
