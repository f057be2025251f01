"""The environment on its embedded world: the contract, what an action may be, and how an episode ends."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from typing import Any

import gymnasium
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from hypothesis import given
from hypothesis import strategies as st

import hero.envs
from hero.envs.contract import check_text_env
from hero.envs.taubench.action import Call, Malformed, Reply, parse_action
from hero.envs.taubench.data.embedded.world import generate
from hero.envs.taubench.env import TauBenchEnv, _was_said
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.users.base import STOP, ReplayUser
from hero.errors import ConfigError
from hero.metrics import rollout_metrics
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout

WORLD = generate()
CALL = {"name": "get_order_details", "arguments": {"order_id": "#W1"}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ids = st.sampled_from(
    [key for table in WORLD.snapshot.tables.values() for key in list(table)[:3]]
    + ["no longer needed", *next(iter(WORLD.snapshot.tables["users"].values()))["payment_methods"]]
)
NAMES = ["order_id", "user_id", "payment_method_id", "item_ids", "new_item_ids", "reason", "expression", "zip", "email"]
calls = st.builds(
    lambda name, arguments: json.dumps({"name": name, "arguments": arguments}),
    st.sampled_from([*WORLD.tools, "respond", "nothing"]),
    st.dictionaries(st.sampled_from(NAMES), ids | st.lists(ids, max_size=2) | json_values),
)
actions = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=30),
    st.text('<tool_call>{}[]"name:,` \n', max_size=30),
    calls,
    calls.map("<tool_call>{}</tool_call>".format),
)


def embedded(**arguments: Any) -> TauBenchEnv:
    return TauBenchEnv(data="embedded", **arguments)


def play(env: TauBenchEnv, drawn: list[str], **reset: Any) -> list[Any]:
    """Plays an episode and returns the results of reset and of every step."""
    return play_on(env, [env.reset(**reset)], drawn)


def play_on(env: TauBenchEnv, record: list[Any], drawn: list[str]) -> list[Any]:
    """Plays an episode on until its end, and returns the whole record."""
    record = [*record]
    for action in drawn:
        if True in record[-1][2:4]:
            break
        record.append(env.step(action))
    return record


def written(call: Call) -> str:
    return json.dumps({"name": call.name, "arguments": call.arguments})


def test_the_contract_of_text_environments() -> None:
    check_text_env(embedded)
    check_text_env(lambda: embedded(split="validation"))


@pytest.mark.parametrize("render_mode", [None, "ansi"])
def test_gymnasium_s_checker_passes(render_mode: str | None) -> None:
    hero.envs.register()
    env = gymnasium.make("hero/TauBench-v0", data="embedded", render_mode=render_mode)
    check_env(env.unwrapped)
    observation, _ = env.reset(seed=0)
    assert env.render() == (observation if render_mode else None)


def test_it_is_made_by_name() -> None:
    env = hero.envs.make("taubench", data="embedded", split="dev")
    assert (env.env_id, env.num_tasks) == ("taubench/retail/embedded/scripted", 200)
    assert hero.envs.make("taubench", data="embedded", split="validation").reset(seed=3) == env.reset(seed=3)


@given(st.lists(actions, max_size=10), st.integers(0, 2**31))
def test_no_action_breaks_an_episode(drawn: list[str], seed: int) -> None:
    record = play(embedded(), drawn, seed=seed)
    assert record == play(embedded(), drawn, seed=seed)
    for observation, reward, terminated, truncated, info in record[1:]:
        assert reward in (0.0, 1.0)
        assert reward == 0 or terminated
        assert ("success" in info) == ("db_hash" in info) == ("metrics" in info) == terminated
        assert not truncated
        assert bool(info["feedback"]) != info["action_valid"]
        if not info["action_valid"]:
            assert observation.startswith(("Error: ", "Unknown action "))
    assert all(isinstance(observation, str) for observation, *_ in record)


@given(*[st.lists(actions, max_size=6)] * 3, st.integers(0, 199))
def test_a_copy_goes_on_by_itself(before: list[str], after: list[str], aside: list[str], task: int) -> None:
    right = [written(call) for call in WORLD.tasks["dev"][task].actions]
    env = embedded(split="dev")
    record = play(env, before + right[:1], seed=3, options={"task": task})
    twin = deepcopy(env)
    play_on(env, record, aside + right[1:])
    expected = play(embedded(split="dev"), before + right + after, seed=3, options={"task": task})
    assert play_on(twin, record, right[1:] + after) == expected
    assert twin.reset() == env.reset()
    assert twin._world is env._world


@given(st.text(st.characters(exclude_categories=()), max_size=200) | actions)
def test_parsing_never_raises(action: str) -> None:
    parsed = parse_action(action)
    assert isinstance(parsed, Call | Reply | Malformed)
    if not action.strip().startswith(("{", "`")) and "<tool_call>" not in action:
        assert parsed == Reply(action)


@pytest.mark.parametrize(
    "action",
    [
        json.dumps(CALL),
        f"  {json.dumps(CALL, indent=1)}\n",
        f"```json\n{json.dumps(CALL)}\n```",
        f"```JSON\n{json.dumps(CALL)}\n```",
        f"``` JSON\r\n{json.dumps(CALL)}\r\n```",
        f"<tool_call>{json.dumps(CALL)}</tool_call>",
        f"<tool_call>\n{json.dumps(CALL)}",
        f"Let me look.\n<tool_call>\n{json.dumps(CALL)}\n</tool_call><tool_call>broken</tool_call>",
        f"<tool_call>```json\n{json.dumps(CALL)}\n```</tool_call>",
        json.dumps(CALL | {"arguments": json.dumps(CALL["arguments"])}),
        json.dumps({"name": CALL["name"], "parameters": CALL["arguments"]}),
        f"<|python_tag|>{json.dumps(CALL)}",
    ],
)
def test_ways_to_write_a_call(action: str) -> None:
    assert parse_action(action) == Call("get_order_details", {"order_id": "#W1"})


@pytest.mark.parametrize(
    "action",
    [
        '{"name": "think"',
        '{"nmae": "think"}',
        '{"name": 5}',
        '{"name": "think", "arguments": [1]}',
        '{"name": "think", "arguments": "{"}',
        '{"name": "send_certificate", "arguments": {"amount": NaN}}',
        "<tool_call>think(hm)</tool_call>",
        "<tool_call>",
        "```\n{broken}\n```",
        '{"name": "think", "arguments": {"thought": ' + "[" * 100_000,
        '{"name": "think", "arguments": {"thought": ' + "[" * 150 + "]" * 150 + "}}",
        '{"name": "respond", "arguments": {}}',
        '{"name": "respond", "arguments": {"content": null}}',
        '{"name": "think", "arguments": {"thought": ' + "9" * 5000 + "}}",
        '{"name": "think", "arguments": {"thought": -' + "9" * 4000 + "}}",
    ],
)
def test_a_malformed_call_is_an_error_observation_and_costs_a_step(action: str) -> None:
    env = embedded()
    env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(action)
    assert observation.startswith("Error: ")
    assert (reward, terminated, truncated, info["action_valid"]) == (0.0, False, False, False)
    assert env._replies == []


def test_every_other_text_is_a_reply_to_the_user() -> None:
    for action in ("Hello {name}", "I called get_order_details.", "", '["think"]'):
        assert parse_action(action) == Reply(action)
    assert parse_action('{"name": "respond", "arguments": {"content": "Hi."}}') == Reply("Hi.")


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_every_task_can_be_solved_and_the_no_op_baseline_is_low(split: str) -> None:
    env = embedded(split=split, user=Talker())
    idle = 0
    for index in range(env.num_tasks):
        for calls_played in (env._tasks[index].actions, ()):
            env.reset(options={"task": index})
            for call in calls_played:
                observation, *_, info = env.step(written(call))
                assert info["action_valid"], observation
            if calls_played:
                env.step(" ".join(["It is done.", *env._task.outputs]))
            _, reward, terminated, _, info = env.step("stop")
            assert terminated
            assert info["success"] == (reward == 1)
            if calls_played:
                assert reward == 1.0, env._task
            else:
                assert reward == env.noop_reward(index)
                idle += int(reward)
    assert idle <= 0.15 * env.num_tasks


def test_no_customer_is_in_two_splits_and_worlds_come_from_their_seed() -> None:
    users = [{task.user_id for task in WORLD.tasks[split]} for split in ("train", "dev", "test")]
    assert not users[0] & users[1] | users[0] & users[2] | users[1] & users[2]
    assert (len(WORLD.tasks["train"]), len(WORLD.tasks["dev"]), len(WORLD.tasks["test"])) == (400, 200, 200)
    names = {call.name for tasks in WORLD.tasks.values() for task in tasks for call in task.actions}
    writers = {name for name in WORLD.tools if name.startswith(("cancel", "modify_pending", "exchange", "return"))}
    assert writers <= names
    assert WORLD.snapshot.hash == generate(0).snapshot.hash != generate(1).snapshot.hash


def test_tools_are_described_in_words_and_as_schemas() -> None:
    env = embedded()
    _, info = env.reset(options={"task": 0})
    assert list(env.tools.schemas) == info["tools"]
    assert len(info["tools"]) == 16
    assert env.instructions.startswith(env.tools.content)
    words = env.instructions.removeprefix(env.tools.content)
    assert "Tools:" not in env.tools.content
    for schema in info["tools"]:
        function = schema["function"]
        assert f"{function['name']}({', '.join(function['parameters']['properties'])})" in words


def test_prompts_of_the_embedded_world_are_short() -> None:
    assert len(embedded().instructions) < 2500
    longest = max(len(json.dumps(record)) for table in WORLD.snapshot.tables.values() for record in table.values())
    assert longest < 1000


class Talker:
    """A user who gives the same reply to everything, and stops when asked to."""

    def open(self, task: ServiceTask) -> str:
        return f"task {task.id}"

    def reply(self, message: str) -> str:
        return f"Bye. {STOP}" if message == "stop" else "Hm."


def test_any_object_can_be_the_user() -> None:
    env = embedded(user=Talker())
    assert env.env_id == "taubench/retail/embedded/Talker"
    assert env.reset(options={"task": 4})[0] == "task train-4"
    assert env.step("Hello")[0] == "Hm."
    observation, _, terminated, _, _ = env.step("stop")
    assert (observation, terminated) == (f"Bye. {STOP}", True)
    with pytest.raises(ResetNeeded):
        env.step("Hello")


def test_there_is_no_episode_where_the_user_did_not_open_one() -> None:
    env = embedded(user=ReplayUser({"train-0": ["Hello."]}))
    env.reset(options={"task": 0})
    with pytest.raises(ConfigError, match="no messages"):
        env.reset(options={"task": 1})
    with pytest.raises(ResetNeeded):
        env.step("Hello")


def test_a_tool_that_answers_with_the_stop_sign_does_not_end_the_episode() -> None:
    env = embedded(user=Talker())
    env.reset(seed=0)
    call = {"name": STOP, "arguments": {}}
    observation, _, terminated, _, _ = env.step(json.dumps(call))
    assert STOP in observation
    assert not terminated


def test_half_a_surrogate_pair_in_a_call_is_not_repeated() -> None:
    env = embedded()
    env.reset(seed=0)
    observation, *_ = env.step('{"name": "\\ud83d", "arguments": {}}')
    assert observation == "Unknown action ?"


def test_a_transfer_ends_the_episode_even_when_it_is_written_wrongly() -> None:
    env = embedded(user=Talker())
    env.reset(seed=0)
    observation, _, terminated, _, _ = env.step('{"name": "transfer_to_human_agents"}')
    assert observation.startswith("Error: ")
    assert terminated


def test_outputs_count_whatever_the_case_and_the_commas() -> None:
    env = embedded(user=Talker())
    index = next(index for index, task in enumerate(env._tasks) if task.outputs)
    amount = float(env._tasks[index].outputs[0])
    for reply, reward in ((f"It was ${amount * 1000:,}.", 0.0), (f"It was ${amount:,}.", 1.0), ("Nothing.", 0.0)):
        env.reset(options={"task": index})
        env.step(reply)
        step = env.step("stop")
        assert step[1] == reward
        assert step[4]["metrics"] == {"r_actions": 1.0, "r_outputs": reward}


def test_commas_count_in_required_outputs_and_not_in_replies() -> None:
    assert _was_said("1234.5", ["It is $1,234.5 in all."])
    assert _was_said("RED", ["a red one"])
    assert not _was_said("1,234.5", ["It is $1,234.5 in all."])  # as in the original


def test_tool_calls_are_counted_whether_or_not_the_tool_exists() -> None:
    ways = {"Hello!": 0, json.dumps(CALL): 4, "<tool_call>{": 0, '{"name": "nothing", "arguments": {}}': 4}
    for action, calls in ways.items():
        policy = FunctionPolicy(lambda messages, action=action: action)
        played = rollout([embedded(user=Talker())], policy, [Task(0, 0)], max_turns=4)
        assert [turn.info["tool_call"] for turn in played[0].turns] == [bool(calls)] * 4
        assert rollout_metrics(played)["tool_calls_per_episode"] == calls
    assert "tool_calls_per_episode" not in rollout_metrics([replace(played[0], turns=())])


def test_a_conversation_goes_on_until_the_user_or_a_limit_ends_it() -> None:
    env = embedded(user=Talker())
    env.reset(seed=0)
    assert not any(any(env.step("Hello")[2:4]) for _ in range(100))


def test_schemas_are_those_of_the_tools_and_each_episode_has_its_own() -> None:
    env = embedded()
    tools = env.reset(seed=0)[1]["tools"]
    assert [tool["function"]["name"] for tool in tools] == sorted(env._world.tools)
    assert all(tool["function"]["description"] for tool in tools)
    tools.clear()
    assert env.reset(seed=0)[1]["tools"]


def test_episodes_do_not_change_the_world() -> None:
    env = embedded()
    before = env._world.snapshot.hash
    for index in range(20):
        env.reset(options={"task": index})
        for call in env._task.actions:
            env.step(written(call))
        env.reset(options={"task": index})
        assert env._db.hash() == before
    assert generate().snapshot.tables == env._world.snapshot.tables


@pytest.mark.parametrize("kind", [SyncVectorEnv, lambda envs: AsyncVectorEnv(envs, shared_memory=False)])
def test_environments_side_by_side_do_not_touch_one_another(kind: Any) -> None:
    drawn = ["Who are you?", '{"name": "list_all_product_types", "arguments": {}}', "{", "x" * 100_000, "Bye."]
    alone = [play(embedded(), drawn, seed=seed) for seed in (7, 8)]
    vector = kind([embedded] * 2)
    try:
        seen = [vector.reset(seed=7)[0], *(vector.step([action] * 2)[0] for action in drawn)]
    finally:
        vector.close()
    assert [list(observations) for observations in seen] == [
        [record[turn][0] for record in alone] for turn in range(len(seen))
    ]


PROBE = """
import json, sys
from hero.envs.taubench.env import TauBenchEnv
env = TauBenchEnv(data="embedded")
record = [env.reset(seed=7)]
for action in json.loads(sys.argv[1]):
    record.append(env.step(action))
print(json.dumps([env._world.snapshot.hash, record]))
"""


def test_equal_seeds_and_actions_give_equal_episodes_in_other_processes() -> None:
    drawn = ["Who are you?", json.dumps(CALL), '{"name": "list_all_product_types", "arguments": {}}', "{", "Yes?"]

    def played(hash_seed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", PROBE, json.dumps(drawn)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
        )
        return done.stdout

    here = json.dumps([WORLD.snapshot.hash, play(embedded(), drawn, seed=7)])
    assert played("1").strip() == played("2").strip() == here


def test_the_global_random_state_is_neither_read_nor_changed() -> None:
    before = random.getstate()
    env = embedded(world_seed=12345)
    play(env, ["Hello"], seed=0)
    assert random.getstate() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"domain": "telecom"}, "'retail', 'airline'"),
        ({"split": "base"}, "'train', 'dev', 'validation', 'test'"),
        ({"user": "gpt"}, "'scripted', 'human', 'model'"),
        ({"user": 5}, "it needs open"),
        ({"world_seed": -1}, "world_seed=-1 is not possible"),
        ({"data": 5}, "data=5 is not a path"),
        ({"data": "\ud800"}, r"data='\\ud800' is not a path"),
        ({"data": "a\0b"}, r"data='a\\x00b' is not a path"),
        ({"skip_refused": "yes"}, "skip_refused='yes' is not one of True, False"),
        ({"data": "x", "world_seed": 1}, "leave it out"),
        ({"render_mode": "human"}, "'ansi'"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TauBenchEnv(**({"data": "embedded"} | arguments))


@pytest.mark.parametrize("options", [{"task": 400}, {"task": -1}, {"task": "5"}, {"task": True}, {"taks": 5}])
def test_wrong_reset_options(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"task 400|task -1|'5'|True|not 'taks'"):
        embedded().reset(options=options)
