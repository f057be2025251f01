"""Trains the byte-pair ranks of the tiny policy on text of the embedded WebShop."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

from hero.policies.tiny import PATTERN


def train_ranks(texts: Iterable[str], vocabulary: int) -> dict[bytes, int]:
    """Ranks of `vocabulary` byte strings, the 256 single bytes among them, in the order of their merging."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    to_byte = {character: byte for byte, character in _byte_characters().items()}
    learned = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    merged = [bytes(to_byte[character] for character in token) for token, _ in learned if len(token) > 1]
    return {token: rank for rank, token in enumerate([bytes([byte]) for byte in range(256)] + merged)}


def write_ranks(ranks: dict[bytes, int], path: Path) -> None:
    """Writes ranks in tiktoken's own format."""
    path.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()))


def _byte_characters() -> dict[int, str]:
    """The printable stand-ins that byte-level tokenizers use for bytes (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(others)}
