"""What the page of a run shows, as plain JSON."""

from __future__ import annotations

import math
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hero.alarms import alarms
from hero.look.entries import Entry, is_evaluation, read_entries, read_evaluation
from hero.look.metrics import METRICS
from hero.look.notes import Note
from hero.runs.reader import read_config, read_rows
from hero.types import Diagnosis, Turn

Json = dict[str, Any]
EVALUATED: Final = ("step", "turns", "mode", "tasks", "success", "score", "turns_per_episode", "valid_actions")
"""What the page shows of an evaluation."""


@dataclass
class Source:
    """A run, or an evaluation, to look at.

    Attributes:
        scores: notes by `hero score`, by key of the episode; {} for none.
        diagnoses: diagnoses by key that take the place of the run's; {} for none.
    """

    path: Path
    scores: Mapping[str, Note] = field(default_factory=dict)
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)


def tell(sources: Sequence[Source], max_episodes: int) -> Json:
    """Returns the data of a page.

    Args:
        max_episodes: maximum number of episodes per source and split; of more, whole steps are left out, evenly spread.

    Raises:
        RunError: a directory cannot be read.
    """
    texts: dict[str, int] = {}
    runs, episodes = [], []
    for index, (name, source) in enumerate(zip(_names(sources), sources, strict=True)):
        entries = read_entries(source.path)
        kept = [*thinned(entries, max_episodes)]
        scored = any(note["turns"] for note in source.scores.values())
        run = {
            "name": name,
            "path": shlex.quote(str(source.path)),
            "played": len(entries),
            "shown": len(kept),
            "scored": scored,
        }
        runs.append(run | _run(source))
        episodes += [_episode(index, entry, source, texts) for entry in kept]
    metrics = [metric._asdict() for metric in METRICS]
    return {"runs": runs, "texts": list(texts), "episodes": episodes, "metrics": metrics}


def thinned(entries: Sequence[Entry], most: int) -> Iterator[Entry]:
    """Yields at most `most` entries of each split: whole steps, evenly spread, the first and the last ones among them.

    Where those two alone are too many, the first entries of both are kept.
    """
    kept: dict[tuple[str, int], int] = {}
    for split in dict.fromkeys(entry.split for entry in entries):
        sizes = Counter(entry.step for entry in entries if entry.split == split)
        steps = list(sizes)
        count = min(len(steps), most, max(2, most * len(steps) // sizes.total()))
        while count > 2 and sum(sizes[step] for step in _spread(steps, count)) > most:
            count -= 1
        chosen = _spread(steps, count)
        each = most if sum(sizes[step] for step in chosen) <= most else most // count
        kept |= {(split, step): each for step in chosen}
    number_in_step: Counter[tuple[str, int]] = Counter()
    for entry in entries:
        place = entry.split, entry.step
        number_in_step[place] += 1
        if number_in_step[place] <= kept.get(place, 0):
            yield entry


def _spread(steps: Sequence[int], count: int) -> list[int]:
    """Returns `count` of the steps, evenly spread, from the first to the last one."""
    return [steps[round(number * (len(steps) - 1) / max(1, count - 1))] for number in range(count)]


def _names(sources: Sequence[Source]) -> list[str]:
    """Returns the names of the runs' directories, with as many of their parents as it takes to tell them apart."""
    parts = [Path(os.path.abspath(source.path)).parts for source in sources]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(set(parts)):
            break
    return names


def _run(source: Source) -> Json:
    path = source.path
    if is_evaluation(path):
        record = read_evaluation(path)
        row = {"step": record["step"] or 0} | {name: record.get(name) for name in EVALUATED if name != "step"}
        told = [name for name in record if name not in (*EVALUATED, "outcomes", "metrics")]
        facts = [[name, str(record[name])] for name in told if record[name] not in (None, {})]
        return {"facts": facts, "steps": [], "evals": [row], "alarms": []}
    settings = read_config(path).settings
    facts = [[name, str(value)] for name, value in settings.items() if value not in (None, "", {}, [])]
    rows = read_rows(path, "steps")
    raised = [
        {"step": row["step"], "name": name, "text": text}
        for number, row in enumerate(rows, 1)
        if row["alarms"]
        for name, text in alarms(rows[:number], reflects=settings["reflector"] is not None).items()
    ]
    evals = [{name: row.get(name) for name in EVALUATED} for row in read_rows(path, "evals")]
    steps = [_flat({name: value for name, value in row.items() if name != "alarms"}) for row in rows]
    return {"facts": facts, "steps": steps, "evals": evals, "alarms": raised}


def _flat(row: Mapping[str, Any], prefix: str = "") -> Json:
    """Returns the numbers of a row by their path."""
    flat: Json = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and math.isfinite(value):
            flat[prefix + name] = value
    return flat


def _episode(run: int, entry: Entry, source: Source, texts: dict[str, int]) -> Json:
    trajectory = entry.trajectory
    diagnosis = source.diagnoses.get(entry.key, entry.diagnosis)
    findings = {finding.turn: finding for finding in diagnosis.findings} if diagnosis else {}
    notes = scores_of(entry, source.scores)
    opening = trajectory.turns[0].prompt if trajectory.turns else ()
    turns = []
    for number, turn in enumerate(trajectory.turns):
        shown = _turn(turn)
        if finding := findings.get(number):
            shown |= {"verdict": finding.verdict, "cause": finding.cause, "advice": finding.advice}
        if note := notes.get(number):
            shown |= {"tokens": note["tokens"], "would": note.get("would", "")}
        turns.append({name: value for name, value in shown.items() if value not in ("", None)})
    return {
        "run": run,
        "key": entry.key,
        "split": entry.split,
        "step": entry.step,
        "mode": entry.mode,
        "task": trajectory.task_id,
        "success": trajectory.success,
        "reward": round(trajectory.reward, 6),
        "stop": trajectory.stop.value,
        "error": trajectory.error,
        "author": diagnosis.author if diagnosis else "",
        "problem": diagnosis.problem if diagnosis else "",
        "opening": [texts.setdefault(message.content, len(texts)) for message in opening],
        "turns": turns,
    }


def scores_of(entry: Entry, scores: Mapping[str, Note]) -> dict[int, Note]:
    """Returns the scores of an episode by turn; a turn whose tokens do not spell its action is left out."""
    turns = entry.trajectory.turns
    notes = {note["turn"]: note for note in scores.get(entry.key, {}).get("turns", [])}
    return {
        turn: note
        for turn, note in notes.items()
        if turn < len(turns) and "".join(token[0] or "" for token in note["tokens"]) == turns[turn].action.text
    }


def _turn(turn: Turn) -> Json:
    shown: Json = {
        "action": turn.action.text,
        "observation": turn.observation,
        "feedback": turn.feedback if turn.feedback != turn.observation else "",
    }
    if turn.reward:
        shown["reward"] = round(turn.reward, 6)
    if turn.info.get("action_valid") is False:
        shown["valid"] = False
    if turn.action.cut_off:
        shown["cut_off"] = True
    return shown
