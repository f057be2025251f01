"""Environments. `make` builds one by name without importing the others."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hero import registry
from hero.errors import ConfigError

if TYPE_CHECKING:
    from hero.envs.base import TextEnv


def make(name: str, /, **options: Any) -> TextEnv:
    """Builds a registered environment.

    Args:
        name: an entry point of the group `hero.envs`, such as `webshop`, or any other name that `resolve` takes.
        **options: keyword arguments of the environment's constructor.

    Raises:
        ConfigError: nobody registered the name, the environment refuses an option, or it is not a text environment.
    """
    from hero.envs.base import text_env

    component, options = resolve(name, options)
    return text_env(registry.build("hero.envs", component, **options))


def resolve(name: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the component that a name stands for, and the options with those that the name implies.

        webshop               webshop
        gym:CliffWalking-v1   gym, with the option id: the environment of gymnasium that has this id
        module:Class          itself; for an environment of gymnasium that is no `TextEnv`, gym with the option id

    Raises:
        ConfigError: a module cannot be imported, or an option is given that the name implies.
    """
    component, implied = _resolve(name)
    if implied and "id" in options:
        raise ConfigError(f"id={options['id']!r} contradicts the name {name}, which says what to build; leave it out")
    return component, {**implied, **options}


def _resolve(name: str) -> tuple[str, dict[str, str]]:
    registered = registry.names("hero.envs")
    first, _, rest = name.partition(":")
    if name not in registered and first in registered and rest:
        return first, {"id": rest}
    if name not in registered and registry.is_path(name):
        import gymnasium

        from hero.envs.base import TextEnv

        component = registry.load("hero.envs", name)
        if isinstance(component, type) and issubclass(component, gymnasium.Env) and not issubclass(component, TextEnv):
            return "gym", {"id": name}
    return name, {}


def register() -> None:
    """Registers all installed environments that bring a `gymnasium_id`, so that `gymnasium.make` knows them.

    gymnasium loads no plugins by itself: call this first. A package that cannot be imported, and an id that is taken or
    malformed, is a warning in the log `hero`. Environments of this package come first.
    """
    import gymnasium

    log = logging.getLogger("hero")
    ours_first = sorted(registry.names("hero.envs"), key=lambda name: not _is_ours(name))
    for name in ours_first:
        try:
            gymnasium_id = getattr(registry.load("hero.envs", name), "gymnasium_id", "")
        except ConfigError as error:
            log.warning("%s", error)
            continue
        target = registry.target("hero.envs", name).value
        taken = gymnasium.registry.get(gymnasium_id) if isinstance(gymnasium_id, str) else None
        if not gymnasium_id or (taken and taken.entry_point == target):
            continue
        if taken:
            log.warning(
                "%s (hero.envs) cannot have the id %s, which is that of %s", name, gymnasium_id, taken.entry_point
            )
            continue
        try:
            gymnasium.register(id=gymnasium_id, entry_point=target)
        except Exception as error:  # an id that gymnasium cannot read
            log.warning("%s (hero.envs) cannot be registered as %r: %s", name, gymnasium_id, error)


def _is_ours(name: str) -> bool:
    try:
        return registry.target("hero.envs", name).value.startswith("hero.")
    except ConfigError:  # two packages have the name
        return False
