"""`hero show`: the episodes of a run in the terminal."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from hero.distill.turns import FAULTS, finding_about
from hero.errors import ConfigError
from hero.look.entries import Entry, Split, is_evaluation, read_entries

from . import build
from .resolve import stored_settings
from .terminal import console, report_errors, with_default
from .view import DiagnosesOption, ScoresOption, sources_of

if TYPE_CHECKING:
    from rich.console import Console

    from hero.look.score import Token
    from hero.types import Diagnosis, Finding, Message, Turn, Verdict

STYLES = {"useful": "green", "unnecessary": "yellow", "invalid": "red", "failed": "red"}
SIGNS = {"useful": "✓", "unnecessary": "≈", "invalid": "⊘", "failed": "✗"}
LISTED = 40
"""Number of episodes that a list shows, the newest."""
LOUD = 1.5
"""Gap in nats from which a token is marked."""


@report_errors
def show(
    run: Annotated[Path, typer.Argument(help="A run directory, or what hero eval --out wrote.", show_default=False)],
    episode: Annotated[
        str | None,
        typer.Option(help="The episode to show: its number, or split/number, as in validation/3.", show_default=False),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="List only episodes that were not solved.")] = False,
    step: Annotated[int | None, typer.Option(help="List only episodes of this step.", show_default=False)] = None,
    split: Annotated[
        Literal["training", "validation"] | None,
        typer.Option(help=with_default("Which episodes of a run.", "training"), show_default=False),
    ] = None,
    scores: ScoresOption = None,
    diagnoses: DiagnosesOption = None,
) -> None:
    """List the episodes of a run, or show one turn by turn.

    Of each turn: what the policy saw, what it did and what followed, what the reflector said, what the teacher read of
    it and, once hero score has been run, what the teacher would have done and the tokens on which they disagree.
    """
    from hero.look.story import scores_of

    if split and is_evaluation(run):
        raise ConfigError(f"--split {split} does nothing with {run}, which holds one evaluation; leave it out")
    if split and "/" in (episode or ""):
        raise ConfigError(f"--split {split} does nothing with --episode {episode}; leave it out")
    if scores and episode is None:
        raise ConfigError(f"--scores {scores} does nothing without --episode; add that, or leave it out")
    (source,) = sources_of([run], scores, diagnoses)
    entries = read_entries(run)
    given = {entry.key: source.diagnoses.get(entry.key, entry.diagnosis) for entry in entries}
    if episode is None:
        listed: set[Split] = {split or "training", "evaluation"}
        chosen = [e for e in entries if e.split in listed and not (failed and e.trajectory.success)]
        _list(console(), [e for e in chosen if step in (None, e.step)], given, run)
        return
    if failed or step is not None:
        raise ConfigError("--failed and --step choose what is listed, and --episode shows one; leave them out")
    keys = [episode] if "/" in episode else [f"{split or 'training'}/{episode}", f"evaluation/{episode}"]
    entry = next((each for each in entries if each.key in keys), None)
    if entry is None:
        raise ConfigError(f"{run} has no episode {episode}; hero show {shlex.quote(str(run))} lists them")
    read = {} if is_evaluation(run) else _read_by_teacher(run, entries, entry, given)
    _tell(console(), entry, given[entry.key], read, scores_of(entry, source.scores))


def _read_by_teacher(
    run: Path, entries: Sequence[Entry], entry: Entry, diagnoses: Mapping[str, Diagnosis | None]
) -> dict[int, Sequence[Message]]:
    """Returns the privileged prompts of an episode by turn, as the run's teacher wrote them; empty without one."""
    from hero.distill.sums import teacher_of
    from hero.look.score import scored_turns, with_earlier

    if (teacher := teacher_of(build.make_learner(stored_settings(run)))) is None:
        return {}
    batch, earlier = next(each for each in with_earlier(entries, teacher) if entry in each[0])
    reviewed = {key: diagnosis for key, diagnosis in diagnoses.items() if key == entry.key and diagnosis}
    turns = scored_turns(teacher, batch, reviewed, earlier)
    return {turn: example.teacher for _, turn, example in turns if example.teacher}


def _list(out: Console, entries: Sequence[Entry], diagnoses: Mapping[str, Diagnosis | None], run: Path) -> None:
    """Prints a table of the newest episodes."""
    if not entries:
        out.print("no episode fits", markup=False)
        return
    table = Table("episode", "step", "task", "result", "reward", "turns", "wrong turns", box=None, pad_edge=False)
    for entry in entries[-LISTED:]:
        played, diagnosis = entry.trajectory, diagnoses[entry.key]
        wrong = [str(f.turn + 1) for f in diagnosis.findings if f.verdict in FAULTS] if diagnosis else []
        result = Text("solved", "green") if played.success else Text((played.error and "error") or "not solved", "red")
        row = (entry.key, str(entry.step), Text(played.task_id), result, f"{played.reward:.2f}")
        table.add_row(*row, str(len(played.turns)), ", ".join(wrong))
    out.print(table)
    if len(entries) > LISTED:
        out.print(f"the newest {LISTED} of {len(entries)} episodes", style="dim", markup=False)
    one = shlex.join(["hero", "show", str(run), "--episode", entries[-1].key])
    out.print(f"{one} shows one", style="dim", markup=False)


def _tell(
    out: Console,
    entry: Entry,
    diagnosis: Diagnosis | None,
    read: Mapping[int, Sequence[Message]],
    notes: Mapping[int, Mapping[str, Any]],
) -> None:
    """Prints an episode turn by turn.

    Args:
        read: what the teacher read, by turn.
    """
    played = entry.trajectory
    result = "solved" if played.success else "not solved"
    by = f", reviewed by {diagnosis.author}" if diagnosis else ""
    out.print(
        f"{entry.key}, step {entry.step}: task {played.task_id}, {result}, reward {played.reward:.2f}, ended by "
        f"{played.stop.value}{by}",
        style="bold",
        markup=False,
    )
    if played.error:
        out.print(played.error, style="red", markup=False)
    if diagnosis and diagnosis.problem:
        out.print(f"the review failed: {diagnosis.problem}", style="red", markup=False)
    for number, (saw, turn) in enumerate(zip(played.observations, played.turns, strict=False)):
        finding = finding_about(diagnosis, number) if diagnosis else None
        note = notes.get(number, {})
        out.print()
        out.rule(Text.assemble(f"turn {number + 1}", *_verdict(finding.verdict if finding else None)), align="left")
        out.print(_facts(_fields(number, saw, turn, finding, note)))
        if number in read:
            out.print(_facts([("teacher read", Text(_hindsight(turn.prompt, read[number]), "dim"))]))


def _fields(
    number: int, saw: str, turn: Turn, finding: Finding | None, note: Mapping[str, Any]
) -> Iterator[tuple[str, str | Text]]:
    """Yields the name and the content of each line about a turn."""
    if number == 0:
        yield "saw", saw
    yield "did", _action(note["tokens"]) if "tokens" in note else Text(turn.action.text, "bold")
    yield "then", turn.observation
    if turn.reward:
        yield "reward", f"{turn.reward:g}"
    if finding and finding.cause:
        yield "review", finding.cause
    if finding and finding.advice:
        yield "instead", finding.advice
    if note.get("would"):
        yield "teacher would", note["would"]
    for text, student, teacher, ((best, likeliest), *_) in note.get("tokens", []):
        if student - teacher >= LOUD:
            p = [f"{math.exp(logprob):.1%}" for logprob in (student, teacher, likeliest)]
            other = "" if best == text else f", who would say {_spelt(best)} ({p[2]})"
            yield "token", f"{_spelt(text)}: student {p[0]}, teacher {p[1]}{other}"


def _spelt(text: str | None) -> str:
    return "the end" if text is None else repr(text)


def _facts(fields: Iterable[tuple[str, str | Text]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", width=13)
    table.add_column(overflow="fold")
    for name, content in fields:
        table.add_row(name, content if isinstance(content, Text) else Text(content))
    return table


def _verdict(verdict: Verdict | None) -> list[tuple[str, str]]:
    return [(f"  {SIGNS[verdict]} {verdict}", STYLES[verdict])] if verdict else []


def _action(tokens: Sequence[Token]) -> Text:
    """Returns an action whose tokens are underlined where the teacher finds them much less likely."""
    return Text.assemble(
        *(
            (text or "", "bold red underline" if student - teacher >= LOUD else "bold")
            for text, student, teacher, _ in tokens
        )
    )


def _hindsight(prompt: Sequence[Message], context: Sequence[Message]) -> str:
    """Returns what a privileged prompt holds more than the student's."""
    last = context[-1].content
    return last.removeprefix(prompt[-1].content).strip() if prompt else last
