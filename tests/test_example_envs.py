"""Environments of other packages, as the examples adapt them: each keeps the contract, and its script plays it well.

They run where the packages are installed: `make test-examples`.
"""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

import pytest

from hero.envs.contract import Point, contract
from tests.source import ROOT

ADAPTERS = {
    "textarena": ("examples.envs.textarena_env", "TextArenaEnv", {}, "cross_lake"),
    "gem": ("examples.envs.gem_env", "GemEnv", {}, "move_tower"),
    "reasoning_gym": (
        "examples.envs.reasoning_gym_env",
        "ReasoningGymEnv",
        {"puzzle": "chain_sum", "options": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}},
        "add",
    ),
}
POINTS = [point.name for point in contract(lambda messages: "")]


def adapter(package: str) -> tuple[Any, Any]:
    """Returns what builds the environment of a package, and its script."""
    pytest.importorskip(package, reason=f"{package} is not installed; make test-examples installs it")
    module, name, options, script = ADAPTERS[package]
    build = getattr(importlib.import_module(module), name)
    return partial(build, **options), getattr(importlib.import_module("examples.envs.scripts"), script)


@pytest.mark.parametrize("package", ADAPTERS)
@pytest.mark.parametrize("name", POINTS)
@pytest.mark.filterwarnings("default")  # theirs
def test_other_packages_keep_the_contract(package: str, name: str) -> None:
    make, script = adapter(package)
    point: Point = next(point for point in contract(script) if point.name == name)
    point.check(make)


@pytest.mark.parametrize("package", ADAPTERS)
def test_an_adapter_is_at_most_60_lines(package: str) -> None:
    path = ROOT / (ADAPTERS[package][0].replace(".", "/") + ".py")
    assert len(path.read_text("utf-8").splitlines()) <= 60
