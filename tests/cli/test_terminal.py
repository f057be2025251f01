"""Text from outside reaches the terminal as text, whatever is in it, and never as a command."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from hero_cli.safe_console import SafeConsole
from hero_cli.terminal import console
from tests.cli.conftest import Hero
from tests.envs.webshop.files import FILES, write

NASTY = "red\x1b[31m\x1b]0;title\x07\x9b2J\rshoe\x08\u202e \x7f"
SHOWN = r"red\x1b[31m\x1b]0;title\x9b2Jshoe" + "\\u202e \\x7f"
OURS = re.compile(r"\x1b\[[0-9;]*m")


def written(*things: object, terminal: bool = False) -> str:
    file = io.StringIO()
    SafeConsole(file=file, width=200, emoji=False, force_terminal=terminal, color_system=None).print(
        *things, markup=False
    )
    return file.getvalue()


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\x1b\x9b\x00\x7f\u202e\t\n[]")))
def test_no_control_character_of_a_text_is_sent(text: str) -> None:
    table = Table()
    table.add_row(text, Text(text))
    for thing in (text, Text(text, style="red"), table):
        sent = OURS.sub("", written(thing, terminal=True))
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", sent)


def test_ordinary_text_is_as_it_was() -> None:
    assert written("a\tb\nç 🛒 :heart: [red] \\x1b") == "a       b\nç 🛒 :heart: [red] \\x1b\n"
    assert "\x1b[31m" in OURS.findall(_red())


def _red() -> str:
    file = io.StringIO()
    SafeConsole(file=file, force_terminal=True, color_system="standard").print("error", style="red")
    return file.getvalue()


def test_a_progress_bar_still_moves_the_cursor() -> None:
    file = io.StringIO()
    with Progress(console=SafeConsole(file=file, force_terminal=True), transient=True) as bars:
        bars.advance(bars.add_task(NASTY, total=2))
        bars.refresh()
    assert "\r\x1b[2K" in file.getvalue()
    assert r"\x1b[2K" not in file.getvalue()
    assert "\x1b]0;" not in file.getvalue()


@pytest.mark.parametrize("errors", [False, True])
def test_both_consoles_are_safe(errors: bool) -> None:
    assert isinstance(console(errors=errors), SafeConsole)


def test_control_characters_of_a_product_are_escaped(hero: Hero, tmp_path: Path) -> None:
    name = "items_shuffle_1000.json"
    item = FILES[name][0] | {"name": NASTY, "customization_options": {"size": [{"value": "x\x1b[2J"}]}}
    data = write(tmp_path, FILES | {name: [item]})
    arguments = ("--env", "webshop", "--env-arg", f"data={data}", "--env-arg", "goals=human", "--split", "test")
    result = hero("play", *arguments, typed="search[red]\nclick[b000000001]\nclick[\x1b[3J]\n")
    assert result.exit_code == 0
    assert SHOWN in result.stdout
    assert r"x\x1b[2j" in result.stdout
    assert r'not valid: no such button: "\x1b[3j"' in result.stdout
    assert "\x1b" not in result.output


def test_control_characters_of_an_error_are_escaped(hero: Hero, tmp_path: Path) -> None:
    name = "items_shuffle_1000.json"
    data = write(tmp_path, FILES | {name: [FILES[name][0] | {"asin": "B\x1b[2J", "pricing": "\x1b[31m"}]})
    for arguments in (("data", "webshop", "--from", data), ("play", "--env", "webshop", "--env-arg", f"data={data}")):
        result = hero(*arguments)
        assert result.exit_code == 2
        assert r"B\x1b[2J" in result.stderr
        assert "\x1b" not in result.output
