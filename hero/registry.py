"""Names to components, through entry points, so that a package of anybody's can add one.

Groups: `hero.envs`, `hero.models`, `hero.reflectors`, `hero.rules`, `hero.learners`. Nothing is imported before it is
asked for.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from hero.errors import ConfigError


def names(group: str) -> list[str]:
    """The names that are registered in a group, sorted; empty for an unknown group."""
    return sorted({entry.name for entry in entry_points(group=group)})


def load(group: str, name: str) -> Any:
    """The component that `name` stands for in `group`.

    Raises:
        ConfigError: nobody registered the name, or two packages did.
    """
    found: set[EntryPoint] = set(entry_points(group=group, name=name))
    if not found:
        close = get_close_matches(name, names(group), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names(group)) or 'none'}"
        raise ConfigError(f"{group} has no {name!r}; {hint}")
    if len({entry.value for entry in found}) > 1:
        owners = ", ".join(sorted(entry.value for entry in found))
        raise ConfigError(f"{group} has {name!r} more than once ({owners}); uninstall one of the packages")
    return found.pop().load()
