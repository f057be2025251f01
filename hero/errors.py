"""Every exception that this package raises on purpose.

HeroError
├── ConfigError        an argument, option or name is wrong; the message names the value and the remedy
├── DataError          a file is missing or malformed; the message names the file and the record
├── RunError           a run directory cannot be read, resumed or written
├── PolicyError        a policy was given what it cannot act on (a prompt longer than its context, say)
└── UnavailableError   a service that an environment needs has been given up

The command line prints the message of a HeroError without a traceback. Whatever else propagates is a bug.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class HeroError(Exception):
    """Base of the tree: catch this to catch everything that the package raises on purpose."""


class ConfigError(HeroError, ValueError):
    """An argument, option or name is wrong."""


class DataError(HeroError, ValueError):
    """A data file is missing or malformed."""


class RunError(HeroError):
    """A run directory cannot be read, resumed or written."""


class PolicyError(HeroError):
    """A policy was given what it cannot act on."""


class UnavailableError(HeroError):
    """A service that an environment needs has been given up: not one episode's error, but the end of all of them."""


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
