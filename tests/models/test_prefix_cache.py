"""Reading a shared prefix once changes no result: for no model, for no start of a suffix, and in no gradient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache, partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from hero.distill.base import Example
from hero.distill.pack import Row, Span, share_prefixes, student_rows, teacher_rows
from hero.distill.scorer import action_logits
from hero.models.prefix_cache import PrefixCache, can_share_prefix
from hero.types import Message, Tokens
from tests.tiny_models import (
    VOCABULARY,
    CharacterChat,
    every_kind,
    gemma,
    in_float64,
    sharing_model,
    state_space_model,
    tiny_model,
)

build_once = cache(in_float64)
close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)  # norms work in float32
ids = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9).map(tuple)


@st.composite
def prefixed_rows(draw: st.DrawFn) -> tuple[list[tuple[int, ...]], list[Row]]:
    """Draws prefixes, and rows that leave them anywhere, the very beginning and the end included.

    All prefixes begin with some ids, often many, and some may be equal, or end there.
    """
    beginning = draw(st.lists(st.integers(0, VOCABULARY - 1), max_size=20).map(tuple))
    rest = st.lists(st.integers(0, VOCABULARY - 1), min_size=not beginning, max_size=9).map(tuple)
    prefixes = [beginning + own for own in draw(st.lists(rest, min_size=1, max_size=3))]
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        index = draw(st.integers(0, len(prefixes) - 1))
        shared = draw(st.integers(0, len(prefixes[index])))
        own, action = draw(ids), draw(ids)
        start = shared + len(own)
        span = Span(start, start + len(action), (0,))
        rows.append(Row(prefixes[index][:shared] + own + action, (span,), index, shared))
    return prefixes, rows


@every_kind
@settings(max_examples=25)
@given(drawn=prefixed_rows())
@torch.no_grad()
def test_scores_equal_those_of_rows_that_share_nothing(
    build: Callable[[], PreTrainedModel], drawn: tuple[list[tuple[int, ...]], list[Row]]
) -> None:
    prefixes, rows = drawn
    model = build_once(build)
    close(action_logits(model, rows, PrefixCache(model, prefixes)), action_logits(model, rows))


@every_kind
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_gradients_flow_through_the_prefix(build: Callable[[], PreTrainedModel], attention: str) -> None:
    model = in_float64(build)
    if attention == "sdpa" and build is gemma:
        pytest.skip("Gemma 2 caps its attention scores, which only eager attention can")
    model.set_attn_implementation(attention)
    prefixes = [(5, 3, 8, 8, 1, 2, 9), (5, 3, 8, 8, 0)]
    rows = [
        Row((*prefixes[0][:3], 4, 4, 6), (Span(4, 6, (0,)),), 0, 3),
        Row((*prefixes[0], 7, 1, 1), (Span(8, 10, (1,)),), 0, 7),
        Row((*prefixes[1], 2, 6), (Span(6, 7, (2,)),), 1, 5),
    ]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    towards = torch.randn(5, VOCABULARY, dtype=torch.float64)
    once = torch.autograd.grad((action_logits(model, rows, PrefixCache(model, prefixes)) * towards).sum(), weights)
    again = torch.autograd.grad((action_logits(model, rows) * towards).sum(), weights)
    close(once, again)


@torch.no_grad()
def test_a_prefix_is_read_once_and_suffixes_without_it() -> None:
    model, prefix = tiny_model(), tuple(range(20))
    rows = [Row((*prefix[:cut], 9, 9, 4), (Span(cut + 2, cut + 3, (0,)),), 0, cut) for cut in (4, 12, 20)]
    read: list[torch.Size] = []
    transformed: list[torch.Size] = []
    with (
        model.model.embed_tokens.register_forward_hook(lambda module, inputs, output: read.append(inputs[0].shape)),
        model.model.layers[-1].mlp.register_forward_hook(lambda module, inputs, out: transformed.append(out.shape[:2])),
    ):
        action_logits(model, rows, PrefixCache(model, [prefix]))
    assert read == [(1, 20), (3, 3)]
    assert transformed == [(3, 3)]  # of the prefix nothing is needed beyond the keys and values of the last layer


@pytest.mark.parametrize(("common", "read_alone"), [(12, True), (3, False)])
@torch.no_grad()
def test_what_all_prefixes_begin_with_is_read_once_where_that_saves_enough(common: int, read_alone: bool) -> None:
    model, prefixes = tiny_model(), [(*range(common), *(own,) * (20 - common)) for own in (21, 22, 23)]
    read: list[torch.Size] = []
    with model.model.embed_tokens.register_forward_hook(lambda module, inputs, output: read.append(inputs[0].shape)):
        PrefixCache(model, prefixes)
    assert read == ([(1, common), (3, 20 - common)] if read_alone else [(3, 20)])


@every_kind
@torch.no_grad()
def test_padding_stands_within_the_context(build: Callable[[], PreTrainedModel]) -> None:
    """A long prefix beside a long suffix: together they would exceed the learned positions."""
    model, prefix = in_float64(build), tuple(range(56))
    rows = [
        Row((*prefix, 9, 4, 7), (Span(57, 59, (0,)),), 0, 56),
        Row((*prefix[:1], *[9] * 40, 4, 7), (Span(41, 43, (1,)),), 0, 1),
    ]
    close(action_logits(model, rows, PrefixCache(model, [prefix])), action_logits(model, rows))


@torch.no_grad()
def test_layers_may_share_keys_and_values() -> None:
    model = sharing_model(VOCABULARY).double()
    prefix = tuple(range(30))
    rows = [Row((*prefix[:cut], 9, 9, 4, 7), (Span(cut + 2, cut + 4, (0,)),), 0, cut) for cut in (4, 12, 30)]
    close(action_logits(model, rows, PrefixCache(model, [prefix])), action_logits(model, rows))


def test_a_model_that_keeps_a_state_cannot_share_a_prefix() -> None:
    assert can_share_prefix(tiny_model())
    assert can_share_prefix(gemma())
    longrope = tiny_model()
    longrope.config.rope_parameters = {"rope_type": "longrope"}
    assert not can_share_prefix(longrope)
    mixed = gemma()
    for kind in ("conv", "linear_attention", "indexed_attention", "compressed_sparse_attention"):
        mixed.config.layer_types = [kind, *mixed.config.layer_types[1:]]
        assert not can_share_prefix(mixed)
    assert not can_share_prefix(state_space_model())


@st.composite
def distilled(draw: st.DrawFn) -> list[Example]:
    """Draws episodes some of whose turns have a privileged text: after their prompts, or with the past left out."""
    examples = []
    for episode in range(draw(st.integers(1, 3))):
        ledger: tuple[int, ...] = ()
        for _ in range(draw(st.integers(1, 4))):
            prompt, action = ledger + draw(ids), draw(ids)
            privileged = None
            if draw(st.booleans()):
                past = Message("assistant", "", prompt[draw(st.sampled_from([0, 0, 1, len(prompt) - 1])) :])
                privileged = (past, Message("user", draw(st.text("abc", min_size=1, max_size=4))))
            tokens = Tokens(prompt, action, (0.0,) * len(action))
            distillation = 1.0 if privileged else 0.0
            examples.append(Example(episode, tokens, teacher=privileged, distillation=distillation, cross_entropy=1.0))
            ledger = prompt + action
    return examples


@given(distilled())
def test_a_shared_prefix_is_equal_and_leaves_a_token_to_predict_from(examples: list[Example]) -> None:
    students, rows = student_rows(examples), teacher_rows(examples, CharacterChat())
    sharing, prefixes = share_prefixes(rows, students)
    assert Counter((row.ids, row.spans) for row in sharing) == Counter((row.ids, row.spans) for row in rows)
    for row in sharing:
        assert row.shared < row.spans[0].start
        if row.shared:
            assert row.ids[: row.shared] == prefixes[row.prefix][: row.shared]
    for index, prefix in enumerate(prefixes):
        assert any(prefix == student.ids[: len(prefix)] for student in students)
        shared = [row.shared for row in sharing if row.prefix == index and row.shared]
        assert len(shared) > 1  # a prefix of one row alone saves nothing
        assert max(shared) == len(prefix)


def test_two_rows_are_enough_for_a_prefix_and_one_is_not() -> None:
    examples = []
    for prompt in ((5, 6), (5, 6, 7, 8)):
        privileged = (Message("assistant", "", prompt), Message("user", "no"))
        examples.append(Example(0, Tokens(prompt, (7,), (0.0,)), teacher=privileged, distillation=1.0))
    students = student_rows(examples)
    for count, shared in ((1, [0]), (2, [2, 4])):
        rows, prefixes = share_prefixes(teacher_rows(examples[:count], CharacterChat()), students)
        assert [row.shared for row in rows] == shared
        assert len(prefixes) == count - 1


def test_an_appended_text_shares_all_that_stands_before_it() -> None:
    chat, prompt, ledger = CharacterChat(), (), ()
    examples = []
    for turn in range(3):
        prompt = (*ledger, *(20 + turn,) * 4)
        tokens = Tokens(prompt, (7, 7), (0.0, 0.0))
        privileged = (Message("assistant", "", prompt), Message("user", "no"))
        examples.append(Example(0, tokens, teacher=privileged, distillation=1.0))
        ledger = (*prompt, 7, 7)
    (student,) = student_rows(examples)
    rows, prefixes = share_prefixes(teacher_rows(examples, chat), [student])
    assert [row.shared for row in rows] == [4, 10, 16]
    assert prefixes == [student.ids[:16]]
