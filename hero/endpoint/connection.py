"""A connection to a chat endpoint: one request at a time, whose answer has to be complete by a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import httpx

from hero.errors import ConfigError

MAX_BYTES: Final = 2**24
"""Maximum size of an answer."""
PATIENCE: Final = 10.0
"""Seconds after which a wait is reported."""

T = TypeVar("T")


class Connection:
    """Sends requests and keeps the connection between them.

    Args:
        address: the address of the endpoint; may hold a name and a password.
        url: the same address, without them.
        key: key that is sent as a bearer token; "" sends none.
        timeout: seconds within which an answer has to be complete.
        report: called with a reason when an answer takes long.

    Raises:
        ConfigError: the key or the proxy of the environment cannot be used.
    """

    def __init__(self, address: httpx.URL, url: str, key: str, timeout: float, report: Callable[[str], None]) -> None:
        self._url, self._timeout, self._report = url, timeout, report
        self._client = _client(key, address)
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)

    def close(self) -> None:
        """Closes the connection."""

        def close() -> None:
            self._runner.run(self._client.aclose())
            self._runner.close()

        if not self._client.is_closed:
            _outside_event_loops(close)

    def post(self, path: str, request: Mapping[str, Any]) -> tuple[int, bytes]:
        """Returns status and body of the answer.

        Args:
            path: part of the address after that of the endpoint.

        Raises:
            httpx.RequestError: there is no answer, or it cannot be decoded.
            TimeoutError: the answer is not complete in time.
            ConfigError: the answer is too long, or packed in a way that was not asked for.
        """
        return _outside_event_loops(lambda: self._runner.run(self._post(path, request)))

    async def _post(self, path: str, request: Mapping[str, Any]) -> tuple[int, bytes]:
        # httpx bounds every read, but not their number, so that an endpoint could send single bytes for ever: the
        # deadline is that of asyncio, which closes the connection.
        waiting = asyncio.get_running_loop().call_later(PATIENCE, self._report, f"no answer within {PATIENCE:g} s")
        body = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream("POST", f"{self._url}{path}", json=request) as response,
            ):
                encoding = response.headers.get("Content-Encoding", "").strip().lower()
                if encoding not in ("", "identity", "gzip"):  # others unpack without bounds
                    raise ConfigError(f"{self._url} answers in {encoding:.40}, which was not asked for")
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > MAX_BYTES:
                        raise ConfigError(f"{self._url} answers more than {MAX_BYTES} bytes")
                return response.status_code, bytes(body)
        finally:
            waiting.cancel()


def _outside_event_loops(call: Callable[[], T]) -> T:
    """Calls a function, in another thread where this one runs an event loop, as a notebook's does."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return call()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def _client(key: str, address: httpx.URL) -> httpx.AsyncClient:
    if not (key.isascii() and key.isprintable()):  # httpx's own message would show it
        raise ConfigError("the key of the model has a line break or another character that no header can hold")
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})
    userinfo = (address.username, address.password) if address.userinfo else None
    try:
        return httpx.AsyncClient(headers=headers, auth=userinfo, timeout=None)
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        reason = "" if "@" in str(error) else f": {error}"
        raise ConfigError(f"the proxy that the environment names for the model cannot be used{reason}") from None
