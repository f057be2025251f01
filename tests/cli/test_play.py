"""`hero play`: a person at the keyboard, or a policy that is watched."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Hero, refused, without_loading


def test_a_number_stands_for_an_action(hero: Hero) -> None:
    result = hero("play", "--env", "guess", "--task", 2, typed="1\n3\n")
    assert result.exit_code == 0
    assert "Guess the colour." in result.stdout
    assert "task train-2" in result.stdout
    assert "   3  blue" in result.stdout
    assert result.stdout.endswith("Yes!\nreward 1.000, a success\n  colour 1.0\n")


def test_actions_can_be_typed_and_invalid_ones_are_reported(hero: Hero) -> None:
    result = hero("play", "--env", "guess", "--task", 2, "--split", "test", typed="mauve\n 9 \nred\n")
    assert result.stdout.count("not valid: ?") == 2
    assert "a turn limit ended the episode" in result.stdout
    assert result.stdout.endswith("reward 0.000, not a success\n  colour 0.0\n")


def test_an_action_that_takes_words_asks_for_them(hero: Hero) -> None:
    result = hero("play", "--env", "webshop", "--task", 3, typed="1\nvest\n")
    assert "words> " in result.stdout
    assert "Page 1 (Total results: " in result.stdout
    assert "Total results: 0" not in result.stdout


def test_the_end_of_input_leaves_politely(hero: Hero) -> None:
    result = hero("play", "--env", "guess", "--task", 0, typed="")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "good bye")
    assert without_loading(result.stderr) == ""


def test_a_terminal_that_knows_ascii_alone_is_enough(
    started: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    out, err = started("play", "--env", "webshop", "--task", 0).communicate(timeout=60)
    assert without_loading(err) == ""
    assert "?" * 40 in out


def test_mistakes_are_reported(hero: Hero) -> None:
    result = hero("play", "--env", "guess", "--task", 12)
    assert (result.exit_code, without_loading(result.stderr)) == (
        2,
        "error: --task 12, but train has 12; give 0 to 11\n",
    )


def test_a_policy_is_watched(hero: Hero, model: str) -> None:
    arguments = ["play", "--policy", model, "--env", "guess", "--task", 2, "--seed", 1]
    result = hero(*arguments)
    assert result.exit_code == 0, result.output
    assert "Guess the colour." in result.stdout
    assert 1 <= result.stdout.count(f"{model}> ") <= 10
    assert "\nreward " in result.stdout
    assert hero(*arguments).stdout == result.stdout
    assert hero(*arguments, "--temperature", 2).stdout != result.stdout
    assert hero(*arguments, "--max-turns", 1).stdout.count(f"{model}> ") == 1


def test_a_run_is_watched_where_it_was_trained_unless_told_otherwise(hero: Hero, finished: Path) -> None:
    assert "Guess the colour." in hero("play", "--policy", finished, "--task", 2).stdout
    assert "You shop online" in hero("play", "--policy", finished, "--env", "webshop", "--task", 2).stdout
    refused(hero("play", "--policy", finished, "--max-turns", 0), "--max-turns 0 is too few; give at least 1")
    refused(hero("play", "--policy", finished, "--kv-cache-gib", 0), "--kv-cache-gib 0.0 is not possible")


def test_what_would_do_nothing_or_is_not_there_is_an_error(hero: Hero) -> None:
    refused(hero("play", "--temperature", 1), "--temperature does nothing without --policy")
    refused(hero("play", "--device", "cpu", "--max-turns", 1), "--max-turns does nothing without --policy")
    refused(hero("play", "--policy", "tinny"), "did you mean 'tiny'?")
    refused(hero("play", "--policy", "tiny", "--device", "cuda:99"), "cuda:99")
