"""Environments. `make` builds one by name without importing the others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from hero import registry
from hero.errors import ConfigError

if TYPE_CHECKING:
    from hero.envs.base import TextEnv


def make(name: str, **options: Any) -> TextEnv:
    """Builds a registered environment.

    Args:
        name: an entry point of the group `hero.envs`, such as `webshop`.
        **options: keyword arguments of the environment's constructor.

    Raises:
        ConfigError: nobody registered the name, the environment refuses an option, or it is not a text environment.
    """
    from hero.envs.base import text_env

    return text_env(registry.build("hero.envs", name, **options))


def register() -> None:
    """Registers all installed environments that bring a `gymnasium_id`, so that `gymnasium.make` knows them.

    gymnasium loads no plugins by itself: call this first. A package that cannot be imported is a warning in the log
    `hero`.
    """
    import gymnasium

    for name in registry.names("hero.envs"):
        try:
            gymnasium_id = getattr(registry.load("hero.envs", name), "gymnasium_id", "")
        except ConfigError as error:
            logging.getLogger("hero").warning("%s", error)
            continue
        if gymnasium_id and gymnasium_id not in gymnasium.registry:
            gymnasium.register(id=gymnasium_id, entry_point=registry.target("hero.envs", name).value)
