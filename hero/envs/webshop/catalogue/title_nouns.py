"""Finds the nouns of the titles with the original's part-of-speech tagger; needs spaCy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from hero.envs.webshop.catalogue.files import FILES, TYPES, candidates
from hero.envs.webshop.catalogue.parse import string, valid_items
from hero.envs.webshop.storage.json_stream import Advance, stream_records
from hero.errors import DataError

MODEL: Final = "en_core_web_sm"
UNUSED: Final = ["parser", "ner", "lemmatizer"]
"""Components of the model that parts of speech do not depend on."""


def make_title_nouns(directory: Path, advance: Advance) -> Path:
    """Writes title_nouns.json from the items in a directory and returns its path; takes about three ms per title.

    Args:
        advance: called with the number of bytes of the items file that were read since the last call.

    Raises:
        DataError: spaCy or its model is not installed, or the items are missing or malformed.
    """
    tagger = _tagger(directory)
    (items,) = candidates(directory)["items"]
    target = directory / FILES["title_nouns"]
    partial = target.with_name(f"{target.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            separator = "{"
            for title, asin in tagger.pipe(_titles(items, advance), as_tuples=True, batch_size=256):
                nouns = [token.text.lower() for token in title if token.pos_ in ("NOUN", "PROPN")]
                file.write(f"{separator}{json.dumps(asin)}: {json.dumps(nouns)}")
                separator = ",\n"
            file.write("{}" if separator == "{" else "}")
        partial.replace(target)
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _titles(items: Path, advance: Advance) -> Iterator[tuple[str, str]]:
    """Yields title and asin of each product."""
    with closing(stream_records(items, *TYPES["items"], advance)) as records:
        for asin, item in valid_items((record for _, record in records), f"{items}: items"):
            yield string(item, "name", f"{items}: items, {asin}"), asin


def _tagger(directory: Path) -> Any:
    missing = f"{directory} holds no {FILES['title_nouns']}, and {{}}, which makes it, is not installed; run: {{}}"
    try:
        import spacy
    except ImportError:
        raise DataError(missing.format("spaCy", "pip install 'hero-agents[nouns]'")) from None
    try:
        return spacy.load(MODEL, exclude=UNUSED)
    except OSError:
        remedy = f"python -m spacy download {MODEL}"
        raise DataError(missing.format(f"spaCy's model {MODEL}", remedy)) from None
