"""Secrets in texts, in every spelling that a URL, JSON or an error message can give them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.endpoint.redactor import Redactor

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent encoding": lambda secret: quote(secret, safe=""),
    "percent encoding in lower case": lambda secret: re.sub(
        "%..", lambda code: code[0].lower(), quote(secret, safe="")
    ),
    "percent encoding of a path": quote,
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "JSON in UTF-8": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "JSON with slashes escaped": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "JSON in codes": lambda secret: "".join(f"\\u{ord(character):04X}" for character in secret),
    "Python": lambda secret: repr(secret)[1:-1],
}
characters = st.characters(
    max_codepoint=0x2FF, exclude_categories=("C", "Z"), include_characters="\n", exclude_characters="()*"
)


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(secret=st.text(characters, min_size=1))
def test_a_secret_is_removed_in_every_spelling(spelling: str, secret: str) -> None:
    assert Redactor(["", secret])(f"({SPELLINGS[spelling](secret)})") == "(***)"


def test_other_text_is_left_alone() -> None:
    assert Redactor(["", "key/1"])("the key/2 and the key%2F3") == "the key/2 and the key%2F3"
    assert Redactor(["Key"])("the key") == "the key"
    assert Redactor([""])("any text") == Redactor([])("any text") == "any text"


def test_of_two_secrets_the_longer_one_is_removed_whole() -> None:
    assert Redactor(["ab", "abcd"])("abcd ab") == "*** ***"
