"""Which model a run was given: where it came from, and a hash of the files that make it up."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hero import registry
from hero.errors import ConfigError
from hero.fingerprint import fingerprint
from hero.models import tiny
from hero.types import JSON

SHIPPED: Final = {"tiny": tiny.SHIPPED, "tiny-taubench": tiny.MODELS / "taubench"}
READ: Final = ("*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt", "additional_chat_templates")
"""What is read of a model's directory besides its weights."""
WEIGHTS: Final = ("*.safetensors", "pytorch_model*.bin")
"""Weights, of which transformers reads the first kind that there is."""


def model_fingerprint(source: str) -> dict[str, JSON]:
    """Returns the `source` of a model, its `path` or the `revision` on the hub, and the `sha256` of its files.

    A model that ships with the package has neither path nor revision; of one that another package registered only the
    name is known. A model on the hub is one that was loaded before.

    Raises:
        ConfigError: there is no such model here.
        DataError: a file cannot be read.
    """
    known: dict[str, JSON] = {"source": source}
    if source in SHIPPED:
        return known | {"sha256": fingerprint(*_files(SHIPPED[source]))}
    if source in registry.names("hero.models"):
        return known
    path = Path(source).expanduser()
    if path.is_file():
        return known | {"path": str(path.resolve()), "sha256": fingerprint(path)}
    if path.is_dir():
        return known | {"path": str(path.resolve()), "sha256": fingerprint(*_files(path))}
    snapshot = hub_snapshot(source)
    if snapshot is None:
        raise ConfigError(
            f"no model {source!r}: neither a file or directory, nor a name on the hub that was loaded here"
        )
    return known | {"revision": snapshot.name, "sha256": fingerprint(*_files(snapshot))}


def hub_snapshot(name: str) -> Path | None:
    """The folder of the hub's cache that holds a model, called by its revision; None where it was not loaded."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        file = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(file).parent if isinstance(file, str) else None


def _files(directory: Path) -> list[Path]:
    weights: list[Path] = next(filter(None, (list(directory.glob(kind)) for kind in WEIGHTS)), [])
    return sorted([*weights, *(file for kind in READ for file in directory.glob(kind))], key=lambda file: file.name)
