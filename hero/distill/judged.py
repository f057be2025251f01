"""Rows in which models read what a finding advises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hero.chat.base import Chat
from hero.chat.thoughts import split
from hero.distill.base import Example
from hero.distill.pack import Row, action_row
from hero.distill.turns import FAULTS
from hero.types import Finding

LIFT_TURNS: Final = 16
"""Maximum number of turns of an update whose advice the student reads, too."""


@dataclass(frozen=True, slots=True)
class JudgedTurns:
    """Collects the distilled turns with a verdict that the teacher's probabilities can be held against.

    A turn whose action or advice holds a thought is not among them, since one action can follow from many thoughts; nor
    is one whose advice exceeds the context behind the privileged prompt.

    Attributes:
        findings: by index of the example.
        unchanged: indices of the faulted turns whose advice is the action that was taken, so that the finding
            contradicts itself.
        advice_rows: rows of the privileged prompt and the action that is advised, by index of the example, of all other
            faulted turns with advice.
        student_rows: rows of the student's prompt and the action that is advised, by index of the example; of at most
            `LIFT_TURNS` of the turns in `advice_rows`, evenly spaced.
    """

    findings: Mapping[int, Finding]
    unchanged: frozenset[int]
    advice_rows: Mapping[int, Row]
    student_rows: Mapping[int, Row]

    @classmethod
    def of(cls, examples: Sequence[Example], teacher_rows: Mapping[int, Row], chat: Chat, context: int) -> JudgedTurns:
        """Collects the turns.

        Args:
            teacher_rows: rows that score the distilled examples, by index of the example.
            context: maximum number of tokens of a prompt with an action.
        """
        findings: dict[int, Finding] = {}
        unchanged: set[int] = set()
        advice_rows: dict[int, Row] = {}
        student_rows: list[Row] = []
        for index, row in teacher_rows.items():
            finding, tokens = examples[index].finding, examples[index].tokens
            if finding is None or finding.verdict is None or _holds_thought(taken := chat.decode(tokens.action_ids)):
                continue
            if finding.verdict in FAULTS and finding.advice:
                advice_ids = tuple(chat.encode_reply(finding.advice))
                start = row.spans[0].start
                if _holds_thought(finding.advice) or start + len(advice_ids) > context:
                    continue
                if chat.decode(advice_ids).strip() == taken.strip():  # whatever ids it was sampled as
                    unchanged.add(index)
                else:
                    advice_rows[index] = action_row(row.ids[:start], advice_ids, index, advised=True)
                if index in advice_rows and len(tokens.prompt_ids) + len(advice_ids) <= context:
                    student_rows.append(action_row(tokens.prompt_ids, advice_ids, index, advised=True))
            findings[index] = finding
        count = min(LIFT_TURNS, len(student_rows))
        spaced = [student_rows[number * len(student_rows) // count] for number in range(count)]
        return cls(findings, frozenset(unchanged), advice_rows, {row.example: row for row in spaced})


def _holds_thought(text: str) -> bool:
    return bool(split(text).thought)
