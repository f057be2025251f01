"""Products of a large catalogue: memory-mapped records, each decoded on access."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hero.envs.webshop.products.product import Instruction, Product
from hero.envs.webshop.storage.string_array import StringArray
from hero.errors import DataError

CACHED: Final = 2048
"""Number of products that a process keeps decoded, of some 5 kB each."""


class PackedProducts(Mapping[str, Product]):
    """Products by asin, in the order of the catalogue.

    Args:
        records: packed products, in that order.
        asins: all asins, sorted.
        positions: int32, index in `records` of each of `asins`.
    """

    def __init__(self, records: StringArray, asins: StringArray, positions: NDArray[np.int32]) -> None:
        self._records = records
        self._asins = asins
        self._positions = positions
        self.at = lru_cache(maxsize=CACHED)(self._at)
        """Returns the product at an index of the catalogue."""
        self._by_asin = lru_cache(maxsize=CACHED)(lambda asin: self.at(self.index_of(asin)))

    def __getitem__(self, asin: str) -> Product:
        return self._by_asin(asin)

    def __iter__(self) -> Iterator[str]:
        return (self._asins[index] for index in np.argsort(self._positions).tolist())

    def __len__(self) -> int:
        return len(self._records)

    def index_of(self, asin: str) -> int:
        """Returns the index of a product in the catalogue.

        Raises:
            KeyError: there is none with this asin.
        """
        index = self._asins.find(asin)
        if index is None:
            raise KeyError(asin)
        return int(self._positions[index])

    def _at(self, index: int) -> Product:
        try:
            return unpack_product(self._records[index])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(
                f"record {index} of the index is damaged ({error}); remove hero_index, and run hero data webshop again"
            ) from error


class PackedPrices(Mapping[str, float]):
    """Prices of packed products by asin, in dollars."""

    def __init__(self, products: PackedProducts, prices: NDArray[np.float64]) -> None:
        self._products = products
        self._prices = prices

    def __getitem__(self, asin: str) -> float:
        return float(self._prices[self._products.index_of(asin)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._products)

    def __len__(self) -> int:
        return len(self._products)


def pack_product(item: Product) -> str:
    """Returns a product as one line of JSON."""
    instructions = [*filter(None, [item.synthetic]), *item.human]
    return json.dumps(
        [
            *(item.asin, item.title, item.nouns, item.description, item.bullets, item.category, item.query),
            *(item.product_category, item.attributes, item.options, item.prices, item.price_tag),
            item.synthetic is not None,
            [(each.text, each.attributes, each.options) for each in instructions],
        ],
        separators=(",", ":"),
    )


def unpack_product(record: str) -> Product:
    """Returns the product of a packed record."""
    asin, title, nouns, description, bullets, category, query, *rest = json.loads(record)
    product_category, attributes, options, prices, price_tag, has_synthetic, packed = rest
    instructions = [Instruction(text, tuple(wanted), tuple(chosen)) for text, wanted, chosen in packed]
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
        synthetic=instructions[0] if has_synthetic else None,
        human=tuple(instructions[has_synthetic:]),
    )
