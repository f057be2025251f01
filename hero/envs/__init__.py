"""Environments. `make` builds one by name without importing the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hero import registry

if TYPE_CHECKING:
    from hero.envs.base import TextEnv


def make(name: str, **kwargs: Any) -> TextEnv:
    """Builds a registered environment.

    Args:
        name: an entry point of the group `hero.envs`, such as `webshop`.
        **kwargs: go to the environment's constructor.

    Raises:
        ConfigError: nobody registered the name, or the environment does not take an argument.
    """
    env: TextEnv = registry.load("hero.envs", name)(**kwargs)
    return env


def register() -> None:
    """Registers our environments with gymnasium, which loads no plugins: call it before `gymnasium.make`."""
    import gymnasium

    if "hero/WebShop-v0" not in gymnasium.registry:
        gymnasium.register(id="hero/WebShop-v0", entry_point="hero.envs.webshop.env:WebShopEnv")
