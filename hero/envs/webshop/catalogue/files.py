"""Product data: the original's files as they are, and the products that its engine makes of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

from hero.envs.validate import brief
from hero.envs.webshop.products.product import Instruction, Product
from hero.envs.webshop.storage.json_stream import Advance, Packed, ignore, records
from hero.errors import DataError

FILES: Final = {
    "items": "items_shuffle*.json",
    "attributes": "items_ins_v2*.json",
    "human": "items_human_ins.json",
    "title_nouns": "title_nouns.json",
}
TYPES: Final[Mapping[str, tuple[type, type]]] = {
    "items": (list, dict),
    "attributes": (dict, dict),
    "human": (dict, list),
    "title_nouns": (dict, list),
}
"""Of each file and of its records."""
LONGEST_ASIN: Final = 10
MOST_COMBINATIONS: Final = 1_000_000
"""Of the options of a product, each of which is a goal."""
DEFAULT_PRICE: Final = 100.0
PAGE_SIZE: Final = 10
"""Results on a page of the original."""


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
        files: which file each of the first four came from; empty where they came from none.
    """

    items: Iterable[dict[str, Any]]
    attributes: Mapping[str, dict[str, Any]]
    human: Mapping[str, list[dict[str, Any]]]
    title_nouns: Mapping[str, list[str]]
    splits: Mapping[str, str] = field(default_factory=dict)
    page_size: int = PAGE_SIZE
    files: Mapping[str, Path] = field(default_factory=dict)

    def where(self, name: str) -> str:
        """One of the first four, for messages: with its file, if it has one."""
        return f"{self.files[name]}: {name}" if name in self.files else name


def candidates(directory: Path) -> dict[str, list[Path]]:
    """What is in a directory of each of `FILES`, by their names in `RawCatalogue`: one file, if all is well.

    Raises:
        DataError: there is no such directory, or it cannot be read, or something in it is none of the files that its
            name says: a link to a place that does not exist, say.
    """
    try:
        entries = sorted(directory.iterdir())
        found = {name: [entry for entry in entries if entry.match(pattern)] for name, pattern in FILES.items()}
        for file in chain.from_iterable(found.values()):
            if file.is_symlink() and not file.exists():
                raise DataError(f"{file} is a link to {file.readlink()}, which does not exist; put the file there")
            if not file.is_file():
                raise DataError(f"{file} is no file but a directory or the like; put the file in its place")
    except OSError as error:
        raise DataError(
            f"{directory} cannot be read: {error.strerror or error}; give a directory that holds the files of the "
            "original WebShop"
        ) from error
    return found


def locate(directory: Path) -> dict[str, Path]:
    """The original's files in a directory, by their names in `RawCatalogue`.

    Raises:
        DataError: a file of `FILES` is missing, or there twice, or there is no such directory.
    """
    found = candidates(directory)
    for name, files in found.items():
        if not files:
            hint = f"; to make it, run: hero data webshop --from {directory}" if name == "title_nouns" else ""
            raise DataError(f"{directory} holds no {FILES[name]}{hint}")
        if len(files) > 1:
            names = " and ".join(file.name for file in files)
            raise DataError(f"{directory} holds {names}; keep each size of the catalogue in a directory of its own")
    return {name: file for name, (file,) in found.items()}


def read_directory(path: str | Path) -> RawCatalogue:
    """Reads the original's files from a directory: `FILES`, each once.

    All but title_nouns.json come with the original. That one replaces its part-of-speech tagger, and maps each asin to
    `[token.text.lower() for token in tagger(title) if token.pos_ in ("NOUN", "PROPN")]`; the published numbers are from
    spaCy's en_core_web_sm.

    Raises:
        DataError: a file is missing, there twice, not JSON, or not of the outer shape that `RawCatalogue` says.
    """
    files = locate(Path(path))
    content: dict[str, Any] = {name: records(file, *TYPES[name]) for name, file in files.items()}
    items = [item for _, item in content.pop("items")]
    others: dict[str, Any] = {name: dict(pairs) for name, pairs in content.items()}
    return RawCatalogue(items=items, files=files, **others)


def stream_directory(path: Path, advance: Mapping[str, Advance], stack: ExitStack) -> RawCatalogue:
    """Reads the original's files as `read_directory` does, but the items only while they are gone through.

    Args:
        advance: by name in `RawCatalogue`, told the progress of each file; may lack some.
        stack: closes the file of the items.
    """
    files = locate(path)
    content: dict[str, Any] = {
        name: records(file, *TYPES[name], advance.get(name, ignore)) for name, file in files.items()
    }
    items = (item for _, item in stack.enter_context(closing(content.pop("items"))))
    others: dict[str, Any] = {name: Packed(pairs) for name, pairs in content.items()}
    return RawCatalogue(items=items, files=files, **others)


def products(raw: RawCatalogue) -> list[Product]:
    """The products of a catalogue, in order; repeated asins and asins that are not products' are left out.

    Raises:
        DataError: a record lacks a key or has the wrong type; the message names its asin.
    """
    return list(each_product(raw))


def each_product(raw: RawCatalogue) -> Iterator[Product]:
    """The `products`, one by one."""
    return (_product(raw, asin, item) for asin, item in each_item(raw.items, raw.where("items")))


def each_item(items: Iterable[dict[str, Any]], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records that become products, each with its asin.

    Args:
        where: what the items are called in a message.
    """
    seen = set()
    for number, item in enumerate(items):
        asin = _text(item, "asin", f"{where}[{number}]")
        if asin != "nan" and len(asin) <= LONGEST_ASIN and asin not in seen:
            seen.add(asin)
            yield asin, item


def document(item: Product) -> str:
    """What the search sees of a product."""
    options = ", and ".join(f"{group}: {', '.join(values)}" for group, values in item.options.items())
    return " ".join([item.title, item.description, *item.bullets[:1], options]).lower()


def _product(raw: RawCatalogue, asin: str, item: Mapping[str, Any]) -> Product:
    where = f"{raw.where('items')}, {asin}"
    if asin not in raw.title_nouns:
        raise DataError(
            f"{raw.where('title_nouns')} has no {asin!r}: every product needs the nouns of its title, if only []"
        )
    prices, price_tag = _prices(item.get("pricing"), where)
    options = _options(item.get("customization_options"), where)
    if (count := math.prod(map(len, options.values()))) > MOST_COMBINATIONS:
        raise DataError(
            f"{where}: customization_options have {count:,} combinations, and more than {MOST_COMBINATIONS:,} are "
            "too many; leave the product out"
        )
    known = raw.attributes.get(asin, {"attributes": ["DUMMY_ATTR"]})
    bullets = item.get("small_description")
    human = (_instruction(record, f"{raw.where('human')}, {asin}") for record in raw.human.get(asin, ()))
    return Product(
        asin=asin,
        title=_text(item, "name", where),
        nouns=_texts(raw.title_nouns, asin, raw.where("title_nouns")),
        description=_text(item, "full_description", where),
        bullets=(bullets,) if isinstance(bullets, str) else _texts(item, "small_description", where),
        category=_text(item, "category", where),
        query=_text(item, "query", where).lower().strip(),
        product_category=_text(item, "product_category", where),
        attributes=_texts(known, "attributes", f"{raw.where('attributes')}, {asin}"),
        options=options,
        prices=prices,
        price_tag=price_tag,
        synthetic=_synthetic(known, f"{raw.where('attributes')}, {asin}"),
        human=tuple(instruction for instruction in human if instruction.attributes),
    )


def _prices(pricing: Any, where: str) -> tuple[tuple[float, ...], str]:
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
        raise DataError(f"{where}: {key!r} must be a text, not {brief(value)}")
    return value


def _texts(record: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = record.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DataError(f"{where}: {key!r} must be a list of texts, not {brief(value)}")
    return tuple(value)
