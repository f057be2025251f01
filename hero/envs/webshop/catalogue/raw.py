"""Product data in the schema of the original's files, wherever it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

PAGE_SIZE: Final = 10
"""Number of results on a page of the original."""


@dataclass(frozen=True, slots=True)
class RawCatalogue:
    """Records in the schema of the original's files.

    Attributes:
        items: products, in file order (items_shuffle).
        attributes: `attributes` and perhaps a synthetic `instruction` of each product, by asin (items_ins_v2).
        human: instructions that people wrote, by asin (items_human_ins).
        title_nouns: nouns and names of each title, by asin; in lower case, in order, with repetitions.
        splits: split of each product's goals, by asin; empty for the original's files.
        page_size: number of results on a page.
        files: source file of each of the first four; empty where there are no files.
    """

    items: Iterable[dict[str, Any]]
    attributes: Mapping[str, dict[str, Any]]
    human: Mapping[str, list[dict[str, Any]]]
    title_nouns: Mapping[str, list[str]]
    splits: Mapping[str, str] = field(default_factory=dict)
    page_size: int = PAGE_SIZE
    files: Mapping[str, Path] = field(default_factory=dict)

    def where(self, name: str) -> str:
        """Returns the name of one of the first four for messages, with its file if it has one."""
        return f"{self.files[name]}: {name}" if name in self.files else name
