"""The identity of a model: where it came from, and a hash of the files that make it up."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hero import registry
from hero.errors import ConfigError
from hero.fingerprint import fingerprint
from hero.models import tiny
from hero.types import JSON

SHIPPED: Final = {"tiny": tiny.SHIPPED, "tiny-taubench": tiny.MODELS / "taubench"}
OTHER_FILES: Final = ("*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt", "additional_chat_templates")
"""Files of a model's directory that are read besides its weights."""
WEIGHTS: Final = ("*.safetensors", "pytorch_model*.bin")
"""Files of weights; transformers reads those of the first pattern that matches any."""


def model_fingerprint(source: str) -> dict[str, JSON]:
    """Returns the `source` of a model, its `path` or its `revision` on the hub, and the `sha256` of its files.

    A model that ships with the package has neither path nor revision; one that another package registered has a
    source alone. A model on the hub must have been loaded before.

    Raises:
        ConfigError: there is no such model here.
        DataError: a file cannot be read.
    """
    identity: dict[str, JSON] = {"source": source}
    if source in SHIPPED:
        return identity | {"sha256": fingerprint(*_files(SHIPPED[source]))}
    if registry.is_known("hero.models", source):
        return identity
    path = Path(source).expanduser()
    if path.is_file():
        return identity | {"path": str(path.resolve()), "sha256": fingerprint(path)}
    if path.is_dir():
        return identity | {"path": str(path.resolve()), "sha256": fingerprint(*_files(path))}
    snapshot = hub_snapshot(source)
    if snapshot is None:
        raise ConfigError(
            f"no model {source!r}: neither a file or directory, nor a name on the hub that was loaded here before"
        )
    return identity | {"revision": snapshot.name, "sha256": fingerprint(*_files(snapshot))}


def hub_snapshot(name: str) -> Path | None:
    """Returns the folder of a model in the hub's cache, which is named by its revision; None if it was not loaded."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        file = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(file).parent if isinstance(file, str) else None


def _files(directory: Path) -> list[Path]:
    weights: list[Path] = next(filter(None, (list(directory.glob(pattern)) for pattern in WEIGHTS)), [])
    others = [file for pattern in OTHER_FILES for file in directory.glob(pattern)]
    return sorted([*weights, *others], key=lambda file: file.name)
