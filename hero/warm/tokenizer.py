"""Trains the byte-pair encoding of a tiny policy on the texts of its environment."""

from __future__ import annotations

import re
from collections.abc import Iterable


def train_ranks(texts: Iterable[str], pattern: str, vocabulary: int, digits: int = 1) -> dict[bytes, int]:
    """Returns byte strings with their ranks, in the order of their merging; the 256 single bytes come first.

    Args:
        pattern: regular expression that splits a text before the merges.
        vocabulary: number of ranks.
        digits: all numbers of two up to this many digits get ranks, whatever the texts hold; they come last.
    """
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    numbers = [f"{number:0{size}d}".encode() for size in range(2, digits + 1) for number in range(10**size)]
    trainer = trainers.BpeTrainer(vocab_size=vocabulary - len(numbers), initial_alphabet=alphabet, show_progress=False)
    # If numbers have ranks of their own, no rank is spent on those that happen to occur in the texts.
    readable = (text.encode("utf-8", "replace").decode() for text in texts)  # halves of surrogate pairs are not
    without_numbers = (re.sub(r"\d\d+", "0", text) for text in readable) if numbers else readable
    tokenizer.train_from_iterator(without_numbers, trainer)
    to_byte = {character: byte for byte, character in _byte_characters().items()}
    learned = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    merged = [bytes(to_byte[character] for character in token) for token, _ in learned if len(token) > 1]
    return {token: rank for rank, token in enumerate([bytes([byte]) for byte in range(256)] + merged + numbers)}


def _byte_characters() -> dict[int, str]:
    """Returns the printable characters that byte-level tokenizers use for bytes (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + index) for index, byte in enumerate(others)}
