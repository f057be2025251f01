"""Turns records of the original's files into products, as the original's engine does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from hero.envs.validate import brief
from hero.envs.webshop.catalogue.raw import RawCatalogue
from hero.envs.webshop.products.product import Instruction, Product
from hero.errors import DataError

MAX_ASIN_LENGTH: Final = 10
MAX_COMBINATIONS: Final = 1_000_000
"""Maximum number of combinations of the options of a product, each of which is a goal."""
DEFAULT_PRICE: Final = 100.0


def parse_products(raw: RawCatalogue) -> Iterator[Product]:
    """Yields the products of a catalogue, in order, without repeated or invalid asins.

    Raises:
        DataError: a record lacks a key or has the wrong type; the message names its asin.
    """
    return (_parse_product(raw, asin, item) for asin, item in valid_items(raw.items, raw.where("items")))


def valid_items(items: Iterable[dict[str, Any]], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the records that become products, each with its asin.

    Args:
        where: the name of the items in messages.
    """
    seen = set()
    for number, item in enumerate(items):
        asin = string(item, "asin", f"{where}[{number}]")
        if asin != "nan" and len(asin) <= MAX_ASIN_LENGTH and asin not in seen:
            seen.add(asin)
            yield asin, item


def search_text(product: Product) -> str:
    """Returns the text by which searches find a product."""
    options = ", and ".join(f"{group}: {', '.join(values)}" for group, values in product.options.items())
    return " ".join([product.title, product.description, *product.bullets[:1], options]).lower()


def _parse_product(raw: RawCatalogue, asin: str, item: Mapping[str, Any]) -> Product:
    where = f"{raw.where('items')}, {asin}"
    if asin not in raw.title_nouns:
        raise DataError(
            f"{raw.where('title_nouns')} has no {asin!r}: every product needs the nouns of its title, if only []"
        )
    prices, price_tag = _prices(item.get("pricing"), where)
    options = _options(item.get("customization_options"), where)
    if (count := math.prod(map(len, options.values()))) > MAX_COMBINATIONS:
        raise DataError(
            f"{where}: customization_options have {count:,} combinations, and more than {MAX_COMBINATIONS:,} are "
            "too many; leave the product out"
        )
    described = raw.attributes.get(asin, {"attributes": ["DUMMY_ATTR"]})
    bullets = item.get("small_description")
    human = (_human(record, f"{raw.where('human')}, {asin}") for record in raw.human.get(asin, ()))
    return Product(
        asin=asin,
        title=string(item, "name", where),
        nouns=_strings(raw.title_nouns, asin, raw.where("title_nouns")),
        description=string(item, "full_description", where),
        bullets=(bullets,) if isinstance(bullets, str) else _strings(item, "small_description", where),
        category=string(item, "category", where),
        query=string(item, "query", where).lower().strip(),
        product_category=string(item, "product_category", where),
        attributes=_strings(described, "attributes", f"{raw.where('attributes')}, {asin}"),
        options=options,
        prices=prices,
        price_tag=price_tag,
        synthetic=_synthetic(described, f"{raw.where('attributes')}, {asin}"),
        human=tuple(instruction for instruction in human if instruction.attributes),
    )


def _prices(pricing: Any, where: str) -> tuple[tuple[float, ...], str]:
    """Parses a price into one amount, or the two ends of a range, and the text that is shown."""
    if not pricing:
        return (DEFAULT_PRICE,), f"${DEFAULT_PRICE}"
    try:
        prices = [float(re.sub(r"[^0-9.]", "", part)) for part in pricing.split("$")[1:]]
        if not all(map(math.isfinite, prices)):
            raise ValueError
        return tuple(prices[:2]), f"${prices[0]}" if len(prices) == 1 else f"${prices[0]} to ${prices[1]}"
    except (AttributeError, IndexError, ValueError):
        raise DataError(f'{where}: pricing must be "$12.3", "$12.3$45.6", "" or null, not {brief(pricing)}') from None


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


def _synthetic(record: Mapping[str, Any], where: str) -> Instruction | None:
    if record.get("instruction") is None:
        return None
    instruction = Instruction(string(record, "instruction", where), _strings(record, "instruction_attributes", where))
    if not instruction.attributes:
        raise DataError(f"{where}: instruction_attributes is empty, and the instruction asks for nothing")
    return instruction


def _human(record: Any, where: str) -> Instruction:
    if not isinstance(record, dict):
        raise DataError(f"{where}: an instruction must be a dict, not a {type(record).__name__}")
    return Instruction(
        string(record, "instruction", where),
        _strings(record, "instruction_attributes", where),
        _strings(record, "instruction_options", where),
    )


def string(record: Mapping[str, Any], key: str, where: str) -> str:
    """Returns a value of a record, which must be a str.

    Raises:
        DataError: the value is missing, or not a str; the message begins with `where`.
    """
    value = record.get(key)
    if not isinstance(value, str):
        raise DataError(f"{where}: {key!r} must be a str, not {brief(value)}")
    return value


def _strings(record: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = record.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DataError(f"{where}: {key!r} must be a list of str, not {brief(value)}")
    return tuple(value)
