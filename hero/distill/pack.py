"""Examples to rows of ids, so that a forward pass scores as many actions as it can; rows to tensors.

Shapes: B rows, L the length of the longest of them, N the action tokens of all of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import torch
from torch import Tensor

from hero.chat.base import Chat
from hero.distill.base import Example


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
            raise ValueError(f"ids {self.start} to {self.stop} are not an action: that takes a prompt and an id")

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Row:
    """A sequence that goes through the model once, and the actions to score in it; they may overlap.

    Attributes:
        prefix: index of the shared prefix that the row begins with, among the prefixes of a micro-batch.
        shared: number of ids that the row has in common with that prefix; smaller than the start of its first action.
        advised: whether the action is the one that a finding advises, in place of the one that was taken.
    """

    ids: tuple[int, ...]
    spans: tuple[Span, ...]
    prefix: int = 0
    shared: int = 0
    advised: bool = False

    @property
    def suffix_length(self) -> int:
        """Number of ids after the shared ones."""
        return len(self.ids) - self.shared

    @property
    def action_ids(self) -> tuple[int, ...]:
        """The ids of all actions, one after the other: as many as the row has logits."""
        return tuple(chain.from_iterable(self.ids[span.start : span.stop] for span in self.spans))

    @property
    def example(self) -> int:
        """Index of the example of a row that has no other, such as a teacher's."""
        return self.spans[0].examples[0]


def student_rows(examples: Sequence[Example]) -> list[Row]:
    """Makes the rows that score every action in the prompt that it was sampled in.

    A causal model reads the beginning of a sequence as if the rest were not there. So an example whose prompt and
    action are the beginning of another's, of the same episode, needs no row of its own. With an append-only chat that
    makes one row per episode, whatever the number of turns and learners; where history was rewritten, it makes more.

    Args:
        examples: in any order; every action has at least one id.

    Raises:
        ValueError: an example without prompt ids or without action ids.
    """
    episodes: dict[int, list[int]] = {}
    for index, example in enumerate(examples):
        episodes.setdefault(example.episode, []).append(index)
    return [row for indices in episodes.values() for row in _episode_rows(examples, indices)]


def _episode_rows(examples: Sequence[Example], indices: Sequence[int]) -> Iterator[Row]:
    """Yields the rows of one episode, longest first: an example joins the first row that begins with its ids."""
    ledgers = {index: examples[index].tokens.prompt_ids + examples[index].tokens.action_ids for index in indices}
    rows: list[tuple[tuple[int, ...], list[int]]] = []
    for index in sorted(indices, key=lambda index: len(ledgers[index]), reverse=True):
        ledger = ledgers[index]
        members = next((members for ids, members in rows if ids[: len(ledger)] == ledger), None)
        if members is None:
            members = []
            rows.append((ledger, members))
        members.append(index)
    for ids, members in rows:
        yield Row(ids, _spans(examples, members))


def _spans(examples: Sequence[Example], indices: Sequence[int]) -> tuple[Span, ...]:
    """Makes the spans of a row, in order. Examples share one if they are about the same sampling of the same action."""
    spans: dict[tuple[int, int, float, tuple[float, ...]], list[int]] = {}
    for index in indices:
        tokens = examples[index].tokens
        start, stop = len(tokens.prompt_ids), len(tokens.prompt_ids) + len(tokens.action_ids)
        spans.setdefault((start, stop, tokens.temperature, tokens.logprobs), []).append(index)
    return tuple(Span(start, stop, tuple(members)) for (start, stop, *_), members in sorted(spans.items()))


def teacher_rows(examples: Sequence[Example], chat: Chat) -> list[Row]:
    """Makes the `teacher_row` of each distilled example, in order."""
    rows = (teacher_row(example, index, chat) for index, example in enumerate(examples))
    return [row for row in rows if row]


def teacher_row(example: Example, index: int, chat: Chat) -> Row | None:
    """Makes the row of the privileged prompt and then the ids that the student sampled; None without such a prompt.

    Args:
        index: index of the example, for its span.

    Raises:
        ValueError: an example without action ids.
    """
    if example.teacher is None:
        return None
    return action_row(tuple(chat.encode(example.teacher)), example.tokens.action_ids, index)


def action_row(prompt_ids: tuple[int, ...], action_ids: tuple[int, ...], index: int, *, advised: bool = False) -> Row:
    """Makes the row of a prompt and one action.

    Raises:
        ValueError: the prompt or the action has no ids.
    """
    ids = prompt_ids + action_ids
    return Row(ids, (Span(len(prompt_ids), len(ids), (index,)),), advised=advised)


def share_prefixes(rows: Sequence[Row], students: Sequence[Row]) -> tuple[list[Row], list[tuple[int, ...]]]:
    """Finds the prefixes that several of the teacher's rows have in common, each with the same row of the student.

    A prefix that only one row begins with is not shared, since there is nothing to save.

    Args:
        rows: the teacher's rows, made by `teacher_row` or `action_row`.
        students: the student's rows, made by `student_rows`; together they hold all examples of `rows`.

    Returns:
        The rows in some order, each with the `prefix` and the number of `shared` ids, 0 for none; and the prefixes.
    """
    student_of = {
        example: index for index, row in enumerate(students) for span in row.spans for example in span.examples
    }
    by_student: dict[int, list[Row]] = {}
    for row in rows:
        student = student_of[row.example]
        shared = min(_common_length(row.ids, students[student].ids), row.spans[0].start - 1)
        by_student.setdefault(student, []).append(replace(row, shared=shared))
    result: list[Row] = []
    prefixes: list[tuple[int, ...]] = []
    for student, siblings in by_student.items():
        if sum(row.shared > 0 for row in siblings) > 1:
            result += [replace(row, prefix=len(prefixes)) for row in siblings]
            prefixes.append(students[student].ids[: max(row.shared for row in siblings)])
        else:
            result += [replace(row, shared=0) for row in siblings]
    return result, prefixes


def share_beginnings(rows: Sequence[Row]) -> tuple[list[Row], list[tuple[int, ...]]]:
    """Finds beginnings that rows have in common, such as a system prompt, so that they are read once.

    Rows that share one are neighbours in the order of what they may share, split where the fewest tokens are read.

    Args:
        rows: rows without a prefix.

    Returns:
        The rows in their order, each with the `prefix` and the number of `shared` ids, 0 for none; and the prefixes.
    """
    beginnings = [row.ids[: row.spans[0].start - 1] for row in rows]
    order = sorted(range(len(rows)), key=lambda index: beginnings[index])
    common = [_common_length(beginnings[a], beginnings[b]) for a, b in pairwise(order)]
    # For each number of rows: the tokens saved in these, where the last of their families starts, and what it shares.
    best = [(0, 0, 0)]
    for stop in range(1, len(rows) + 1):
        most, shared = (best[stop - 1][0], stop - 1, 0), len(beginnings[order[stop - 1]])
        for start in range(stop - 2, -1, -1):
            shared = min(shared, common[start])
            if not shared:
                break
            most = max(most, (best[start][0] + shared * (stop - start - 1), start, shared))
        best.append(most)
    result, prefixes = [*rows], list[tuple[int, ...]]()
    stop = len(rows)
    while stop:
        _, start, shared = best[stop]
        if shared:
            for index in order[start:stop]:
                result[index] = replace(rows[index], prefix=len(prefixes), shared=shared)
            prefixes.append(rows[order[start]].ids[:shared])
        stop = start
    return result, prefixes


def _common_length(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """Returns the number of ids that two sequences both begin with."""
    shorter = min(len(a), len(b))
    return bisect_left(range(shorter), True, key=lambda index: a[: index + 1] != b[: index + 1])


def tokens_read(rows: Sequence[Row]) -> int:
    """Counts the tokens that a model reads to score rows: each shared prefix once, and each suffix."""
    prefixes: dict[int, int] = {}
    for row in rows:
        prefixes[row.prefix] = max(prefixes.get(row.prefix, 0), row.shared)
    return sum(row.suffix_length for row in rows) + sum(prefixes.values())


def shares(rows: Sequence[Row], count: int) -> list[list[Row]]:
    """Splits rows into parts of about equally many ids: each row, the longest first, joins the part that has fewest."""
    parts: list[list[Row]] = [[] for _ in range(count)]
    sizes = [0] * count
    for row in sorted(rows, key=lambda row: len(row.ids), reverse=True):
        smallest = sizes.index(min(sizes))
        parts[smallest].append(row)
        sizes[smallest] += len(row.ids)
    return parts


def micro_batches(rows: Sequence[Row], tokens: int, *, attended: int = 1) -> Iterator[list[Row]]:
    """Splits rows into batches of at most `tokens` tokens each, padding included; a row that is longer goes alone.

    Tokens of shared prefixes, which are not read but attended to, count as a part of one that is read, `attended` of
    them as one.

    Rows with suffixes of about the same length come together, the longest first, and among them rows of like length:
    so there is little padding, both in the suffixes that are read and in the prefixes that are only attended to.
    """
    batch: list[Row] = []
    for row in sorted(rows, key=_size, reverse=True):
        if batch and _cost([*batch, row], attended) > tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _cost(rows: Sequence[Row], attended: int) -> float:
    suffix = max(row.suffix_length for row in rows)
    return len(rows) * (suffix + (columns(rows) - suffix) / attended)


def _size(row: Row) -> tuple[int, int]:
    """Returns the length of the suffix, in steps of about a quarter, and that of the whole row."""
    return round(3 * math.log2(row.suffix_length)), len(row.ids)


def padded_tokens(rows: Sequence[Row], prefixes: Sequence[tuple[int, ...]] = ()) -> int:
    """Counts the tokens that go through a model to read rows in one pass after their prefixes, padding included."""
    longest = max(map(len, prefixes), default=0)
    return len(rows) * max(row.suffix_length for row in rows) + len(prefixes) * longest


def columns(rows: Sequence[Row]) -> int:
    """Returns the width of rows that are aligned at the end of their shared prefixes."""
    return max(row.shared for row in rows) + max(row.suffix_length for row in rows)


def collate(rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Pads the suffixes of rows, of which there is at least one, on the right; returns tensors on the CPU.

    There is no attention mask, and no id that means padding: a causal model sees nothing to the right of a row.

    Returns:
        ids_BL: the ids; in the padding 0, which may be an id like any other.
        predictors_N: for each action token, by row, by span, by token, the index into the flattened [B * L] positions
            of the token before it, whose logits predict it.
    """
    longest = max(row.suffix_length for row in rows)
    ids_BL = torch.zeros(len(rows), longest, dtype=torch.int64)
    predictors: list[int] = []
    for index, row in enumerate(rows):
        ids_BL[index, : row.suffix_length] = torch.tensor(row.ids[row.shared :])
        first = index * longest - row.shared
        predictors += chain.from_iterable(range(first + s.start - 1, first + s.stop - 1) for s in row.spans)
    return ids_BL, torch.tensor(predictors)
