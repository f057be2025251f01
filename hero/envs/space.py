"""The space of all strings, for gymnasium."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces


class AnyText(spaces.Space[str]):
    """The space of all strings. gymnasium's own `Text` has a fixed alphabet and length, and rejects a blank.

    Samples are short strings of printable ASCII.
    """

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(shape=None, dtype=np.str_, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        if mask is not None or probability is not None:
            raise ValueError("AnyText takes neither a mask nor a probability")
        length = int(self.np_random.integers(0, 33))
        return "".join(map(chr, self.np_random.integers(32, 127, size=length)))

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText)

    def __hash__(self) -> int:
        return hash(AnyText)

    def __repr__(self) -> str:
        return "AnyText()"
