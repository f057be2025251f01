"""The embedded catalogue: invented products in the schema of the original files, deterministic from a seed.

A *cluster* is what makes a task hard: a product, the same thing over budget, and near-duplicates that lack one of its
attributes but say so in words that a search engine takes for the attribute ("quilted" is matched by "made without
quilting", since both stem to "quilt"). All goals of a cluster lie in one split, so no product is in two.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hero.envs.webshop.catalogue.files import RawCatalogue
from hero.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Level:
    """How hard the tasks of a catalogue are.

    Attributes:
        page_size: results on a page; the original shows 10.
        attributes: attributes that a product has and an instruction asks for.
        lacking: near-duplicates per cluster that lack one of the attributes.
        requested: relative frequency of asking for 0, 1 or 2 options.
    """

    page_size: int
    attributes: int
    lacking: int
    requested: tuple[int, int, int]


LEVELS: Final = {
    "easy": Level(page_size=4, attributes=2, lacking=1, requested=(7, 2, 1)),
    "medium": Level(page_size=6, attributes=2, lacking=2, requested=(6, 3, 1)),
    "hard": Level(page_size=10, attributes=3, lacking=4, requested=(1, 4, 5)),
}
CLUSTERS: Final = 5
"""Clusters per kind of product."""
SHARES: Final = {"train": 0.6, "validation": 0.2, "test": 0.2}

# department: (attribute, a word of the same stem that does not contain it), kinds of product, option groups
ATTRIBUTES: Final = {
    "fashion": "quilted/quilting padded/padding hooded/hoods lined/lining pleated/pleats waxed/waxing "
    "fitted/fitting belted/belts knitted/knitting ribbed/ribs",
    "beauty": "scented/scents tinted/tinting whipped/whipping infused/infusing medicated/medicating "
    "perfumed/perfumes cooling/cools foaming/foams firming/firms soothing/soothes",
    "electronics": "shielded/shielding braided/braiding insulated/insulation weighted/weights curved/curves "
    "coated/coating amplified/amplifies reinforced/reinforces tilting/tilts folding/folds",
    "garden": "glazed/glazing carved/carving painted/paint galvanized/galvanizing stacking/stacks "
    "hanging/hangs polished/polish varnished/varnish cushioned/cushions hammered/hammers",
    "grocery": "roasted/roasting salted/salting smoked/smoke sweetened/sweetening pickled/pickles "
    "toasted/toasting blended/blends filtered/filters spiced/spices crushed/crushing",
}
KINDS: Final = {
    "fashion": "rain jacket,winter coat,denim skirt,cargo vest,evening dress,bucket hat,ankle boot,travel scarf",
    "beauty": "body lotion,face mask,lip balm,hand cream,hair serum,bath soap,eye gel,nail oil",
    "electronics": "phone cable,desk lamp,travel speaker,laptop stand,game controller,wall charger,car mount,ear muff",
    "garden": "flower pot,patio chair,bird feeder,side table,plant shelf,wind chime,garden bench,door lantern",
    "grocery": "almond snack,green tea,tomato sauce,corn chip,olive spread,coffee bean,pepper mix,oat cereal",
}
OPTIONS: Final = {
    "color": "black white navy pink purple yellow orange olive",
    "size": "small medium large petite",
    "scent": "lavender vanilla citrus jasmine cedar",
    "volume": "mini regular jumbo",
    "power": "solar battery mains",
    "length": "short long extended",
    "finish": "matte glossy rustic",
    "flavor": "honey garlic lemon ginger maple",
    "pack": "single double triple",
}
GROUPS: Final = {
    "fashion": ("color", "size"),
    "beauty": ("scent", "volume"),
    "electronics": ("power", "length"),
    "garden": ("color", "finish"),
    "grocery": ("flavor", "pack"),
}
BRANDS: Final = (
    "Norvia Zelmo Kartano Pelliro Umbria Trovex Lumeno Sandor Fennick Orwell Brinza Calden Dorvik Elmira Gravo Hestia "
    "Ivaro Jorund Kelso Marlow Nimbo Osprey Quarto Rivena Solvik Tundra Vesper Wexley Yarrow Zandra"
).split()
WORDINGS: Final = (
    "find me {article} {adjectives} {kind}{options}",
    "i am looking for {article} {kind} that is {list}{options}",
    "i need {article} {list} {kind}{options}",
    "please show me {article} {kind}, {list}{options}",
    "i would like to buy {article} {adjectives} {kind}{options}",
)
PHRASES: Final = ("in {value}", "with {group} {value}", "{group} {value}")
FILLERS: Final = (
    "Made for every day.",
    "A favorite of our customers.",
    "Ships in a simple box.",
    "Designed with care and tested twice.",
    "Good value for the whole family at home or away.",
)


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
    rng = random.Random(f"{level}-{seed}")
    clusters = [
        (department, kind, LEVELS[level])
        for department in KINDS
        for kind in KINDS[department].split(",")
        for _ in range(CLUSTERS)
    ]
    splits = _splits(rng, len(clusters))
    unused = codes(rng)
    items: list[dict[str, Any]] = []
    human: dict[str, list[dict[str, Any]]] = {}
    split_of: dict[str, str] = {}
    for (department, kind, rules), split in zip(clusters, splits, strict=True):
        for product, is_target in _cluster(rng, unused, department, kind, rules):
            items.append(product)
            split_of[product["asin"]] = split
            if is_target:
                human[product["asin"]] = [_instruction(rng, product, rules) for _ in range(2)]
    rng.shuffle(items)
    return RawCatalogue(
        items=items,
        attributes={item["asin"]: {"attributes": item.pop("attributes")} for item in items},
        human=human,
        title_nouns={item["asin"]: _nouns(item) for item in items},
        splits=split_of,
        page_size=LEVELS[level].page_size,
    )


def _splits(rng: random.Random, count: int) -> list[str]:
    names = [name for name, share in SHARES.items() for _ in range(round(share * count))]
    rng.shuffle(names)
    return names


def codes(rng: random.Random) -> Iterator[str]:
    """All product codes, such as ZUKA, in random order."""
    syllables = [consonant + vowel for consonant in "BCDFGHJKLMNPRSTVWXYZ" for vowel in "AEIOU"]
    pairs = [first + second for first in syllables for second in syllables if first != second]
    rng.shuffle(pairs)
    return iter(pairs)


def _cluster(
    rng: random.Random, unused: Iterator[str], department: str, kind: str, rules: Level
) -> Iterator[tuple[dict[str, Any], bool]]:
    """The products of one cluster, each with whether goals may ask for it."""
    pool = [tuple(pair.split("/")) for pair in ATTRIBUTES[department].split()]
    rng.shuffle(pool)
    wanted, spare = pool[: rules.attributes], pool[rules.attributes :]
    price = rng.randint(50, 500) / 10
    yield _product(rng, next(unused), department, kind, wanted, [], price), True
    # A goal's price bound is at most 40 above the price of its product, so this is over budget for all of them.
    yield _product(rng, next(unused), department, kind, wanted, [], price + rng.randint(410, 490) / 10), False
    for number in range(rules.lacking):
        place = number % rules.attributes
        has = [*wanted[:place], spare[number], *wanted[place + 1 :]]
        lacks = [wanted[place][1]] * rng.randint(1, 2)
        cheap = max(5.0, price + rng.randint(-100, 100) / 10)
        yield _product(rng, next(unused), department, kind, has, lacks, cheap), True


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


def _instruction(rng: random.Random, product: dict[str, Any], rules: Level) -> dict[str, Any]:
    """One wish in the words of a customer, as a record of the original's file of human instructions."""
    groups = product["customization_options"]
    count = rng.choices((0, 1, 2), rules.requested)[0]
    asked = {group: rng.choice(groups[group])["value"] for group in rng.sample(sorted(groups), count)}
    names = rng.sample(product["attributes"], len(product["attributes"]))
    phrases = [rng.choice(PHRASES).format(group=group, value=value) for group, value in asked.items()]
    wording = rng.choice(WORDINGS)
    first = product["query"] if "{article} {kind}" in wording else names[0]
    text = wording.format(
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
        "instruction_options": list(asked.values()),
    }


def _nouns(item: dict[str, Any]) -> list[str]:
    return [item["name"].split()[0].lower(), *item["query"].split()]
