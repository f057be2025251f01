"""`hero score`: what the teacher thinks of each token of stored episodes, and what it would have done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hero.errors import ConfigError, RunError
from hero.look.entries import Entry, batches, read_entries
from hero.look.notes import NotesWriter, beside, read_notes
from hero.runs.codec import decode_diagnosis
from hero.runs.reader import Checkpoint, read_checkpoint

from . import build
from .interrupt import unmissable
from .model import CheckpointOption, ModelChoice, load_start, with_model_defaults
from .provenance import run_dir_of
from .resolve import stored_settings
from .terminal import console, report_errors, with_default

if TYPE_CHECKING:
    from hero.distill.base import Teacher
    from hero.types import Diagnosis, Trajectory

RunArgument = Annotated[Path, typer.Argument(help="A run directory.", show_default=False)]
LastOption = Annotated[
    int | None,
    typer.Option(help=with_default("Only the newest N episodes.", "all"), show_default=False, min=1),
]


@report_errors
def score(
    run: RunArgument,
    checkpoint: CheckpointOption = None,
    diagnoses: Annotated[
        Path | None,
        typer.Option(
            help=with_default("Diagnoses that hero reflect wrote, instead of those of the run.", "the run's"),
            show_default=False,
        ),
    ] = None,
    last: LastOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help=with_default("File to write.", "RUN-scores.jsonl"), show_default=False),
    ] = None,
) -> None:
    """Score the tokens of stored episodes: how likely each is for the student, and for the teacher with hindsight.

    Nothing is played but what the teacher would have done in place of actions that are called wrong. hero view and hero
    show read the file, which is written beside the run, never into it. After Ctrl-C the same command goes on.
    """
    require_run(run)
    file = out or beside(run, "scores")
    entries = read_entries(run)[-last:] if last else read_entries(run)
    own = {entry.key: entry.diagnosis for entry in entries if entry.diagnosis}
    given = own if diagnoses is None else stored_diagnoses(diagnoses, run)
    entries = [entry for entry in entries if entry.key in given]
    if not entries:
        raise RunError(f"no episode of {run} has a diagnosis; hero reflect {run} writes some, for --diagnoses FILE")
    build.require_train_extra()
    with unmissable():
        step = _score(run, checkpoint or "best", entries, given, file, "" if diagnoses is None else str(diagnoses))
    console().print(f"{len(entries)} episodes scored by the checkpoint of step {step}: {file}", markup=False)
    console().print(f"look at them: hero view {run}", markup=False)


def require_run(path: Path) -> None:
    """Refuses what is not a run directory.

    Raises:
        ConfigError: it is not.
    """
    if run_dir_of(str(path)) is None:
        raise ConfigError(f"{path} is not a run directory; give the --out of hero run")


def stored_diagnoses(file: Path, run: Path) -> dict[str, Diagnosis]:
    """Returns the diagnoses that `hero reflect` wrote, by key of the episode."""
    _, notes = read_notes(file, "diagnoses", run)
    return {key: decode_diagnosis(note["diagnosis"]) for key, note in notes.items()}


def _score(
    run: Path,
    which: Any,
    entries: Sequence[Entry],
    diagnoses: dict[str, Diagnosis],
    file: Path,
    source: str,
) -> int:
    """Scores what is not scored yet, and returns the step of the checkpoint."""
    from rich.progress import MofNCompleteColumn, Progress

    from hero.look.score import score_batch

    messages = console(errors=True)
    settings = replace(stored_settings(run), shard=False)
    build.use_threads(settings.threads)
    with messages.status(f"loading {run} ..."):
        lm = load_start(run, ModelChoice(str(run), device=settings.device))
        settings = with_model_defaults(settings, lm)
        lm.max_new_tokens = settings.action_tokens
        teacher = _teacher(settings)
        trainer = build.make_trainer(settings, lm)

        def load(checkpoint: Checkpoint) -> int:
            trainer.load(checkpoint.trainer)
            return checkpoint.step

        step = read_checkpoint(run, which, load)
    if step is None:
        raise RunError(f"{run} has no complete step yet; resume it first")
    about = {"checkpoint": step, "teacher": type(teacher).__name__, "diagnoses": source}
    writer = NotesWriter(file, "scores", run, about)
    earlier: list[Trajectory] = []
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=messages, transient=True) as bars:
        bar = bars.add_task("episodes", total=len(entries))
        for batch in batches(entries):
            todo = [entry for entry in batch if entry.key not in writer.done]
            if todo:
                writer.write(score_batch(trainer, teacher, lm.chat, todo, diagnoses, earlier))
            earlier[:0] = [entry.trajectory for entry in batch if entry.trajectory.success]
            bars.advance(bar, len(batch))
    return step


def _teacher(settings: Any) -> Teacher:
    """Returns the teacher of the run's learner, or of a learner that has none the one of hindsight."""
    from hero.distill.teacher import HindsightTeacher

    teacher: Teacher = getattr(build.make_learner(settings), "teacher", None) or HindsightTeacher()
    return teacher
