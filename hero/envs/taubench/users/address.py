"""The address of an endpoint, which may hold secrets: read, and shown without them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import httpx

from hero.errors import ConfigError

_PLAIN: Final = re.compile(r"[\w.-]+(?::\d+)?(?:/[\w./-]*)?")
"""An address that can be shown though it cannot be used: it has no place for a secret."""


def read_address(url: str) -> httpx.URL:
    """The address of an endpoint.

    Raises:
        ConfigError: it cannot be used; the message shows nothing that may be a secret.
    """
    shown = f", {url}," if _PLAIN.fullmatch(url) else ""
    try:
        given = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        why = "" if "@" in url else f": {error}"
        raise ConfigError(f"the URL of the user's model is none{why}") from None
    if given.scheme not in ("http", "https"):
        raise ConfigError(f"the URL of the user's model{shown} begins with neither http:// nor https://")
    if not given.host or "@" in given.path or given.query or given.fragment:
        raise ConfigError(
            "the URL of the user's model must be scheme://host/path, without ? and #; write signs of a password as "
            "percent and two digits"
        )
    return given


def bare(address: httpx.URL) -> str:
    """An address without name and password: httpx logs the URL of a request as it is."""
    return str(address.copy_with(username=None, password=None)).rstrip("/")


def spellings(key: str, name: str, password: str) -> Iterator[str]:
    """Yields what is secret, as it stands in headers, addresses and JSON."""
    basic = base64.b64encode(f"{name}:{password}".encode()).decode() if name or password else ""
    for secret in filter(None, (key, password or name, basic)):
        yield from (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], secret.replace("/", "\\/"))
