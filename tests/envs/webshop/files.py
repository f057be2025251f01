"""A directory in the schema of the original's files, with one product."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ITEM: dict[str, Any] = {
    "asin": "B000000001",
    "name": "Red Shoe",
    "full_description": "A shoe.",
    "small_description": ["soft ", "light"],
    "pricing": "$1,234.50$2,000",
    "product_category": "Shoes › Red",
    "category": "fashion",
    "query": " Red Shoes ",
    "customization_options": {"Size": [{"value": " 10/11 "}, {"value": "XL", "image": None}], "Color": None, "Fit": []},
    "average_rating": 4.5,
}
HUMAN = {"instruction": "a shoe", "instruction_attributes": ["soft"], "instruction_options": ["xl"], "worker": "?"}
FILES: dict[str, Any] = {
    "items_shuffle_1000.json": [ITEM],
    "items_ins_v2_1000.json": {
        "B000000001": {"attributes": ["soft"], "instruction": "Find me", "instruction_attributes": ["soft"]}
    },
    "items_human_ins.json": {"B000000001": [HUMAN, HUMAN | {"instruction_attributes": []}]},
    "title_nouns.json": {"B000000001": ["shoe"]},
}


def write(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def catalogue(products: Sequence[tuple[str, str, Sequence[str]]]) -> dict[str, Any]:
    """Returns the files of products that differ in asin, synthetic instruction and values of their one option group."""
    human = HUMAN | {"instruction_options": []}
    items = [
        ITEM | {"asin": asin, "customization_options": {"size": [{"value": value} for value in values]}}
        for asin, _, values in products
    ]
    return {
        "items_shuffle_1000.json": items,
        "items_ins_v2_1000.json": {
            asin: {"attributes": ["soft"], "instruction": text, "instruction_attributes": ["soft"]}
            for asin, text, _ in products
        },
        "items_human_ins.json": {asin: [human, human | {"instruction": f"{asin} please"}] for asin, *_ in products},
        "title_nouns.json": {asin: ["shoe"] for asin, *_ in products},
    }
