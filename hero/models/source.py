"""Tell paths of models from names on the hub, so that a path that leads nowhere is never asked of a network."""

from __future__ import annotations

from pathlib import Path

from hero.errors import ConfigError


def local_path(source: str) -> Path | None:
    """Returns the path of a model that is on this machine; None for what may be a name on the hub.

    Raises:
        ConfigError: the source is a path and leads to nothing, or to a file that is not GGUF.
    """
    try:
        path = Path(source).expanduser()
        exists = path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long; an unknown user's home; a null character
        raise ConfigError(f"no model {source!r:.80}: {error}") from error
    if exists:
        if not (path.is_dir() or path.suffix == ".gguf"):
            raise ConfigError(
                f"no model {source!r}: that is a file; give a directory with config.json, weights and tokenizer, or a "
                "file in the format GGUF, whose name ends in .gguf"
            )
        return path
    if why := _why_path(source):
        raise ConfigError(
            f"no model {source!r}: {why}, and there is nothing in that place; give a directory or a GGUF file that "
            "exists, or a name on the hub, such as OWNER/NAME"
        )
    return None


def _why_path(source: str) -> str:
    """Returns why a source can only be a path; "" if it may be a name on the hub, which has at most one slash."""
    if source.startswith((".", "/", "~")):
        return f"it is a path, since it begins with {source[0]}"
    if "\\" in source or source.count("/") > 1 or source.endswith("/"):
        return "it is a path, since names on the hub have one slash at most, and none at the end"
    if source.lower().endswith(".gguf"):
        return "it is a path, since it ends in .gguf"
    first, slash, _ = source.partition("/")
    if slash and Path(first).is_dir():
        return f"it is a path, since there is a directory {first} here"
    return ""
