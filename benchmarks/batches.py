"""Measures the time saved by reading suffixes of similar length together: `python -m benchmarks.batches RUN`.

The teacher scores the episodes of one step of a run in one process: with micro-batches as they are, and with
micro-batches by the whole length of a row. It takes a run, whose episodes differ in length, as random ones do not.
Times are medians of repetitions in turn. The last line is a JSON object of all figures.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
from collections.abc import Callable, Iterator, Sequence
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
from hero.distill.learners import Distillation, group_examples
from hero.distill.pack import Row, micro_batches, share_prefixes, student_rows, teacher_rows
from hero.errors import DataError
from hero.runs.reader import Episode, read_episodes
from hero_cli.model import ModelChoice, load_checkpoint
from hero_cli.resolve import stored_settings
from hero_cli.terminal import report_errors

TOKENS: Final = 16_384
Batches = Callable[..., Iterator[list[Row]]]


def by_whole_length(rows: Sequence[Row], tokens: int, *, attended: int = 1) -> Iterator[list[Row]]:
    """Parts rows into micro-batches by their whole length, shared prefixes included, whatever is `attended`."""
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
    """Returns the examples that a step of distillation learns from."""
    return group_examples(Distillation(), [(episode.trajectory, episode.diagnosis) for episode in episodes])


def padding(parts: Sequence[Sequence[Row]]) -> float:
    """Returns the share of padding in all that is read."""
    lengths = [[row.suffix_length for row in part] for part in parts]
    return 1 - sum(map(sum, lengths)) / sum(max(part) * len(part) for part in lengths)


@torch.no_grad()
def compared(model: torch.nn.Module, chat: Chat, examples: Sequence[Example], repeats: int) -> dict[str, float]:
    """Measures padding by arm and of the student's rows, and the time by whole length over the time as it is."""
    students, teachers = student_rows(examples), teacher_rows(examples, chat)
    sharing, _ = share_prefixes(teachers, students)

    def score(batches: Batches) -> None:
        with patch.object(scorer, "micro_batches", batches):
            for _ in scorer.teacher_hidden_states(model, teachers, students, tokens=TOKENS):  # type: ignore[arg-type]
                pass

    arms = [partial(score, batches) for batches in ARMS.values()]
    arms[0]()
    as_they_are, by_length = medians(arms, repeats)
    shares = {name: padding(list(batches(sharing, TOKENS))) for name, batches in ARMS.items()}
    return shares | {"student": padding(list(micro_batches(students, TOKENS))), "time": by_length / as_they_are}


@report_errors
def main(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    step: Annotated[int, typer.Option(help="The step whose episodes are scored.", min=1)] = 1,
    episodes: Annotated[int, typer.Option(help="Maximum number of episodes.", min=1)] = 24,
    repeats: Annotated[int, typer.Option(help="Repetitions of each arm.", min=1)] = 3,
    threads: Annotated[int, typer.Option(help="Threads of torch.", min=1)] = 1,
) -> None:
    """Compares micro-batches by the length of suffixes with micro-batches by the length of rows."""
    torch.set_num_threads(threads)
    lm = load_checkpoint(ModelChoice(stored_settings(run).model))[0]
    examples = examples_of([episode for episode in read_episodes(run) if episode.step == step][:episodes])
    if not any(example.teacher for example in examples):
        raise DataError(f"step {step} of {run} has no action that a teacher scores; give a step that was distilled")
    figures = compared(lm.model, lm.chat, examples, repeats)
    table = Table("padding of what is read", *ARMS, "student's rows", "time by whole length over time as it is")
    table.add_row("", *(f"{100 * figures[name]:.0f} %" for name in (*ARMS, "student")), f"{figures['time']:.2f}")
    Console().print(table)
    print(json.dumps({"benchmark": "batches", "step": step, **figures}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
