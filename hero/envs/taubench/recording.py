"""What a model said as the user, kept, so that a run can be repeated without asking it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from hero.errors import DataError

BEGINNING: Final = '{"task": '
"""Of every line."""


class Recording:
    """Answers by request, in a file of one JSON object a line; new ones are appended at once.

    A line that breaks off, as a process leaves it that is killed while it writes, is left out.

    Raises:
        DataError: the file cannot be read, or is malformed; the message names the line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[str, str] = {}
        try:
            content = path.read_text(encoding="utf-8") if path.exists() else ""
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read as a recording: {error}; name another file") from error
        self._torn = content[-1:] not in ("", "\n")
        for number, line in enumerate(content.split("\n"), 1):
            try:
                record = json.loads(line or "null")
                if record is not None:
                    self._answers.setdefault(_key(record["request"]), str(record["answer"]))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                if not (isinstance(error, ValueError) and line.startswith(BEGINNING)):
                    what = f"{path}, line {number} is no recorded answer: {error!r}"
                    raise DataError(f"{what}; remove the line, or name another file") from error

    def find(self, request: Mapping[str, Any]) -> str | None:
        """The answer to a request; None if it was never asked."""
        return self._answers.get(_key(request))

    def add(self, task_id: str, request: Mapping[str, Any], answer: str) -> None:
        """Keeps an answer.

        Raises:
            DataError: the file cannot be written.
        """
        self._answers[_key(request)] = answer
        line = json.dumps({"task": task_id, "request": request, "answer": answer})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}\n" if self._torn else f"{line}\n")
        except OSError as error:
            self._torn = True
            raise DataError(f"{self.path} cannot be written: {error.strerror or error}") from error
        self._torn = False


def _key(request: Mapping[str, Any]) -> str:
    return json.dumps(request, sort_keys=True)


@lru_cache(maxsize=8)
def shared(path: Path) -> Recording:
    """One recording per file and process, so that all environments of a run know what was answered."""
    return Recording(path)
