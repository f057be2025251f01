"""Names to components, through entry points, so that any installed package can add one.

The groups `hero.envs`, `hero.models`, `hero.reflectors`, `hero.teachers` and `hero.learners` hold classes or functions;
their keyword parameters are the component's options. `hero.rules` holds rules of environments and `hero.data` commands
that get data ready. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from types import SimpleNamespace
from typing import Any, Final

from hero.errors import ConfigError, HeroError

PATH: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")
"""A component by its place, `module:Class`, which no package has to register."""
PLAIN: Final = (str, int, float, list, dict, type(None))
"""Types of values that a command line or a file can hold."""


def names(group: str) -> list[str]:
    """Returns the names that are registered in a group, sorted; empty for an unknown group."""
    return sorted({entry.name for entry in entry_points(group=group)})


def entries(group: str) -> list[EntryPoint]:
    """Returns the entry points of a group in the order of their names, without importing anything."""
    return sorted(set(entry_points(group=group)), key=lambda entry: (entry.name, entry.value))


def package_of(entry: EntryPoint) -> str:
    """Returns the name of the package that an entry point comes from; "" for one that no package registers."""
    return entry.dist.name if entry.dist else ""


def is_path(name: str) -> bool:
    """Returns whether a name says where a component is, as `module:Class`."""
    return PATH.fullmatch(name) is not None


def is_known(group: str, name: str) -> bool:
    """Returns whether a name is registered in a group, or says where its component is."""
    return name in names(group) or is_path(name)


def target(group: str, name: str) -> EntryPoint:
    """Returns the entry point that a name stands for, without importing anything; `module:Class` stands for itself.

    Raises:
        ConfigError: nobody registered the name, or two packages did.
    """
    found: set[EntryPoint] = set(entry_points(group=group, name=name))
    if not found and is_path(name):
        return EntryPoint(name, name, group)
    if not found:
        close = get_close_matches(name, names(group), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names(group)) or 'none'}"
        raise ConfigError(f"{group} has no {name!r}; {hint}")
    if len({entry.value for entry in found}) > 1:
        owners = ", ".join(sorted(entry.value for entry in found))
        raise ConfigError(f"{group} has {name!r} more than once ({owners}); uninstall one of the packages")
    return found.pop()


def load(group: str, name: str) -> Any:
    """Imports the component that a name stands for.

    Raises:
        ConfigError: as for `target`, or the component cannot be imported.
    """
    entry = target(group, name)
    try:
        return entry.load()
    except Exception as error:  # foreign code runs when its module is imported
        package = f" of the package {package_of(entry)}" if entry.dist else ""
        reason = f"{error} ({type(error).__name__})"
        if isinstance(error, ModuleNotFoundError) and error.name:
            is_here = f"{entry.module}.".startswith(f"{error.name}.") and not entry.dist
            close = get_close_matches(entry.module, names(group), n=1)
            if is_here and close and group in {"hero.envs", "hero.reflectors"}:  # which take NAME:ARGUMENT
                reason += f"; did you mean {close[0]}:{entry.attr}?"
            else:
                reason += "; start hero where that module is, or install it" if is_here else f"; install {error.name}"
        place = "" if entry.value == name else f" from {entry.value}"
        raise ConfigError(f"{group} {name!r}{package} cannot be imported{place}: {reason}") from error


def build(group: str, name: str, /, **options: Any) -> Any:
    """Builds a component with options that are checked against its signature.

    Raises:
        ConfigError: as for `load` and `check`, or the component refuses a value.
    """
    component = check(group, name, options)
    try:
        return component(**options)
    except (HeroError, KeyboardInterrupt):
        raise
    except Exception as error:  # foreign code
        raise ConfigError(f"{name} ({group}) cannot be built: {error} ({type(error).__name__})") from error


def check(group: str, name: str, options: Mapping[str, Any], later: Collection[str] = ()) -> Any:
    """Checks options against the signature of a component and returns the component, without building it.

    Types are compared for plain values, as a command line or a file holds them. An annotation that cannot be evaluated
    at run time (one that is imported for type checkers only) is not compared.

    Args:
        later: parameters that `build` will be given besides; they are not options.

    Raises:
        ConfigError: an option is unknown, missing or of another type; the message names it and what there is.
    """
    component, declared = _declared(group, name)
    for option, value in options.items():
        _require_option(group, name, declared, option, later)
        if option in declared:
            _require_type(f"{name} ({group})", component, declared[option], value)
    for option, parameter in declared.items():
        required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if required and option not in options and option not in later:
            listed = _list_of(component, declared, later)
            raise ConfigError(f"{name} ({group}) needs the option {option!r}; {listed}")
    return component


def require_option(group: str, name: str, option: str, later: Collection[str] = ()) -> None:
    """Checks that a component has an option, whatever its value.

    Args:
        later: as for `check`.

    Raises:
        ConfigError: it has not; the message says what there is.
    """
    _require_option(group, name, _declared(group, name)[1], option, later)


def parameters(component: Any) -> dict[str, inspect.Parameter]:
    """Returns the parameters of a component that can be given by name, in the order of its signature.

    Raises:
        TypeError, ValueError: it is not callable, has no signature, or cannot be called with named arguments alone.
    """
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    signature = inspect.signature(component)
    if any(each.kind is each.POSITIONAL_ONLY and each.default is each.empty for each in signature.parameters.values()):
        raise TypeError(f"{signature} needs an argument that has no name")
    return {name: each for name, each in signature.parameters.items() if each.kind in by_name}


def _declared(group: str, name: str) -> tuple[Any, dict[str, inspect.Parameter]]:
    """Returns a component and its parameters."""
    component = load(group, name)
    try:
        return component, parameters(component)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} ({group}) is {component!r:.80}, not a class or function with a signature") from None


def _require_option(
    group: str, name: str, declared: Mapping[str, inspect.Parameter], option: str, later: Collection[str]
) -> None:
    if option in later:
        raise ConfigError(f"{option} of {name} ({group}) is given by the run; it is not an option: leave it out")
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in declared.values())
    if option not in declared and (not takes_any or option == "self"):
        close = get_close_matches(option, declared, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(
            f"{name} ({group}) has no option {option!r}; {hint}{_list_of(load(group, name), declared, later)}"
        )


def _list_of(component: Any, declared: Mapping[str, inspect.Parameter], later: Collection[str]) -> str:
    """Lists the options of a component, one per line: name, type, default, and help from its docstring."""
    helps, lines = _helps(component), []
    for name, each in declared.items():
        if name not in later:
            expected = _type_of(component, each)
            kind = "" if expected is each.empty else f": {_described(expected)}"
            default = "" if each.default is each.empty else f" = {each.default!r}"
            stars = "**" if each.kind is each.VAR_KEYWORD else ""
            lines.append(f"\n  {stars}{name}{kind}{default}" + (f"  ({helps[name]})" if name in helps else ""))
    return f"it takes:{''.join(lines)}" if lines else "it takes no options"


def _helps(component: Any) -> dict[str, str]:
    """Returns the help of each option, from the sections `Args:` of docstrings (Google style).

    Those of a class are its own and that of its constructor; base classes come first.
    """
    helps: dict[str, str] = {}
    documented = [component]
    if inspect.isclass(component):
        classes = reversed(inspect.getmro(component))
        documented = [each for owner in classes for each in (owner, vars(owner).get("__init__"))]
    for each in documented:
        _, _, section = inspect.cleandoc(getattr(each, "__doc__", None) or "").partition("\nArgs:\n")
        section, *_ = re.split(r"\n(?=\S)", section)
        for name, text in re.findall(r"^ {4}\*{0,2}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE):
            helps[name] = " ".join(text.split()).rstrip(".")
    return helps


def _type_of(component: Any, parameter: inspect.Parameter) -> Any:
    """Returns the type that a parameter is annotated with; `Parameter.empty` where that cannot be evaluated."""
    if parameter.annotation is parameter.empty:
        return parameter.empty
    function = component.__init__ if inspect.isclass(component) else component
    try:
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        annotated = SimpleNamespace(__annotations__={"value": parameter.annotation})
        return typing.get_type_hints(annotated, scope)["value"]
    except Exception:  # whatever an annotation does that only type checkers read
        return parameter.empty


def _described(expected: Any) -> str:
    return inspect.formatannotation(expected).replace("typing.", "").replace("collections.abc.", "")


def _require_type(owner: str, component: Any, parameter: inspect.Parameter, value: Any) -> None:
    expected = _type_of(component, parameter)
    if expected is parameter.empty or not isinstance(value, PLAIN):
        return
    from typeguard import TypeCheckError, check_type

    leaves = typing.get_args(expected) or (expected,)
    number_alone = not {bool, object, Any}.intersection(leaves) and {int, float}.intersection(leaves)
    try:
        if isinstance(value, bool) and number_alone:
            raise TypeCheckError("a bool is not a number here")
        check_type(value, expected)
    except TypeCheckError:
        raise ConfigError(
            f"{owner}: {parameter.name} = {value!r:.80} is not possible; give a value of type {_described(expected)}"
        ) from None
