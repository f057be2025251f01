"""Examples to rows of ids, so that a forward pass scores as many actions as it can; rows to tensors.

Shapes: B rows, L the length of the longest of them, N the action tokens of all of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from hero.chat.base import Chat
from hero.distill.base import Example

Term: TypeAlias = Literal["policy_gradient", "cross_entropy", "distillation"]
TERMS: Final[tuple[Term, ...]] = get_args(Term)


@dataclass(frozen=True, slots=True)
class Span:
    """An action within a row: its ids are `row.ids[start:stop]`.

    Attributes:
        examples: indices of the examples whose action this is.

    Raises:
        ValueError: the action has no ids, or nothing before it that could predict its first id.
    """

    start: int
    stop: int
    examples: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 0 < self.start < self.stop:
            raise ValueError(f"ids {self.start} to {self.stop} are no action; it takes a prompt and at least one id")

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Row:
    """A sequence that goes through the model once, and the actions to score in it; they may overlap.

    Attributes:
        prefix: number of the sequence that it begins like, among those of a micro-batch.
        shared: how many of its first ids are also those of the trunk; fewer than stand before its first action.
    """

    ids: tuple[int, ...]
    spans: tuple[Span, ...]
    prefix: int = 0
    shared: int = 0

    @property
    def action_ids(self) -> tuple[int, ...]:
        """The ids of all actions, one after the other: as many as the row has logits."""
        return tuple(chain.from_iterable(self.ids[span.start : span.stop] for span in self.spans))


def student_rows(examples: Sequence[Example]) -> list[Row]:
    """Rows that score every action in the prompt that it was sampled in.

    A causal model reads the beginning of a sequence as if the rest were not there. So an example whose prompt and
    action are the beginning of another's, of the same episode, needs no row of its own. With an append-only chat that
    makes one row per episode, whatever the number of turns and learners; where history was rewritten, rows part.

    Args:
        examples: in any order; every action has at least one id.

    Raises:
        ValueError: an example without prompt ids or without action ids.
    """
    episodes: dict[int, list[int]] = {}
    for index, example in enumerate(examples):
        episodes.setdefault(example.episode, []).append(index)
    return [row for indices in episodes.values() for row in _episode_rows(examples, indices)]


def teacher_rows(examples: Sequence[Example], chat: Chat) -> list[Row]:
    """One row per distilled example, in order: the privileged prompt, then the ids that the student sampled.

    Raises:
        ValueError: an example without action ids.
    """
    rows = []
    for index, example in enumerate(examples):
        if example.teacher is not None:
            prompt_ids = tuple(chat.encode(example.teacher))
            ids = prompt_ids + example.tokens.action_ids
            rows.append(Row(ids, (Span(len(prompt_ids), len(ids), (index,)),)))
    return rows


def share_prefixes(rows: Sequence[Row], students: Sequence[Row]) -> tuple[list[Row], list[tuple[int, ...]]]:
    """The rows, knowing how much they share with a trunk: what they begin with in common with the student's row.

    Where only one row begins like a student's, there is nothing to save, and no trunk.

    Args:
        rows: of `teacher_rows`.
        students: of `student_rows`; among them they hold all examples of `rows`.

    Returns:
        The rows in some order, and the prefixes that they number; a row that shares nothing has `shared` = 0.
    """
    homes = {index: number for number, row in enumerate(students) for span in row.spans for index in span.examples}
    kin: dict[int, list[Row]] = {}
    for row in rows:
        (span,) = row.spans
        number = homes[span.examples[0]]
        shared = min(_common(row.ids, students[number].ids), span.start - 1)
        kin.setdefault(number, []).append(replace(row, shared=shared))
    found: list[Row] = []
    prefixes: list[tuple[int, ...]] = []
    for number, siblings in kin.items():
        if sum(row.shared > 0 for row in siblings) > 1:
            found += [replace(row, prefix=len(prefixes)) for row in siblings]
            prefixes.append(students[number].ids[: max(row.shared for row in siblings)])
        else:
            found += [replace(row, shared=0) for row in siblings]
    return found, prefixes


def tokens_read(rows: Sequence[Row]) -> int:
    """How many tokens a model reads to score rows after their prefixes, the prefixes included."""
    prefixes: dict[int, int] = {}
    for row in rows:
        prefixes[row.prefix] = max(prefixes.get(row.prefix, 0), row.shared)
    return sum(len(row.ids) - row.shared for row in rows) + sum(prefixes.values())


def micro_batches(rows: Sequence[Row], tokens: int) -> Iterator[list[Row]]:
    """Parts of `rows`, each of at most `tokens` tokens, with what is shared and with padding; a row longer than that is
    a part by itself.

    Rows of which about as much is to be read come together, the longest first, and among these rows of like length: so
    there is little padding both in what is read and in what is only seen.
    """
    batch: list[Row] = []
    for row in sorted(rows, key=_size, reverse=True):
        if batch and _columns([*batch, row]) * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _size(row: Row) -> tuple[int, int]:
    """How much there is to read, in steps of about a quarter, and the whole length."""
    return round(3 * math.log2(len(row.ids) - row.shared)), len(row.ids)


def _columns(rows: Sequence[Row]) -> int:
    """Of the rows side by side, where what is shared ends in the same column."""
    return max(row.shared for row in rows) + max(len(row.ids) - row.shared for row in rows)


def collate(rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """At least one row, without what it shares, as tensors on the CPU, padded on the right.

    There is no attention mask, and no id that means padding: what stands to the right of a row is nothing that a causal
    model could see from within it.

    Returns:
        ids_BL: the ids; in the padding 0, which may be an id like any other.
        predictors_N: for each action token, by row, by span, by token, the index into the flattened [B * L] positions
            of the token before it, whose logits predict it.
    """
    longest = max(len(row.ids) - row.shared for row in rows)
    ids_BL = torch.zeros(len(rows), longest, dtype=torch.int64)
    predictors: list[int] = []
    for number, row in enumerate(rows):
        ids_BL[number, : len(row.ids) - row.shared] = torch.tensor(row.ids[row.shared :])
        first = number * longest - row.shared
        predictors += chain.from_iterable(range(first + s.start - 1, first + s.stop - 1) for s in row.spans)
    return ids_BL, torch.tensor(predictors)


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many ids two sequences begin with alike."""
    shorter = min(len(one), len(other))
    return bisect_left(range(shorter), True, key=lambda index: one[: index + 1] != other[: index + 1])


def _episode_rows(examples: Sequence[Example], indices: Sequence[int]) -> Iterator[Row]:
    """The rows of one episode: longest first, an example joins the first row that begins with its ids.

    Examples share a span if their action is the same and was sampled at the same temperature.
    """
    ledgers = {index: examples[index].tokens.prompt_ids + examples[index].tokens.action_ids for index in indices}
    rows: list[tuple[tuple[int, ...], dict[tuple[int, int, float], list[int]]]] = []
    for index in sorted(indices, key=lambda index: len(ledgers[index]), reverse=True):
        ledger = ledgers[index]
        spans = next((spans for ids, spans in rows if ids[: len(ledger)] == ledger), None)
        if spans is None:
            spans = {}
            rows.append((ledger, spans))
        tokens = examples[index].tokens
        spans.setdefault((len(tokens.prompt_ids), len(ledger), tokens.temperature), []).append(index)
    for ids, found in rows:
        yield Row(ids, tuple(Span(key[0], key[1], tuple(found[key])) for key in sorted(found)))


def fitting(examples: Sequence[Example], rows: Sequence[Row], context: int) -> list[Example]:
    """The examples without the distillation of those whose privileged prompt and action exceed a context.

    Args:
        rows: of `teacher_rows`, of these examples.
    """
    long = {row.spans[0].examples[0] for row in rows if len(row.ids) > context}
    return [replace(e, teacher=None, distillation=0.0) if i in long else e for i, e in enumerate(examples)]


def carrying(examples: Sequence[Example]) -> list[Example]:
    """The examples that change anything: with at least one action token and one term."""
    return [e for e in examples if e.tokens.action_ids and any(getattr(e, term) for term in TERMS)]
