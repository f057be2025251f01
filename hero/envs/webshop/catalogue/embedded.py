"""Generates the embedded catalogue: invented products in the schema of the original files, determined by a seed.

A *cluster* is what makes a task hard: a product, the same thing over budget, and near-duplicates that lack one of its
attributes but say so in words that a search engine takes for the attribute ("quilted" is matched by "made without
quilting", since both stem to "quilt"). All goals of a cluster are in one split, so no product is in two.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hero.envs.webshop.catalogue.raw import RawCatalogue
from hero.envs.webshop.catalogue.vocabulary import (
    ATTRIBUTES,
    BRANDS,
    FILLERS,
    GROUPS,
    KINDS,
    OPTIONS,
    PHRASES,
    TEMPLATES,
)
from hero.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Level:
    """The difficulty of the tasks of a catalogue.

    Attributes:
        page_size: number of results on a page; the original shows 10.
        attributes: number of attributes that a product has and an instruction asks for.
        near_duplicates: number of products per cluster that lack one of the attributes.
        requested: relative frequency of asking for 0, 1 or 2 options.
    """

    page_size: int
    attributes: int
    near_duplicates: int
    requested: tuple[int, int, int]


LEVELS: Final = {
    "easy": Level(page_size=4, attributes=2, near_duplicates=1, requested=(7, 2, 1)),
    "medium": Level(page_size=6, attributes=2, near_duplicates=2, requested=(6, 3, 1)),
    "hard": Level(page_size=10, attributes=3, near_duplicates=4, requested=(1, 4, 5)),
}
CLUSTERS: Final = 5
"""Number of clusters per kind of product."""
SHARES: Final = {"train": 0.6, "validation": 0.2, "test": 0.2}


def generate(level: str = "medium", seed: int = 0) -> RawCatalogue:
    """Generates a catalogue of several hundred products in five departments.

    Args:
        level: a key of `LEVELS`.
        seed: equal seeds give equal catalogues, on any machine.

    Raises:
        ConfigError: there is no such level.
    """
    if level not in LEVELS:
        raise ConfigError(f"no level {level!r} of the embedded catalogue; there are: {', '.join(LEVELS)}")
    difficulty, rng = LEVELS[level], random.Random(f"{level}-{seed}")
    clusters = [
        (department, kind) for department in KINDS for kind in KINDS[department].split(",") for _ in range(CLUSTERS)
    ]
    splits = _splits(rng, len(clusters))
    unused = codes(rng)
    items: list[dict[str, Any]] = []
    human: dict[str, list[dict[str, Any]]] = {}
    split_of: dict[str, str] = {}
    for (department, kind), split in zip(clusters, splits, strict=True):
        for product, is_target in _cluster(rng, unused, department, kind, difficulty):
            items.append(product)
            split_of[product["asin"]] = split
            if is_target:
                human[product["asin"]] = [_instruction(rng, product, difficulty) for _ in range(2)]
    rng.shuffle(items)
    return RawCatalogue(
        items=items,
        attributes={item["asin"]: {"attributes": item.pop("attributes")} for item in items},
        human=human,
        title_nouns={item["asin"]: _nouns(item) for item in items},
        splits=split_of,
        page_size=difficulty.page_size,
    )


def _splits(rng: random.Random, count: int) -> list[str]:
    names = [name for name, share in SHARES.items() for _ in range(round(share * count))]
    rng.shuffle(names)
    return names


def codes(rng: random.Random) -> Iterator[str]:
    """Yields all product codes, such as ZUKA, in random order."""
    syllables = [consonant + vowel for consonant in "BCDFGHJKLMNPRSTVWXYZ" for vowel in "AEIOU"]
    pairs = [first + second for first in syllables for second in syllables if first != second]
    rng.shuffle(pairs)
    return iter(pairs)


def _cluster(
    rng: random.Random, unused: Iterator[str], department: str, kind: str, level: Level
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yields the products of one cluster, each with whether goals may ask for it."""
    pool = [tuple(pair.split("/")) for pair in ATTRIBUTES[department].split()]
    rng.shuffle(pool)
    wanted, spare = pool[: level.attributes], pool[level.attributes :]
    price = rng.randint(50, 500) / 10
    yield _product(rng, next(unused), department, kind, wanted, [], price), True
    # A goal's price bound is at most 40 above the price of its product, so this is over budget for all of them.
    yield _product(rng, next(unused), department, kind, wanted, [], price + rng.randint(410, 490) / 10), False
    for index in range(level.near_duplicates):
        replaced = index % level.attributes
        has = [*wanted[:replaced], spare[index], *wanted[replaced + 1 :]]
        lacks = [wanted[replaced][1]] * rng.randint(1, 2)
        near_price = max(5.0, price + rng.randint(-100, 100) / 10)
        yield _product(rng, next(unused), department, kind, has, lacks, near_price), True


def _product(
    rng: random.Random,
    code: str,
    department: str,
    kind: str,
    attributes: Sequence[tuple[str, ...]],
    lacks: Sequence[str],
    price: float,
) -> dict[str, Any]:
    names = [attribute for attribute, _ in attributes]
    rng.shuffle(names)
    brand = rng.choice(BRANDS)
    words = [f"Made without {word}." for word in lacks]
    praise = f"{' and '.join(rng.sample(names, rng.randint(1, len(names)))).capitalize()} as it should be."
    words += [praise] * rng.randint(0, 1) + rng.sample(FILLERS, rng.randint(0, 2))
    groups = {}
    for group in GROUPS[department]:
        values = OPTIONS[group].split()
        groups[group] = rng.sample(values, rng.randint(3, min(4, len(values))))
    return {
        "asin": code,
        "name": f"{brand} {' '.join(names)} {kind}",
        "full_description": " ".join(words),
        "small_description": [f"{kind} by {brand}", *rng.sample(FILLERS, 1)],
        "pricing": f"${price:.1f}",
        "product_category": f"{department} › {kind.split()[1]}s › {kind}",
        "category": department,
        "query": kind,
        "customization_options": {group: [{"value": value} for value in values] for group, values in groups.items()},
        "images": [],
        "attributes": names,
    }


def _instruction(rng: random.Random, product: dict[str, Any], level: Level) -> dict[str, Any]:
    """Generates one instruction, as a record of the original's file of human instructions."""
    groups = product["customization_options"]
    count = rng.choices((0, 1, 2), level.requested)[0]
    requested = {group: rng.choice(groups[group])["value"] for group in rng.sample(sorted(groups), count)}
    names = rng.sample(product["attributes"], len(product["attributes"]))
    phrases = [rng.choice(PHRASES).format(group=group, value=value) for group, value in requested.items()]
    template = rng.choice(TEMPLATES)
    first = product["query"] if "{article} {kind}" in template else names[0]
    text = template.format(
        article="an" if first[0] in "aeiou" else "a",
        adjectives=" ".join(names),
        list=", ".join(names[:-1]) + " and " + names[-1],
        kind=product["query"],
        options="".join(" " + phrase if phrase.startswith(("in", "with")) else ", " + phrase for phrase in phrases),
    )
    return {
        "asin": product["asin"],
        "instruction": text,
        "attributes": product["attributes"],
        "options": sorted(f"{group}: {option['value']}" for group in groups for option in groups[group]),
        "instruction_attributes": names,
        "instruction_options": list(requested.values()),
    }


def _nouns(item: dict[str, Any]) -> list[str]:
    return [item["name"].split()[0].lower(), *item["query"].split()]
