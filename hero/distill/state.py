"""The files of a trainer's state: safetensors for weights, and a pickle of torch for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model, save_file, save_model

from hero.errors import RunError
from hero.models.lora import STUDENT, adapter_state, is_adapted, load_adapter_state
from hero.models.sharded import is_sharded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MODEL: Final = "model.safetensors"
TEACHER: Final = "teacher.safetensors"
STATE: Final = "trainer.pt"
_UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError, TypeError, AttributeError, LookupError),
    *(UnpicklingError, SafetensorError),
)
"""Exceptions that torch and safetensors raise on damaged files."""


def write_state(file: Path, state: dict[str, Any]) -> None:
    """Writes a trainer's state except for the weights.

    Raises:
        OSError: the file cannot be written.
    """
    with _full_disk_is_os_error():
        torch.save(state, file)


def write_weights(model: PreTrainedModel, file: Path, adapter: str = STUDENT) -> None:
    """Writes all weights of a model, or if it has adapters those of one alone.

    Raises:
        OSError: the file cannot be written.
    """
    with _full_disk_is_os_error():
        if is_adapted(model):
            save_file(adapter_state(model, adapter), file)
        elif is_sharded(model):
            from hero.models.sharding import named_weights

            save_file(named_weights(model), file)
        else:
            save_model(model, str(file))


def read_state(file: Path, device: torch.device) -> dict[str, Any]:
    """Returns a trainer's state except for the weights.

    Raises:
        RunError: the file cannot be read.
    """
    try:
        state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    except _UNREADABLE as error:
        raise unreadable(file, error) from error
    return state


def read_weights(model: PreTrainedModel, file: Path, adapter: str = STUDENT) -> None:
    """Sets the weights that `write_weights` wrote.

    Raises:
        RunError: the file cannot be read, or holds other weights than the model has.
    """
    try:
        if is_adapted(model):
            load_adapter_state(model, adapter, load_file(file))
        elif is_sharded(model):
            from hero.models.sharding import load_weights

            load_weights(model, load_file(file))
        else:
            load_model(model, file)
    except _UNREADABLE as error:
        raise unreadable(file, error) from error


def widen(model: PreTrainedModel) -> None:
    """Converts a model whose trained weights are in half precision to float32."""
    if any(weight.requires_grad and weight.itemsize < 4 for weight in model.parameters()):
        model.float()  # type: ignore[no-untyped-call]


@contextmanager
def _full_disk_is_os_error() -> Iterator[None]:
    try:
        yield
    except (SafetensorError, RuntimeError) as error:  # how safetensors and torch report a full disk
        raise OSError(str(error)) from error


def unreadable(file: Path, error: Exception) -> RunError:
    """Makes the error for a file that cannot be restored from."""
    return RunError(
        f"{file} does not hold a state of a trainer ({type(error).__name__}: {error}); restore it from a copy"
    )
