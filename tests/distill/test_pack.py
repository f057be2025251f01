"""Every action is scored once, after exactly the prompt that it was sampled in, whatever shares a row with it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.distill.base import Example
from hero.distill.pack import (
    Row,
    Span,
    collate,
    micro_batches,
    share_beginnings,
    share_prefixes,
    shares,
    student_rows,
    teacher_rows,
    tokens_read,
)
from hero.types import Message, Tokens
from tests.distill.strategies import example_lists
from tests.tiny_models import CharacterChat

rows = st.lists(
    st.lists(st.integers(0, 9), min_size=2, max_size=12).flatmap(
        lambda row: st.lists(st.integers(1, len(row) - 1), min_size=1, max_size=3).flatmap(
            lambda starts: st.tuples(*(st.integers(start + 1, len(row)) for start in starts)).map(
                lambda stops: Row(tuple(row), tuple(Span(*ends, (0,)) for ends in zip(starts, stops, strict=True)))
            )
        )
    ),
    min_size=1,
    max_size=8,
)


@given(example_lists())
def test_each_example_is_scored_once_after_its_own_prompt(examples: list[Example]) -> None:
    scored = [(row, span, index) for row in student_rows(examples) for span in row.spans for index in span.examples]
    assert sorted(index for _, _, index in scored) == list(range(len(examples)))
    for row, span, index in scored:
        tokens = examples[index].tokens
        assert row.ids[: span.start] == tokens.prompt_ids
        assert row.ids[span.start : span.stop] == tokens.action_ids


@given(example_lists())
def test_rows_are_as_few_as_beginnings_allow_and_never_mix_episodes(examples: list[Example]) -> None:
    by_episode: dict[int, list[Row]] = {}
    for row in student_rows(examples):
        owners = {examples[index].episode for span in row.spans for index in span.examples}
        assert len(owners) == 1
        by_episode.setdefault(owners.pop(), []).append(row)
        assert len({(span.start, span.stop) for span in row.spans}) == len(row.spans)
    for siblings in by_episode.values():
        for one, other in combinations(siblings, 2):
            shared = min(len(one.ids), len(other.ids))
            assert one.ids[:shared] != other.ids[:shared]


@given(example_lists(), st.randoms())
def test_the_order_of_the_examples_changes_no_row(examples: list[Example], random: Random) -> None:
    shuffled = examples.copy()
    random.shuffle(shuffled)
    assert sorted(row.ids for row in student_rows(shuffled)) == sorted(row.ids for row in student_rows(examples))


def test_an_append_only_episode_is_one_row() -> None:
    first, second = Tokens((5, 6), (7,), (0.0,)), Tokens((5, 6, 7, 8), (9, 1), (0.0, 0.0))
    examples = [
        Example(0, second, policy_gradient=1.0),
        Example(0, first, cross_entropy=1.0),
        Example(0, first, policy_gradient=1.0),
        Example(1, first, policy_gradient=1.0),
    ]
    assert student_rows(examples) == [
        Row((5, 6, 7, 8, 9, 1), (Span(2, 3, (1, 2)), Span(4, 6, (0,)))),
        Row((5, 6, 7), (Span(2, 3, (3,)),)),
    ]


def test_two_samplings_of_one_action_keep_their_own_spans() -> None:
    once = Tokens((5, 6), (7,), (-0.5,))
    others = [replace(once, logprobs=(-0.25,)), replace(once, temperature=0.5), replace(once, policy_version=3)]
    (row,) = student_rows([Example(0, tokens, cross_entropy=1.0) for tokens in (once, *others)])
    assert sorted(span.examples for span in row.spans) == [(0, 3), (1,), (2,)]


@pytest.mark.parametrize(("count", "shared"), [(1, 0), (2, 3), (3, 3)])
def test_a_prefix_is_shared_from_two_rows_on(count: int, shared: int) -> None:
    tokens = Tokens((5, 6, 8), (7,), (0.0,))
    hints = [(Message("user", "", ids=(5, 6, 8)), Message("user", "", ids=(hint,))) for hint in range(count)]
    examples = [Example(0, tokens, teacher=hint, distillation=1.0) for hint in hints]
    rows, prefixes = share_prefixes(teacher_rows(examples, CharacterChat()), student_rows(examples))
    assert [(row.prefix, row.shared) for row in rows] == [(0, shared)] * count
    assert prefixes == ([(5, 6, 8)] if shared else [])


beginnings = st.lists(
    st.lists(st.integers(0, 1), min_size=2, max_size=7).flatmap(
        lambda row: st.integers(1, len(row) - 1).map(lambda start: Row(tuple(row), (Span(start, len(row), (0,)),)))
    ),
    min_size=1,
    max_size=5,
)


@given(beginnings)
def test_beginnings_are_shared_so_that_the_fewest_tokens_are_read(some: list[Row]) -> None:
    sharing, prefixes = share_beginnings(some)
    for row, shared in zip(some, sharing, strict=True):
        assert (shared.ids, shared.spans) == (row.ids, row.spans)
        assert shared.shared < row.spans[0].start
        if shared.shared:
            assert row.ids[: shared.shared] == prefixes[shared.prefix]
    read = sum(row.suffix_length for row in sharing) + sum(map(len, prefixes))
    assert read == tokens_read(sharing)
    ordered = sorted((row.ids[: row.spans[0].start - 1], len(row.ids)) for row in some)
    cuts = [
        [0, *inner, len(ordered)]
        for size in range(len(ordered))
        for inner in combinations(range(1, len(ordered)), size)
    ]
    assert read == min(sum(tokens_of_family(ordered[start:stop]) for start, stop in pairwise(ends)) for ends in cuts)


def tokens_of_family(family: list[tuple[tuple[int, ...], int]]) -> int:
    """Counts the tokens that are read of rows that share what they begin with, given that and the length of each."""
    shortest = min(len(beginning) for beginning, _ in family)
    shared = max(count for count in range(shortest + 1) if len({beginning[:count] for beginning, _ in family}) == 1)
    return shared + sum(length - shared for _, length in family)


def test_a_teacher_reads_the_privileged_prompt_and_then_the_sampled_ids() -> None:
    tokens = Tokens((5, 6), (7, 8), (0.0, 0.0))
    privileged = (Message("user", "", ids=(5, 6)), Message("user", "", ids=(3, 3)))
    examples = [Example(0, tokens, policy_gradient=1.0), Example(0, tokens, teacher=privileged, distillation=0.5)]
    assert teacher_rows(examples, CharacterChat()) == [Row((5, 6, 3, 3, 7, 8), (Span(4, 6, (1,)),))]


@given(st.data(), st.integers(1, 60), st.sampled_from([1, 4, 8]))
def test_micro_batches_part_the_rows_within_the_budget(data: st.DataObject, tokens: int, attended: int) -> None:
    drawn = data.draw(rows)
    several = [replace(row, shared=data.draw(st.integers(0, row.spans[0].start - 1))) for row in drawn]
    parts = list(micro_batches(several, tokens, attended=attended))
    joined = [row for part in parts for row in part]
    assert sorted(map(repr, joined)) == sorted(map(repr, several))
    own = [len(row.ids) - row.shared for row in joined]
    assert all(later <= 1.3 * earlier for earlier, later in pairwise(own))

    def padded(part: list[Row]) -> float:
        ids, _ = collate(part)
        return ids.numel() + len(part) * max(row.shared for row in part) / attended

    for index, part in enumerate(parts):
        assert len(part) == 1 or padded(part) <= tokens
        if index + 1 < len(parts):  # the next row would not have fitted
            assert padded([*part, parts[index + 1][0]]) > tokens


@given(rows, st.integers(1, 60))
def test_rows_that_share_nothing_come_longest_first(several: list[Row], tokens: int) -> None:
    lengths = [len(row.ids) for part in micro_batches(several, tokens) for row in part]
    assert lengths == sorted(lengths, reverse=True)


@given(rows)
def test_tensors_hold_the_rows_and_predictors_stand_before_what_they_predict(rows: list[Row]) -> None:
    ids_BL, predictors_N = collate(rows)
    for row, padded in zip(rows, ids_BL.tolist(), strict=True):
        assert padded == [*row.ids, *[0] * (ids_BL.shape[1] - len(row.ids))]
    assert ids_BL.flatten()[predictors_N + 1].tolist() == [id_ for row in rows for id_ in row.action_ids]
    owners = [index for index, row in enumerate(rows) for _ in row.action_ids]
    assert (predictors_N // ids_BL.shape[1]).tolist() == owners
    within = [span.start - 1 + offset for row in rows for span in row.spans for offset in range(len(span))]
    assert (predictors_N % ids_BL.shape[1]).tolist() == within


@pytest.mark.parametrize(("start", "stop"), [(0, 2), (2, 2), (3, 2)])
def test_an_action_takes_a_prompt_and_an_id(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="that takes a prompt and an id"):
        Span(start, stop, (0,))


@given(rows, st.integers(1, 5))
def test_shares_hold_each_row_once_and_differ_by_no_more_than_a_row(some: list[Row], count: int) -> None:
    parts = shares(some, count)
    assert len(parts) == count
    assert sorted(map(id, some)) == sorted(id(row) for part in parts for row in part)
    sizes = [sum(len(row.ids) for row in part) for part in parts]
    assert max(sizes) - min(sizes) <= max(len(row.ids) for row in some)
