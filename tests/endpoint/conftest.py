"""The endpoint of each test, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.endpoint.server import Endpoint


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()
