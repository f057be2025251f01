"""The batch of an update has every example in its rows, and every component its tokens."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.distill.base import Example
from hero.distill.batch import COMPONENTS, ActionTokens, Component, UpdateBatch, trainable
from hero.distill.pack import Row, Span
from hero.types import Message, Tokens
from tests.distill.strategies import example_lists
from tests.tiny_models import CharacterChat

CHAT = CharacterChat()
TOKENS = Tokens((1, 2), (3, 4), (-1.0, -2.0))


def distilled(length: int, **weights: float) -> Example:
    """Returns an example whose privileged prompt and action have a length together."""
    return Example(0, TOKENS, (Message("user", "x" * (length - 2)),), distillation=2.0, **weights)


def test_examples_without_a_weighted_token_are_left_out() -> None:
    empty = Tokens((1,), (), ())
    kept = [Example(0, TOKENS, policy_gradient=-0.5), Example(0, TOKENS, cross_entropy=1.0)]
    shareless = Example(0, TOKENS, cross_entropy=1.0, share=0.0)
    assert trainable([Example(0, TOKENS), *kept, shareless, Example(1, empty, cross_entropy=1.0)]) == kept


@pytest.mark.parametrize(("length", "too_long"), [(9, 0), (10, 0), (11, 1)])
def test_a_privileged_prompt_fits_up_to_the_context(length: int, too_long: int) -> None:
    batch = UpdateBatch.of([distilled(length)], CHAT, context=10)
    assert batch.turns_too_long == too_long
    assert len(batch.examples) == len(batch.student_rows) == len(batch.teacher_rows) == 1 - too_long
    assert batch.tokens["distillation"] == (0 if too_long else 2)


def test_a_turn_that_is_too_long_for_the_teacher_keeps_its_other_components() -> None:
    dropped, shortened, last = distilled(11), distilled(11, cross_entropy=0.5), distilled(6)
    batch = UpdateBatch.of([dropped, Example(0, TOKENS), shortened, last], CHAT, context=10)
    assert batch.examples == [replace(shortened, teacher=None, distillation=0.0), last]
    assert batch.turns_too_long == 2
    assert batch.tokens == {"policy_gradient": 0, "cross_entropy": 2, "distillation": 2}
    x = ord("x") % 64
    assert batch.teacher_rows == {1: Row((x, x, x, x, 3, 4), (Span(4, 6, (1,)),))}
    assert batch.student_rows == [Row((1, 2, 3, 4), (Span(2, 4, (0, 1)),))]


def test_nothing_to_learn_from_makes_an_empty_batch() -> None:
    batch = UpdateBatch.of([Example(0, TOKENS)], CHAT, context=10)
    assert (batch.examples, batch.student_rows, batch.teacher_rows) == ([], [], {})
    assert batch.tokens == dict.fromkeys(COMPONENTS, 0)


@st.composite
def batches(draw: st.DrawFn) -> UpdateBatch:
    """Draws examples of some episodes, with components for each."""
    weights = st.sampled_from([0.0, 0.5, -1.5])
    examples = []
    for example in draw(example_lists()):
        distillation = draw(weights)
        prompt = (Message("user", "ab"),) if distillation else None
        drawn = replace(example, teacher=prompt, distillation=distillation, policy_gradient=draw(weights))
        clip = draw(st.tuples(weights, weights))
        drawn = replace(drawn, cross_entropy=draw(weights), clip=clip, gate=draw(st.sampled_from([None, 1.5])))
        examples.append(replace(drawn, share=draw(st.sampled_from([0.25, 1.0, 3.0]))))
    return UpdateBatch.of(examples, CHAT, context=100)


def action_tokens(batch: UpdateBatch) -> ActionTokens:
    """Returns the action tokens of a batch; a teacher's state is its example's index and the offset in the action."""
    states = {
        index: torch.tensor([[float(index), offset] for offset in range(len(row.action_ids))])
        for index, row in batch.teacher_rows.items()
    }
    return ActionTokens.of(batch, batch.student_rows, states, torch.zeros(0, 1, dtype=torch.bfloat16))


@settings(max_examples=40)
@given(batches())
def test_each_component_has_the_tokens_of_the_examples_that_carry_it(batch: UpdateBatch) -> None:
    tokens = action_tokens(batch)
    assert tokens.ids_N.tolist() == [id_ for row in batch.student_rows for id_ in row.action_ids]
    assert tokens.logprobs_N.dtype == torch.float32
    spans = [span for row in batch.student_rows for span in row.spans]
    for component in COMPONENTS:
        expected: list[tuple[Any, ...]] = []
        start = 0
        for span in spans:
            for offset in range(len(span)):
                for index in span.examples:
                    example = batch.examples[index]
                    if weight := getattr(example, component):
                        state = [float(index), float(offset)] if component == "distillation" else []
                        numbers = weight, example.share, *example.clip, example.gate
                        expected.append((start + offset, *numbers, state))
            start += len(span)
        assert batch.tokens[component] == len(expected)
        assert batch.shares[component] == sum(share for _, _, share, *_ in expected)
        assert listed(tokens, component) == expected


def listed(tokens: ActionTokens, component: Component) -> list[tuple[Any, ...]]:
    """Returns position, weight, share, clip, gate (None for NaN) and teacher's state of each token of a component."""
    if component not in tokens.components:
        return []
    part = tokens.components[component]
    numbers = (part.weights_M, part.shares_M, part.clip_low_M, part.clip_high_M, part.teacher_states_MD)
    weights, shares, low, high, states = (tensor.tolist() for tensor in numbers)
    gates = [None if math.isnan(gate) else gate for gate in part.gates_M.tolist()]
    return list(zip(part.index, weights, shares, low, high, gates, states, strict=True))


@settings(max_examples=40)
@given(batches(), st.integers(1, 5))
def test_parts_side_by_side_are_the_whole(batch: UpdateBatch, size: int) -> None:
    whole = action_tokens(batch)
    starts = range(0, len(whole.ids_N), size)
    parts = [whole.part(slice(start, start + size)) for start in starts]
    for name in ("ids_N", "logprobs_N", "temperature_N1"):
        assert [value for part in parts for value in getattr(part, name).tolist()] == getattr(whole, name).tolist()
    for component in COMPONENTS:
        assert [
            (start + position, *rest)
            for start, part in zip(starts, parts, strict=True)
            for position, *rest in listed(part, component)
        ] == listed(whole, component)
        assert all(component not in part.components or listed(part, component) for part in parts)
