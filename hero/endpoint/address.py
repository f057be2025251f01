"""Reads the address of an endpoint, which may hold a name and a password."""

from __future__ import annotations

from typing import Final

import httpx

from hero.errors import ConfigError

_UNUSABLE: Final = (
    "the URL of the model (not shown: it may hold a secret) must be http://host/path or https://host/path, "
    "without ? and #, and with special characters of a password in percent encoding"
)


def read_address(url: str) -> httpx.URL:
    """Reads the address of an endpoint.

    Raises:
        ConfigError: the address cannot be used.
    """
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise ConfigError(_UNUSABLE) from None  # the cause shows the URL
    usable = address.scheme in ("http", "https") and address.host
    if not usable or "@" in address.path or address.query or address.fragment:
        raise ConfigError(_UNUSABLE)
    return address


def without_userinfo(address: httpx.URL) -> str:
    """Returns an address without name and password, which httpx would log with the URL of each request."""
    return str(address.copy_with(username=None, password=None)).rstrip("/")
