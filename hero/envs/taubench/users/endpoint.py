"""An OpenAI-compatible chat endpoint, asked once at a time, within a time, and without telling its secrets on."""

from __future__ import annotations

import json
import logging
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, Final

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from hero.envs.taubench.users.address import bare, read_address, spellings
from hero.errors import ConfigError, UnavailableError

LARGEST: Final = 2**24
"""Bytes of an answer."""
PATIENCE: Final = 10.0
"""Seconds after which a wait is reported."""
DOWN: Final = (502, 503, 504)
"""What proxies answer for a service that does not."""
SILENCE: Final = (httpx.TimeoutException, httpx.NetworkError, httpx.ProxyError)
HUNG_UP: Final = "Server disconnected"
"""What httpx says of an endpoint that takes a request and closes the connection."""

_LOG: Final = logging.getLogger("hero")


class BusyError(Exception):
    """The endpoint answers that it is to be tried again later, or what cannot be read."""


class SilentError(BusyError):
    """The endpoint gives no answer at all."""


class RefusalError(ConfigError):
    """The endpoint does not take a request; `said` is its answer."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


@dataclass
class _Standing:
    """What a process knows of an address, whoever asks there with as much patience.

    Attributes:
        answered: whether it answered since it last failed to.
        given_up: why nobody asks there any more; "" while somebody does.
    """

    answered: bool = False
    given_up: str = ""


@cache
def _standing(url: str, timeout: float) -> _Standing:
    return _Standing()


class Endpoint:
    """Where chat completions come from.

    Args:
        url: up to and without `/chat/completions`; may hold a name and a password.
        key: sent as a bearer token; "" sends none.
        timeout: seconds that an answer may take.
        attempts: how often an endpoint that is busy or silent is asked.
        wait: seconds before the second attempt, doubled for each one after it, 60 at most.

    Attributes:
        url: without name and password.

    Raises:
        ConfigError: the URL, the key or the proxy of the environment cannot be used.
    """

    def __init__(self, url: str, key: str, timeout: float, attempts: int, wait: float) -> None:
        if not (key.isascii() and key.isprintable()):  # httpx would say so by printing it
            raise ConfigError("the key of the user's model has a line break or another sign that no header can hold")
        given = read_address(url)
        self.url = bare(given)
        self._headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._auth = (given.username, given.password) if given.userinfo else None
        self._secrets = sorted(set(spellings(key, given.username, given.password)), key=len, reverse=True)
        self._timeout, self._standing = timeout, _standing(self.url, timeout)
        self._client = self._connected()
        self._retrying = Retrying(
            retry=retry_if_exception_type(BusyError),
            stop=stop_after_attempt(attempts),
            wait=wait_exponential(multiplier=wait, max=60),
            before_sleep=lambda state: self._report(str(state.outcome.exception()) if state.outcome else ""),
            reraise=True,
        )
        self._reported = False

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def ask(self, request: Mapping[str, Any], read: Callable[[Any], str]) -> str:
        """The answer of the endpoint, as `read` takes it from JSON, and without its secrets.

        An endpoint that never answered, or failed to for two requests in a row, is given up: this process asks it no
        more, whichever environment wants to.

        Args:
            read: raises a ValueError, LookupError, TypeError, AttributeError or OverflowError where it cannot.

        Raises:
            ConfigError: this request failed: it is refused, the answer cannot be read, or did not come in time.
            UnavailableError: the endpoint is given up.
        """
        standing, self._reported = self._standing, False
        if standing.given_up:
            raise UnavailableError(standing.given_up)
        try:
            return self._retrying(self._asked, request, read)
        except BusyError as error:
            why = f"the user's model at {self.url} does not answer: {error}"
            if isinstance(error, SilentError) and not standing.answered:
                standing.given_up = f"{why}; see to it that it runs, and go on in a new process"
                raise UnavailableError(standing.given_up) from None
            standing.answered = standing.answered and not isinstance(error, SilentError)
            raise ConfigError(why) from None

    def redacted(self, text: str, shortest: int = 1) -> str:
        """A text without the key and the password, which some endpoints repeat.

        Args:
            shortest: of these. What is shorter, as local servers take it, may be a word like any other.
        """
        for secret in self._secrets:
            text = text.replace(secret, "***") if len(secret) >= shortest else text
        return text

    def _asked(self, request: Mapping[str, Any], read: Callable[[Any], str]) -> str:
        """One attempt.

        Raises:
            BusyError: another one may succeed.
            ConfigError: the endpoint refuses, or answers what is no chat completion, or too much of it.
        """
        try:
            status, body = self._posted(request)
        except httpx.RequestError as error:
            silent = isinstance(error, SILENCE) or str(error).startswith(HUNG_UP)
            raise (SilentError if silent else BusyError)(self.redacted(str(error) or type(error).__name__)) from None
        if status in DOWN:
            raise SilentError(f"status {status}")
        self._standing.answered = True
        if status in (408, 409, 429) or status >= 500:
            raise BusyError(f"status {status}")
        said = self.redacted(body.decode(errors="replace").replace("\0", ""))
        if status != 200:
            raise RefusalError(f"{self.url} refuses: status {status}, {said[:200]}", said)
        try:
            return self.redacted(read(json.loads(body)), shortest=8)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            raise ConfigError(f"{self.url} answers what is no chat completion: {said[:200]}") from None

    def _posted(self, request: Mapping[str, Any]) -> tuple[int, bytes]:
        """Status and body of the answer.

        httpx bounds every read, but not how many there are: an endpoint that drips would hold the run for ever. So the
        reading is left to a thread, and given up with its connection when the time is over.
        """
        client, answers = self._client, SimpleQueue[tuple[int, bytes] | Exception]()

        def read() -> None:
            try:
                answers.put(self._read(client, request))
            except Exception as error:
                answers.put(error)

        threading.Thread(target=read, daemon=True).start()
        try:
            answer = self._awaited(answers)
        except Empty:
            self._client = self._connected()
            client.close()
            raise SilentError(f"no answer within {self._timeout:g} s") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _awaited(self, answers: SimpleQueue[tuple[int, bytes] | Exception]) -> tuple[int, bytes] | Exception:
        """What comes within the time; a wait that is long is reported meanwhile."""
        left = self._timeout
        if left > PATIENCE:
            with suppress(Empty):
                return answers.get(timeout=PATIENCE)
            self._report(f"no answer within {PATIENCE:g} s")
            left -= PATIENCE
        return answers.get(timeout=left)

    def _report(self, reason: str) -> None:
        """Says that an answer is waited for, once per answer."""
        if not self._reported:
            _LOG.warning("waiting for the user's model at %s: %s", self.url, reason)
        self._reported = True

    def _read(self, client: httpx.Client, request: Mapping[str, Any]) -> tuple[int, bytes]:
        body = bytearray()
        with client.stream("POST", f"{self.url}/chat/completions", json=request) as response:
            encoding = response.headers.get("Content-Encoding", "").strip().lower()
            if encoding not in ("", "identity", "gzip"):
                raise ConfigError(f"{self.url} answers in {encoding:.40}, which was not asked for")
            for part in response.iter_raw():
                body += part
                self._require_small(body)
        if encoding != "gzip":
            return response.status_code, bytes(body)
        try:
            unpacked = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(bytes(body), LARGEST + 1)
        except zlib.error as error:
            raise BusyError(f"an answer in gzip that cannot be unpacked: {error}") from None
        self._require_small(unpacked)
        return response.status_code, unpacked

    def _require_small(self, body: bytes | bytearray) -> None:
        if len(body) > LARGEST:
            raise ConfigError(f"{self.url} answers more than {LARGEST} bytes")

    def _connected(self) -> httpx.Client:
        try:
            return httpx.Client(headers=self._headers, auth=self._auth, timeout=self._timeout + 1)
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            why = "" if "@" in str(error) else f": {error}"
            raise ConfigError(
                f"the proxy that the environment names for the user's model cannot be used{why}"
            ) from None
