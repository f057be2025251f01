"""The losses agree with plain sums in float64, with finite differences, and with theory."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hero.distill.losses import (
    clipped,
    entropy,
    forward_kl,
    jensen_shannon,
    masked_mean,
    policy_gradient,
    reverse_kl,
    sigmoid_gate,
    token_logprobs,
    top_k,
)

Divergence = Callable[[Tensor, Tensor], Tensor]
Side = Literal["student", "teacher", "union"]

DIVERGENCES: dict[str, Divergence] = {
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jensen_shannon(0.5)": jensen_shannon,
    "jensen_shannon(0.2)": partial(jensen_shannon, beta=0.2),
    "jensen_shannon(0.9)": partial(jensen_shannon, beta=0.9),
}
every_divergence = pytest.mark.parametrize("divergence", DIVERGENCES.values(), ids=DIVERGENCES.keys())
betas = st.floats(0.01, 0.99)
logit = st.floats(-12, 12)


@st.composite
def logit_pairs(draw: st.DrawFn, *, excluded: bool = False) -> tuple[Tensor, Tensor]:
    """Draws student and teacher logits [T, V] in float64; with `excluded`, some ids at -inf in both."""
    tokens, vocabulary = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    rows = st.lists(st.lists(logit, min_size=vocabulary, max_size=vocabulary), min_size=tokens, max_size=tokens)
    student, teacher = (torch.tensor(draw(rows), dtype=torch.float64) for _ in range(2))
    if excluded:
        gone = torch.tensor(draw(st.lists(st.integers(1, vocabulary), min_size=tokens, max_size=tokens)))
        mask = torch.arange(vocabulary) >= gone.unsqueeze(-1)
        student, teacher = student.masked_fill(mask, -math.inf), teacher.masked_fill(mask, -math.inf)
    return student, teacher


def softmax(logits: list[float]) -> list[float]:
    """Returns a distribution by the textbook, in Python floats."""
    top = max(logits)
    terms = [math.exp(value - top) for value in logits]
    return [term / math.fsum(terms) for term in terms]


def kl(p: list[float], q: list[float]) -> float:
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def shannon(p: list[float]) -> float:
    return -math.fsum(a * math.log(a) for a in p if a > 0)


def by_token(formula: Callable[[list[float], list[float]], float], student: Tensor, teacher: Tensor) -> Tensor:
    """Applies a formula of two distributions token by token."""
    rows = zip(student.tolist(), teacher.tolist(), strict=True)
    return torch.tensor([formula(softmax(s), softmax(t)) for s, t in rows], dtype=torch.float64)


@given(logit_pairs())
def test_kl_equals_the_sum_over_the_vocabulary(pair: tuple[Tensor, Tensor]) -> None:
    student, teacher = pair
    torch.testing.assert_close(forward_kl(*pair), by_token(lambda s, t: kl(t, s), student, teacher))
    torch.testing.assert_close(reverse_kl(*pair), by_token(lambda s, t: kl(s, t), student, teacher))


@given(logit_pairs(excluded=True), betas)
def test_jensen_shannon_is_the_entropy_of_the_mixture_less_the_mean_entropy(
    pair: tuple[Tensor, Tensor], beta: float
) -> None:
    def lin(s: list[float], t: list[float]) -> float:  # Lin 1991's definition, which has no KL in it
        mixture = [beta * b + (1 - beta) * a for a, b in zip(s, t, strict=True)]
        return shannon(mixture) - beta * shannon(t) - (1 - beta) * shannon(s)

    torch.testing.assert_close(jensen_shannon(*pair, beta=beta), by_token(lin, *pair))


@given(logit_pairs(excluded=True))
def test_entropy_and_logprobs_equal_the_textbook(pair: tuple[Tensor, Tensor]) -> None:
    student, _ = pair
    torch.testing.assert_close(entropy(student), by_token(lambda s, _: shannon(s), student, student))
    for name in range(student.shape[1]):
        expected = [math.log(p) if (p := softmax(row)[name]) else -math.inf for row in student.tolist()]
        ids = torch.full(student.shape[:1], name)
        torch.testing.assert_close(token_logprobs(student, ids), torch.tensor(expected, dtype=torch.float64))


@every_divergence
@given(pair=logit_pairs(excluded=True), shift=st.floats(-50, 50))
def test_divergence_is_at_least_0_and_sees_no_shift_of_the_logits(
    divergence: Divergence, pair: tuple[Tensor, Tensor], shift: float
) -> None:
    student, teacher = pair
    values = divergence(student, teacher)
    assert (values >= -1e-12).all()
    torch.testing.assert_close(divergence(student + shift, teacher - shift), values)


@every_divergence
@given(pair=logit_pairs(excluded=True))
def test_divergence_is_0_exactly_between_equal_distributions(
    divergence: Divergence, pair: tuple[Tensor, Tensor]
) -> None:
    student, teacher = pair
    torch.testing.assert_close(divergence(student, student + 3), torch.zeros(len(student), dtype=torch.float64))
    apart = (student.softmax(-1) - teacher.softmax(-1)).abs().sum(-1) > 1e-3  # Pinsker: then a KL exceeds 5e-7
    assert (divergence(student, teacher)[apart] > 1e-9).all()


@given(logit_pairs(), betas)
def test_symmetries_and_bound(pair: tuple[Tensor, Tensor], beta: float) -> None:
    student, teacher = pair
    torch.testing.assert_close(forward_kl(student, teacher), reverse_kl(teacher, student))
    swapped = jensen_shannon(teacher, student, beta=1 - beta)
    torch.testing.assert_close(jensen_shannon(student, teacher, beta=beta), swapped)
    assert (swapped <= shannon([beta, 1 - beta]) + 1e-12).all()


def test_jensen_shannon_reaches_its_bound_where_nothing_is_shared() -> None:
    student, teacher = torch.tensor([[0.0, -math.inf]]), torch.tensor([[-math.inf, 0.0]])
    assert jensen_shannon(student, teacher).item() == pytest.approx(math.log(2))
    assert jensen_shannon(student, teacher, beta=0.1).item() == pytest.approx(shannon([0.1, 0.9]))


@given(logit_pairs())
def test_jensen_shannon_tends_to_both_kls(pair: tuple[Tensor, Tensor]) -> None:
    student, teacher = (logits / 4 for logits in pair)
    small = 1e-7
    near_forward = jensen_shannon(student, teacher, beta=small) / small
    near_reverse = jensen_shannon(student, teacher, beta=1 - small) / small
    torch.testing.assert_close(near_forward, forward_kl(student, teacher), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(near_reverse, reverse_kl(student, teacher), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("beta", [0.0, 1.0, -0.5, math.nan])
def test_jensen_shannon_refuses_a_beta_without_meaning(beta: float) -> None:
    with pytest.raises(ValueError, match=f"beta = {beta}"):
        jensen_shannon(torch.zeros(1, 2), torch.zeros(1, 2), beta=beta)


@every_divergence
def test_gradient_equals_finite_differences_and_none_reaches_the_teacher(divergence: Divergence) -> None:
    torch.manual_seed(0)
    student, teacher = (torch.randn(4, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda logits: divergence(logits, teacher), (student,))
    _, reached = torch.autograd.grad(divergence(student, teacher).sum(), [student, teacher], allow_unused=True)
    assert reached is None


@every_divergence
def test_an_excluded_id_changes_nothing_and_gives_no_nan(divergence: Divergence) -> None:
    torch.manual_seed(1)
    student, teacher = torch.randn(2, 3, 4).unbind()
    gone = torch.full((3, 1), -math.inf)
    wide = torch.cat([student, gone], -1).requires_grad_()
    narrow = student.clone().requires_grad_()
    for_wide, for_narrow = divergence(wide, torch.cat([teacher, gone], -1)), divergence(narrow, teacher)
    torch.testing.assert_close(for_wide, for_narrow)
    (of_wide,) = torch.autograd.grad(for_wide.sum(), wide)
    (of_narrow,) = torch.autograd.grad(for_narrow.sum(), narrow)
    torch.testing.assert_close(of_wide, torch.cat([of_narrow, torch.zeros(3, 1)], -1))


def test_kl_is_infinite_only_where_mass_is_excluded() -> None:
    open_logits, shut = torch.zeros(1, 2), torch.tensor([[0.0, -math.inf]])
    assert forward_kl(shut, open_logits).item() == reverse_kl(open_logits, shut).item() == math.inf
    assert forward_kl(open_logits, shut).item() == pytest.approx(math.log(2))
    assert reverse_kl(shut, open_logits).item() == pytest.approx(math.log(2))


@every_divergence
@pytest.mark.parametrize("scale", [1e4, 1e-4])
def test_extreme_logits_give_finite_values_and_gradients(divergence: Divergence, scale: float) -> None:
    torch.manual_seed(2)
    student, teacher = (scale * torch.randn(2, 5, 7)).unbind()
    student.requires_grad_()
    values = divergence(student, teacher)
    (gradient,) = torch.autograd.grad(values.sum(), student)
    assert values.isfinite().all()
    assert gradient.isfinite().all()


@every_divergence
def test_half_precision_logits_are_summed_in_float32(divergence: Divergence) -> None:
    torch.manual_seed(3)
    student, teacher = torch.randn(2, 3, 50).bfloat16().unbind()
    values = divergence(student, teacher)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values, divergence(student.double(), teacher.double()).float())


def test_no_tokens_give_an_empty_result() -> None:
    nothing = torch.empty(0, 5)
    for result in (*(d(nothing, nothing) for d in DIVERGENCES.values()), entropy(nothing)):
        assert result.shape == (0,)
    assert token_logprobs(nothing, torch.empty(0, dtype=torch.int64)).shape == (0,)


CLIPS = st.floats(0.05, 0.5)


@given(new=st.floats(-5, 0), old=st.floats(-5, 0), advantage=st.floats(-3, 3), low=CLIPS, high=CLIPS)
def test_policy_gradient_equals_the_formula(new: float, old: float, advantage: float, low: float, high: float) -> None:
    ratio = math.exp(new - old)
    expected = -min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)
    at = [torch.tensor([value], dtype=torch.float64) for value in (new, old, advantage)]
    at[0].requires_grad_()
    value = policy_gradient(*at, clip_low=low, clip_high=high)
    assert value.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    (gradient,) = torch.autograd.grad(value.sum(), at[0])
    is_clipped = bool(clipped(*at, clip_low=low, clip_high=high))
    assert gradient.item() == pytest.approx(0.0 if is_clipped else -ratio * advantage, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        *((1.0, 2.0, False), (1.3, 2.0, True), (1.3, -2.0, False), (0.7, 2.0, False), (0.7, -2.0, True)),
        *((1.3, 0.0, False), (1.25, 2.0, False), (0.75, -2.0, True)),
    ],
)
def test_clipping_holds_back_only_steps_in_the_direction_of_the_advantage(
    ratio: float, advantage: float, expected: bool
) -> None:
    at = torch.tensor([math.log(ratio)]), torch.zeros(1), torch.tensor([advantage])
    assert bool(clipped(*at, clip_low=0.2, clip_high=0.28)) is expected


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-3, 3), CLIPS, CLIPS), min_size=1, max_size=6))
def test_each_token_has_a_clip_of_its_own(tokens: list[tuple[float, float, float, float]]) -> None:
    moved, advantages, low, high = torch.tensor(tokens, dtype=torch.float64).unbind(-1)
    at = moved, torch.zeros_like(moved), advantages
    for function in (policy_gradient, clipped):
        together = function(*at, clip_low=low, clip_high=high).tolist()
        apart = [
            function(*(part[[index]] for part in at), clip_low=below, clip_high=above).item()
            for index, (_, _, below, above) in enumerate(tokens)
        ]
        assert together == pytest.approx(apart)


@given(gap=st.floats(-20, 20), steepness=st.floats(0, 5))
def test_a_sigmoid_gate_weighs_a_token_by_the_teacher_s_lead_and_is_1_without_steepness(
    gap: float, steepness: float
) -> None:
    gaps = torch.tensor([gap, gap], dtype=torch.float64, requires_grad=True)
    weights = sigmoid_gate(gaps, torch.tensor([steepness, math.nan], dtype=torch.float64))
    assert weights.tolist() == pytest.approx([1 / (1 + math.exp(-steepness * gap)), 1.0])
    assert not weights.requires_grad


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-2, 2)), max_size=8), st.integers(0, 8))
def test_masked_means_of_parts_add_up(pairs: list[tuple[float, float]], cut: int) -> None:
    values, weights = torch.tensor(pairs, dtype=torch.float64).reshape(-1, 2).unbind(-1)
    whole = masked_mean(values, weights, 7)
    torch.testing.assert_close(
        masked_mean(values[:cut], weights[:cut], 7) + masked_mean(values[cut:], weights[cut:], 7), whole
    )
    assert whole.item() == pytest.approx(math.fsum(v * w for v, w in pairs) / 7, abs=1e-9)


def test_masked_mean_takes_a_mask_and_refuses_nothing_to_average_over() -> None:
    assert masked_mean(torch.tensor([1.0, 5.0, 3.0]), torch.tensor([True, False, True]), 2).item() == 2
    with pytest.raises(ValueError, match="0 tokens"):
        masked_mean(torch.zeros(1), torch.zeros(1), 0)


sides = st.sampled_from(["student", "teacher", "union"])


@every_divergence
@given(logit_pairs(excluded=True), sides)
def test_merging_ids_never_raises_a_divergence_and_no_merging_is_the_whole(
    divergence: Divergence, pair: tuple[Tensor, Tensor], of: Side
) -> None:
    whole = divergence(*pair)
    before = torch.zeros_like(whole)
    for k in range(1, pair[0].shape[-1] + 1):
        merged = divergence(*top_k(*pair, k=k, of=of))
        assert (merged >= before - 1e-9).all()
        before = merged
    torch.testing.assert_close(before, whole)


@given(logit_pairs(), sides, st.data())
def test_merged_distributions_are_those_of_the_definition(
    pair: tuple[Tensor, Tensor], of: Side, data: st.DataObject
) -> None:
    vocabulary = pair[0].shape[-1]
    k = data.draw(st.integers(1, vocabulary))
    for row in range(len(pair[0])):
        p, q = (softmax(logits[row].tolist()) for logits in pair)
        likeliest = {name: set(logits[row].topk(k).indices.tolist()) for name, logits in zip("pq", pair, strict=True)}
        kept = sorted(
            {"student": likeliest["p"], "teacher": likeliest["q"], "union": likeliest["p"] | likeliest["q"]}[of]
        )
        merged = top_k(*(logits[row : row + 1] for logits in pair), k=k, of=of)
        for whole, part in zip((p, q), merged, strict=True):
            rest = math.fsum(whole[i] for i in range(vocabulary) if i not in kept)
            values = [value for value in part.softmax(-1)[0, :-1].tolist() if value]
            assert values == pytest.approx([whole[i] for i in kept if whole[i]], abs=1e-12)
            assert part.softmax(-1)[0, -1].item() == pytest.approx(rest, abs=1e-12)


@every_divergence
@pytest.mark.parametrize("of", ["student", "teacher", "union"])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_gradients_of_merged_divergences_are_those_of_finite_differences(
    divergence: Divergence, of: Side, k: int
) -> None:
    torch.manual_seed(3)
    student = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(2, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda logits: divergence(*top_k(logits, teacher, k=k, of=of)), student)


@pytest.mark.parametrize("k", [0, 6])
def test_more_ids_than_there_are_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"the {k} likeliest of 5 ids"):
        top_k(torch.zeros(2, 5), torch.zeros(2, 5), k=k, of="union")
