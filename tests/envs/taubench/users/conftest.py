"""Fixtures of the users."""

from tests.endpoint.conftest import endpoint

__all__ = ["endpoint"]
