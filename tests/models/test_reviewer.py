"""Another model on this machine reviews as the student itself would with its weights, and reads text alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from hero.errors import ConfigError
from hero.models import tiny
from hero.models.fingerprint import model_fingerprint
from hero.models.language_model import LanguageModel
from hero.models.reviewer import LocalReflector
from hero.policy import FunctionPolicy
from hero.reflect.base import build_reflector, provenance_of
from hero.reflect.model import SelfReflector
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.runs.writer import Run
from hero.testing.templates import CHATML, tokenizer
from hero.types import Tokens, Trajectory
from tests.doubles import GuessEnv
from tests.tiny_models import random_model, save_pretrained


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
    assert diagnosis.findings or "cut off" in diagnosis.problem
    before = local.provenance()
    (tmp_path / "config.json").write_bytes((tmp_path / "config.json").read_bytes() + b" ")
    assert before.keys() == {"sha256"}
    assert local.provenance() != before


def test_a_reflector_around_it_has_the_provenance_of_the_model(tmp_path: Path) -> None:
    known = LocalReflector(model="tiny").provenance()
    assert known == {"sha256": model_fingerprint("tiny")["sha256"]}
    other = LocalReflector(model="tiny-taubench").provenance()
    assert known != other
    for wrapper in ("verdict", "shuffled"):
        assert provenance_of(build_reflector(wrapper, {"of": "local:tiny"}, None)) == known
    both = build_reflector("first", {"of": ["local:tiny", "rules", "local:tiny-taubench"]}, None)
    assert provenance_of(both) == {"0": known, "2": other}
    assert provenance_of(RulesReflector()) == {}


def test_reviews_on_the_device_and_with_the_date_of_the_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[dict[str, object]]()

    def load(source: str, **options: object) -> LanguageModel:
        asked.append(options)
        return random_model()

    monkeypatch.setattr("hero.models.load.load", load)
    student = SimpleNamespace(model=SimpleNamespace(device="meta"), chat=SimpleNamespace(date="2031-01-01"))
    LocalReflector(model="someone/large", student=student, max_new_tokens=4)
    LocalReflector(model="someone/large", student=student, max_new_tokens=4, device="cpu", dtype="bfloat16")
    common = {"template_args": None, "date": "2031-01-01"}
    assert asked == [common | {"device": "meta", "dtype": None}, common | {"device": "cpu", "dtype": "bfloat16"}]
    for model in ("someone/large", "tiny"):
        student = SimpleNamespace(kv_cache_bytes=123)
        local = LocalReflector(model=model, student=student, max_new_tokens=4)
        assert local.lm.kv_cache_bytes == 123  # type: ignore[attr-defined]
    half = LocalReflector(model="tiny", dtype="bfloat16")
    assert half.lm.model.dtype == torch.bfloat16  # type: ignore[attr-defined]


@pytest.mark.parametrize("tokens", [0, 10**6])
def test_an_answer_without_room_for_a_prompt_is_refused(tokens: int) -> None:
    with pytest.raises(ConfigError, match="local:tiny leaves no room for a prompt: tiny has 4096 tokens"):
        LocalReflector(model="tiny", max_new_tokens=tokens)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("", "names no model; give a directory"),
        ("hf", "names no model; give a directory"),
        ("openai:large", "is not on this machine; take the reflector openai:large"),
        ("./nothing", "no model './nothing': it is a path"),
        ("run", "is a run; write its model first .hero export run DIR."),
    ],
)
def test_what_is_no_model_is_refused_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with Run.create(tmp_path / "run", {}):
        pass
    with pytest.raises(ConfigError, match=message):
        LocalReflector(model=model)


def test_options_that_a_registered_model_does_not_take_are_refused() -> None:
    with pytest.raises(ConfigError, match="do nothing with tiny"):
        LocalReflector(model="tiny", template_args={"enable_thinking": False})
