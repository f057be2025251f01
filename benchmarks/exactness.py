"""Measures how exact the fast paths are in float32 and bfloat16: `python -m benchmarks.exactness`.

The same update of one episode is computed twice: with the shared prefix of its turns read once, and turn by turn. The
teacher's logits, the loss and the student's gradient are compared. For scale, the last row compares turn by turn in
bfloat16 with turn by turn in float32. The last line is a JSON object of all figures.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks import models
from benchmarks.episodes import Ledger, episode, turn_by_turn
from hero.distill.batch import UpdateBatch
from hero.distill.loss import UpdateLoss
from hero.distill.losses import jensen_shannon
from hero.distill.pack import student_rows, teacher_rows
from hero.distill.scorer import by_span, teacher_hidden_states
from hero.models.architecture import context_length
from hero.models.head import head_logits

TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Result:
    """The results of one path on an episode.

    Attributes:
        logits: logits of the teacher, by turn.
        gradient: gradient of the student, all weights in one vector.
    """

    logits: dict[int, Tensor]
    loss: float
    gradient: Tensor

    def apart(self, other: Result) -> dict[str, float]:
        """Returns the largest difference of logits, and those of loss and gradient relative to the other's."""
        differences = [(self.logits[turn] - other.logits[turn]).abs().max().item() for turn in self.logits]
        return {
            "logits": max(differences),
            "loss": abs(self.loss - other.loss) / abs(other.loss),
            "gradient": ((self.gradient - other.gradient).norm() / other.gradient.norm()).item(),
        }


def result(model: Any, turns: int) -> Result:
    """Computes an update of an episode, with the model as student and a teacher of other weights."""
    student, teacher = model, deepcopy(model).requires_grad_(False)
    with torch.no_grad():
        for weight in teacher.parameters():
            weight.mul_(1.01)
    examples = episode(0, turns, model.config.get_text_config().vocab_size)
    teacher_logits: dict[int, Tensor] = {}
    with torch.no_grad():
        for part, states in teacher_hidden_states(
            teacher, teacher_rows(examples, Ledger()), student_rows(examples), tokens=TOKENS
        ):
            for row, _, of_row in by_span(part, head_logits(teacher, states).float()):
                teacher_logits[row.example] = of_row
    student.zero_grad(set_to_none=True)
    batch = UpdateBatch.of(examples, Ledger(), context_length(teacher))
    loss = UpdateLoss(student=student, teacher=teacher, divergence=jensen_shannon, micro_batch_tokens=TOKENS).backward(
        batch
    )["loss"]
    gradient = torch.cat([weight.grad.float().flatten() for weight in student.parameters() if weight.grad is not None])
    return Result(teacher_logits, loss, gradient)


def main(
    model: Annotated[str, typer.Option(help="The model: tiny or smollm2.")] = "tiny",
    turns: Annotated[int, typer.Option(help="Number of turns of the episode.", min=2)] = 8,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Take a minute: two turns.")] = False,
) -> None:
    """Compares an update that reads shared prefixes once with one turn by turn, in two precisions."""
    torch.set_num_threads(threads)
    lm = models.load(model)  # type: ignore[arg-type]
    turns = 2 if quick else turns
    differences: dict[str, dict[str, float]] = {}
    apart: dict[str, Result] = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        cast = deepcopy(lm.model).to(dtype)
        once = result(cast, turns)
        with turn_by_turn():
            apart[name] = result(cast, turns)
        differences[f"{name}, once and turn by turn"] = once.apart(apart[name])
    differences["turn by turn, bfloat16 and float32"] = apart["bfloat16"].apart(apart["float32"])
    columns = ("logits", "loss", "gradient")
    table = Table("difference between", "logits, largest", "loss, relative", "gradient, relative")
    for name, row in differences.items():
        table.add_row(name, *(f"{row[column]:.1e}" for column in columns))
    Console().print(table)
    print(json.dumps({"benchmark": "exactness", "model": model, "turns": turns, "differences": differences}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
