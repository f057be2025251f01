"""Strings come back from an array, and are found in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.storage.string_array import StringArray

texts = st.text(st.characters(exclude_categories=()), max_size=5)


@given(st.lists(texts))
def test_texts_come_back(row: list[str]) -> None:
    array = StringArray.of(row)
    assert list(array) == [array[index] for index in range(len(array))] == row


@given(st.sets(texts), texts)
def test_sorted_texts_are_found_and_others_are_not(row: set[str], other: str) -> None:
    array = StringArray.of(sorted(row))
    assert [array[index] for text in row if (index := array.find(text)) is not None] == list(row)
    assert (array.find(other) is not None) == (other in row)
