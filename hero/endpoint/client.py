"""A client of an OpenAI-compatible chat endpoint: it retries while that is busy, and keeps secrets out of its texts."""

from __future__ import annotations

import base64
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeVar

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from hero.endpoint.address import read_address, without_userinfo
from hero.endpoint.connection import Connection
from hero.endpoint.redactor import Redactor
from hero.errors import ConfigError, UnavailableError

CHAT: Final = "/chat/completions"
DOWN: Final = (502, 503, 504)
"""Status codes of proxies for a service that does not answer."""
BUSY: Final = (408, 409, 429)
"""Status codes, besides those from 500 on, of a service that may answer the next attempt."""
SILENCE: Final = (httpx.TimeoutException, httpx.NetworkError, httpx.ProxyError)
HUNG_UP: Final = "Server disconnected"
"""Beginning of httpx's message about an endpoint that takes a request and closes the connection."""
QUIET: Final = 60.0
"""Seconds between two reports of a wait for the same address."""
MIN_SECRET_LENGTH: Final = 8
"""Minimum length of a secret that is removed from the model's words: keys of local servers may be ordinary words."""

T = TypeVar("T")
_LOG: Final = logging.getLogger("hero")


class BusyError(Exception):
    """The endpoint asks to be tried again later, or its answer cannot be decoded."""


class SilentError(BusyError):
    """The endpoint gives no answer at all."""


class RefusalError(ConfigError):
    """The endpoint does not accept a request.

    Attributes:
        answer: text of the endpoint's answer, without secrets.
    """

    def __init__(self, message: str, answer: str) -> None:
        super().__init__(message)
        self.answer = answer


@dataclass
class _Availability:
    """The availability of an address, shared by all endpoints of a process with the same timeout.

    Attributes:
        answered: whether it has answered since the last request that it left unanswered.
        reports: times at which waits were reported, by their reasons.
        given_up: reason why no more requests are sent there; "" while requests are sent.
    """

    answered: bool = False
    reports: dict[str, float] = field(default_factory=dict)
    given_up: str = ""


@cache
def _availability(url: str, timeout: float) -> _Availability:
    return _Availability()


class Endpoint:
    """A source of chat completions.

    Args:
        url: the address up to and without `/chat/completions`; may hold a name and a password.
        key: key that is sent as a bearer token; "" sends none.
        timeout: seconds within which an answer has to be complete.
        attempts: maximum number of attempts at an endpoint that is busy or silent.
        wait: seconds before the second attempt, doubled for each one after it, 60 at most.

    Attributes:
        url: the address without name and password.

    Raises:
        ConfigError: the URL, the key or the proxy of the environment cannot be used.
    """

    def __init__(self, url: str, key: str, timeout: float, attempts: int, wait: float) -> None:
        address = read_address(url)
        self.url = without_userinfo(address)
        secrets = [key, address.password or address.username]
        if address.userinfo:  # as the header of the request has them
            secrets.append(base64.b64encode(f"{address.username}:{address.password}".encode()).decode())
        self._redact = Redactor(secrets)
        self._redact_words = Redactor(secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH)
        self._timeout, self._availability = timeout, _availability(self.url, timeout)
        self._connection = Connection(address, self.url, key, timeout, self._report)
        self._retrying = Retrying(
            retry=retry_if_exception_type(BusyError),
            stop=stop_after_attempt(attempts),
            wait=wait_exponential(multiplier=wait, max=60),
            before_sleep=lambda state: self._report(str(state.outcome.exception()) if state.outcome else ""),
            reraise=True,
        )
        self._reported = False

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def ask(self, request: Mapping[str, Any], read: Callable[[bytes], T], path: str = CHAT) -> T:
        """Returns the answer of the endpoint.

        An endpoint that never answered, or did not answer two requests in a row, is given up: no `Endpoint` of this
        process sends it another.

        Args:
            read: reads the body of the answer; raises a ValueError, LookupError, TypeError, AttributeError or
                OverflowError where it cannot.
            path: part of the address after that of the endpoint.

        Raises:
            ConfigError: this request failed: it is refused, or the answer cannot be read or did not come in time.
            UnavailableError: the endpoint is given up.
        """
        availability, self._reported = self._availability, False
        if availability.given_up:
            raise UnavailableError(availability.given_up)
        try:
            return self._retrying(self._attempt, path, request, read)  # type: ignore[no-any-return]
        except BusyError as error:
            reason = f"the model at {self.url} does not answer: {error}"
            if isinstance(error, SilentError) and not availability.answered:
                availability.given_up = f"{reason}; make sure that it runs, and resume in a new process"
                raise UnavailableError(availability.given_up) from None
            availability.answered = availability.answered and not isinstance(error, SilentError)
            raise ConfigError(reason) from None

    def _attempt(self, path: str, request: Mapping[str, Any], read: Callable[[bytes], T]) -> T:
        """Sends the request once and returns the answer.

        Raises:
            BusyError: another attempt may succeed.
            ConfigError: the endpoint refuses, or its answer is of another form, or too long.
        """
        try:
            status, body = self._connection.post(path, request)
        except TimeoutError:
            raise SilentError(f"no answer within {self._timeout:g} s") from None
        except httpx.RequestError as error:
            silent = isinstance(error, SILENCE) or str(error).startswith(HUNG_UP)
            raise (SilentError if silent else BusyError)(self._redact(str(error) or type(error).__name__)) from None
        if status in DOWN:
            raise SilentError(f"status {status}")
        self._availability.answered = True
        if status in BUSY or status >= 500:
            raise BusyError(f"status {status}")
        if status != 200:
            answer = self._shown(body)
            raise RefusalError(f"{self.url} refuses: status {status}, {answer[:200]}", answer)
        try:
            return read(body)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            what = "a chat completion" if path == CHAT else f"of the form of {path}"
            raise ConfigError(f"the answer of {self.url} is not {what}: {self._shown(body)[:200]}") from None

    def without_secrets(self, text: str) -> str:
        """Returns words of the model without secrets that are long enough to be no ordinary words."""
        return self._redact_words(text)

    def _shown(self, body: bytes) -> str:
        """Returns the text of an answer, without secrets in any encoding."""
        return self._redact(body.decode(errors="replace").replace("\0", ""))

    def _report(self, reason: str) -> None:
        """Logs that an answer is waited for, once per answer, and each reason once a minute for an address."""
        reports, now = self._availability.reports, time.monotonic()
        if not self._reported and now - reports.get(reason, -math.inf) >= QUIET:
            _LOG.warning("waiting for the model at %s: %s", self.url, reason)
            reports[reason] = now
        self._reported = True
