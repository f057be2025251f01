"""Cells of a comparison: each has the settings that it has a use for."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.errors import ConfigError
from hero.testing.strategies import words
from hero_cli.compare_cells import read_cells
from hero_cli.options import as_options, read_options
from hero_cli.settings import Settings

values = st.booleans() | st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
given_settings = st.fixed_dictionaries(
    {},
    optional={
        "learner": st.sampled_from(["distill", "grpo"]),
        "learning_rate": st.floats(1e-9, 1, exclude_min=True),
        "steps": st.integers(0, 99),
        "divergence": st.sampled_from(["reverse_kl", "forward_kl"]),
        "teacher_args": st.dictionaries(words, values, min_size=1, max_size=3),
    },
)
"""Settings that a user may give."""


@given(given_settings)
def test_settings_survive_the_command_line(given: dict[str, Any]) -> None:
    assert read_options(as_options(given)) == given
    flagged = given | {"gradient_checkpointing": True}
    assert read_options(as_options(flagged)) == flagged
    assert read_options(as_options({"gradient_checkpointing": False})) == {}


def settings_in(cells: dict[str, tuple[dict[str, Any], Settings]]) -> dict[str, dict[str, Any]]:
    return {name: given for name, (given, _) in cells.items()}


def test_a_setting_is_left_out_of_cells_without_a_use_for_it() -> None:
    given = {"turn_budget": 30, "divergence": "jensen_shannon", "beta": 0.3, "reflector": "rules"}
    with pytest.raises(
        ConfigError, match=r"no cell has a use for --divergence and --beta and --reflector: --divergence jensen"
    ):
        read_cells(given, ["grpo", "base"], [])
    cells = read_cells(given, ["distill", "grpo", "base"], [])
    assert settings_in(cells) == {
        "distill": {"learner": "distill", **given},
        "grpo": {"learner": "grpo", "turn_budget": 30},
        "base": {"learner": "base"},
    }
    assert (cells["base"][1].steps, cells["base"][1].turn_budget) == (0, None)
    assert (cells["distill"][1].steps, cells["distill"][1].turn_budget) == (None, 30)


def test_a_cell_takes_precedence_and_its_own_settings_must_have_a_use() -> None:
    given = {"learning_rate": 1e-3, "reflector_args": {"max_new_tokens": 8}}
    cells = read_cells(
        given, [], ["a: --reflector self", "b: --learning-rate 1e-4 --learner-arg scale_rewards=false --learner grpo"]
    )
    assert settings_in(cells) == {
        "a": {"learning_rate": 1e-3, "reflector": "self", "reflector_args": {"max_new_tokens": 8}},
        "b": {"learning_rate": 1e-4, "learner": "grpo", "learner_args": {"scale_rewards": False}},
    }
    with pytest.raises(ConfigError, match=r"cell 'c': --reflector self does nothing with --learner grpo"):
        read_cells({}, [], ["c: --learner grpo --reflector self"])
    with pytest.raises(ConfigError, match=r"cell 'c': hindsight \(hero.teachers\) has no option 'size'"):
        read_cells({}, [], ["c: --teacher-arg size=3"])


def test_options_of_a_component_add_up() -> None:
    given = {"learner": "grpo", "env_args": {"level": "hard"}, "teacher_args": {"show_thoughts": False}}
    cells = read_cells(given, ["sdar"], ["a: --learner distill --teacher-arg show_thoughts=true", "b:"])
    assert settings_in(cells) == {
        "sdar": {**given, "learner": "sdar"},
        "a": {"learner": "distill", "env_args": {"level": "hard"}, "teacher_args": {"show_thoughts": True}},
        "b": {"learner": "grpo", "env_args": {"level": "hard"}},
    }


def test_a_sum_and_a_control_take_options_that_are_given_for_all_cells() -> None:
    given = {"learner_args": {"grpo.clip_high": 0.28}, "reflector_args": {"seed": 3}}
    cells = ["sum: --learner grpo+distill", "control: --reflector shuffled --reflector-arg of=rules", "plain:"]
    assert settings_in(read_cells(given, [], cells)) == {
        "sum": {"learner": "grpo+distill", "learner_args": {"grpo.clip_high": 0.28}},
        "control": {"reflector": "shuffled", "reflector_args": {"seed": 3, "of": "rules"}},
        "plain": {},
    }


rates = st.lists(st.floats(1e-9, 1, exclude_min=True), min_size=1, max_size=2, unique=True)


@given(rates, st.lists(st.sampled_from([8, 16, 24]), max_size=2, unique=True))
@settings(max_examples=10)
def test_a_sweep_makes_the_cells_that_can_be_written_by_hand(rates: list[float], sizes: list[int]) -> None:
    sweeps = ["learning-rate=" + ",".join(map(str, rates))]
    sweeps += ["--episodes = " + " , ".join(map(str, sizes))] if sizes else []
    by_hand = [
        f"{learner} {' '.join(map(str, values))}: --learner {learner} "
        + " ".join(f"--{name} {value}" for name, value in zip(("learning-rate", "episodes"), values, strict=False))
        for learner in ("distill", "grpo")
        for values in product(*filter(None, (rates, sizes)))
    ]
    given = {"steps": 3}
    assert read_cells(given, ["distill", "grpo"], [], sweeps) == read_cells(given, [], by_hand)


def test_a_cell_without_a_use_for_what_is_swept_is_there_once() -> None:
    cells = ["own: --learning-rate 3e-4", "clip: --learner grpo --learner-arg clip_high=0.3"]
    sweeps = ["learning-rate=1e-4,2e-4", "learner-arg=clip_high=0.2,0.28"]
    shared = {"learner_args": {"clip": 0.1}}
    made = settings_in(read_cells(shared, ["base", "grpo"], cells, sweeps))
    assert list(made) == [
        "base",
        *("grpo 1e-4 clip_high=0.2", "grpo 1e-4 clip_high=0.28", "grpo 2e-4 clip_high=0.2", "grpo 2e-4 clip_high=0.28"),
        "own",
        *("clip 1e-4", "clip 2e-4"),
    ]
    assert made["base"] == {"learner": "base"}
    assert made["own"] == {"learning_rate": 3e-4}
    assert made["clip 2e-4"]["learner_args"] == {"clip": 0.1, "clip_high": 0.3}
    assert made["grpo 1e-4 clip_high=0.28"] == {
        "learner": "grpo", "learning_rate": 1e-4, "learner_args": {"clip": 0.1, "clip_high": 0.28},
    }  # fmt: skip


def test_a_sweep_alone_is_of_the_learner_that_is_given() -> None:
    assert list(read_cells({}, [], [], ["weight_decay=0, 1"])) == ["distill 0", "distill 1"]
    assert settings_in(read_cells({"learner": "grpo"}, [], [], ["weight-decay=1"])) == {
        "grpo 1": {"learner": "grpo", "weight_decay": 1.0}
    }


def test_an_option_that_a_component_lacks_leaves_its_others() -> None:
    given = {"learner_args": {"clip": 0.1}}
    cells = read_cells(given, ["grpo", "gigpo", "distill+grpo"], [], ["learner-arg=discount=0.9,0.99"])
    assert {name: each.get("learner_args") for name, each in settings_in(cells).items()} == {
        "grpo": {"clip": 0.1},
        "gigpo discount=0.9": {"clip": 0.1, "discount": 0.9},
        "gigpo discount=0.99": {"clip": 0.1, "discount": 0.99},
        "distill+grpo": None,
    }
    both = ["learner-arg=clip_high=0.2,0.28", "learner-arg=grpo.clip_high=0.2"]
    assert list(read_cells({}, ["grpo", "distill+grpo"], [], both)) == [
        "grpo clip_high=0.2 grpo.clip_high=0.2",
        "grpo clip_high=0.28 grpo.clip_high=0.2",
        "distill+grpo grpo.clip_high=0.2",
    ]


def test_a_value_with_a_comma_is_quoted() -> None:
    cells = read_cells({"lora": 4}, [], [], ['lora-targets="q_proj,v_proj", all-linear'])
    assert [each["lora_targets"] for each in settings_in(cells).values()] == ["q_proj,v_proj", "all-linear"]


def test_what_trains_nothing_has_no_use_for_options_of_training() -> None:
    given = {"steps": 12, "eval_every": 3, "eval_tasks_between": 9, "lora": 4, "lora_alpha": 8.0, "episodes": 8}
    cells = settings_in(read_cells(given, ["base", "distill"], [], ["save-every=1,2"]))
    assert cells["base"] == {"learner": "base", "lora": 4}
    assert list(cells) == ["base", "distill 1", "distill 2"]
