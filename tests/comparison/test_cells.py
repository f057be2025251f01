"""Runs that exist are grouped by method, and named after what differs."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.comparison.cells import group_by_method, method_names
from hero.comparison.runs import RunRecord
from hero.errors import RunError
from tests.comparison.made import record

settings = st.fixed_dictionaries(
    {
        "learner": st.sampled_from(["distill", "grpo"]),
        "weight_decay": st.sampled_from([0.0, 0.2]),
        "teacher_args": st.dictionaries(
            st.sampled_from(["advice", "size"]), st.sampled_from([True, None, 3, "3", "true"])
        ),
    }
)
"""Settings of a few methods."""


@given(st.lists(settings, min_size=1, max_size=5), st.integers(1, 3), st.randoms(use_true_random=False))
def test_a_cell_has_all_seeds_of_a_method(methods: list[dict[str, Any]], seeds: int, drawn: random.Random) -> None:
    different = [method for index, method in enumerate(methods) if method not in methods[:index]]
    runs = [
        record(path=f"run{index}{seed}", seed=seed, threads=seed + 1, kv_cache_gib=8 / (seed + 1), **method)
        for index, method in enumerate(different)
        for seed in range(seeds)
    ]
    drawn.shuffle(runs)
    cells = group_by_method(runs)
    assert [cell.runs[0].path.name[:4] for cell in cells] == list(dict.fromkeys(run.path.name[:4] for run in runs))
    for cell in cells:
        assert len({run.path.name[:4] for run in cell.runs}) == 1
        assert [run.seed for run in cell.runs] == list(range(seeds))
    assert len({cell.name for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("methods", "names"),
    [
        ([{"learner": "grpo", "group_size": 8}], ["grpo"]),
        ([{"learner": "grpo", "group_size": 8}, {"learner": "base", "group_size": 1}], ["grpo", "base"]),
        (
            [{"learner": "distill", "teacher_args": {"advice": False}}, {"learner": "distill", "teacher_args": {}}],
            ["distill teacher_args.advice=false", "distill"],
        ),
        (
            [{"learner": "distill", "teacher_args": {"advice": value}} for value in (True, "true", "yes")],
            [
                "distill teacher_args.advice=true",
                'distill teacher_args.advice="true"',
                "distill teacher_args.advice=yes",
            ],
        ),
        (
            [
                {"learner": "distill", "learning_rate": 1e-4, "seed": 0},
                {"learner": "distill", "learning_rate": 2e-4, "seed": 1},
                {"learner": "grpo", "learning_rate": 3e-4, "seed": 2},
            ],
            ["distill learning_rate=0.0001", "distill learning_rate=0.0002", "grpo"],
        ),
    ],
)
def test_names_say_what_differs(methods: list[dict[str, Any]], names: list[str]) -> None:
    assert method_names(methods) == names


def test_two_runs_of_one_seed_are_refused() -> None:
    with pytest.raises(RunError, match="run and again are runs of distill with the same seed 1; name one of them"):
        group_by_method([record(seed=1), record(path="again", seed=1), record(seed=2)])


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/hot-seed0", "x/hot-seed1", "y/mild-seed0"], ["hot", "mild"]),
        (["a/hot-seed0", "a/hot-seed1", "b/hot-seed0"], ["distill clip=1", "distill clip=2"]),
        (["hot-seed0", "mild-seed1", "mild-seed0"], ["distill clip=1", "distill clip=2"]),
        (["hot-seed0", "hot-seed1-2", "mild-seed0"], ["distill clip=1", "distill clip=2"]),
        (["hot-seed0", "hot-seed1", "-seed0"], ["distill clip=1", "distill clip=2"]),
    ],
)
def test_directories_name_cells_where_they_agree(paths: list[str], names: list[str]) -> None:
    runs = [
        record(path=path, seed=seed, clip=clip)
        for path, (seed, clip) in zip(paths, [(0, 1), (1, 1), (0, 2)], strict=True)
    ]
    assert [cell.name for cell in group_by_method(runs)] == names


def test_runs_that_have_gone_on_stay_in_the_cell_of_their_name() -> None:
    def run(path: str, seed: int, **limits: int) -> RunRecord:
        return record(path=path, seed=seed, **limits)

    (cell,) = group_by_method([run("c/hot-seed0", 0, turn_budget=6), run("c/hot-seed1", 1, turn_budget=3)])
    assert (cell.name, [each.seed for each in cell.runs]) == ("hot", [0, 1])
    for other in (
        run("c/mild-seed1", 1, turn_budget=3),  # another name
        run("c/hot-seed0", 0, turn_budget=3),  # of the same seed
        run("c/hot-seed1", 1, turn_budget=3, clip=2),  # another method besides
        run("c/1", 1, turn_budget=3),  # no name
        run("d/hot-seed1", 1, turn_budget=3),  # elsewhere
    ):
        assert len(group_by_method([run("c/hot-seed0", 0, turn_budget=6), other])) == 2


def test_equal_settings_by_two_names_are_two_cells_if_they_share_a_seed() -> None:
    def names(*paths: str) -> list[str]:
        return [cell.name for cell in group_by_method([record(path=path, seed=int(path[-1])) for path in paths])]

    assert names("c/a-seed0", "c/a-seed1", "c/b-seed0") == ["a", "b"]
    assert names("c/a-seed0", "c/b-seed1") == ["distill"]
    other = record(path="d/a-seed0", learner="grpo")
    with pytest.raises(RunError, match="with the same seed 0; name one of them"):  # since a names two methods
        group_by_method([record(path="c/a-seed0"), record(path="c/b-seed0"), other])
