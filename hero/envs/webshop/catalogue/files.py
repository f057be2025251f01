"""Finds and reads the original's product files in a directory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import Any, Final

from hero.envs.webshop.catalogue.raw import RawCatalogue
from hero.envs.webshop.storage.json_stream import Advance, MarshalledRecords, ignore_progress, stream_records
from hero.errors import DataError

FILES: Final = {
    "items": "items_shuffle*.json",
    "attributes": "items_ins_v2*.json",
    "human": "items_human_ins.json",
    "title_nouns": "title_nouns.json",
}
"""Pattern of the name of each file, by its name in `RawCatalogue`."""
TYPES: Final[Mapping[str, tuple[type, type]]] = {
    "items": (list, dict),
    "attributes": (dict, dict),
    "human": (dict, list),
    "title_nouns": (dict, list),
}
"""Expected JSON type of each file and of its records."""


def candidates(directory: Path) -> dict[str, list[Path]]:
    """Returns the entries of a directory that match each pattern of `FILES`: one file each, if all is well.

    Raises:
        DataError: the directory does not exist or cannot be read, or an entry is not a file, or is a broken link.
    """
    try:
        entries = sorted(directory.iterdir())
        matches = {name: [entry for entry in entries if entry.match(pattern)] for name, pattern in FILES.items()}
        for file in chain.from_iterable(matches.values()):
            if file.is_symlink() and not file.exists():
                raise DataError(f"{file} is a link to {file.readlink()}, which does not exist; put the file there")
            if not file.is_file():
                raise DataError(f"{file} is not a file but a directory or the like; put the file in its place")
    except OSError as error:
        raise DataError(
            f"{directory} cannot be read: {error.strerror or error}; give a directory that holds the files of the "
            "original WebShop"
        ) from error
    return matches


def locate(directory: Path) -> dict[str, Path]:
    """Returns the original's files in a directory, by their names in `RawCatalogue`.

    Raises:
        DataError: a file of `FILES` is missing or ambiguous, or `candidates` fails.
    """
    matches = candidates(directory)
    for name, files in matches.items():
        if not files:
            hint = f"; to make it, run: hero data webshop --from {directory}" if name == "title_nouns" else ""
            raise DataError(f"{directory} holds no {FILES[name]}{hint}")
        if len(files) > 1:
            names = " and ".join(file.name for file in files)
            raise DataError(f"{directory} holds {names}; keep each size of the catalogue in a directory of its own")
    return {name: file for name, (file,) in matches.items()}


def read_directory(path: str | Path) -> RawCatalogue:
    """Reads the original's files of a directory into memory.

    All but title_nouns.json come with the original. That one replaces its part-of-speech tagger, and maps each asin to
    `[token.text.lower() for token in tagger(title) if token.pos_ in ("NOUN", "PROPN")]`; the published numbers are from
    spaCy's en_core_web_sm.

    Raises:
        DataError: a file is missing, ambiguous or not JSON, or its type is not that of `TYPES`.
    """
    files = locate(Path(path))
    content: dict[str, Any] = {name: stream_records(file, *TYPES[name]) for name, file in files.items()}
    items = [item for _, item in content.pop("items")]
    others: dict[str, Any] = {name: dict(pairs) for name, pairs in content.items()}
    return RawCatalogue(items=items, files=files, **others)


def stream_directory(path: Path, advance: Mapping[str, Advance], stack: ExitStack) -> RawCatalogue:
    """Reads the original's files like `read_directory`, but the items lazily, and the rest into less memory.

    Args:
        advance: callbacks for the progress of each file, by name in `RawCatalogue`; may lack some.
        stack: closes the file of the items.
    """
    files = locate(path)
    content: dict[str, Any] = {
        name: stream_records(file, *TYPES[name], advance.get(name, ignore_progress)) for name, file in files.items()
    }
    items = (item for _, item in stack.enter_context(closing(content.pop("items"))))
    others: dict[str, Any] = {name: MarshalledRecords(pairs) for name, pairs in content.items()}
    return RawCatalogue(items=items, files=files, **others)
