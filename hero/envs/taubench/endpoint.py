"""An OpenAI-compatible chat endpoint, asked once at a time, within a time, and without telling its secrets on."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Final
from urllib.parse import quote

import httpx

from hero.errors import ConfigError

LARGEST: Final = 2**24
"""Bytes of an answer."""


class BusyError(Exception):
    """The endpoint asks to be tried again later, or could not be reached."""


class Endpoint:
    """Where chat completions come from.

    Args:
        url: up to and without `/chat/completions`; may hold a name and a password.
        key: sent as a bearer token; "" sends none.
        timeout: seconds that an answer may take.

    Attributes:
        url: without name and password.

    Raises:
        ConfigError: the URL, the key or the proxy of the environment cannot be used.
    """

    def __init__(self, url: str, key: str, timeout: float) -> None:
        if not (key.isascii() and key.isprintable()):  # httpx would say so by printing it
            raise ConfigError("the key of the user's model has a line break or another sign that no header can hold")
        try:
            given = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ConfigError(f"the URL of the user's model is none: {error}") from error
        bare = given.copy_with(username=None, password=None)  # httpx logs the URL of a request as it is
        if bare.scheme not in ("http", "https"):
            raise ConfigError(f"the URL of the user's model, {bare}, begins with neither http:// nor https://")
        self.url = str(bare).rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._auth = (given.username, given.password) if given.userinfo else None
        self._secrets = sorted(set(_spellings(key, given.username, given.password)), key=len, reverse=True)
        self._timeout = timeout
        self._client = self._connected()

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def ask(self, request: Mapping[str, Any]) -> Any:
        """What the endpoint answers, as JSON.

        Raises:
            BusyError: there was no answer in time, or one that says to come again.
            ConfigError: the endpoint refuses, or answers what is not JSON, or too much of it.
        """
        try:
            status, body = self._posted(request)
        except httpx.RequestError as error:
            raise BusyError(self.redacted(str(error))) from None
        if status in (408, 409, 429) or status >= 500:
            raise BusyError(f"status {status}")
        said = self.redacted(body.decode(errors="replace").replace("\0", ""))[:200]
        if status != 200:
            raise ConfigError(f"{self.url} refuses: status {status}, {said}")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ConfigError(f"{self.url} answers what is no chat completion: {said}") from None

    def redacted(self, text: str, shortest: int = 1) -> str:
        """A text without the key and the password, which some endpoints repeat.

        Args:
            shortest: of these. What is shorter, as local servers take it, may be a word like any other.
        """
        for secret in self._secrets:
            text = text.replace(secret, "***") if len(secret) >= shortest else text
        return text

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
            answer = answers.get(timeout=self._timeout)
        except Empty:
            self._client = self._connected()
            client.close()
            raise BusyError(f"no answer within {self._timeout:g} s") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _read(self, client: httpx.Client, request: Mapping[str, Any]) -> tuple[int, bytes]:
        body = bytearray()
        with client.stream("POST", f"{self.url}/chat/completions", json=request) as response:
            for part in response.iter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise ConfigError(f"{self.url} answers more than {LARGEST} bytes")
        return response.status_code, bytes(body)

    def _connected(self) -> httpx.Client:
        try:
            return httpx.Client(headers=self._headers, auth=self._auth, timeout=self._timeout)
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise ConfigError(f"the proxy that the environment names for the user's model: {error}") from error


def _spellings(key: str, name: str, password: str) -> Iterator[str]:
    """What is secret, as it stands in headers, addresses and JSON."""
    basic = base64.b64encode(f"{name}:{password}".encode()).decode() if password else ""
    for secret in filter(None, (key, password, basic)):
        yield from (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], secret.replace("/", "\\/"))
