"""A product, with everything that pages and rewards need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instruction:
    """The instruction of a shopper, without the price.

    Attributes:
        attributes: attributes that the product must have; never empty in a `Product`.
        options: requested values, without their group; empty in a synthetic instruction, which stands for any
            combination.
    """

    text: str
    attributes: tuple[str, ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the shop.

    Attributes:
        nouns: nouns and names of the title, lower case, in order, with repetitions.
        options: values by group, both lower case; a group may be empty.
        prices: one price, or the two ends of a range, in dollars.
        price_tag: the price as shown on pages.
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
