"""The scorer against a plain forward pass of each row alone, for models that change their logits in different ways."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM, LlamaModel, PreTrainedModel

from hero.distill import scorer
from hero.distill.pack import Row, Span
from hero.distill.scorer import action_logits, hidden_states, student_hidden_states
from hero.errors import ConfigError, PolicyError
from hero.models.architecture import context_length
from tests.distill.doubles import logprobs, rounding
from tests.tiny_models import VOCABULARY, every_kind, in_float64, tiny_model

ROWS = [
    Row((0, 7, 0, 9, 0, 0), (Span(2, 4, (0,)), Span(5, 6, (1,)))),  # full of the id that pads
    Row((3, 1, 4, 1, 5, 9, 2, 6, 5, 3), (Span(1, 10, (2,)),)),
    Row((8, 8, 8), (Span(2, 3, (3,)),)),
    Row((2, 7, 1, 8), (Span(1, 2, (4,)), Span(1, 4, (5,)), Span(3, 4, (6,)))),  # actions that overlap
]


def naive(model: PreTrainedModel, rows: list[Row]) -> Tensor:
    """Computes all logits row by row, and returns those before each action token."""
    logits = []
    for row in rows:
        logits_LV = model(input_ids=torch.tensor([row.ids])).logits[0]
        logits += [logits_LV[span.start - 1 : span.stop - 1] for span in row.spans]
    return torch.cat(logits)


@every_kind
@torch.no_grad()
def test_scores_equal_those_of_each_row_alone(build: Callable[[], PreTrainedModel]) -> None:
    model = in_float64(build)
    for rows in (ROWS, ROWS[::-1]):
        logits, expected = action_logits(model, rows), naive(model, rows)
        assert (logits - expected).abs().max() <= rounding(model) * expected.abs().max()


@every_kind
def test_gradients_equal_those_of_each_row_alone(build: Callable[[], PreTrainedModel]) -> None:
    model = in_float64(build)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    towards = torch.randn(sum(len(row.action_ids) for row in ROWS), VOCABULARY, dtype=torch.float64)
    ours = torch.autograd.grad((action_logits(model, ROWS) * towards).sum(), weights)
    theirs = torch.autograd.grad((naive(model, ROWS) * towards).sum(), weights)
    error = max((one - other).abs().max() for one, other in zip(ours, theirs, strict=True))
    assert error <= rounding(model) * max(other.abs().max() for other in theirs)


def test_logits_predict_the_id_that_follows() -> None:
    model = tiny_model()
    row = Row((9, 4, 4, 2, 7, 1), (Span(3, 6, (0,)),))
    scored = action_logits(model, [row]).log_softmax(-1)
    expected = logprobs(model, (9, 4, 4), (2, 7, 1))
    assert scored.gather(-1, torch.tensor([[2], [7], [1]])).flatten().tolist() == pytest.approx(
        expected, rel=rounding(model)
    )


@every_kind
@torch.no_grad()
def test_only_action_tokens_reach_the_head(build: Callable[[], PreTrainedModel]) -> None:
    model = in_float64(build)
    seen: list[torch.Size] = []
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    with head.register_forward_hook(lambda module, inputs, output: seen.append(output.shape)):
        action_logits(model, ROWS)
    assert seen == [(1, sum(len(row.action_ids) for row in ROWS), VOCABULARY)]


def test_the_model_is_left_as_it_was_even_when_it_fails() -> None:
    model = tiny_model()
    before = model(input_ids=torch.tensor([[1, 2, 3]])).logits
    action_logits(model, ROWS)
    with pytest.raises(IndexError):
        action_logits(model, [Row((1, VOCABULARY), (Span(1, 2, (0,)),))])
    torch.testing.assert_close(model(input_ids=torch.tensor([[1, 2, 3]])).logits, before, rtol=0, atol=0)


def rows_of(*beginnings: tuple[int, ...], own: int = 3) -> list[Row]:
    """Makes a row of each beginning, with some ids of its own and an action of two."""
    rows = []
    for number, beginning in enumerate(beginnings):
        start = len(beginning) + own
        rows.append(Row((*beginning, *(number,) * own, 1, 2), (Span(start, start + 2, (number,)),)))
    return rows


COMMON = tuple(range(10, 40))


@pytest.mark.parametrize(
    ("rows", "read"),
    [
        (rows_of(COMMON, COMMON, COMMON), [(1, 30), (3, 5)]),
        (rows_of(COMMON[:4], COMMON[:4], own=20), [(2, 26)]),  # would save 4 of 52
        (rows_of(COMMON, COMMON, COMMON[::-1]), [(3, 35)]),  # the third would make all as wide as a row and a prefix
        (rows_of(COMMON), [(1, 35)]),
    ],
    ids=["all", "too little", "one without", "one alone"],
)
@torch.no_grad()
def test_beginnings_are_read_once_where_that_saves_enough(rows: list[Row], read: list[tuple[int, int]]) -> None:
    model, shapes = tiny_model().double(), []
    with model.model.embed_tokens.register_forward_hook(lambda module, inputs, out: shapes.append(inputs[0].shape)):
        states = student_hidden_states(model, rows)
    assert shapes == read
    torch.testing.assert_close(states, hidden_states(model, rows), rtol=1e-5, atol=1e-6)


def test_a_gradient_through_a_common_beginning_is_the_same_each_time_with_any_number_of_threads() -> None:
    model = tiny_model(context=600).float()
    rows = rows_of(*[tuple(index % VOCABULARY for index in range(500))] * 12)
    weights, gradients = [weight for weight in model.parameters() if weight.requires_grad], []
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _ in range(4):
            gradients.append(torch.autograd.grad(student_hidden_states(model, rows).sum(), weights, allow_unused=True))
    finally:
        torch.set_num_threads(threads)
    for again in gradients[1:]:
        for one, other in zip(gradients[0], again, strict=True):
            assert one is other or torch.equal(one, other)


@every_kind
def test_rows_that_share_a_beginning_beyond_the_context_are_refused(build: Callable[[], PreTrainedModel]) -> None:
    model = build()
    rows = rows_of(*[(1,) * context_length(model)] * 3)
    with pytest.raises(PolicyError, match="but the model reads"):
        student_hidden_states(model, rows)


def test_rows_beyond_the_context_are_refused() -> None:
    full, long = (Row((1,) * size, (Span(size - 1, size, (0,)),)) for size in (128, 129))
    assert action_logits(tiny_model(), [full]).shape == (1, VOCABULARY)
    with pytest.raises(PolicyError, match="an action and its prompt have 129 tokens, but the model reads 128"):
        action_logits(tiny_model(), [long])


def test_a_model_without_a_head_is_refused() -> None:
    with pytest.raises(ConfigError, match="LlamaModel is not a decoder with a head"):
        action_logits(LlamaModel(tiny_model().config), ROWS)


def test_a_model_that_makes_logits_of_something_else_is_refused() -> None:
    class Averaging(LlamaForCausalLM):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            answer = super().forward(*args, **kwargs)
            answer.logits = answer.logits.mean(1, keepdim=True)
            return answer

    with pytest.raises(ConfigError, match="Averaging computes its logits from more than hidden states"):
        action_logits(Averaging(tiny_model().config), ROWS)


def test_a_wrapped_decoder_is_left_as_it_was() -> None:
    model = tiny_model()
    own = model.model.forward
    model.model.forward = wrapped = lambda *args, **kwargs: own(*args, **kwargs)  # type: ignore[method-assign]
    expected = action_logits(tiny_model(), ROWS)
    torch.testing.assert_close(action_logits(model, ROWS), expected)
    assert model.model.forward is wrapped
    assert "forward" not in model.__dict__


@pytest.mark.parametrize(("device", "attended"), [("cpu", 1), ("cuda", 8)])
def test_on_a_gpu_what_is_only_attended_to_counts_less(
    device: str, attended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(scorer, "can_share_prefix", lambda model: False)
    monkeypatch.setattr(scorer, "micro_batches", lambda rows, tokens, attended: asked.append((tokens, attended)) or [])
    model: Any = SimpleNamespace(device=torch.device(device))
    assert [*scorer.teacher_hidden_states(model, [], [], tokens=7)] == []
    assert asked == [(7, attended)]
