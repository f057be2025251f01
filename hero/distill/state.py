"""The files of a trainer's state: safetensors for weights, and a pickle of torch for the rest."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from hero.errors import RunError

MODEL: Final = "model.safetensors"
TEACHER: Final = "teacher.safetensors"
STATE: Final = "trainer.pt"
_UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError, TypeError, AttributeError, LookupError),
    *(UnpicklingError, SafetensorError),
)
"""Exceptions that torch and safetensors raise on damaged files."""


def write_state(path: Path, model: nn.Module, teacher: nn.Module | None, state: dict[str, Any]) -> None:
    """Writes a trainer's state into a new directory.

    Args:
        teacher: None for a teacher without weights of its own.
        state: everything except the weights.

    Raises:
        OSError: `path` exists, or cannot be written.
    """
    path.mkdir(parents=True)
    try:
        save_model(model, str(path / MODEL))
        if teacher is not None:
            save_model(teacher, str(path / TEACHER))
        torch.save(state, path / STATE)
    except (SafetensorError, RuntimeError) as error:  # how safetensors and torch report a full disk
        raise OSError(str(error)) from error


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


def read_weights(model: nn.Module, file: Path) -> None:
    """Sets all weights of a model to those in a file.

    Raises:
        RunError: the file cannot be read, or holds other weights than the model has.
    """
    try:
        load_model(model, file)
    except _UNREADABLE as error:
        raise unreadable(file, error) from error


def widen(model: nn.Module) -> None:
    """Converts a model whose trained weights are in half precision to float32."""
    if any(weight.requires_grad and weight.itemsize < 4 for weight in model.parameters()):
        model.float()


def unreadable(file: Path, error: Exception) -> RunError:
    """Makes the error for a file that cannot be restored from."""
    return RunError(
        f"{file} does not hold a state of a trainer ({type(error).__name__}: {error}); restore it from a copy"
    )
