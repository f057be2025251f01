"""One endpoint per thread, since a connection takes one request at a time."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping

from hero.endpoint.client import Endpoint


class EndpointPool:
    """Connects each thread that asks to the same address; its arguments are those of `Endpoint`.

    Connections are closed with the pool, or at the end of its life.
    """

    def __init__(self, url: str, key: str, timeout: float, attempts: int, wait: float) -> None:
        self._arguments = (url, key, timeout, attempts, wait)
        self._endpoints: dict[int, Endpoint] = {}
        self.url = self.of_this_thread().url
        self.close = weakref.finalize(self, _close_all, self._endpoints)

    def of_this_thread(self) -> Endpoint:
        """Returns the endpoint of the thread that calls."""
        thread = threading.get_ident()
        if thread not in self._endpoints:
            self._endpoints[thread] = Endpoint(*self._arguments)
        return self._endpoints[thread]


def _close_all(endpoints: Mapping[int, Endpoint]) -> None:
    for endpoint in endpoints.values():
        endpoint.close()
