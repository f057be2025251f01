"""`hero reflect`: what another reflector says of stored episodes, without playing them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hero import registry
from hero.errors import ConfigError
from hero.look.entries import Entry, Split, batches, read_entries
from hero.runs.codec import encode_diagnosis

from . import build
from .arguments import read_arguments
from .interrupt import unmissable
from .model import CheckpointOption, ModelChoice, load_checkpoint
from .provenance import reflector_provenance
from .resolve import settings_of, stored_settings
from .score import LastOption, RunArgument, require_run, stored_diagnoses
from .terminal import console, loading, report_errors, with_default
from .usage import report_usage

if TYPE_CHECKING:
    from hero.types import Diagnosis


@report_errors
def reflect(
    run: RunArgument,
    reflector: Annotated[str, typer.Option(help="Name of the reflector, or module:Class.")] = "rules",
    reflector_arg: Annotated[
        list[str] | None, typer.Option(help="Option of the reflector, key=value.", show_default=False)
    ] = None,
    checkpoint: CheckpointOption = None,
    validation: Annotated[bool, typer.Option("--validation", help="Review validation episodes, too.")] = False,
    last: LastOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help=with_default("File to write.", "RUN-diagnoses-REFLECTOR.jsonl"), show_default=False),
    ] = None,
) -> None:
    """Review stored episodes by another reflector, and compare what it says with what the run was told.

    A reflector that asks the student asks the run's checkpoint. The file is written beside the run, never into it; hero
    score, hero view and hero show take it as --diagnoses. After Ctrl-C the same command goes on.
    """
    from hero.look.notes import beside, require_file_outside

    require_run(run)
    arguments = read_arguments("reflector_args", reflector_arg or [])
    asked = settings_of({"reflector": reflector, "reflector_args": arguments})
    name = asked.reflector or reflector
    registry.check("hero.reflectors", name, asked.reflector_args, later=["student"])
    file = out or beside(run, f"diagnoses-{name.replace(':', '-')}")
    require_file_outside(file)
    splits: list[Split] = ["training", "validation"] if validation else ["training"]
    stored = read_entries(run, splits)
    entries = [each for split in splits for each in [e for e in stored if e.split == split][-(last or 0) :]]
    about = {"reflector": name, "arguments": dict(asked.reflector_args)}
    with unmissable():
        _reflect(run, checkpoint, name, asked.reflector_args, entries, file, about)
    given = stored_diagnoses(file, run)
    _compare(entries, given)
    problems = [diagnosis.problem for diagnosis in given.values() if diagnosis.problem]
    failed = f", {len(problems)} of the reviews failed (the first: {problems[0]})" if problems else ""
    console().print(f"\n{len(given)} episodes reviewed by {name}{failed}: {file}", markup=False)


def _reflect(
    run: Path,
    which: Any,
    name: str,
    arguments: Mapping[str, Any],
    entries: Sequence[Entry],
    file: Path,
    about: dict[str, Any],
) -> None:
    """Reviews what is not reviewed yet; episodes that were played together are reviewed together."""
    from rich.progress import MofNCompleteColumn, Progress

    from hero.look.notes import NotesWriter
    from hero.reflect.base import build_reflector, diagnoses_of

    messages, student = console(errors=True), None
    if "student" in registry.parameters(registry.load("hero.reflectors", name)):
        build.require_train_extra()
        settings = stored_settings(run)
        build.use_threads(settings.threads)
        with loading(str(run)):
            student, step = load_checkpoint(ModelChoice(str(run), checkpoint=which or "best"), settings)
        about = {**about, "checkpoint": step}
    elif which:
        raise ConfigError(
            f"--checkpoint {which} does nothing with --reflector {name}, which does not ask the student; leave it out"
        )
    reflector = build_reflector(name, arguments, student)
    about = {**about, **({"provenance": model} if (model := reflector_provenance(reflector)) else {})}
    with (
        NotesWriter(file, "diagnoses", run, about) as writer,
        Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=messages, transient=True) as bars,
    ):
        bar = bars.add_task("episodes", total=len(entries))
        for batch in batches(entries):
            if any(entry.key not in writer.done for entry in batch):
                diagnoses = diagnoses_of(reflector, [entry.trajectory for entry in batch])
                notes = {entry.key: encode_diagnosis(each) for entry, each in zip(batch, diagnoses, strict=True)}
                todo = {key: {"diagnosis": note} for key, note in notes.items() if key not in writer.done}
                writer.write(todo)
            bars.advance(bar, len(batch))
    report_usage(messages, (reflector,))


def _compare(entries: Sequence[Entry], given: Mapping[str, Diagnosis]) -> None:
    """Prints how often each verdict of the run became which one."""
    from rich.table import Table

    pairs = Counter(
        (_verdict(entry.diagnosis, turn), _verdict(given[entry.key], turn))
        for entry in entries
        if entry.diagnosis and entry.key in given
        for turn in range(len(entry.trajectory.turns))
    )
    if not pairs:
        return
    names = ("useful", "unnecessary", "invalid", "failed", "none")
    columns = [name for name in names if any(new == name for _, new in pairs)]
    table = Table("in the run", *columns, box=None, pad_edge=False)
    for old in names:
        if any(before == old for before, _ in pairs):
            table.add_row(old, *(str(pairs[old, new] or "") for new in columns))
    same, turns = sum(count for (old, new), count in pairs.items() if old == new), pairs.total()
    console().print(f"verdicts of {turns:,} turns, {100 * same / turns:.1f} % the same (columns: now)", markup=False)
    console().print(table)


def _verdict(diagnosis: Diagnosis, turn: int) -> str:
    finding = next((finding for finding in diagnosis.findings if finding.turn == turn), None)
    return str(finding.verdict) if finding and finding.verdict else "none"
