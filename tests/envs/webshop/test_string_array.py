"""Tables of texts: what goes in comes out, and is found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.storage.string_array import StringArray

texts = st.text(st.characters(exclude_categories=()), max_size=5)


@given(st.lists(texts))
def test_texts_come_back(row: list[str]) -> None:
    table = StringArray.of(row)
    assert list(table) == [table[place] for place in range(len(table))] == row


@given(st.sets(texts), texts)
def test_sorted_texts_are_found_and_others_are_not(row: set[str], other: str) -> None:
    table = StringArray.of(sorted(row))
    assert [table[place] for text in row if (place := table.find(text)) is not None] == list(row)
    assert (table.find(other) is not None) == (other in row)
