"""Write the project of a new environment from the templates in `template/`."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Final

from hero import registry
from hero.errors import ConfigError

FILES: Final = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "env.py": "{package}/env.py",
    "script.py": "{package}/script.py",
    "test_env.py": "tests/test_env.py",
}
"""Templates by name, and the files that they become."""
TAKEN: Final = ("SeededEnv", "StepResult", "Mapping", "Any", "Point")
"""Names that the templates of the environment and of its test import."""


def write_project(name: str, out: Path) -> list[Path]:
    """Writes a project, and returns its files.

    Raises:
        ConfigError: the name cannot be that of a package, is taken by an environment, or the directory is not empty.
    """
    package = name.replace("-", "_")
    cls = "".join(map(str.capitalize, re.split("[-_]", name)))
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name) or {package, cls} & {*keyword.kwlist}:
        raise ConfigError(f"{name!r} is not possible as a name; give lower-case letters and digits, such as my-game")
    if find_spec(package) or cls in TAKEN:
        raise ConfigError(f"the name {name} is that of another package or of a part of HERO; give another")
    if name in registry.names("hero.envs"):
        raise ConfigError(f"there is an environment {name} already; give another name")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is not an empty directory; give another one with --out")
    words = {"name": name, "package": package, "cls": cls}
    written = []
    for template, target in FILES.items():
        path = out / target.format(package=package)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (files("hero_cli") / "template" / f"{template}.txt").read_text("utf-8")
        path.write_text(Template(text).substitute(words), "utf-8")
        written.append(path)
    (out / package / "__init__.py").touch()
    return written
