"""Episodes as rows of a dataset, in the layouts that Hugging Face datasets and TRL read; docs/run-directory.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hero.chat.thoughts import without_thoughts
from hero.distill.turns import FAULTS
from hero.errors import ConfigError, DataError, naming_extra
from hero.look.entries import Entry
from hero.runs import durable
from hero.traces import messages_from_trajectory
from hero.types import Diagnosis, Message, Turn

Row = dict[str, Any]
SUFFIXES: Final = (".jsonl", ".parquet")


def episode_rows(entries: Iterable[Entry]) -> Iterator[Row]:
    """Yields a row per episode: what was played, and what the reflector said of each turn."""
    for entry in entries:
        played, diagnosis = entry.trajectory, entry.diagnosis or Diagnosis("")
        findings = {finding.turn: finding for finding in diagnosis.findings}
        turns = []
        for number, turn in enumerate(played.turns):
            finding = findings.get(number)
            turns.append(
                {
                    **_turn(turn),
                    "verdict": str(finding.verdict) if finding and finding.verdict else "",
                    "cause": finding.cause if finding else "",
                    "advice": finding.advice if finding else "",
                }
            )
        yield {
            **_named(entry),
            "split": entry.split,
            "step": entry.step,
            "mode": entry.mode,
            "env": played.env_id,
            "seed": played.seed,
            "success": played.success,
            "reward": played.reward,
            "stop": played.stop.value,
            "error": played.error,
            "reflector": diagnosis.author,
            "prompt": _messages(played.turns[0].prompt) if played.turns else [],
            "tools": _tools(played.turns[0]) if played.turns else None,
            "turns": turns,
        }


def sft_rows(entries: Iterable[Entry]) -> Iterator[Row]:
    """Yields the conversation of each episode that was solved, in OpenAI's message format.

    An episode that is not one conversation, such as one with a window of turns in its prompts, is left out.
    """
    for entry in entries:
        if entry.trajectory.success:
            with suppress(DataError):
                messages = messages_from_trajectory(entry.trajectory)
                yield {**_named(entry), "messages": messages, "tools": _tools(entry.trajectory.turns[0])}


def preference_rows(entries: Iterable[Entry]) -> Iterator[Row]:
    """Yields a pair per turn that is called wrong and has advice: the advised action is preferred to the taken one."""
    for entry in entries:
        for finding in entry.diagnosis.findings if entry.diagnosis else ():
            turn = entry.trajectory.turns[finding.turn]
            if finding.verdict in FAULTS and finding.advice and _plain(finding.advice) != _plain(turn.action.text):
                yield {
                    **_named(entry),
                    "turn": finding.turn,
                    "prompt": _messages(turn.prompt),
                    "tools": _tools(turn),
                    "chosen": [{"role": "assistant", "content": finding.advice}],
                    "rejected": [{"role": "assistant", "content": turn.action.text}],
                    "verdict": str(finding.verdict),
                    "cause": finding.cause,
                }


LAYOUTS: Final[Mapping[str, Callable[[Iterable[Entry]], Iterator[Row]]]] = {
    "episodes": episode_rows,
    "sft": sft_rows,
    "preferences": preference_rows,
}
"""The layouts by name."""


def write_rows(file: Path, rows: Iterable[Row]) -> int:
    """Writes rows as JSON lines or as Parquet, as the name of the file ends, and returns their number.

    Raises:
        ConfigError: the name has another ending, pyarrow is missing, or there are no rows.
        RunError: the file cannot be written.
    """
    if file.suffix not in SUFFIXES:
        raise ConfigError(f"{file} must end with {' or '.join(SUFFIXES)}, which says how to write it")
    listed = [*rows]
    if not listed:
        raise ConfigError(f"there is nothing to write to {file}: no episode fits")
    with durable.translate_write_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        durable.write(file, _parquet(listed) if file.suffix == ".parquet" else _lines(listed))
    return len(listed)


def _lines(rows: Iterable[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _parquet(rows: list[Row]) -> bytes:
    with naming_extra("parquet"):
        import pyarrow
        from pyarrow import parquet
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(rows), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _plain(action: str) -> str:
    """Returns what an action says to the environment, by which training tells equal ones, too."""
    return without_thoughts(action).strip()


def _named(entry: Entry) -> Row:
    return {"id": entry.key, "task": entry.trajectory.task_id}


def _messages(prompt: Iterable[Message]) -> list[Row]:
    return [{"role": message.role, "content": message.content} for message in prompt]


def _tools(turn: Turn) -> str | None:
    """Returns the schemas of the tools that a turn's prompt has, as a JSON list; None where it has none."""
    schemas = [dict(schema) for message in turn.prompt if message.tools for schema in message.tools.schemas]
    return json.dumps(schemas) if schemas else None


def _turn(turn: Turn) -> Row:
    return {
        "action": turn.action.text,
        "observation": turn.observation,
        "reward": turn.reward,
        "feedback": turn.feedback,
        "valid": turn.info.get("action_valid") is not False,
    }
