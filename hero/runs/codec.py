"""Convert trajectories and diagnoses to JSON and back, exactly and compactly. Standard library only.

A turn's prompt mostly repeats the prompt and the action of the turn before. Where it does, the record holds only what
was added (`more`, `more_ids`), otherwise the whole (`prompt`, `prompt_ids`). Fields with default values are omitted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from hero.types import Action, Diagnosis, Finding, Message, Stop, Tokens, Tools, Trajectory, Turn, Verdict

Record = dict[str, Any]
T = TypeVar("T")


def encode_trajectory(trajectory: Trajectory) -> Record:
    """Returns an episode as plain JSON, from which `decode_trajectory` makes an equal one."""
    turns: list[Record] = []
    previous: Turn | None = None
    for turn in trajectory.turns:
        turns.append(_encode_turn(turn, previous))
        previous = turn
    record = {
        "env": trajectory.env_id,
        "task": trajectory.task_id,
        "seed": trajectory.seed,
        "stop": trajectory.stop.value,
        "turns": turns,
    }
    return record | ({"error": trajectory.error} if trajectory.error else {})


def encode_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Returns rows of plain JSON as they stand in a .jsonl file, one line each."""
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()


def decode_trajectory(record: Mapping[str, Any]) -> Trajectory:
    """Returns the episode in a record.

    Raises:
        LookupError, TypeError, ValueError: the record is not one that `encode_trajectory` wrote.
    """
    turns: list[Turn] = []
    for turn in record["turns"]:
        turns.append(_decode_turn(turn, turns[-1] if turns else None))
    return Trajectory(
        env_id=record["env"],
        task_id=record["task"],
        seed=record["seed"],
        turns=tuple(turns),
        stop=Stop(record["stop"]),
        error=record.get("error", ""),
    )


def encode_diagnosis(diagnosis: Diagnosis) -> Record:
    """Returns a diagnosis as plain JSON, from which `decode_diagnosis` makes an equal one."""
    record = {
        "author": diagnosis.author,
        "tokens": diagnosis.tokens,
        "findings": [asdict(finding) for finding in diagnosis.findings],
    }
    return record | ({"problem": diagnosis.problem} if diagnosis.problem else {})


def decode_diagnosis(record: Mapping[str, Any]) -> Diagnosis:
    """Returns the diagnosis in a record.

    Raises:
        LookupError, TypeError, ValueError: the record is not one that `encode_diagnosis` wrote.
    """
    return Diagnosis(
        author=record["author"],
        findings=tuple(
            Finding(**finding | {"verdict": None if finding["verdict"] is None else Verdict(finding["verdict"])})
            for finding in record["findings"]
        ),
        tokens=record["tokens"],
        problem=record.get("problem", ""),
    )


def _encode_turn(turn: Turn, previous: Turn | None) -> Record:
    more = _after(turn.prompt, _conversation(previous))
    record: Record = {
        "prompt" if more is None else "more": [
            _encode_message(message) for message in (turn.prompt if more is None else more)
        ],
        "action": turn.action.text,
        "observation": turn.observation,
        "reward": turn.reward,
    }
    if turn.action.cut_off:
        record["cut_off"] = True
    if turn.feedback:
        record["feedback"] = turn.feedback
    if turn.info:
        record["info"] = dict(turn.info)
    if turn.action.tokens is not None:
        record["tokens"] = _encode_tokens(turn.action.tokens, _ledger(previous))
    return record


def _decode_turn(record: Mapping[str, Any], previous: Turn | None) -> Turn:
    tokens = record.get("tokens")
    added = tuple(_decode_message(message) for message in record["more" if "more" in record else "prompt"])
    return Turn(
        prompt=_conversation(previous) + added if "more" in record else added,
        action=Action(
            text=record["action"],
            tokens=None if tokens is None else _decode_tokens(tokens, _ledger(previous)),
            cut_off=record.get("cut_off", False),
        ),
        observation=record["observation"],
        reward=record["reward"],
        feedback=record.get("feedback", ""),
        info=record.get("info", {}),
    )


def _encode_tokens(tokens: Tokens, ledger: tuple[int, ...]) -> Record:
    more = _after(tokens.prompt_ids, ledger)
    return {
        **({"prompt_ids": tokens.prompt_ids} if more is None else {"more_ids": more}),
        "action_ids": tokens.action_ids,
        "logprobs": tokens.logprobs,
        "version": tokens.policy_version,
        **({} if tokens.temperature == 1 else {"temperature": tokens.temperature}),
    }


def _decode_tokens(record: Mapping[str, Any], ledger: tuple[int, ...]) -> Tokens:
    return Tokens(
        prompt_ids=ledger + tuple(record["more_ids"]) if "more_ids" in record else tuple(record["prompt_ids"]),
        action_ids=tuple(record["action_ids"]),
        logprobs=tuple(record["logprobs"]),
        policy_version=record["version"],
        temperature=record.get("temperature", 1.0),
    )


def _encode_message(message: Message) -> Record:
    record: Record = {"role": message.role, "content": message.content}
    if message.ids:
        record["ids"] = message.ids
    if message.tools:
        record["tools"] = {"schemas": list(map(dict, message.tools.schemas)), "content": message.tools.content}
    return record


def _decode_message(record: Mapping[str, Any]) -> Message:
    tools = Tools(tuple(record["tools"]["schemas"]), record["tools"]["content"]) if "tools" in record else None
    return Message(record["role"], record["content"], tuple(record.get("ids", ())), tools)


def _conversation(turn: Turn | None) -> tuple[Message, ...]:
    """Returns the conversation up to and including the turn's action; empty before the first turn."""
    return (*turn.prompt, turn.action.message()) if turn else ()


def _ledger(turn: Turn | None) -> tuple[int, ...]:
    """Returns the ids that had been read and sampled by the end of the turn; empty if there are none."""
    return turn.action.tokens.prompt_ids + turn.action.tokens.action_ids if turn and turn.action.tokens else ()


def _after(whole: tuple[T, ...], start: tuple[T, ...]) -> tuple[T, ...] | None:
    """Returns the rest of `whole` after `start`; None if `start` is empty or `whole` does not begin with it."""
    return whole[len(start) :] if start and whole[: len(start)] == start else None
