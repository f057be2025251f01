"""Names to components: registered ones load, others are refused with a remedy, and nothing loads early."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any, Literal

import pytest

from hero import registry
from hero.errors import ConfigError
from hero.reflect.base import Reflector
from hero.reflect.rules import RulesReflector

GROUPS = ("hero.envs", "hero.models", "hero.reflectors", "hero.teachers", "hero.learners")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Returns a list of entry points in place of those of installed packages."""
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
    assert registry.names("hero.unknown") == []


def test_a_slip_is_met_with_the_name_that_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"hero\.reflectors has no 'ruls'; did you mean 'rules'\?"):
        registry.load("hero.reflectors", "ruls")


def test_another_name_is_met_with_all_there_are() -> None:
    with pytest.raises(ConfigError, match="has no 'xyzzy'; there are: feedback, first, local, openai, rules, self"):
        registry.load("hero.reflectors", "xyzzy")
    with pytest.raises(ConfigError, match="there are: none"):
        registry.load("hero.unknown", "xyzzy")


def test_a_name_that_two_packages_give_to_different_things_is_refused(registered: list[EntryPoint]) -> None:
    registered += [EntryPoint("x", "collections:deque", "hero.envs"), EntryPoint("x", "array:array", "hero.envs")]
    with pytest.raises(ConfigError, match=r"'x' more than once \(array:array, collections:deque\)"):
        registry.load("hero.envs", "x")


def test_the_same_component_registered_twice_is_not_a_conflict(registered: list[EntryPoint]) -> None:
    registered += [EntryPoint("x", "collections:OrderedDict", "hero.envs")] * 2
    assert registry.load("hero.envs", "x").__name__ == "OrderedDict"


def test_nothing_is_imported_before_it_is_asked_for(registered: list[EntryPoint]) -> None:
    registered.append(EntryPoint("tabs", "tabnanny:check", "hero.envs"))
    sys.modules.pop("tabnanny", None)
    assert registry.names("hero.envs") == ["tabs"]
    assert "tabnanny" not in sys.modules
    registry.load("hero.envs", "tabs")
    assert "tabnanny" in sys.modules


class Component:
    """A component with an option of every kind.

    Args:
        size: number of things, such as
            a few more.
        later: not to be evaluated.

    Raises:
        kind: this is no help.
    """

    def __init__(
        self,
        size: int,
        *,
        kind: Literal["a", "b"] = "a",
        rate: float | None = None,
        names: Sequence[str] = (),
        teacher: Mapping[str, int] | None = None,
        untyped=None,  # type: ignore[no-untyped-def]
        later: NotImported | None = None,  # noqa: F821 (for type checkers alone)
    ) -> None:
        self.given = (size, kind, rate, names, teacher, untyped, later)


def anything(**options: object) -> dict[str, object]:
    return options


@pytest.fixture
def components(registered: list[EntryPoint]) -> None:
    registered += [EntryPoint(name, f"tests.test_registry:{name}", "hero.things") for name in ("Component", "anything")]


@pytest.mark.usefixtures("components")
@pytest.mark.parametrize(
    "options",
    [
        {"size": 3},
        {"size": 3, "kind": "b", "rate": 1, "names": ["x"], "teacher": {"a": 1}, "untyped": object(), "later": 3},
        {"size": 3, "rate": None, "teacher": None},
    ],
)
def test_a_component_is_built_with_its_options(options: dict[str, Any]) -> None:
    assert registry.build("hero.things", "Component", **options).given == Component(**options).given
    assert registry.build("hero.things", "anything", **options) == options


@pytest.mark.usefixtures("components")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"size": 3, "kid": "b"},
            "has no option 'kid'; did you mean 'kind'? it takes:\n  size: int  (number of things, such as a few more)\n"
            "  kind: Literal['a', 'b'] = 'a'\n  rate: float | None = None\n  names: Sequence[str] = ()",
        ),
        ({"size": 3, "zzz": 1}, "Component (hero.things) has no option 'zzz'; it takes:\n  size: int"),
        ({}, "Component (hero.things) needs the option 'size'; it takes:\n  size: int"),
        ({"size": "3"}, "Component (hero.things): size = '3' is not possible; give a value of type int"),
        ({"size": 3, "kind": "c"}, "kind = 'c' is not possible; give a value of type Literal['a', 'b']"),
        ({"size": 3, "rate": "fast"}, "rate = 'fast' is not possible; give a value of type float | None"),
        ({"size": 3, "names": [1]}, "names = [1] is not possible; give a value of type"),
        ({"size": 3, "teacher": {"a": "b"}}, "teacher = {'a': 'b'} is not possible"),
        ({"size": "x" * 500}, f"size = {'x' * 500!r:.80} is not possible"),
    ],
)
def test_options_are_checked_against_the_signature(options: dict[str, Any], message: str) -> None:
    for call in (
        lambda: registry.build("hero.things", "Component", **options),
        lambda: registry.check("hero.things", "Component", options),
    ):
        with pytest.raises(ConfigError, match=re.escape(message)):
            call()


@pytest.mark.usefixtures("components")
@pytest.mark.parametrize("options", [{"size": True}, {"size": 3, "rate": False}])
def test_a_bool_is_not_a_number(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"= (True|False) is not possible; give a value of type"):
        registry.build("hero.things", "Component", **options)


@pytest.mark.parametrize("value", ["tests.test_registry:GROUPS", "tests.test_registry:unnamed"])
def test_what_cannot_be_built_by_name_is_refused(registered: list[EntryPoint], value: str) -> None:
    registered.append(EntryPoint("odd", value, "hero.things"))
    with pytest.raises(ConfigError, match=r"odd \(hero\.things\) is .*, not a class or function with a signature"):
        registry.build("hero.things", "odd", size=3)


def unnamed(size: int, /) -> int:
    return size


def misspelt(size: "int|" = 3) -> int:  # type: ignore[valid-type]  # noqa: F722
    return size


def test_an_annotation_that_cannot_be_read_is_not_compared(registered: list[EntryPoint]) -> None:
    registered.append(EntryPoint("misspelt", "tests.test_registry:misspelt", "hero.things"))
    assert registry.build("hero.things", "misspelt", size="x") == "x"


@pytest.mark.usefixtures("components")
def test_self_is_not_an_option() -> None:
    with pytest.raises(ConfigError, match="has no option 'self'"):
        registry.build("hero.things", "anything", self=1)


@pytest.mark.usefixtures("components")
def test_options_that_are_given_later_are_neither_missing_nor_offered() -> None:
    registry.check("hero.things", "Component", {"kind": "b"}, later=["size"])
    with pytest.raises(ConfigError, match=r"size of Component \(hero\.things\) is given by the run; it is not an"):
        registry.check("hero.things", "Component", {"size": 3}, later=["size"])
    with pytest.raises(ConfigError, match=r"has no option 'zzz'; it takes:\n  kind: Literal"):
        registry.check("hero.things", "Component", {"zzz": 1}, later=["size"])


def test_a_component_that_cannot_be_imported_is_named_with_its_package(
    registered: list[EntryPoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered += [EntryPoint("gone", "no_such_package:x", "hero.envs"), EntryPoint("bare", "json:x", "hero.envs")]
    (tmp_path / "faulty_module.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    registered.append(EntryPoint("faulty", "faulty_module:x", "hero.envs"))
    for name in ("gone", "bare", "faulty"):
        with pytest.raises(ConfigError, match=rf"hero\.envs '{name}' cannot be imported from .*: "):
            registry.load("hero.envs", name)


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group in GROUPS for name in registry.names(group) if name not in {"hf", "gym"}],
)  # those two hand on what they are given
def test_every_component_of_ours_refuses_an_option_that_it_does_not_have(group: str, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} \({group}\) has no option 'colour'; it takes"):
        registry.build(group, name, colour="red")


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group in GROUPS for name in registry.names(group) if group != "hero.models"],
)  # a model has no options on the command line
def test_every_option_of_our_components_is_listed_with_help(group: str, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.require_option(group, name, "self", later=["split", "teacher", "student"])
    for line in str(caught.value).split("it takes:")[-1].splitlines()[1:]:
        assert re.search(r"  \(.+\)$", line), line
