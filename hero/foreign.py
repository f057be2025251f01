"""Errors of libraries that read what strangers wrote, as errors of this package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hero.errors import HeroError


@contextmanager
def foreign(kind: type[HeroError], message: str) -> Iterator[None]:
    """Raises `kind` with the message, and the library's own words, for whatever the block raises.

    A damaged file makes its readers raise anything: KeyError, RecursionError, or the panic of a library in Rust, which
    is not even an `Exception`. Errors of this package pass as they are.
    """
    try:
        yield
    except HeroError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise kind(f"{message}: {first_line(error)} ({type(error).__name__})") from error


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's words that is not blank."""
    return next((line for line in str(error).splitlines() if line.strip()), "no message")[:500]
