"""Environments. `make` builds one by name without importing the others."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from hero import registry
from hero.errors import ConfigError

if TYPE_CHECKING:
    from hero.envs.base import TextEnv


def make(name: str, **kwargs: Any) -> TextEnv:
    """Builds a registered environment.

    Args:
        name: an entry point of the group `hero.envs`, such as `webshop`.
        **kwargs: go to the environment's constructor.

    Raises:
        ConfigError: nobody registered the name, the environment does not take an argument, or is not one of text.
    """
    build = registry.load("hero.envs", name)
    try:
        signature(build).bind(**kwargs)
    except TypeError as error:
        takes = ", ".join(signature(build).parameters)
        raise ConfigError(f"environment {name!r}: {error}; it takes: {takes}") from error
    from hero.envs.base import text_env

    return text_env(build(**kwargs))


def register() -> None:
    """Registers our environments with gymnasium, which loads no plugins: call it before `gymnasium.make`."""
    import gymnasium

    if "hero/WebShop-v0" not in gymnasium.registry:
        gymnasium.register(id="hero/WebShop-v0", entry_point="hero.envs.webshop.env:WebShopEnv")
    if "hero/TauBench-v0" not in gymnasium.registry:
        gymnasium.register(id="hero/TauBench-v0", entry_point="hero.envs.taubench.env:TauBenchEnv")
