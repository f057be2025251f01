"""`hero view`: the page of a run, or of several side by side."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hero.errors import ConfigError
from hero.look.entries import is_evaluation

from .provenance import run_dir_of
from .score import stored_diagnoses
from .terminal import console, loading, report_errors, warn, with_default

if TYPE_CHECKING:
    from hero.look.notes import Note
    from hero.look.story import Source

RunsArgument = Annotated[
    list[Path], typer.Argument(help="Run directories, or what hero eval --out wrote.", show_default=False)
]
ScoresOption = Annotated[
    Path | None,
    typer.Option(
        help=with_default("What hero score wrote, of the first run.", "RUN-scores.jsonl, if it is there"),
        show_default=False,
    ),
]
DiagnosesOption = Annotated[
    Path | None,
    typer.Option(
        help=with_default("Diagnoses that hero reflect wrote, of the first run.", "the run's"), show_default=False
    ),
]


@report_errors
def view(
    runs: RunsArgument,
    scores: ScoresOption = None,
    diagnoses: DiagnosesOption = None,
    out: Annotated[
        Path | None, typer.Option(help=with_default("File to write.", "RUN.html"), show_default=False)
    ] = None,
    max_episodes: Annotated[
        int,
        typer.Option(
            help="Maximum number of episodes of each split of a run, training and validation; of more, whole steps are "
            "left out.",
            min=1,
        ),
    ] = 1000,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only write the file.")] = False,
) -> None:
    """Write a page of a run and open it: curves, episodes, what the reflector said of each turn, and every token.

    It is one file that works without a network. hero score adds what the teacher thinks of each token. Several runs
    share a page: any two episodes of one task can be seen side by side.
    """
    from hero.look.html import write_page
    from hero.look.notes import require_file_outside

    first = Path(os.path.abspath(runs[0]))  # without any ..
    file = out or first.with_name(f"{first.name}.html")
    require_file_outside(file)
    if file.exists() and file.suffix != ".html":
        raise ConfigError(f"--out {file} exists and is not a page; give a name that ends with .html")
    sources = sources_of(runs, scores, diagnoses)
    messages = console(errors=True)
    with loading(", ".join(map(str, runs))):
        size = write_page(file, sources, max_episodes=max_episodes)
    console().print(f"{file} ({size / 2**20:.1f} MB)", markup=False)
    if not no_open and not webbrowser.open(file.absolute().as_uri()):
        messages.print("no browser could be started; open the file in one", markup=False)


def sources_of(runs: Sequence[Path], scores: Path | None, diagnoses: Path | None) -> list[Source]:
    """Returns the runs with the notes that stand beside them; those that are named belong to the first.

    Raises:
        ConfigError: a directory is neither a run nor an evaluation, or an evaluation is given notes.
        RunError: notes cannot be read, or are about another run.
    """
    from hero.look.story import Source

    for path in runs:
        if run_dir_of(str(path)) is None and not is_evaluation(path):
            raise ConfigError(f"{path} is neither a run directory nor what hero eval --out wrote; give one of them")
    first, *others = runs
    for name, file in (("scores", scores), ("diagnoses", diagnoses)):
        if file and is_evaluation(first):
            raise ConfigError(f"--{name} {file} does nothing with {first}, which is not a run; leave it out")
    given = stored_diagnoses(diagnoses, first) if diagnoses else {}
    sources = [Source(first, _scores_of(first, scores, diagnoses), given)]
    return sources + [Source(path, _scores_of(path, None, None)) for path in others]


def _scores_of(run: Path, file: Path | None, diagnoses: Path | None) -> Mapping[str, Note]:
    """Returns the scores of a run that were made with some diagnoses; those beside it only if they were.

    Raises:
        ConfigError: a file that was named has scores with other diagnoses.
        RunError: the scores cannot be read, or are about another run.
    """
    from hero.look.notes import beside, checksum_of, read_notes

    scores = file or beside(run, "scores")
    if is_evaluation(run) or not (file or scores.is_file()):
        return {}
    header, notes = read_notes(scores, "scores", run)
    if header["diagnoses"] == (checksum_of(diagnoses) if diagnoses else 0):
        return notes
    other = f"{scores} has scores with other diagnoses"
    if file:
        raise ConfigError(f"{other}; give those that it was made with, or none")
    warn(console(errors=True), f"{other}, and is left out; --scores FILE names others")
    return {}
