"""Random streams that depend on nothing but what they are for."""

from __future__ import annotations

import numpy as np


def derived_seed(seed: int, *key: int) -> int:
    """The seed of the stream that a key names among those of a seed: 0 to 2**63 - 1, as endpoints take it.

    Args:
        seed: 0 or more, like each number of `key`.
    """
    (word,) = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)
    return int(word) >> 1
