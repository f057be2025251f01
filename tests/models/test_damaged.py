"""Damaged files of a model, in every format: loading raises an error of this package, or the model acts."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from hero.errors import HeroError
from hero.models.load import load
from hero.types import Message
from tests.tiny_models import random_model, save_gguf, save_pretrained

PROMPT = [[Message("user", "ab"), Message("assistant", "b"), Message("user", "Is it? (1, 2)")]]
ODD: Final = (0, -1, 10**6, 2**70, 1.5, math.nan, True, False, None, "x", "", [], [3], {}, {"a": {}}, [[]] * 3)


def write(format: str, path: Path) -> Path:
    """Writes a sound model; returns the path to load."""
    path.mkdir()
    if format == "gguf":
        save_gguf(path / "model.gguf")
        return path / "model.gguf"
    if format == "tiny":
        random_model(tie_word_embeddings=True).save(path)
    else:
        save_pretrained(path)
    return path


@pytest.fixture(scope="module", params=["tiny", "hf", "gguf"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(request.param, tmp_path_factory.mktemp("sound") / "model")


def error_of(source: Path) -> str:
    """Loads a model and lets it act; returns the message of the error of this package, or "" if there was none."""
    try:
        (action,) = load(str(source)).policy(max_new_tokens=4).act(PROMPT)
    except HeroError as error:
        return str(error)
    assert action.tokens is not None
    assert all(math.isfinite(logprob) for logprob in action.tokens.logprobs)
    return ""


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the keys that lead to each part of a JSON value, for at most 40 entries of a list or table."""
    yield path
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else [])
    for key, inner in items[:40]:
        yield from paths(inner, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


def drop(text: str, rng: random.Random) -> str:
    value = json.loads(text)
    value.pop(rng.choice([*value]))
    return json.dumps(value)


def odd(text: str, rng: random.Random) -> str:
    value = json.loads(text)
    return json.dumps(put(value, rng.choice([*paths(value)]), rng.choice(ODD)))


def nest(text: str, rng: random.Random) -> str:
    value = json.loads(text)
    deep = "[" * 10**5 + "]" * 10**5
    return json.dumps(put(value, rng.choice([*paths(value)]), "DEEP")).replace('"DEEP"', deep)


def flip(content: bytes, rng: random.Random) -> bytes:
    """Flips bits, half of them near the beginning, where headers are."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        changed[rng.randrange(min(len(changed), rng.choice([1000, len(changed)])))] ^= 1 << rng.randrange(8)
    return bytes(changed)


IN_BYTES: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    lambda content, rng: content[: rng.randrange(len(content))],
    flip,
    lambda content, rng: b"",
    lambda content, rng: rng.randbytes(100),
    lambda content, rng: content + content[:100],
)
IN_JSON: Final[tuple[Callable[[str, random.Random], str], ...]] = (drop, odd, odd, odd, odd, nest)


def damage(source: Path, rng: random.Random) -> str:
    """Damages one file; returns the kind of damage and the file."""
    file = source if source.is_file() else rng.choice(sorted(source.iterdir()))
    content = file.read_bytes()
    if file.suffix == ".json" and rng.random() < 0.7:
        how = rng.choice(IN_JSON)
        file.write_text(how(content.decode(), rng))
        return f"{how.__name__} {file.name}"
    index = rng.randrange(len(IN_BYTES))
    file.write_bytes(IN_BYTES[index](content, rng))
    return f"{index} {file.name}"


ROUNDS: Final = int(os.environ.get("HERO_FUZZ_ROUNDS", "40"))


def test_damaged_files_are_refused_or_do_no_harm(sound: Path, tmp_path: Path) -> None:
    rng, refused = random.Random(5), 0
    for index in range(ROUNDS):
        source = tmp_path / str(index)
        (shutil.copytree if sound.is_dir() else shutil.copyfile)(
            sound, source if sound.is_dir() else tmp_path / "m.gguf"
        )
        source = source if sound.is_dir() else tmp_path / "m.gguf"
        how = damage(source, rng)
        try:
            refused += bool(error_of(source))
        except BaseException as error:
            raise AssertionError(f"round {index}: {how}") from error
    assert refused > ROUNDS / 3


def test_the_sound_model_is_loaded(sound: Path) -> None:
    assert not error_of(sound)
