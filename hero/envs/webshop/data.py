"""Product data: the original's files as they are, and the products that its engine makes of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hero.errors import DataError

FILES: Final = {
    "items": "items_shuffle*.json",
    "attributes": "items_ins_v2*.json",
    "human": "items_human_ins.json",
    "title_nouns": "title_nouns.json",
}
LONGEST_ASIN: Final = 10
DEFAULT_PRICE: Final = 100.0


@dataclass(frozen=True, slots=True)
class RawCatalogue:
    """Records in the schema of the original's files.

    Attributes:
        items: products, in file order (items_shuffle).
        attributes: by asin, `attributes` and perhaps a synthetic `instruction` (items_ins_v2).
        human: by asin, instructions that people wrote (items_human_ins).
        title_nouns: by asin, the nouns and names of the title, lower case, in order, with repetitions.
        splits: by asin, the split that the product's goals belong to; empty for the original's files.
        page_size: results on a page.
    """

    items: list[dict[str, Any]]
    attributes: dict[str, dict[str, Any]]
    human: dict[str, list[dict[str, Any]]]
    title_nouns: dict[str, list[str]]
    splits: dict[str, str] = field(default_factory=dict)
    page_size: int = 10


@dataclass(frozen=True, slots=True)
class Instruction:
    """What a shopper asks for, without the price.

    Attributes:
        attributes: what the product must have; never empty in a `Product`.
        options: values, without their group; empty for a synthetic instruction, which stands for any combination.
    """

    text: str
    attributes: tuple[str, ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """One product as the shop shows and judges it.

    Attributes:
        nouns: nouns and names of the title, lower case, in order, with repetitions.
        options: values by group, both lower case; a group may be empty.
        prices: one price, or the two ends of a range, in dollars.
        price_tag: the price as it is shown.
        synthetic: the instruction made from a template; None where there is none.
        human: instructions that people wrote, without those that ask for no attribute.
    """

    asin: str
    title: str
    nouns: tuple[str, ...]
    description: str
    bullets: tuple[str, ...]
    category: str
    query: str
    product_category: str
    attributes: tuple[str, ...]
    options: Mapping[str, tuple[str, ...]]
    prices: tuple[float, ...]
    price_tag: str
    synthetic: Instruction | None
    human: tuple[Instruction, ...]


def read_directory(path: str | Path) -> RawCatalogue:
    """Reads the original's files from a directory: `FILES`, each once.

    All but title_nouns.json come with the original. That one replaces its part-of-speech tagger, and maps each asin to
    `[token.text.lower() for token in tagger(title) if token.pos_ in ("NOUN", "PROPN")]`; the published numbers are from
    spaCy's en_core_web_sm.

    Raises:
        DataError: a file is missing, there twice, not JSON, or not of the outer shape that `RawCatalogue` says.
    """
    directory = Path(path)
    content = {name: _read(directory, pattern) for name, pattern in FILES.items()}
    for name, (file, value) in content.items():
        outer, inner = (list, dict) if name == "items" else (dict, dict if name == "attributes" else list)
        if not isinstance(value, outer):
            raise DataError(f"{file}: a {outer.__name__} is needed, not a {type(value).__name__}")
        for key, record in enumerate(value) if isinstance(value, list) else value.items():
            if not isinstance(record, inner):
                raise DataError(f"{file}: record {key!r} must be a {inner.__name__}, not a {type(record).__name__}")
    return RawCatalogue(**{name: value for name, (_, value) in content.items()})


def _read(directory: Path, pattern: str) -> tuple[Path, Any]:
    found = sorted(directory.glob(pattern))
    if not found:
        hint = "; read_directory says how to make it" if pattern == FILES["title_nouns"] else ""
        raise DataError(f"{directory} holds no {pattern}{hint}")
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise DataError(f"{directory} holds {names}; keep each size of the catalogue in a directory of its own")
    try:
        return found[0], json.loads(found[0].read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{found[0]} cannot be read as JSON: {error}; fetch it again") from error


def products(raw: RawCatalogue) -> list[Product]:
    """The products of a catalogue, in order; repeated asins and asins that are not products' are left out.

    Raises:
        DataError: a record lacks a key or has the wrong type; the message names its asin.
    """
    made: dict[str, Product] = {}
    for number, item in enumerate(raw.items):
        asin = _text(item, "asin", f"items[{number}]")
        if asin != "nan" and len(asin) <= LONGEST_ASIN and asin not in made:
            made[asin] = _product(raw, asin, item)
    return list(made.values())


def _product(raw: RawCatalogue, asin: str, item: Mapping[str, Any]) -> Product:
    where = f"items, {asin}"
    if asin not in raw.title_nouns:
        raise DataError(f"title_nouns has no {asin!r}: every product needs the nouns of its title, if only []")
    prices, price_tag = _prices(item.get("pricing"), where)
    known = raw.attributes.get(asin, {"attributes": ["DUMMY_ATTR"]})
    bullets = item.get("small_description")
    human = (_instruction(record, f"human, {asin}") for record in raw.human.get(asin, ()))
    return Product(
        asin=asin,
        title=_text(item, "name", where),
        nouns=_texts(raw.title_nouns, asin, "title_nouns"),
        description=_text(item, "full_description", where),
        bullets=(bullets,) if isinstance(bullets, str) else _texts(item, "small_description", where),
        category=_text(item, "category", where),
        query=_text(item, "query", where).lower().strip(),
        product_category=_text(item, "product_category", where),
        attributes=_texts(known, "attributes", f"attributes, {asin}"),
        options=_options(item.get("customization_options"), where),
        prices=prices,
        price_tag=price_tag,
        synthetic=_synthetic(known, f"attributes, {asin}"),
        human=tuple(instruction for instruction in human if instruction.attributes),
    )


def _prices(pricing: Any, where: str) -> tuple[tuple[float, ...], str]:
    if not pricing:
        return (DEFAULT_PRICE,), f"${DEFAULT_PRICE}"
    try:
        prices = [float(re.sub(r"[^0-9.]", "", part)) for part in pricing.split("$")[1:]]
        return tuple(prices[:2]), f"${prices[0]}" if len(prices) == 1 else f"${prices[0]} to ${prices[1]}"
    except (AttributeError, IndexError, ValueError):
        raise DataError(f'{where}: pricing must be "$12.3", "$12.3$45.6", "" or null, not {pricing!r:.80}') from None


def _options(groups: Any, where: str) -> dict[str, tuple[str, ...]]:
    if not groups:
        return {}
    try:
        return {
            name.lower(): tuple(content["value"].strip().replace("/", " | ").lower() for content in contents)
            for name, contents in groups.items()
            if contents is not None
        }
    except (AttributeError, KeyError, TypeError):
        raise DataError(f'{where}: customization_options must be {{name: [{{"value": text}}] or null}}') from None


def _synthetic(known: Mapping[str, Any], where: str) -> Instruction | None:
    if known.get("instruction") is None:
        return None
    instruction = Instruction(_text(known, "instruction", where), _texts(known, "instruction_attributes", where))
    if not instruction.attributes:
        raise DataError(f"{where}: instruction_attributes is empty, and the instruction asks for nothing")
    return instruction


def _instruction(record: Any, where: str) -> Instruction:
    if not isinstance(record, dict):
        raise DataError(f"{where}: an instruction must be a dict, not a {type(record).__name__}")
    return Instruction(
        _text(record, "instruction", where),
        _texts(record, "instruction_attributes", where),
        _texts(record, "instruction_options", where),
    )


def _text(record: Mapping[str, Any], key: str, where: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise DataError(f"{where}: {key!r} must be a text, not {value!r:.80}")
    return value


def _texts(record: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = record.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DataError(f"{where}: {key!r} must be a list of texts, not {value!r:.80}")
    return tuple(value)
