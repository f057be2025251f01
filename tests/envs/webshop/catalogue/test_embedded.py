"""The embedded catalogue keeps the promises of its tasks."""

import subprocess
import sys
from collections import Counter

import pytest
import snowballstemmer

from hero.envs.webshop.catalogue.embedded import LEVELS, generate
from hero.envs.webshop.catalogue.vocabulary import ATTRIBUTES, GROUPS, KINDS, OPTIONS
from hero.errors import ConfigError


@pytest.mark.parametrize("level", LEVELS)
def test_holds_hundreds_of_products_in_five_departments(level: str) -> None:
    raw = generate(level)
    assert 400 <= len(raw.items) <= 2000
    assert len({item["category"] for item in raw.items}) == 5
    assert len({item["asin"] for item in raw.items}) == len(raw.items)


@pytest.mark.parametrize("level", LEVELS)
def test_splits_share_no_product_and_each_has_tasks(level: str) -> None:
    raw = generate(level)
    assert set(raw.splits) == {item["asin"] for item in raw.items}
    tasks = Counter(raw.splits[asin] for asin, instructions in raw.human.items() for _ in instructions)
    assert min(tasks[split] for split in ("train", "validation", "test")) >= 90
    assert tasks["train"] > 2 * tasks["validation"]


def test_equal_seeds_give_equal_catalogues_in_other_processes_and_other_seeds_do_not() -> None:
    code = (
        "from hashlib import sha256; from hero.envs.webshop.catalogue.embedded import generate; "
        "print(sha256(repr(generate('easy', {})).encode()).hexdigest())"
    )
    digests = [
        subprocess.run(
            [sys.executable, "-c", code.format(seed)],
            env={"PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, salt in [(3, "1"), (3, "2"), (4, "1")]
    ]
    assert digests[0] == digests[1] != digests[2]


def test_every_product_of_a_task_has_what_its_instruction_asks_for() -> None:
    raw = generate("hard", 5)
    items = {item["asin"]: item for item in raw.items}
    for asin, instructions in raw.human.items():
        offered = {option["value"] for group in items[asin]["customization_options"].values() for option in group}
        for record in instructions:
            assert set(record["instruction_attributes"]) == set(raw.attributes[asin]["attributes"])
            assert set(record["instruction_options"]) <= offered
            for word in (*record["instruction_attributes"], *record["instruction_options"], items[asin]["query"]):
                assert word in record["instruction"]


def test_a_near_duplicate_matches_the_search_but_not_the_reward() -> None:
    stem = snowballstemmer.stemmer("porter").stemWord
    for pairs in ATTRIBUTES.values():
        for attribute, other in (pair.split("/") for pair in pairs.split()):
            assert stem(attribute) == stem(other)
            assert attribute not in other


def test_words_mean_one_thing() -> None:
    attributes = [pair.split("/")[0] for pairs in ATTRIBUTES.values() for pair in pairs.split()]
    values = [value for names in GROUPS.values() for name in names for value in OPTIONS[name].split()]
    kinds = [word for kinds in KINDS.values() for kind in kinds.split(",") for word in kind.split()]
    assert not set(attributes) & set(kinds)
    assert not set(attributes) & set(values)
    for department, names in GROUPS.items():
        pair = [value for name in names for value in OPTIONS[name].split()]
        assert len(pair) == len(set(pair)), department


def test_an_unknown_level_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'extreme'.*easy, medium, hard"):
        generate("extreme")
