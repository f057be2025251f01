"""Imports go one way, heavy libraries stay where they belong, and light modules stay light."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest

from tests.source import PACKAGES, imports, modules

LIGHT = {"types", "errors", "fingerprint", "registry", "chat", "policy", "streams", "runs"}
"""The core that everything may import."""

ALLOWED: dict[str, set[str]] = {
    "hero": set(),
    "types": set(),
    "errors": set(),
    "fingerprint": {"errors"},
    "registry": {"errors"},
    "streams": set(),
    "chat": {"types", "errors"},
    "policy": {"types", "errors"},
    "runs": {"types", "errors"},
    "envs": LIGHT,
    "rollout": LIGHT | {"envs"},
    "reflect": LIGHT,
    "models": LIGHT,
    "distill": LIGHT | {"models"},
    "callback": {"types"},
    "plan": LIGHT | {"rollout"},
    "intervals": set(),
    "evaluate": LIGHT | {"envs", "rollout", "intervals"},
    "metrics": LIGHT | {"evaluate"},
    "train": LIGHT | {"envs", "rollout", "reflect", "distill", "models", "evaluate", "metrics", "callback", "plan"},
}
"""What each block of `hero` may import, deferred imports included; `hero_cli` may import everything."""

HEAVY = {
    "torch": tuple(f"hero.distill.{name}" for name in ("losses", "pack", "scorer", "state", "loss", "trainer")),
    "transformers": ("hero.distill.scorer", "hero.models.prefix_cache"),
    "gymnasium": ("hero.envs", "hero.rollout"),
}
"""Which modules may import a heavy library together with themselves, besides the models of `hero.models`."""
MODELS = "hero.models"

MODULES = modules()


def block(module: str) -> str:
    """The block that a module of `hero` belongs to: the first part of its name below `hero`."""
    return ".".join(module.split(".")[1:2]) or module


def below(module: str, parents: tuple[str, ...]) -> bool:
    return any(module == parent or module.startswith(f"{parent}.") for parent in parents)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    if module.startswith("hero_cli"):
        return
    home = block(module)
    assert home in ALLOWED, f"give the new block {home!r} its place in the order"
    for name in imports(MODULES[module], deferred=True):
        top = name.partition(".")[0]
        assert top not in ("hero_cli", "cli", "benchmarks", "tests"), f"{module} imports {name}, which sits above it"
        if top == "hero":
            assert block(name) in ALLOWED[home] | {home, "hero"}, f"{module} may not import {name}"


def test_the_order_itself_has_no_circle() -> None:
    placed: set[str] = set()
    while left := set(ALLOWED) - placed:
        free = {name for name in left if ALLOWED[name] <= placed}
        assert free, f"{sorted(left)} import one another in a circle"
        placed |= free


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_are_imported_only_where_they_belong(library: str) -> None:
    for module, path in MODULES.items():
        used = {name.partition(".")[0] for name in imports(path, deferred=False)}
        if library in used:
            homes = HEAVY[library] + ((MODELS,) if library != "gymnasium" else ())
            assert below(module, homes), f"{module} may not import {library}"


def test_the_losses_import_torch_and_nothing_of_hero() -> None:
    used = set(imports(MODULES["hero.distill.losses"], deferred=True))
    assert "torch" in used
    assert not {name for name in used if name.partition(".")[0] == "hero"}


@pytest.mark.parametrize("module", [name for name, path in MODULES.items() if path.name == "__init__.py"])
def test_packages_load_nothing(module: str) -> None:
    loaded = {name for name in imports(MODULES[module], deferred=False) if name.startswith(tuple(PACKAGES))}
    assert loaded <= {"hero.registry", "hero.errors"}


# Loaded one after another in one fresh interpreter per list, which stops at the first that brings something heavy.
FREE_OF_ALL = [
    "hero",
    "hero.types",
    "hero.errors",
    "hero.fingerprint",
    "hero.registry",
    "hero.chat.base",
    "hero.policy",
    "hero.runs.writer",
    "hero.callback",
    "hero.reflect.base",
    "hero.reflect.feedback",
    "hero.reflect.rules",
    "hero.reflect.model",
    "hero.distill.base",
    "hero.distill.teacher",
    "hero.distill.learners",
    "hero.envs",
    "hero.models",
    "hero_cli.main",
]
FREE_OF_TORCH = ["hero.envs.base", "hero.envs.contract", "hero.envs.webshop.env", "hero.rollout", "hero.evaluate"]

PROBE = """
import importlib, sys
heavy = sys.argv[1].split(",")
for module in sys.argv[2:]:
    importlib.import_module(module)
    loaded = [library for library in heavy if library in sys.modules]
    assert not loaded, f"{module} loads {loaded}"
"""


@pytest.mark.parametrize(
    ("heavy", "light"),
    [("torch,transformers,gymnasium,scipy,matplotlib", FREE_OF_ALL), ("torch,transformers,matplotlib", FREE_OF_TORCH)],
    ids=["free of all", "free of torch"],
)
def test_light_modules_load_nothing_heavy(heavy: str, light: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, heavy, *light], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_rules_load_alone() -> None:
    probe = "import sys, hero.reflect.rules; print({'torch', 'gymnasium', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_source_is_read_in_full() -> None:
    assert {"hero", "hero.types", "hero.envs.webshop.env", "hero_cli"} <= set(MODULES)
    assert all(path.is_file() for path in MODULES.values())
    assert "hero.types" in imports(MODULES["hero.reflect.rules"], deferred=False)
    assert all(first != second for first, second in pairwise(MODULES))
