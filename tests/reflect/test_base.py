"""What a reflector, or rules of an environment, must return, when somebody else wrote them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hero import registry
from hero.errors import ConfigError
from hero.reflect.base import check_diagnoses
from hero.reflect.rules import RulesReflector
from hero.types import Action, Diagnosis, Finding, Message, Stop, Trajectory, Turn, Verdict

TURN = Turn((Message("user", "?"),), Action("x"), "!", 0.0)
EPISODE = Trajectory("maze", "1", 0, (TURN, TURN), Stop.MAX_TURNS)
SOUND = Diagnosis("mine", (Finding(1, Verdict.USEFUL, "it helps"),))


def test_sound_diagnoses_pass() -> None:
    assert check_diagnoses((SOUND, Diagnosis("mine")), [EPISODE, EPISODE], "mine") == [SOUND, Diagnosis("mine")]


@pytest.mark.parametrize("answer", [None, [], [SOUND], "ab", ["a", "b"], iter([SOUND, SOUND])])
def test_anything_but_a_diagnosis_per_trajectory_is_refused(answer: Any) -> None:
    with pytest.raises(ConfigError, match=r"the reflector mine must return a list of 2 hero\.types\.Diagnosis"):
        check_diagnoses(answer, [EPISODE, EPISODE], "mine")


@pytest.mark.parametrize(
    "change", [{"turn": 2}, {"turn": -1}, {"turn": "0"}, {"verdict": "bad"}, {"cause": None}, {"advice": 5}]
)
def test_a_finding_that_could_not_be_stored_is_refused(change: dict[str, Any]) -> None:
    finding = replace(SOUND.findings[0], **change)
    with pytest.raises(ConfigError, match=r"the reflector mine (returned Finding|judges turn)"):
        check_diagnoses([Diagnosis("mine", (finding,))], [EPISODE], "mine")


@pytest.mark.parametrize("answer", [None, [], "x", {0: "bad"}, ValueError("no")])
def test_rules_that_return_something_else_are_named(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    def judge(trajectory: Trajectory) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(registry, "names", lambda group: ["maze"])
    monkeypatch.setattr(registry, "load", lambda group, name: judge)
    with pytest.raises(ConfigError, match=r"the rules of maze (raised ValueError: no|must map).*check_judge"):
        RulesReflector().reflect([EPISODE])
