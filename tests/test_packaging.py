"""The wheel holds every module, the data and the entry points, and needs no source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.source import PACKAGES, ROOT, modules

USE = """
import importlib, sys
from importlib.metadata import distributions
from pathlib import Path

target = Path(sys.argv[1])
for name in sys.argv[2:]:
    file = importlib.import_module(name).__file__
    assert Path(file).is_relative_to(target), f"{name} comes from {file}"
(distribution,) = distributions(path=[str(target)])
assert {"hero", "webshop", "taubench", "hf", "rules"} <= distribution.entry_points.names
for point in distribution.entry_points:
    loaded = point.load()
    module = getattr(loaded, "__module__", getattr(loaded, "__name__", ""))  # the entry point of pytest is a module
    assert Path(sys.modules[module].__file__).is_relative_to(target), point
"""


def pip(*arguments: str | Path) -> None:
    """Runs pip without a network."""
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    done = subprocess.run([sys.executable, "-m", "pip", *map(str, arguments), *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a wheel that is built from a copy of the sources, since a build leaves files beside them."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("hero", "cli"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, folder / "source")
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, folder / "source")
    (file,) = folder.glob("*.whl")
    return file


def test_the_wheel_holds_all_modules_and_all_data_and_nothing_else(wheel: Path) -> None:
    packed = {Path(name) for name in ZipFile(wheel).namelist() if not name.partition("/")[0].endswith(".dist-info")}
    sources = {
        Path(package) / file.relative_to(folder)
        for package, folder in PACKAGES.items()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    }
    assert packed == sources


def test_every_module_and_entry_point_loads_from_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    pip("install", "--target", target, wheel)
    done = subprocess.run(
        [sys.executable, "-c", USE, str(target), *modules()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
