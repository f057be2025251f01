"""`TextEnv` completes the two methods that an author writes."""

from __future__ import annotations

from typing import Any

import pytest
from gymnasium.error import ResetNeeded

from hero.envs.base import StepResult, TextEnv
from hero.errors import ConfigError


class Doors(TextEnv):
    """Ends at the third step; its author fills in no more than is needed."""

    env_id = "doors"
    num_tasks = 7

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        self.steps = 0
        return f"door {task}", {}

    def apply(self, action: str) -> StepResult:
        self.steps += 1
        return StepResult(action, terminated=self.steps == 3, success=True, metrics={"steps": self.steps})


def test_info_is_filled_and_ends_with_success_and_metrics() -> None:
    env = Doors()
    assert env.reset(options={"task": 4}) == ("door 4", {"task_id": "4", "available_actions": []})
    middle = {"task_id": "4", "available_actions": [], "action_valid": True, "feedback": ""}
    assert [env.step(word) for word in "ab"] == [(word, 0.0, False, False, middle) for word in "ab"]
    assert env.step("c") == ("c", 0.0, True, False, middle | {"success": True, "metrics": {"steps": 3}})


def test_tasks_of_a_split_are_named_after_it() -> None:
    env = Doors()
    env.split = "test"
    assert env.reset(options={"task": 4})[1]["task_id"] == "test-4"
    assert env.step("a")[4]["task_id"] == "test-4"


def test_info_of_the_author_goes_before_defaults() -> None:
    class Named(Doors):
        def begin(self, task: int) -> tuple[str, dict[str, Any]]:
            return "door", {"available_actions": ["open"]}

        def apply(self, action: str) -> StepResult:
            return StepResult("", info={"available_actions": ["close"]}, tool_call=False)

    env = Named()
    assert env.reset(seed=0)[1]["available_actions"] == ["open"]
    info = env.step("open")[4]
    assert (info["available_actions"], info["tool_call"]) == (["close"], False)


def test_steps_need_an_episode() -> None:
    env = Doors()
    with pytest.raises(ResetNeeded):
        env.step("a")
    env.reset(seed=0)
    with pytest.raises(ConfigError):
        env.reset(options={"task": 7})
    with pytest.raises(ResetNeeded):  # a reset that failed has ended the episode before
        env.step("a")


def test_the_last_observation_is_rendered_where_it_is_asked_for() -> None:
    env = Doors(render_mode="ansi")
    assert env.render() == ""
    env.reset(options={"task": 4})
    assert env.render() == "door 4"
    env.step("a")
    assert env.render() == "a"
    assert Doors().render() is None
    with pytest.raises(ConfigError, match="render_mode='human' is not one of None, 'ansi'"):
        Doors(render_mode="human")
