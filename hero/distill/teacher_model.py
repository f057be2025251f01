"""The model that reads privileged prompts: the student as it is, as it was, or averaged over its updates."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import torch

from hero.distill.state import read_weights, write_weights
from hero.models.lora import acting_as, adapter_pairs, copy_adapter, is_adapted

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TEACHER: Final = "teacher"
TeacherWeights: TypeAlias = Literal["ema", "live", "frozen"]


class TeacherModel:
    """The student itself as the teacher, and the base of the others.

    Attributes:
        model: its forward passes within the block of `active` are the teacher's; its head is the teacher's at any time.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model

    def active(self) -> AbstractContextManager[None]:
        """Makes the block in which the forward passes of `model` are the teacher's."""
        return nullcontext()

    def average(self, decay: float) -> None:
        """Moves the teacher towards the student: teacher <- decay teacher + (1 - decay) student."""

    def save(self, file: Path) -> None:
        """Writes the weights that are the teacher's alone, if there are any."""

    def load(self, file: Path) -> None:
        """Restores what `save` wrote."""


class CopiedTeacher(TeacherModel):
    """A copy of all weights of the student."""

    def __init__(self, student: PreTrainedModel) -> None:
        super().__init__(deepcopy(student).requires_grad_(False))
        self._student = student

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Averages all weights."""
        for average, weight in zip(self.model.parameters(), self._student.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)

    def save(self, file: Path) -> None:
        """Writes all weights."""
        write_weights(self.model, file)

    def load(self, file: Path) -> None:
        """Restores all weights."""
        read_weights(self.model, file)


class AdapterTeacher(TeacherModel):
    """The student's base, with an adapter of its own."""

    def __init__(self, student: PreTrainedModel) -> None:
        super().__init__(student)
        copy_adapter(student, TEACHER)

    def active(self) -> AbstractContextManager[None]:
        """Switches to the teacher's adapter."""
        return acting_as(self.model, TEACHER)

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Averages the adapters."""
        for weight, average in adapter_pairs(self.model, TEACHER):
            average.lerp_(weight, 1 - decay)

    def save(self, file: Path) -> None:
        """Writes the teacher's adapter."""
        write_weights(self.model, file, TEACHER)

    def load(self, file: Path) -> None:
        """Restores the teacher's adapter."""
        read_weights(self.model, file, TEACHER)


class BaseTeacher(TeacherModel):
    """The student's base, without its adapter."""

    def active(self) -> AbstractContextManager[None]:
        """Switches the adapter off."""
        return acting_as(self.model, None)


def make_teacher(student: PreTrainedModel, weights: TeacherWeights) -> TeacherModel:
    """Returns the teacher of a student; that of a student with an adapter shares its base."""
    if weights == "live":
        return TeacherModel(student)
    if not is_adapted(student):
        return CopiedTeacher(student)
    return AdapterTeacher(student) if weights == "ema" else BaseTeacher(student)
