"""An instruction is parsed in linear time, into the same values as by patterns that take quadratic time."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hero.envs.webshop.rules.instruction import GROUP_NAMES, ParsedInstruction
from hero.envs.webshop.rules.words import mentions, resemble, word_forms
from tests.hostile import call_with_each, texts

NAMES = "|".join(sorted(GROUP_NAMES, key=len, reverse=True))
PRICE_BOUND = re.compile(r"[,;]?\s*(?:and\s+)?price lower than ([0-9]+(?:\.[0-9]+)?) dollars", re.IGNORECASE)
LABELLED = re.compile(rf"\b({NAMES}): (.+?)(?=, and |, (?:{NAMES}): |,?$)")
PIECES = [
    *(",", ";", " ", "\t", "\n", "and", "brand", " And ", "price lower than 1.5 dollars", "Price Lower than 2 dollars"),
    *("size", "size: ", "color: ", "flavor name: ", ", and ", ", size: ", "with size ", "in navy", "a", "-", "İ", "_"),
]  # fmt: skip
instructions = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)


@given(instructions)
@example("size: x,, and y")
@example("size: x\n")
@example("size: x\ny, and z")
def test_the_price_and_marked_options_are_read_as_patterns_would(instruction: str) -> None:
    parsed, match = ParsedInstruction.parse(instruction), PRICE_BOUND.search(instruction)
    assert parsed.text == PRICE_BOUND.sub("", instruction).lower()
    assert parsed.bound == (float(match[1]) if match else float("inf"))
    assert list(parsed.labelled) == LABELLED.findall(parsed.text)


@given(st.text("a-_ ,é", max_size=12), st.text("a-_ ,é", max_size=4))
@example("ba a", "a")
def test_a_value_is_asked_for_where_it_stands_as_whole_words(text: str, value: str) -> None:
    expected = bool(re.search(rf"(?<![\w-]){re.escape(value)}(?![\w-])", text)) if value else False
    parsed = ParsedInstruction(text, 1.0)
    assert (parsed.asks_for(value), parsed.asks_for(value)) == (expected, expected)


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("120 ml mask", "120ml", True),
        ("charcoal", "heather charcoal", True),
        ("black shoes", "black1901", True),
        ("two cups", "2 cup", True),
        ("rain jacket", "raincoat", True),
        ("purple", "purpose", False),
        ("men's coat", "s", False),
        ("coat with a belt", "with a", False),
        ("10.5", "10", False),
        ("", "navy", False),
    ],
)
def test_texts_resemble_each_other_in_words_and_parts_of_words(text: str, other: str, expected: bool) -> None:
    assert resemble(text, other) is resemble(other, text) is expected


def test_any_text_is_read_in_a_moment() -> None:
    def read(text: str) -> None:
        parsed = ParsedInstruction.parse(text)
        parsed.product_words(frozenset())
        parsed.requested((text[:1000], "a", text[-1000:]))
        mentions(text, "a")
        word_forms(text)

    call_with_each(read, texts())
