"""The processes that share the work of a run, as torchrun starts them.

Each plays, reviews and scores its part of a step, and all take the same optimiser step; so all know the same, and none
leads. One process alone needs no torch for this.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final, Self, TypeVar, cast

from hero.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
PATIENCE: Final = timedelta(days=7)
"""Time to wait for another process, whose part of a step may take long; torchrun notices one that has died."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a run, as one of them sees them; by default it is alone.

    Attributes:
        rank: number of this process, from 0; the first writes the run directory.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> Self:
        """Joins the processes that torchrun started, or returns a process that is alone.

        Raises:
            ConfigError: variables that torchrun sets are missing, or not numbers; or there are fewer GPUs than
                processes.
            UnavailableError: the other processes are out of reach.
        """
        if world_size() == 1:
            return cls()
        import torch
        import torch.distributed as dist

        backend = None
        if torch.cuda.is_available():
            local, gpus = _number("LOCAL_RANK"), torch.cuda.device_count()
            if local >= gpus:
                raise ConfigError(
                    f"process {local} of this machine, counted from 0, has no GPU of its own: there are {gpus}; start "
                    f"{gpus} with --nproc-per-node, or hide the GPUs with CUDA_VISIBLE_DEVICES= to use none"
                )
            torch.cuda.set_device(local)
            backend = "cpu:gloo,cuda:nccl"
        for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
            if name not in os.environ:
                raise _not_started(name)
        if not dist.is_initialized():  # Ray does this for its workers
            with _others_alive():
                dist.init_process_group(backend or "gloo", timeout=PATIENCE)
            atexit.register(dist.destroy_process_group)
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run directory, and reports."""
        return self.rank == 0

    def share(self, items: Sequence[T], *, group: int = 1) -> list[T]:
        """Returns the items that are this process's to work on; those of all processes, by rank, are all items.

        Args:
            group: number of items side by side that stay together; divides their number.
        """
        groups = len(items) // group
        start, stop = (group * (groups * rank // self.size) for rank in (self.rank, self.rank + 1))
        return list(items[start:stop])

    def gather(self, items: Iterable[T]) -> list[T]:
        """Returns the items of all processes, by rank; waits for all of them. Items must have a pickle.

        Raises:
            UnavailableError: another process has ended.
        """
        if self.size == 1:
            return list(items)
        import torch.distributed as dist

        parts = cast("list[list[T]]", [None] * self.size)
        with _others_alive():
            dist.all_gather_object(parts, list(items))
        return [*chain.from_iterable(parts)]

    def even(self, items: Sequence[T]) -> Iterator[T | None]:
        """Yields the items, and then None as often as it takes for all processes to have yielded equally many.

        Raises:
            UnavailableError: another process has ended.
        """
        most = max(self.gather([len(items)]))
        yield from items
        yield from [None] * (most - len(items))

    def wait(self) -> None:
        """Waits until all processes have come here.

        Raises:
            UnavailableError: another process has ended.
        """
        self.gather(())

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Replaces each tensor by its sum over all processes.

        Raises:
            UnavailableError: another process has ended.
        """
        if self.size == 1:
            return
        import torch.distributed as dist

        with _others_alive():
            for tensor in tensors:
                dist.all_reduce(tensor)


ALONE: Final = Processes()
"""The process of a run that has no other."""


def world_size() -> int:
    """Returns the number of processes that torchrun started; 1 without it.

    Raises:
        ConfigError: the variable WORLD_SIZE is not a number of processes.
    """
    return _number("WORLD_SIZE", least=1) if "WORLD_SIZE" in os.environ else 1


def _number(name: str, *, least: int = 0) -> int:
    text = os.environ.get(name, "")
    if not text.isdecimal() or int(text) < least:
        raise _not_started(name)
    return int(text)


def _not_started(name: str) -> ConfigError:
    return ConfigError(
        f"the environment has WORLD_SIZE, as if torchrun had started this process, but {name} is "
        f"{os.environ.get(name)!r:.40}; start it with torchrun, or unset WORLD_SIZE"
    )


@contextmanager
def _others_alive() -> Iterator[None]:
    """Names the likely cause where processes cannot exchange what they have to."""
    try:
        yield
    except RuntimeError as error:
        if "out of memory" in str(error):
            raise
        raise UnavailableError("another process of this run has ended, or is out of reach") from error
