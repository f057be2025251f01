"""Episodes to JSON and back."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from hero.runs.codec import decode_diagnosis, decode_trajectory, encode_diagnosis, encode_trajectory
from hero.testing.strategies import actions, diagnoses, texts, tokens, trajectories
from hero.types import Action, Diagnosis, Message, Stop, Tokens, Trajectory, Turn


@st.composite
def conversations(draw: st.DrawFn) -> Trajectory:
    """Draws episodes whose prompts and ids mostly extend those before, as rollouts make them."""
    turns: list[Turn] = []
    prompt: tuple[Message, ...] = (Message("system", draw(texts)), Message("user", draw(texts)))
    ids: tuple[int, ...] = (1, 2, 3)
    for _ in range(draw(st.integers(0, 5))):
        action_ids = tuple(draw(st.lists(st.integers(0, 9), max_size=4)))
        tokens = Tokens(ids, action_ids, tuple(-0.1 * (1 + index) for index in range(len(action_ids))), 3)
        action = draw(st.just(Action("act", tokens)) | actions())
        observation = draw(texts)
        turns.append(Turn(prompt, action, observation, draw(st.floats(-1, 1))))
        if draw(st.booleans()):
            prompt = (*prompt, action.message(), Message("user", observation))
        ids = (*ids, *action_ids, 7) if draw(st.booleans()) else draw(st.lists(st.integers(0, 9)).map(tuple))
    return Trajectory("env", "task", 0, tuple(turns), Stop.TERMINATED)


@given(trajectories() | conversations())
def test_an_episode_comes_back_equal(trajectory: Trajectory) -> None:
    assert decode_trajectory(json.loads(json.dumps(encode_trajectory(trajectory)))) == trajectory


@given(tokens())
def test_a_temperature_is_written_where_it_is_not_1(tokens: Tokens) -> None:
    turn = Turn((), Action("act", tokens), "", 0.0)
    (record,) = encode_trajectory(Trajectory("env", "task", 0, (turn,), Stop.TERMINATED))["turns"]
    assert record["tokens"].get("temperature", 1.0) == tokens.temperature
    assert ("temperature" in record["tokens"]) == (tokens.temperature != 1)


@given(diagnoses())
def test_a_diagnosis_comes_back_equal(diagnosis: Diagnosis) -> None:
    assert decode_diagnosis(json.loads(json.dumps(encode_diagnosis(diagnosis)))) == diagnosis


def episode(turns: int) -> Trajectory:
    """Returns a conversation that grows by a long observation each turn."""
    prompt: tuple[Message, ...] = (Message("user", "x" * 1000),)
    ids: tuple[int, ...] = tuple(range(300))
    played = []
    for _ in range(turns):
        action = Action("go", Tokens(ids, (5, 6), (-0.5, -0.25)))
        played.append(Turn(prompt, action, "y" * 1000, 0.0))
        prompt = (*prompt, action.message(), Message("user", "y" * 1000))
        ids = (*ids, 5, 6, *range(300))
    return Trajectory("env", "task", 0, tuple(played), Stop.MAX_TURNS)


def test_a_record_grows_with_the_episode_and_not_with_its_square() -> None:
    ten, twenty = (len(json.dumps(encode_trajectory(episode(turns)))) for turns in (10, 20))
    assert twenty < 2.1 * ten


def test_a_growing_prompt_is_stored_as_what_was_added() -> None:
    first, second = encode_trajectory(episode(2))["turns"]
    assert first["prompt"] == [{"role": "user", "content": "x" * 1000}]
    assert second["more"] == [{"role": "user", "content": "y" * 1000}]
    assert second["tokens"]["more_ids"] == tuple(range(300))
