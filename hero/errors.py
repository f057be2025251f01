"""Every exception that this package raises on purpose.

HeroError
├── ConfigError        an argument, option or name is wrong; the message names the value and the remedy
├── DataError          a file is missing or malformed; the message names the file and the record
├── RunError           a run directory cannot be read, resumed or written
├── PolicyError        a policy cannot act on what it was given, such as a prompt longer than its context
└── UnavailableError   a service that an environment needs does not answer

The command line prints the message of a HeroError without a traceback. Any other exception is a bug.
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
    """A policy cannot act on what it was given."""


class UnavailableError(HeroError):
    """A service that an environment needs does not answer, which ends the whole run, not one episode."""


@contextmanager
def translate_errors(error_type: type[HeroError], message: str) -> Iterator[None]:
    """Raises an `error_type` with the message, and the original error's, in place of whatever the block raises.

    A damaged file makes its readers raise anything: KeyError, RecursionError, or the panic of a library in Rust, which
    is not even an `Exception`. Errors of this package pass unchanged.
    """
    try:
        yield
    except HeroError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise error_type(f"{message}: {short_message(error)} ({type(error).__name__})") from error


@contextmanager
def naming_extra(extra: str) -> Iterator[None]:
    """Names the extra of this package that is to be installed where an import within the block fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is not installed; run: pip install 'hero-agents[{extra}]'") from error


def require(holds: bool, message: str) -> None:
    """Raises AssertionError unless a condition holds; an assert statement would be dropped by `python -O`."""
    if not holds:
        raise AssertionError(message)


def short_message(error: BaseException) -> str:
    """Returns the first line of an error's message that is not blank, at most 500 characters of it."""
    return next((line for line in str(error).splitlines() if line.strip()), "no message")[:500]
