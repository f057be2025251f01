"""Imports go one way, heavy libraries stay where they belong, and light modules stay light."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from graphlib import TopologicalSorter

import pytest

from tests.source import PACKAGES, imports, modules

CORE = {"hero", "types", "errors", "fingerprint", "registry", "chat", "policy", "processes", "runs"}
"""Blocks that almost everything may import."""

ALLOWED: dict[str, set[str]] = {
    "hero": set(),
    "types": set(),
    "errors": set(),
    "intervals": set(),
    "fingerprint": {"errors"},
    "processes": {"errors"},
    "registry": {"errors"},
    "chat": {"types", "errors", "registry"},
    "policy": {"types", "errors", "registry"},
    "runs": {"hero", "types", "errors", "registry"},
    "envs": CORE | {"deadline"},
    "envs.webshop": CORE | {"envs"},
    "envs.taubench": CORE | {"envs", "endpoint"},
    "reflect": CORE,
    "endpoint": CORE | {"reflect"},
    "models": CORE - {"runs"} | {"endpoint"},
    "models.reviewer": CORE | {"models", "reflect"},
    "distill": CORE,
    "distill.losses": set(),
    "distill.pack": CORE | {"distill"},
    "distill.state": CORE | {"models"},
    "distill.teacher_model": CORE | {"distill.state", "models"},
    "distill.scorer": CORE | {"distill", "distill.pack", "models"},
    "distill.judged": CORE | {"distill", "distill.pack"},
    "distill.batch": CORE | {"distill", "distill.judged", "distill.pack"},
    "distill.follow": CORE
    | {"distill", "distill.batch", "distill.judged", "distill.losses", "distill.pack", "distill.scorer", "models"},
    "distill.loss": CORE
    | {"distill", "distill.batch", "distill.follow", "distill.losses", "distill.pack", "distill.scorer", "models"},
    "distill.memory": CORE
    | {"distill.scorer", "distill.pack", "distill", "distill.state", "distill.teacher_model", "models"},
    "distill.token_scores": CORE
    | {"distill", "distill.batch", "distill.losses", "distill.pack", "distill.scorer", "models"},
    "distill.trainer": CORE
    | {"distill", "distill.batch", "distill.follow", "distill.losses", "distill.pack", "distill.scorer"}
    | {"distill.state", "distill.loss", "distill.teacher_model", "distill.token_scores", "models"},
    "suite": CORE | {"intervals"},
    "suite.score": CORE | {"suite", "distill.pack", "distill.scorer", "models"},
    "callback": {"types"},
    "deadline": set(),
    "traces": {"types", "errors"},
    "episode": CORE | {"envs", "deadline"},
    "rollout": CORE | {"envs", "episode"},
    "plan": CORE | {"episode", "rollout"},
    "outcomes": {"types"},
    "evaluation": {"types", "intervals", "outcomes"},
    "evaluate": CORE | {"envs", "rollout", "outcomes", "evaluation"},
    "metrics": CORE | {"intervals", "outcomes", "evaluation"},
    "alarms": {"metrics"},
    "comparison": CORE | {"intervals", "outcomes", "evaluation"},
    "quality": CORE | {"reflect", "distill"},
    "validation": CORE
    | {"envs", "rollout", "distill", "outcomes", "evaluate", "evaluation", "metrics", "callback", "plan", "alarms"},
    "testing": CORE | {"distill", "reflect"},
    "look": CORE | {"distill", "traces", "alarms"},
    "warm": CORE | {"distill", "reflect"},
    "warm.supervised": {"warm"},
    "warm.recipe": CORE | {"warm", "warm.supervised", "models"},
    "warm.demonstrations": CORE
    | {"warm", "warm.recipe", "deadline", "envs", "episode", "rollout", "distill", "reflect"},
    "train": CORE
    | {"envs", "rollout", "reflect", "distill", "models", "outcomes", "evaluate", "metrics", "callback", "plan"}
    | {"alarms", "quality", "validation"},
}
"""What each block of `hero` may import besides itself, deferred imports included; `hero_cli` may import everything.

A block is a module, or a package without those of its modules that are blocks of their own.
"""

TORCH = (
    "hero.models",
    "hero.suite.score",
    *(f"hero.warm.{name}" for name in ("supervised", "recipe", "demonstrations")),
    *(f"hero.distill.{name}" for name in ("batch", "follow", "judged", "losses", "pack", "scorer", "state", "loss")),
    *(f"hero.distill.{name}" for name in ("memory", "teacher_model", "token_scores", "trainer")),
)
HOMES = {
    "torch": (*TORCH, "hero.processes"),
    "transformers": ("hero.models", "hero.testing.templates"),
    "gymnasium": ("hero.envs", "hero.rollout"),
}
"""Modules and packages that may import a heavy library."""

MODULES = modules()


def block(module: str) -> str:
    """Returns the block that a module of `hero` belongs to; the first part of its name if it belongs to none."""
    name = module.removeprefix("hero.")
    return max((key for key in ALLOWED if below(name, (key,))), key=len, default=name.partition(".")[0])


def below(module: str, parents: tuple[str, ...]) -> bool:
    """Returns whether a module is one of the parents or inside one."""
    return any(module == parent or module.startswith(f"{parent}.") for parent in parents)


def roots(names: Iterable[str]) -> set[str]:
    """Returns the top-level packages of modules."""
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("module", [name for name in MODULES if below(name, ("hero",))])
def test_imports_go_one_way(module: str) -> None:
    home = block(module)
    assert home in ALLOWED, f"give the new block {home!r} its place in the order"
    for name in imports(MODULES[module], deferred=True):
        top = name.partition(".")[0]
        assert top not in ("hero_cli", "cli", "benchmarks", "tests"), f"{module} imports {name}, which sits above it"
        if top == "hero":
            assert block(name) in ALLOWED[home] | {home}, f"{module} may not import {name}"


def test_the_order_itself_has_no_circle() -> None:
    placed: set[str] = set()
    while left := set(ALLOWED) - placed:
        free = {name for name in left if ALLOWED[name] <= placed}
        assert free, f"{sorted(left)} import one another in a circle"
        placed |= free


def test_no_modules_import_one_another_in_a_circle() -> None:
    """Imports inside functions and for types count: a module can be understood from those alone that it imports."""
    graph = {
        module: {name for name in imports(path, deferred=True, typing=True) if name in MODULES}
        for module, path in MODULES.items()
        if below(module, ("hero",))
    }
    assert graph["hero.models.load"] > {"hero.models.tiny", "hero.models.language_model"}
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("library", HOMES)
def test_heavy_libraries_are_imported_only_where_they_belong(library: str) -> None:
    users = [module for module, path in MODULES.items() if library in roots(imports(path, deferred=True))]
    assert users
    assert [module for module in users if not below(module, HOMES[library])] == []


def test_the_losses_import_torch() -> None:
    assert "torch" in roots(imports(MODULES["hero.distill.losses"], deferred=True))


@pytest.mark.parametrize("module", [name for name, path in MODULES.items() if path.name == "__init__.py"])
def test_packages_import_at_most_the_registry_and_errors(module: str) -> None:
    loaded = {name for name in imports(MODULES[module], deferred=False) if name.startswith(tuple(PACKAGES))}
    assert loaded <= {"hero.registry", "hero.errors"}


RULES = [module for module in MODULES if re.fullmatch(r"hero\.envs\.\w+\.rules(\.\w+)?", module)]
FREE_OF_TORCH = [module for module in MODULES if not below(module, TORCH)]
FREE_OF_ALL = [
    module
    for module in FREE_OF_TORCH
    if module in ("hero.envs", "hero_cli.main", *RULES) or block(module) in CORE | {"reflect", "distill", "callback"}
]

# Loads modules one after another, up to the first that brings something heavy.
PROBE = """
import importlib, sys
heavy = sys.argv[1].split()
for module in sys.argv[2:]:
    importlib.import_module(module)
    loaded = [library for library in heavy if library in sys.modules]
    assert not loaded, f"{module} loads {loaded}"
"""


@pytest.mark.parametrize(
    ("heavy", "modules"),
    [
        # The number of threads is set between the look at a reflector's options and the import of torch.
        ("torch transformers matplotlib", [*FREE_OF_TORCH, "hero.models.reviewer"]),
        ("torch transformers matplotlib gymnasium scipy", FREE_OF_ALL),
        ("torch transformers matplotlib gymnasium scipy numpy", ["hero.reflect.rules", *RULES]),
    ],
    ids=["without torch", "light", "rules"],
)
def test_light_modules_load_nothing_heavy(heavy: str, modules: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, heavy, *modules], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_source_is_read_in_full() -> None:
    assert {"hero", "hero.types", "hero.envs.webshop.env", "hero_cli"} <= set(MODULES)
    assert "hero.types" in imports(MODULES["hero.reflect.rules"], deferred=False)
    for environment in ("webshop", "taubench"):
        assert f"hero.envs.{environment}.rules.judge" in RULES
        assert block(f"hero.envs.{environment}.env") == f"envs.{environment}"
