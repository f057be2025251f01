"""The space of all strings, for gymnasium and for the shared memory of its asynchronous vector environments.

gymnasium reads shared memory once, when the processes start, into an object that changes with every step: for numbers,
an array over the memory. `SharedTexts` is that object for texts. A vector environment returns a deep copy of it, or
with `copy=False` the object itself.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from typing import Any, Final, overload

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

MAX_BYTES: Final = 2**20
"""Maximum size of an observation in shared memory, in UTF-8; an environment takes all of it from the start."""
_HEAD: Final = 8
_SIZE: Final = _HEAD + MAX_BYTES


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


class SharedTexts(Sequence[str]):
    """The newest observation of each environment, read when it is asked for."""

    def __init__(self, memory: Any, count: int) -> None:
        self._bytes = np.frombuffer(memory.get_obj(), dtype=np.uint8).reshape(count, _SIZE)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        row = self._bytes[index]
        length = int(row[:_HEAD].view(np.int64)[0])
        text: str = row[_HEAD : _HEAD + length].tobytes().decode("utf-8", "surrogatepass")
        return text

    def __len__(self) -> int:
        return len(self._bytes)

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)


@create_shared_memory.register(AnyText)
def _create(space: AnyText, n: int = 1, ctx: Any = multiprocessing) -> Any:
    return ctx.Array("b", n * _SIZE)


@read_from_shared_memory.register(AnyText)
def _read(space: AnyText, shared_memory: Any, n: int = 1) -> SharedTexts:
    return SharedTexts(shared_memory, n)


@write_to_shared_memory.register(AnyText)
def _write(space: AnyText, index: int, value: str, shared_memory: Any) -> None:
    encoded = np.frombuffer(value.encode("utf-8", "surrogatepass"), dtype=np.uint8)
    if len(encoded) > MAX_BYTES:
        raise ValueError(
            f"an observation of {len(encoded)} bytes does not fit the shared memory of {MAX_BYTES} bytes an "
            "environment; build the vector environment with shared_memory=False"
        )
    row = np.frombuffer(shared_memory.get_obj(), dtype=np.uint8)[index * _SIZE : (index + 1) * _SIZE]
    row[:_HEAD].view(np.int64)[0] = len(encoded)
    row[_HEAD : _HEAD + len(encoded)] = encoded
