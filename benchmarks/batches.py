"""What it saves to read branches of like length together: `python -m benchmarks.batches RUN`.

The teacher scores the episodes of one step of a run, with micro-batches as they are and with micro-batches by the whole
length of a row, shared or not, in one process. Random tokens all have one length; those of a run have not. Times are
medians of repetitions in turn. The last line is a JSON object of all figures.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final
from unittest.mock import patch

import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.episodes import medians
from hero.chat.base import Chat
from hero.distill import scorer
from hero.distill.base import Example
from hero.distill.learners import Distillation
from hero.distill.pack import Row, micro_batches, share_prefixes, student_rows, teacher_rows
from hero.errors import DataError
from hero.runs.reader import Episode, read_episodes
from hero.types import Group
from hero_cli.model import ModelChoice, load_model
from hero_cli.settings import stored_settings
from hero_cli.terminal import report_errors

TOKENS: Final = 16_384
Batches = Callable[[Sequence[Row], int], Iterator[list[Row]]]


def by_whole_length(rows: Sequence[Row], tokens: int) -> Iterator[list[Row]]:
    """Micro-batches of rows of like length, what they share included."""
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: len(row.ids), reverse=True):
        if batch and (len(batch) + 1) * len(batch[0].ids) > tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


ARMS: Final[dict[str, Batches]] = {"as they are": micro_batches, "by whole length": by_whole_length}


def examples_of(episodes: Sequence[Episode]) -> list[Example]:
    """What a step learns from its episodes."""
    found = []
    for number, episode in enumerate(episodes):
        examples = Distillation().examples(Group((episode.trajectory,)), [episode.diagnosis])
        found += [replace(example, episode=number) for example in examples]
    return found


def padding(parts: Sequence[Sequence[Row]]) -> float:
    """Share of what is read that is padding."""
    own = [[len(row.ids) - row.shared for row in part] for part in parts]
    return 1 - sum(map(sum, own)) / sum(max(lengths) * len(lengths) for lengths in own)


@torch.no_grad()
def compared(model: torch.nn.Module, chat: Chat, examples: Sequence[Example], repeats: int) -> dict[str, float]:
    """Padding by arm, of the student's rows too, and how much longer it takes by whole length."""
    students, told = student_rows(examples), teacher_rows(examples, chat)
    branching, _ = share_prefixes(told, students)

    def action_logits(batches: Batches) -> None:
        with patch.object(scorer, "micro_batches", batches):
            for _ in scorer.teacher_hidden_states(model, told, students, tokens=TOKENS):  # type: ignore[arg-type]
                pass

    arms = [partial(action_logits, batches) for batches in ARMS.values()]
    arms[0]()
    ours, theirs = medians(arms, repeats)
    found = {name: padding(list(batches(branching, TOKENS))) for name, batches in ARMS.items()}
    return found | {"student": padding(list(micro_batches(students, TOKENS))), "time": theirs / ours}


@report_errors
def main(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    step: Annotated[int, typer.Option(help="Whose episodes are scored.", min=1)] = 1,
    episodes: Annotated[int, typer.Option(help="As many of them at most.", min=1)] = 24,
    repeats: Annotated[int, typer.Option(help="Of each arm.", min=1)] = 3,
    threads: Annotated[int, typer.Option(help="Threads of torch.", min=1)] = 1,
) -> None:
    """Compares micro-batches by what is read with micro-batches by whole length."""
    torch.set_num_threads(threads)
    lm = load_model(ModelChoice(stored_settings(run).model), 256)
    examples = examples_of([episode for episode in read_episodes(run) if episode.step == step][:episodes])
    if not any(example.teacher for example in examples):
        raise DataError(f"step {step} of {run} has nothing that a teacher scores; give a step that was distilled")
    found = compared(lm.model, lm.chat, examples, repeats)
    table = Table("padding of what is read", *ARMS, "student's rows", "time by whole length over time as it is")
    table.add_row("", *(f"{100 * found[name]:.0f} %" for name in (*ARMS, "student")), f"{found['time']:.2f}")
    Console().print(table)
    print(json.dumps({"benchmark": "batches", "step": step, **found}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
