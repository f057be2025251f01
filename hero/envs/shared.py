"""Values that environments share, since nothing changes them."""

from __future__ import annotations

from typing import Any, Self


class Shared:
    """A value that never changes, so that a deep copy of an environment, such as a tree search makes, shares it."""

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
