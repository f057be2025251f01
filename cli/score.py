"""`hero score`: what the teacher thinks of each token of stored episodes, and what it would have done."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hero.distill.teacher import HindsightTeacher
from hero.errors import ConfigError, RunError
from hero.look.entries import Entry, is_evaluation, read_entries
from hero.runs.codec import decode_diagnosis
from hero.runs.reader import Checkpoint, read_checkpoint

from . import build
from .interrupt import unmissable
from .model import CheckpointOption, ModelChoice, load_start, with_model_defaults
from .provenance import run_dir_of
from .resolve import stored_settings
from .terminal import console, loading, report_errors, with_default

if TYPE_CHECKING:
    from hero.types import Diagnosis

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
    from hero.look.notes import beside, checksum_of, require_file_outside

    require_run(run)
    file = out or beside(run, "scores")
    require_file_outside(file)
    entries = read_entries(run)
    own = {entry.key: entry.diagnosis for entry in entries if entry.diagnosis}
    given = own if diagnoses is None else stored_diagnoses(diagnoses, run)
    chosen = [entry.key for entry in entries if entry.key in given]
    chosen = chosen[-last:] if last else chosen
    build.require_train_extra()
    source = 0 if diagnoses is None else checksum_of(diagnoses)
    with unmissable():
        step = _score(run, checkpoint or "best", entries, given, frozenset(chosen), file, source)
    console().print(f"{len(chosen)} episodes scored by the checkpoint of step {step}: {file}", markup=False)
    named = (("--diagnoses", diagnoses), ("--scores", out))
    options = [word for name, value in named if value is not None for word in (name, str(value))]
    console().print(f"look at them: {shlex.join(['hero', 'view', str(run), *options])}", markup=False)


def require_run(path: Path) -> None:
    """Refuses what is not a run directory.

    Raises:
        ConfigError: it is not.
    """
    if is_evaluation(path):
        raise ConfigError(f"{path} is what hero eval --out wrote, and not a run; give the --out of hero run")
    if run_dir_of(str(path)) is None:
        raise ConfigError(f"{path} is not a run directory; give the --out of hero run")


def stored_diagnoses(file: Path, run: Path) -> dict[str, Diagnosis]:
    """Returns the diagnoses that `hero reflect` wrote, by key of the episode.

    Raises:
        RunError: the file cannot be read, or is about another run.
    """
    from hero.look.notes import read_notes

    _, notes = read_notes(file, "diagnoses", run)
    try:
        return {key: decode_diagnosis(note["diagnosis"]) for key, note in notes.items()}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{file} is damaged (a line is not a diagnosis: {error!r}); remove it") from error


def _score(
    run: Path,
    which: Any,
    entries: Sequence[Entry],
    diagnoses: Mapping[str, Diagnosis],
    chosen: frozenset[str],
    file: Path,
    source: int,
) -> int:
    """Scores those of the chosen episodes that are not scored yet, and returns the step of the checkpoint.

    Args:
        entries: all episodes of the run, among which teachers find siblings and earlier successes.
        source: checksum of the file of the diagnoses; 0 for those of the run.
    """
    from rich.progress import MofNCompleteColumn, Progress

    from hero.distill.sums import teacher_of
    from hero.look.notes import NotesWriter
    from hero.look.score import score_batch, scored_turns, with_earlier

    messages = console(errors=True)
    settings = replace(stored_settings(run), shard=False)
    build.use_threads(settings.threads)
    with loading(str(run)):
        lm = load_start(run, ModelChoice(str(run)))
        settings = with_model_defaults(settings, lm)
        lm.max_new_tokens = settings.action_tokens
        teacher = teacher_of(build.make_learner(settings)) or HindsightTeacher()
        trainer = build.make_trainer(settings, lm)

        def load(checkpoint: Checkpoint) -> int:
            trainer.load(checkpoint.trainer)
            return checkpoint.step

        step = read_checkpoint(run, which, load)
    if step is None:
        raise RunError(f"{run} has no complete step yet; resume it first")
    about = {"checkpoint": step, "diagnoses": source}
    played = with_earlier(entries, teacher)
    turns = (turn for batch, earlier in played for turn in scored_turns(teacher, batch, diagnoses, earlier))
    if not any(entry.key in chosen for entry, *_ in turns):
        failed = sum(bool(diagnosis.problem) for diagnosis in diagnoses.values())
        why = f"the {len(diagnoses)} reviews say nothing of any" + (f", and {failed} of them failed" if failed else "")
        if not source and settings.reflector is None:
            why = "nobody has reviewed it"
        raise RunError(
            f"the teacher has hindsight on no turn of {run}, since {why}; hero reflect "
            f"{shlex.quote(str(run))} writes reviews, for --diagnoses FILE"
        )
    with (
        NotesWriter(file, "scores", run, about) as writer,
        Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=messages, transient=True) as bars,
    ):
        bar = bars.add_task("episodes", total=len(chosen))
        for batch, earlier in with_earlier(entries, teacher):
            asked = chosen.intersection(entry.key for entry in batch)
            if todo := asked - writer.done:
                writer.write(score_batch(trainer, teacher, lm.chat, batch, diagnoses, earlier, only=todo))
            bars.advance(bar, len(asked))
    return step
