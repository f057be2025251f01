"""Products of a large catalogue: records in a file that is memory-mapped, and decoded when they are looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hero.envs.webshop.products.product import Instruction, Product
from hero.envs.webshop.storage.string_array import Strings
from hero.errors import DataError

REMEMBERED: Final = 2048
"""Products that a process keeps decoded, at some 5 kB each."""


class Products(Mapping[str, Product]):
    """Products by asin, in the order of the catalogue.

    Args:
        records: what `packed` made of each product, in that order.
        asins: all of them, sorted.
        places: int32, the place in `records` of each of `asins`.
    """

    def __init__(self, records: Strings, asins: Strings, places: NDArray[np.int32]) -> None:
        self._records = records
        self._asins = asins
        self._places = places
        self.at = lru_cache(maxsize=REMEMBERED)(self._at)
        """The product in a place of the catalogue."""
        self._of = lru_cache(maxsize=REMEMBERED)(lambda asin: self.at(self.place(asin)))

    def __getitem__(self, asin: str) -> Product:
        return self._of(asin)

    def __iter__(self) -> Iterator[str]:
        return (self._asins[place] for place in np.argsort(self._places).tolist())

    def __len__(self) -> int:
        return len(self._records)

    def place(self, asin: str) -> int:
        """Where in the catalogue a product is.

        Raises:
            KeyError: there is none with this asin.
        """
        found = self._asins.find(asin)
        if found is None:
            raise KeyError(asin)
        return int(self._places[found])

    def _at(self, place: int) -> Product:
        try:
            return unpacked(self._records[place])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(
                f"record {place} of the index is damaged ({error}); remove hero_index, and run hero data webshop again"
            ) from error


class Prices(Mapping[str, float]):
    """Prices by asin, in dollars, of products whose prices are in an array."""

    def __init__(self, products: Products, prices: NDArray[np.float64]) -> None:
        self._products = products
        self._prices = prices

    def __getitem__(self, asin: str) -> float:
        return float(self._prices[self._products.place(asin)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._products)

    def __len__(self) -> int:
        return len(self._products)


def packed(item: Product) -> str:
    """A product as one line of JSON."""
    wishes = [(wish.text, wish.attributes, wish.options) for wish in (*filter(None, [item.synthetic]), *item.human)]
    return json.dumps(
        [
            *(item.asin, item.title, item.nouns, item.description, item.bullets, item.category, item.query),
            *(item.product_category, item.attributes, item.options, item.prices, item.price_tag),
            *(item.synthetic is not None, wishes),
        ],
        separators=(",", ":"),
    )


def unpacked(record: str) -> Product:
    """The product that was packed."""
    asin, title, nouns, description, bullets, category, query, *rest = json.loads(record)
    product_category, attributes, options, prices, price_tag, is_wanted, wishes = rest
    instructions = [Instruction(text, tuple(asked), tuple(chosen)) for text, asked, chosen in wishes]
    return Product(
        asin=asin,
        title=title,
        nouns=tuple(nouns),
        description=description,
        bullets=tuple(bullets),
        category=category,
        query=query,
        product_category=product_category,
        attributes=tuple(attributes),
        options={group: tuple(values) for group, values in options.items()},
        prices=tuple(prices),
        price_tag=price_tag,
        synthetic=instructions[0] if is_wanted else None,
        human=tuple(instructions[is_wanted:]),
    )
