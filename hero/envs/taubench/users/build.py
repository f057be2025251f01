"""Builds a user by name, and imports only the packages that this user needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hero.envs.taubench.users.base import HumanUser, User
from hero.envs.validate import require_one_of, shortened
from hero.errors import ConfigError, naming_extra


def build_user(user: str | User, arguments: Mapping[str, Any] | None = None) -> User:
    """Builds a user by name, with arguments for a model; returns any other object if it is a user.

    Raises:
        ConfigError: there is no user of that name, the object is not a user, or an argument is wrong.
    """
    if not isinstance(arguments, Mapping | None):
        raise ConfigError(f"user_args={shortened(repr(arguments))} must be a mapping of names to values")
    if arguments and user != "model":
        raise ConfigError(f"user_args are for user=model; {shortened(repr(user))} takes none")
    if not isinstance(user, str):
        if not callable(getattr(user, "open", None)) or not callable(getattr(user, "reply", None)):
            raise ConfigError(f"user={user!r} is not a user: it needs open(task) and reply(message)")
        return user
    require_one_of("user", user, ("scripted", "human", "model"))
    if user == "human":
        return HumanUser()
    if user == "model":
        with naming_extra("users"):
            from hero.envs.taubench.users.model import ModelUser
        return ModelUser.of_environment(arguments)
    from hero.envs.taubench.users.scripted import ScriptedUser

    return ScriptedUser()
