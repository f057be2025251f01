"""`hero.envs.make` and `register`: environments by name, and by the ids that they bring to gymnasium."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import gymnasium
import pytest

import hero.envs
from hero import registry
from hero.envs.webshop.env import WebShopEnv
from hero.errors import ConfigError
from tests.doubles import GuessEnv


class Named(GuessEnv):
    """An environment with an option called `name`."""

    def __init__(self, split: str = "train", name: str = "x") -> None:
        super().__init__(split)
        self.name = name


class Claims(GuessEnv):
    gymnasium_id = "hero/WebShop-v0"


class Malformed(GuessEnv):
    gymnasium_id = "a bad id"


class Fine(GuessEnv):
    gymnasium_id = "hero/Fine-v0"


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments of other packages beside ours."""
    points = [
        EntryPoint(kind.__name__.lower(), f"tests.envs.test_register:{kind.__name__}", "hero.envs")
        for kind in (Named, Claims, Malformed, Fine)
    ]
    points.append(EntryPoint("aa-broken", "no_such_module:Env", "hero.envs"))
    points.append(EntryPoint("webshop", "hero.envs.webshop.env:WebShopEnv", "hero.envs"))
    monkeypatch.setattr(registry, "entry_points", lambda **wanted: EntryPoints(points).select(**wanted))
    monkeypatch.setattr(gymnasium.envs.registration, "registry", gymnasium.registry)
    before = dict(gymnasium.registry)
    gymnasium.registry.pop("hero/WebShop-v0", None)
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


@pytest.mark.usefixtures("others")
def test_an_option_may_be_called_name() -> None:
    assert hero.envs.make("named", name="y").name == "y"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("others")
def test_no_package_takes_an_id_of_ours_or_hides_the_ids_of_others(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        caplog.clear()
        hero.envs.register()
        assert isinstance(gymnasium.make("hero/WebShop-v0").unwrapped, WebShopEnv)
        assert isinstance(gymnasium.make("hero/Fine-v0").unwrapped, Fine)
        assert len(caplog.messages) == 3
        for words in ("claims (hero.envs) cannot have the id hero/WebShop-v0", "'a bad id'", "'aa-broken' cannot be"):
            assert sum(words in message for message in caplog.messages) == 1


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("num_tasks", "7", "num_tasks of GuessEnv is '7'; it must be an int of at least 1"),
        ("num_tasks", 7.0, "num_tasks of GuessEnv is 7.0"),
        ("num_tasks", 0, "num_tasks of GuessEnv is 0"),
        ("env_id", None, "env_id of GuessEnv is None; it must be a str that is not empty"),
        ("env_id", "", "env_id of GuessEnv is ''"),
        ("instructions", 5, "instructions of GuessEnv is 5; it must be a str"),
        ("tools", "search", "tools of GuessEnv is 'search'; it must be hero.types.Tools or None"),
    ],
)
def test_attributes_of_another_type_are_named(attribute: str, value: object, message: str) -> None:
    env = GuessEnv()
    setattr(env, attribute, value)
    with pytest.raises(ConfigError, match=message):
        hero.envs.base.text_env(env)
