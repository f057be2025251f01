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
from .terminal import console, loading, report_errors, with_default

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
        typer.Option(help="Maximum number of episodes of a run; of more, whole steps are left out.", min=1),
    ] = 1000,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only write the file.")] = False,
) -> None:
    """Write a page of a run and open it: curves, episodes, what the reflector said of each turn, and every token.

    It is one file that works without a network. hero score adds what the teacher thinks of each token. Several runs
    share a page: any two episodes of one task can be seen side by side.
    """
    from hero.look.html import write_page
    from hero.look.notes import require_outside

    first = Path(os.path.abspath(runs[0]))  # without any ..
    file = out or first.with_name(f"{first.name}.html")
    for run in runs:
        require_outside(file, run)
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
        ConfigError: a directory is neither a run nor an evaluation.
        RunError: notes cannot be read, or are about another run.
    """
    from hero.look.notes import beside, checksum_of, read_notes
    from hero.look.story import Source

    sources = []
    for path in runs:
        if run_dir_of(str(path)) is None and not is_evaluation(path):
            raise ConfigError(f"{path} is neither a run directory nor what hero eval --out wrote; give one of them")
        first = path == runs[0]
        given = stored_diagnoses(diagnoses, path) if diagnoses and first else {}
        file, made_with = beside(path, "scores"), checksum_of(diagnoses) if diagnoses and first else 0
        notes: Mapping[str, Note] = {}
        if scores and first:
            header, notes = read_notes(scores, "scores", path)
            if header["diagnoses"] != made_with:
                raise ConfigError(
                    f"{scores} has scores with other diagnoses; give those that it was made with, or none"
                )
        elif file.is_file() and not is_evaluation(path):
            header, notes = read_notes(file, "scores", path)
            if header["diagnoses"] != made_with:
                console(errors=True).print(
                    f"warning: {file} has scores with other diagnoses, and is left out; --scores FILE names others",
                    style="yellow",
                    markup=False,
                )
                notes = {}
        sources.append(Source(path, notes, given))
    return sources
