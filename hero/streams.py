"""Random streams, each of which depends on its name alone."""

from __future__ import annotations

import numpy as np


def derived_seed(seed: int, *key: int) -> int:
    """Returns the seed of the stream that `key` names among those of `seed`: 0 to 2**63 - 1, as endpoints accept it.

    Args:
        seed: 0 or more, like each number of `key`.
    """
    (word,) = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)
    return int(word) >> 1
