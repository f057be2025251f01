"""Another model on this machine reviews as the student itself would with its weights, and reads text alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hero.errors import ConfigError
from hero.fingerprint import fingerprint
from hero.models import tiny
from hero.models.reviewer import LocalReflector
from hero.policy import FunctionPolicy
from hero.reflect.base import Reflector, build_reflector, provenance_of
from hero.reflect.model import SelfReflector
from hero.rollout import Task, rollout
from hero.testing.templates import CHATML, tokenizer
from hero.types import Tokens, Trajectory
from tests.doubles import GuessEnv
from tests.tiny_models import save_pretrained


@pytest.fixture(scope="module")
def episodes() -> list[Trajectory]:
    from hero.envs.webshop.env import WebShopEnv

    lm = tiny.load()
    with WebShopEnv() as env:
        return rollout([env], lm.policy(temperature=1.0), [Task(index, index) for index in range(4)], max_turns=4)


def test_reviews_as_the_student_does_with_the_same_weights(episodes: list[Trajectory]) -> None:
    local = LocalReflector(model="tiny")
    assert local.name == "local:tiny"
    answers, by_student = local.reflect(episodes), SelfReflector(tiny.load()).reflect(episodes)
    assert any(diagnosis.findings for diagnosis in answers)
    assert [each.findings for each in answers] == [each.findings for each in by_student]
    assert {each.author for each in answers} == {"local:tiny"}


def test_reads_the_text_of_a_student_with_another_vocabulary(episodes: list[Trajectory]) -> None:
    def foreign(trajectory: Trajectory) -> Trajectory:
        """Gives an episode the ids that a model with another vocabulary would have sampled for the same text."""
        ids = (3, 1, 4)
        turns = tuple(
            replace(
                turn,
                prompt=tuple(
                    replace(message, ids=ids) if message.role == "assistant" else message for message in turn.prompt
                ),
                action=replace(turn.action, tokens=Tokens((1,), ids, (-1.0,) * 3)),
            )
            for turn in trajectory.turns
        )
        return replace(trajectory, turns=turns)

    local = LocalReflector(model="tiny")
    assert local.reflect([foreign(each) for each in episodes]) == local.reflect(episodes)


def test_a_model_from_a_directory_is_known_by_its_files(tmp_path: Path) -> None:
    save_pretrained(tmp_path, max_position_embeddings=2048)
    tokenizer(CHATML).save_pretrained(tmp_path)
    local = LocalReflector(model=str(tmp_path), max_new_tokens=4, dtype="float32")
    (episode,) = rollout([GuessEnv()], FunctionPolicy(lambda messages: "guess"), [Task(0, 0)], max_turns=2)
    (diagnosis,) = local.reflect([episode])
    assert diagnosis.findings or "no line can be read" in diagnosis.problem
    before = local.provenance()
    (tmp_path / "config.json").write_bytes((tmp_path / "config.json").read_bytes() + b" ")
    assert before.keys() == {"sha256"}
    assert local.provenance() != before


@pytest.mark.parametrize(("wrapper", "options"), [("verdict", {"of": "local"}), ("first", {})])
def test_a_reflector_around_it_says_which_model_reviews(wrapper: str, options: dict[str, str]) -> None:
    inner = {"of_args": {"model": "tiny"}} if options else {"of": ["rules", LocalReflector(model="tiny")]}
    outer: Reflector = build_reflector(wrapper, {**options, **inner}, None)
    files = [file for file in sorted(tiny.SHIPPED.iterdir()) if file.name != "README.md"]
    assert provenance_of(outer) == {wrapper: {"local:tiny": {"sha256": fingerprint(*files)}}}


@pytest.mark.parametrize("tokens", [0, 10**6])
def test_an_answer_without_room_for_a_prompt_is_refused(tokens: int) -> None:
    with pytest.raises(ConfigError, match="leaves no room for a prompt: tiny has 4096 tokens"):
        LocalReflector(model="tiny", max_new_tokens=tokens)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model './nothing'"):
        LocalReflector(model="./nothing")
