"""`hero run --config`: a file gives any option, the command line takes precedence, and mistakes are named."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from hero.runs.reader import read_settings
from hero_cli.config_file import OTHERS, read_config_file
from hero_cli.run import run
from hero_cli.settings import FIELDS, Settings
from tests.cli.conftest import FAST, Hero, refused


def test_a_file_gives_options_and_the_command_line_takes_precedence(hero: Hero, model: str, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(
        "learning-rate = 1e-3\nmax_turns = 2\nsteps = 5\nteacher_args = {reward = false}\n"
    )
    result = hero("run", "--config", "run.toml", "--model", model, "--steps", 1, "--out", "run", *FAST)
    assert result.exit_code == 0, result.output
    settings = read_settings(tmp_path / "run")
    assert (settings["learning_rate"], settings["steps"], settings["teacher_args"]) == (1e-3, 1, {"reward": False})
    assert settings["max_turns"] == 3  # of FAST


def test_every_setting_can_be_given(tmp_path: Path) -> None:
    def as_toml(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else "{}" if value == {} else repr(value)

    given = {name: value for name, value in Settings().record().items() if value is not None}
    file = tmp_path / "all.toml"
    file.write_text("".join(f"{name} = {as_toml(value)}\n" for name, value in given.items()))
    assert read_config_file(file) == given
    assert len(given) > len(FIELDS) / 2


def test_every_option_is_a_setting_or_named_as_one_of_the_command_line_alone() -> None:
    assert {*inspect.signature(run).parameters} == {*FIELDS, *OTHERS}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat = 1", "run.toml: 'learning_rat' is not a setting; did you mean 'learning_rate'?"),
        ("zzz = 'x'", "'zzz' is not a setting; hero run --help lists them"),
        ("out = 'x'", "'out' is not a setting; give --out on the command line"),
        ("same-start-as = 'x'", "'same-start-as' is not a setting; give --same-start-as on the command line"),
        ("steps = 'many'", "run.toml: --steps 'many'"),
        ("steps = [", "run.toml is not TOML"),
        ("max-turns = 3\nmax_turns = 3", "run.toml has 'max_turns' twice"),
        ("steps = -1", "--steps -1"),
        ("beta = 0.1", "--beta 0.1 does nothing without"),
        (None, "run.toml cannot be read: No such file"),
    ],
)
def test_mistakes_are_named(text: str | None, message: str, hero: Hero, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "run.toml").write_text(text)
    refused(hero("run", "--config", "run.toml"), message)
