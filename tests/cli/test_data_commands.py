"""`hero data`: the commands that installed packages bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Hero


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs two packages with a command each, of which one cannot be imported."""
    (tmp_path / "island.py").write_text(
        'def fetch(size: int = 3) -> None:\n    """Dig the island up."""\n    print(size * "x")\n'
    )
    for package, target in (("island", "island:fetch"), ("sunken", "nowhere:fetch")):
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
