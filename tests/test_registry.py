"""Names to components: what is registered loads, what is not is met with a remedy, and nothing loads early."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from hero import registry
from hero.errors import ConfigError
from hero.reflect.base import Reflector
from hero.reflect.rules import RulesReflector

GROUPS = ("hero.envs", "hero.models", "hero.reflectors", "hero.learners")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points that stand in for those of installed packages."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(registry, "entry_points", lambda **wanted: EntryPoints(points).select(**wanted))
    return points


def test_reflectors_load_by_name() -> None:
    assert registry.load("hero.reflectors", "rules") is RulesReflector
    for name in ("rules", "feedback"):
        assert isinstance(registry.load("hero.reflectors", name)(), Reflector)


@pytest.mark.parametrize("group", GROUPS)
def test_every_name_loads_to_something_that_can_be_called(group: str) -> None:
    assert registry.names(group)
    for name in registry.names(group):
        assert callable(registry.load(group, name))


def test_names_are_sorted_and_empty_for_an_unknown_group() -> None:
    assert registry.names("hero.reflectors") == sorted(set(registry.names("hero.reflectors")))
    assert registry.names("hero.nothing") == []


def test_a_slip_is_met_with_the_name_that_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"hero\.reflectors has no 'ruls'; did you mean 'rules'\?"):
        registry.load("hero.reflectors", "ruls")


def test_another_name_is_met_with_all_there_are() -> None:
    with pytest.raises(ConfigError, match="has no 'xyzzy'; there are: feedback, rules, self"):
        registry.load("hero.reflectors", "xyzzy")
    with pytest.raises(ConfigError, match="there are: none"):
        registry.load("hero.nothing", "xyzzy")


def test_a_name_that_two_packages_give_to_different_things_is_refused(registered: list[EntryPoint]) -> None:
    registered += [EntryPoint("x", "collections:deque", "hero.envs"), EntryPoint("x", "array:array", "hero.envs")]
    with pytest.raises(ConfigError, match=r"'x' more than once \(array:array, collections:deque\)"):
        registry.load("hero.envs", "x")


def test_the_same_thing_registered_twice_is_no_conflict(registered: list[EntryPoint]) -> None:
    registered += [EntryPoint("x", "collections:OrderedDict", "hero.envs")] * 2
    assert registry.load("hero.envs", "x").__name__ == "OrderedDict"


def test_nothing_is_imported_before_it_is_asked_for(registered: list[EntryPoint]) -> None:
    registered.append(EntryPoint("tabs", "tabnanny:check", "hero.envs"))
    sys.modules.pop("tabnanny", None)
    assert registry.names("hero.envs") == ["tabs"]
    assert "tabnanny" not in sys.modules
    registry.load("hero.envs", "tabs")
    assert "tabnanny" in sys.modules
