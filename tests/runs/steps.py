"""Runs of a few steps, and other entries in place of their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hero.runs.reader import KINDS
from hero.runs.writer import Run
from tests.platforms import make_endless, make_link, make_pipe

SETTINGS = {"env": "webshop", "seed": 3, "env_args": {"level": "easy"}}


def trainer(text: str) -> Callable[[Path], None]:
    """Returns the `save` of a trainer that leaves two files."""

    def save(path: Path) -> None:
        (path / "more").mkdir(parents=True)
        (path / "weights").write_text(text)
        (path / "more" / "state").write_text("s")

    return save


def play(run: Run, first: int, last: int, best: int | None = None) -> None:
    """Takes some steps with two records of every kind; the best is given, or else each is better than the last."""
    for step in range(first, last + 1):
        for kind in KINDS:
            run.record(kind, *({"step": step, "row": row} for row in range(2)))
        run.save_checkpoint(step, trainer(f"after {step}"), best=step if best is None else best)


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def nothing(file: Path) -> None:
    """Leaves no file."""


def itself(file: Path) -> None:
    make_link(file, file.name)


def text(content: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(content)


IN_PLACE: dict[str, Callable[[Path], object]] = {
    "a pipe": make_pipe,
    "a device": make_endless,
    "a link to itself": itself,
    "a directory": Path.mkdir,
    "nothing": nothing,
    "an empty file": text(""),
    "brackets": text("[" * 100_000),
    "braces": text('{"a":' * 100_000),
    "a long number": text('{"schema": ' + "7" * 5000 + "}"),
    "not a number": text('{"schema": NaN}'),
    "a list": text("[]"),
    "zeros": text("\0" * 50),
    "not UTF-8": lambda file: file.write_bytes(b"\xff\xfe{"),
}
