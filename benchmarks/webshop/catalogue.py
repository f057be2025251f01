"""Generates catalogues of any size in the original's file format, for measurements; the words have no meaning.

Everything that costs time and memory resembles the original: some 100 index terms per product, words that follow Zipf's
law, options, prices of which a tenth are ranges, and the same shares of synthetic and human instructions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

WORDS: Final = 300_000
SHIFT: Final = 6
"""Shift of the ranks in Zipf's law (Mandelbrot's form): the commonest word is in about half of the products."""
BLOCK: Final = 4096
"""Number of products whose words are drawn at a time."""
DEPARTMENTS: Final = ("beauty", "electronics", "fashion", "garden", "grocery")
GROUPS: Final = ("color", "size", "style", "flavor name", "pattern name")
COLORS: Final = "black white blue red green pink grey navy brown purple gold silver beige yellow orange khaki".split()
SIZES: Final = "small medium large x-large xx-large 1 2 3 4 5 6 7 8 9 10 12".split()
NAMES: Final = ("items_shuffle.json", "items_ins_v2.json", "items_human_ins.json", "title_nouns.json")
Record = tuple[str, dict[str, Any], dict[str, Any], list[dict[str, Any]], list[str]]
"""An asin, and its entries in the four files."""


def write(directory: Path, count: int, advance: Callable[[int], None], seed: int = 0) -> None:
    """Writes the four files of a catalogue into a new or existing directory; equal arguments give equal files.

    Args:
        advance: called with the number of products that were written since the last call.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = [(directory / f"{name}.partial").open("w", encoding="utf-8") for name in NAMES]
    items, attributes, human, nouns = files
    products = records(count, seed)
    items.write("[")
    for file in files[1:]:
        file.write("{")
    first = dict.fromkeys(files, "")

    def put(file: Any, text: str) -> None:
        file.write(f"{first[file]}{text}")
        first[file] = ", "

    while block := list(islice(products, BLOCK)):
        for asin, item, described, human_instructions, title in block:
            put(items, json.dumps(item))
            put(attributes, f'"{asin}": {json.dumps(described)}')
            put(nouns, f'"{asin}": {json.dumps(title)}')
            if human_instructions:
                put(human, f'"{asin}": {json.dumps(human_instructions)}')
        advance(len(block))
    for file, name in zip(files, NAMES, strict=True):
        file.write("]" if file is items else "}")
        file.close()
        (directory / f"{name}.partial").replace(directory / name)


def records(count: int, seed: int) -> Iterator[Record]:
    """Yields the products."""
    rng = np.random.default_rng(seed)
    words = _vocabulary()
    queries = [" ".join(words[rank] for rank in _ranks(rng, 2)) for _ in range(2000)]
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        ranks = _ranks(rng, 200 * size).tolist()
        draws = rng.random((size, 32)).tolist()
        for row in range(size):
            text = [words[rank] for rank in ranks[200 * row : 200 * (row + 1)]]
            yield _record(first + row, text, draws[row], queries)


def _record(index: int, words: Sequence[str], draws: Sequence[float], queries: Sequence[str]) -> Record:
    """Makes a product of 200 words and 32 numbers in [0, 1)."""
    source, chance = iter(words), iter(draws)

    def some(least: int, most: int) -> list[str]:
        return list(islice(source, least + int((most - least + 1) * next(chance))))

    asin = f"B{(index * 2654435761) % 2**36:09X}"
    title = some(4, 14)
    query = queries[int(len(queries) * next(chance))]
    department = DEPARTMENTS[index % len(DEPARTMENTS)]
    attributes = [" ".join(some(1, 2)) for _ in range(2 + int(4 * next(chance)))]
    described = next(chance) < 0.7
    item = {
        "name": f"{' '.join(title)} {query}".title(),
        "full_description": " ".join(some(50, 150)) if described else "",
        "pricing": _pricing(next(chance), next(chance)),
        "images": [f"https://example.com/{asin}.jpg"],
        "product_category": f"{department} › {query.split()[0]} › {query}",
        "small_description": [" ".join(some(8, 18)) for _ in range(2)],
        "customization_options": _options(chance) or "",
        "asin": asin,
        "category": department,
        "query": query,
    }
    instruction = f"Find me {', '.join(attributes)} {query}"
    described: dict[str, Any] = {"attributes": attributes}
    if next(chance) < 0.415:
        described |= {"instruction": instruction, "instruction_attributes": attributes[:3]}
    human = []
    if index % 100 == 0:
        human = [{"instruction": f"{instruction}.", "instruction_attributes": attributes, "instruction_options": []}]
    return asin, item, described, human, [*title[::2], *query.split()]


def _pricing(kind: float, amount: float) -> str:
    price = math.exp(1 + 5 * amount)
    if kind < 0.09:
        return ""
    return f"${price:.2f}" if kind < 0.9 else f"${price:.2f}${1.5 * price:.2f}"


def _options(chance: Iterable[float]) -> dict[str, list[dict[str, str]]]:
    """Draws two groups of values as a rule; none in a quarter of the products."""
    count, *draws = islice(chance, 9)
    groups = {}
    for group, many, first in zip(GROUPS, draws[::2], draws[1::2], strict=False):
        if len(groups) < int(count * 4):
            values = SIZES if group == "size" else COLORS
            start = int(first * len(values))
            groups[group.title()] = [
                {"value": values[(start + offset) % len(values)]} for offset in range(1 + int(7 * many))
            ]
    return groups


def _ranks(rng: np.random.Generator, count: int) -> Any:
    """Draws ranks of words, from 0, the commonest."""
    return np.floor(SHIFT * ((WORDS + SHIFT) / SHIFT) ** rng.random(count) - SHIFT).astype(int)


@cache
def _vocabulary() -> list[str]:
    return [_word(rank) for rank in range(WORDS)]


def _word(rank: int) -> str:
    """Returns a word of two to four syllables, a different one for every rank."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    word = ""
    rest = rank + len(syllables)
    while rest:
        rest, syllable = divmod(rest, len(syllables))
        word += syllables[syllable]
    return word
