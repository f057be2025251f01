"""Reads JSON files that may be too large for memory, record by record."""

from __future__ import annotations

import codecs
import json
import marshal
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from hero.envs.validate import brief
from hero.errors import DataError

CHUNK: Final = 1 << 22
"""Number of bytes that are read at a time."""
MAX_RECORD_LENGTH: Final = 1 << 26
"""Maximum number of characters of a record."""
Advance = Callable[[int], None]
"""Called with the number of bytes that were read since the last call."""


def ignore_progress(advanced: int) -> None:
    """Does nothing, as an `Advance`."""


def stream_records(
    path: Path, outer: type, inner: type, advance: Advance = ignore_progress
) -> Generator[tuple[int | str, Any], None, None]:
    """Yields the records of a file that holds one JSON list, with their numbers, or one object, with their keys.

    The file stays open until the iterator is exhausted; a caller that may stop early must close the generator.

    Args:
        outer: required type of the whole file, list or dict.
        inner: required type of every record.

    Raises:
        DataError: the file cannot be read, is not JSON, is cut off, or is not of these types; the message names the
            record.
    """
    try:
        with path.open("rb") as file:
            yield from _split_records(_Text(iter(lambda: file.read(CHUNK), b""), advance), outer, inner)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    except _NotJsonError as error:
        raise DataError(f"{path} cannot be read as JSON: {error}; fetch it again, or make it again") from error
    except _WrongTypeError as error:
        raise DataError(f"{path}: {error}") from error


class MarshalledRecords(Mapping[str, Any]):
    """Records by key, kept as bytes, each decoded on access."""

    def __init__(self, records: Iterable[tuple[int | str, Any]]) -> None:
        """Encodes all records.

        Raises:
            DataError: a record is nested too deep; the message names it.
        """
        self._encoded = {str(key): _marshal(key, record) for key, record in records}

    def __getitem__(self, key: str) -> Any:
        return marshal.loads(self._encoded[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)


def _marshal(key: int | str, record: Any) -> bytes:
    try:
        return marshal.dumps(record)
    except ValueError as error:
        raise DataError(f"record {brief(key)} cannot be kept: {error}") from error


class _NotJsonError(Exception):
    pass


class _WrongTypeError(Exception):
    pass


def _split_records(text: _Text, outer: type, inner: type) -> Iterator[tuple[int | str, Any]]:
    end, opening = ("]", "[") if outer is list else ("}", "{")
    if not text.peek():
        raise _NotJsonError("it is empty")
    if text.peek() != opening:
        raise _WrongTypeError(f"a {outer.__name__} is needed, not a {type(text.value('the file')).__name__}")
    text.take()
    index = 0
    last: int | str | None = None
    while text.peek() != end:
        after = "the first record" if last is None else f"the record after {brief(last)}"
        if last is not None:
            text.expect(",", after)
        key: int | str = index
        if outer is dict:
            key = text.value(after)
            if not isinstance(key, str):
                raise _NotJsonError(f"a key of {after} is not a string")
            text.expect(":", after)
        record = text.value(f"record {brief(key)}")
        if not isinstance(record, inner):
            raise _WrongTypeError(f"record {brief(key)} must be a {inner.__name__}, not a {type(record).__name__}")
        yield key, record
        index, last = index + 1, key
    text.take()
    if text.peek():
        raise _NotJsonError("there is more after its end")


class _Text:
    """Text that arrives in parts, and is dropped once it has been consumed."""

    def __init__(self, parts: Iterator[bytes], advance: Advance) -> None:
        self._parts = parts
        self._advance = advance
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()  # some editors write a byte order mark
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0

    def peek(self) -> str:
        """Returns the next character that is not white space, without consuming it; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def take(self) -> None:
        """Consumes the character that `peek` returned."""
        self._at += 1

    def expect(self, character: str, where: str) -> None:
        """Consumes the next character, which must be the given one."""
        if (actual := self.peek()) != character:
            problem = f"{character!r} is needed, not {actual!r}" if actual else "the file is cut off"
            raise _NotJsonError(f"{where}: {problem}")
        self.take()

    def value(self, where: str) -> Any:
        """Consumes and returns the next JSON value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._at > MAX_RECORD_LENGTH or not self._more():
                    raise _NotJsonError(f"{where}: {getattr(error, 'msg', error)}") from error
                continue
            # A number at the end of the text may continue in the next part.
            if end == len(self._text) and isinstance(value, int | float) and self._more():
                continue
            self._at = end
            return value

    def _more(self) -> bool:
        """Reads the next part; returns False at the end of the file."""
        part = next(self._parts, b"")
        try:
            text = self._utf8.decode(part, final=not part)
        except UnicodeDecodeError as error:
            raise _NotJsonError(str(error)) from error
        self._text = self._text[self._at :] + text
        self._at = 0
        self._advance(len(part))
        return bool(part)
