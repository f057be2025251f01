"""Demonstrations: players err at their rates, reviews advise what the script does, and rows learn what is right."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.errors import ConfigError
from hero.models import tiny
from hero.policy import FunctionPolicy, Script
from hero.rollout import Task, rollout
from hero.types import Message, Verdict
from hero.warm.demonstrations import Demonstrations, review
from tests.doubles import WORDS, GuessEnv
from tests.tiny_models import random_model

CHAT = random_model().chat


def right(messages: Sequence[Message]) -> str:
    """Knows every colour."""
    opening = next(message.content for message in messages if message.content.startswith("Colour"))
    return WORDS[int(re.findall(r"\d+", opening)[0]) % len(WORDS)]


def always_red(messages: Sequence[Message]) -> str:
    return "red"


def shown(habit: Script | None = always_red) -> Demonstrations:
    return Demonstrations.of(GuessEnv(), right, habit, 3, seed=0)


def test_the_actions_of_the_script_are_those_of_random_mistakes() -> None:
    assert shown().actions == tuple(sorted(WORDS))


@pytest.mark.parametrize(("careless", "astray"), [(0.0, 0.0), (1.0, 0.0), (0.6, 0.0), (0.0, 1.0), (0.3, 0.2)])
def test_a_player_errs_at_its_rates(careless: float, astray: float) -> None:
    player = shown().player(random.Random(0), careless, astray)
    prompt = [Message("user", "Colour 2?")]
    actions = [player(prompt) for _ in range(2000)]
    third = astray / 3
    for action, share in (("red", careless + third), ("green", third), ("blue", 1 - careless - astray + third)):
        assert abs(actions.count(action) / 2000 - share) < 0.04


def test_without_a_habit_carelessness_is_chance() -> None:
    player = shown(habit=None).player(random.Random(0), careless=1.0)
    assert {player([Message("user", "Colour 2?")]) for _ in range(50)} == set(WORDS)


@given(st.integers(0, 11), st.lists(st.sampled_from([*WORDS, "mauve"]), min_size=1, max_size=3))
def test_a_review_calls_useful_what_the_script_would_do_and_advises_it_elsewhere(task: int, said: list[str]) -> None:
    words = iter([*said, *said, *said])
    (episode,) = rollout([GuessEnv()], FunctionPolicy(lambda _: next(words)), [Task(task, 0)], max_turns=3)
    diagnosis = review(episode, right)
    assert len(diagnosis.findings) == len(episode.turns)
    for turn, finding in zip(episode.turns, diagnosis.findings, strict=True):
        if turn.action.text == WORDS[task % 3]:
            assert (finding.verdict, finding.advice) == (Verdict.USEFUL, "")
        else:
            wrong = Verdict.INVALID if turn.action.text == "mauve" else Verdict.UNNECESSARY
            assert (finding.verdict, finding.advice) == (wrong, WORDS[task % 3])


def learned(rows: list[tuple[list[int], list[float]]]) -> list[str]:
    """Returns the texts that rows learn, each run of tokens with a weight by itself."""
    texts = []
    for ids, weights in rows:
        run: list[int] = []
        for token, weight in [*zip(ids, weights, strict=True), (0, 0.0)]:
            if weight:
                run.append(token)
            elif run:
                texts.append(CHAT.decode(run).removesuffix("<|end|>"))
                run = []
    return texts


def test_the_skill_learns_right_actions_alone_and_the_habit_learns_what_was_done() -> None:
    skill, habit = shown().recipe(careless=1.0, skill_steps=1, habit_steps=1).phases
    for phase, wrong_too in ((skill, False), (habit, True)):
        rows = [(row.ids, row.weights) for row in phase.rows(CHAT, 0, random.Random(0))]
        whole = [
            (ids, weights) for ids, weights in rows if "over. Final reward" in CHAT.decode(ids) and sum(weights) > 0
        ]
        actions = 0
        for ids, weights in whole:
            task = int(re.findall(r"Colour (\d+)\?", CHAT.decode(ids))[0])
            for text in learned([(ids, weights)])[:-1]:  # the last is the review
                actions += 1
                assert wrong_too or text == WORDS[task % 3]
                assert text in WORDS
        assert actions
    said = learned([(row.ids, row.weights) for row in habit.rows(CHAT, 0, random.Random(1))])
    assert said.count("red") > said.count("green")


@pytest.mark.parametrize(
    ("env", "script", "message"),
    [
        (GuessEnv(), lambda messages: "mauve", "the script solves 0 of 120 tasks within 3 turns"),
        (GuessEnv(num_tasks=1), right, "always does the same, 'red'"),
        (GuessEnv(broken=range(12)), lambda messages: "mauve", "failed in task train-.*the dice fell off the table"),
    ],
)
def test_a_script_that_nothing_can_be_learned_from_is_refused(env: GuessEnv, script: Script, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Demonstrations.of(env, script, None, 3, seed=0)


def test_a_mistake_of_a_script_is_its_own() -> None:
    def fails(messages: Sequence[Message]) -> str:
        raise KeyError("no such room")

    with pytest.raises(ConfigError, match=r"the script raised KeyError: 'no such room'; it has to answer every"):
        Demonstrations.of(GuessEnv(), fails, None, 3, seed=0)
    with pytest.raises(ConfigError, match=r"the script returned 3; it has to return the text of an action"):
        Demonstrations.of(GuessEnv(), lambda messages: 3, None, 3, seed=0)  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigError, match=r"the script returned 'a\\nb', which has several lines; a review has one"):
        Demonstrations.of(GuessEnv(), lambda messages: "a\nb", None, 3, seed=0)
    with pytest.raises(ConfigError, match=r"the script raised SystemExit: 0"):
        Demonstrations.of(GuessEnv(), lambda messages: sys.exit(0), None, 3, seed=0)
    later = Demonstrations.of(GuessEnv(), right, lambda messages: None, 3, seed=0)  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigError, match=r"the habit returned None"):
        later.play(later.player(random.Random(0), 1.0), random.Random(0))


def test_an_episode_that_the_base_cannot_read_is_refused(tmp_path: Path) -> None:
    class Wordy(GuessEnv):
        def begin(self, task: int) -> tuple[str, dict[str, Any]]:
            observation, info = super().begin(task)
            return observation + " x" * 5000, info

    recipe = Demonstrations.of(Wordy(), right, None, 3, seed=0).recipe(careless=0.9, skill_steps=1, habit_steps=1)
    with pytest.raises(ConfigError, match=r"an episode has \d+ tokens, and the base reads 4096; play fewer turns"):
        recipe.make(tmp_path, seed=0, on_step=lambda phase, step, loss, right: None)


def test_the_ranks_are_loaded_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A recipe of a step per phase makes a model that loads, and goes on where it was interrupted."""
    out = tmp_path_factory.mktemp("base")
    recipe = shown().recipe(careless=0.9, skill_steps=2, habit_steps=1)
    seen: list[tuple[str, int]] = []
    recipe.make(out, seed=0, on_step=lambda phase, step, loss, right: seen.append((phase.name, step)))
    assert seen == [("skill", 2), ("habit", 1)]
    first = (out / "model.safetensors").read_bytes()
    next(out.glob("phase-2-*.pt")).unlink()
    recipe.make(out, seed=0, on_step=lambda phase, step, loss, right: seen.append((phase.name, step)))
    assert seen[2:] == [("habit", 1)]
    assert (out / "model.safetensors").read_bytes() == first
    assert tiny.load(out).chat.encode([Message("user", "Colour 1?")])
