"""Keeps the answers of a model behind an endpoint, so that a run can be repeated without asking it again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

from hero.errors import DataError

MARK: Final = b"\xef\xbb\xbf"
"""The byte order mark that some editors put before a text."""
BEGINNING: Final = b'{"task": '
"""Beginning of every line."""
CHECKSUM: Final = "sha256"


class Recording:
    """Answers by request, in a file with a JSON object per line, each with a checksum; new ones are appended at once.

    An incomplete last line, which a process leaves that is killed while it writes, is ignored and written over.

    Raises:
        DataError: the file cannot be read, or a line is damaged; the message names it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._answers: dict[str, str] = {}
        content = _content(path)
        *lines, rest = content.removeprefix(MARK).split(b"\n")
        for number, line in enumerate(lines, 1):
            if line.strip():
                self._keep(line, number)
        self._has_incomplete_line, self._line_break, self._end = _is_incomplete(rest), b"", len(content) - len(rest)
        if rest and not self._has_incomplete_line:
            self._keep(rest, len(lines) + 1)
            self._line_break = b"\n"

    def _keep(self, line: bytes, number: int) -> None:
        try:
            record = json.loads(line)
            if record.pop(CHECKSUM) != _checksum(record):
                raise ValueError("it does not match its checksum")
            self._answers.setdefault(_key(record["request"]), str(record["answer"]))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            undecoded = isinstance(error, UnicodeError)
            what = "cannot be read as a recording" if undecoded else "is not a recorded answer, or is damaged"
            remedy = "remove the line to have it asked again, or name another file"
            raise DataError(f"{self.path}, line {number} {what}: {error!r}; {remedy}") from error

    def find(self, request: Mapping[str, Any]) -> str | None:
        """Returns the answer to a request; None if none is recorded."""
        return self._answers.get(_key(request))

    def add(self, task_id: str, request: Mapping[str, Any], answer: str) -> None:
        """Keeps an answer.

        Raises:
            DataError: the file cannot be written.
        """
        with self._lock:
            self._add(task_id, request, answer)

    def _add(self, task_id: str, request: Mapping[str, Any], answer: str) -> None:
        self._answers[_key(request)] = answer
        record = {"task": task_id, "request": request, "answer": answer}
        line = json.dumps(record | {CHECKSUM: _checksum(record)}).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if self._has_incomplete_line:
                    os.truncate(file.fileno(), self._end)
                else:
                    self._end = file.tell()
                file.write(self._line_break + line)
        except OSError as error:
            self._has_incomplete_line = True
            raise DataError(f"{self.path} cannot be written: {error.strerror or error}") from error
        self._has_incomplete_line, self._line_break, self._end = False, b"", self._end + len(self._line_break + line)


def _content(path: Path) -> bytes:
    """Returns the content of the file; nothing where there is none yet."""
    try:
        if path.is_file():
            return path.read_bytes()
        if os.path.lexists(path):  # reading from a device or a pipe may never end
            raise DataError(f"{path} cannot be read as a recording: it is not a regular file; name another one")
    except OSError as error:
        raise DataError(f"{path} cannot be read as a recording: {error}; name another file") from error
    return b""


def _is_incomplete(line: bytes) -> bool:
    """Returns whether a line is incomplete: the beginning of one, without its end."""
    if not line:
        return False
    begins = line.startswith(BEGINNING) or BEGINNING.startswith(line)
    try:
        json.JSONDecoder().raw_decode(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return begins
    return False


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(_key(record).encode()).hexdigest()


def _key(request: Mapping[str, Any]) -> str:
    return json.dumps(request, sort_keys=True)


@lru_cache(maxsize=8)
def shared(path: Path) -> Recording:
    """Returns one recording per file and process, so that all environments of a run share its answers."""
    return Recording(path)
