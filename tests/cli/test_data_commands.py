"""`hero data`: the commands that installed packages bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Hero

ISLAND = '''
NUMBER = 5

def fetch(size: int = 3) -> None:
    """Dig the island up."""
    print(size * "x")

def rage() -> None:
    """Blow."""
    raise OSError(28, "No space left", "island.bin")
'''


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs packages with a command each: it works, cannot be imported, is not a function, or fails."""
    (tmp_path / "island.py").write_text(ISLAND)
    targets = {"island": "island:fetch", "sunken": "nowhere:fetch", "rock": "island:NUMBER", "storm": "island:rage"}
    for package, target in targets.items():
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[hero.data]\n{package} = {target}\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("others")
def test_the_command_of_any_package_is_listed_and_run(hero: Hero) -> None:
    listed = hero("data", "--help")
    assert listed.exit_code == 0
    for words in ("taubench", "webshop", "island", "Dig the island up."):
        assert words in listed.stdout
    assert hero("data", "island", "--size", 4).stdout == "xxxx\n"


@pytest.mark.usefixtures("others")
def test_a_command_that_cannot_be_imported_is_named_and_hides_no_other(hero: Hero) -> None:
    for arguments in (("--help",), ("sunken",)):
        result = hero("data", *arguments)
        assert (
            "warning: hero.data 'sunken' of the package sunken cannot be imported from nowhere:fetch" in result.stderr
        )
    assert hero("data", "island").stdout == "xxx\n"
    assert "warning: hero.data 'rock' is not a command" in hero("data", "rock").stderr


@pytest.mark.usefixtures("others")
def test_a_command_that_fails_ends_with_one_line(hero: Hero) -> None:
    result = hero("data", "storm")
    assert (result.exit_code, result.stderr) == (2, "error: island.bin: No space left\n")
