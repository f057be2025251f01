"""The gradient of a whole update against the definition, written out example by example without any packing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from hero.distill import scorer
from hero.distill.base import Example
from hero.distill.batch import UpdateBatch, trainable
from hero.distill.follow import TurnGate
from hero.distill.loss import UpdateLoss
from hero.distill.losses import jensen_shannon
from hero.distill.pack import student_rows
from hero.types import Finding, Message, Tokens, Verdict
from tests.distill.doubles import counts, episode, logprobs, rounding
from tests.tiny_models import VOCABULARY, CharacterChat, tiny_model

STUDENT, TEACHER = tiny_model(0), tiny_model(1)
CHAT = CharacterChat()
CONTEXT = 128
CLOSE = rounding(STUDENT)
close = partial(torch.testing.assert_close, rtol=CLOSE, atol=CLOSE)


def privileged(tokens: Tokens, words: str) -> tuple[Message, ...]:
    """Returns a privileged prompt: that of the turn, and then some words."""
    return (Message("user", "", ids=tokens.prompt_ids), Message("user", words))


def stale(tokens: Tokens, random: Random) -> Tokens:
    """Returns the action with other log-probabilities, with which the ratio is outside of the clip at times."""
    return replace(tokens, logprobs=tuple(logprob + random.uniform(-0.4, 0.4) for logprob in tokens.logprobs))


def mixture(seed: int, beginning: tuple[int, ...] = ()) -> list[Example]:
    """Returns examples of all components, alone and together, of three episodes that other weights sampled.

    They differ in their shares, clips, gates and findings. All begin with the same ids.
    """
    random = Random(seed)
    examples = []
    for index in range(3):
        sampled = episode(STUDENT, 10 * seed + index, temperature=(0.5, 1.0, 1.7)[index], beginning=beginning)
        for tokens in map(partial(stale, random=random), sampled):
            if random.random() < 0.6:
                clip = random.uniform(0.05, 0.2), random.uniform(0.05, 0.2)
                examples.append(Example(index, tokens, policy_gradient=random.uniform(-2, 2), clip=clip))
            if random.random() < 0.6:
                review = privileged(tokens, "x" * random.randint(1, 20))
                weight, verdict = random.uniform(0.5, 2), random.choice([*Verdict, None])
                advice = random.choice(["", "A", "HIA", "LOOKA"])  # A is the token that stops
                distilled = Example(index, tokens, teacher=review, distillation=weight, cross_entropy=0.3)
                examples.append(replace(distilled, finding=Finding(0, verdict, advice=advice)))
            examples.append(Example(index, tokens, cross_entropy=random.choice([0.0, 1.0])))
    examples = [replace(e, share=random.uniform(0.2, 3), gate=random.choice([None, 0.5, 4.0])) for e in examples]
    random.shuffle(examples)
    return trainable(examples)


def gradient(
    examples: Sequence[Example],
    *,
    micro_batch_tokens: int = 10_000,
    turn_gate: TurnGate = "verdict",
    gradient_checkpointing: bool = False,
) -> tuple[dict[str, float], list[Tensor]]:
    """Returns the report of an update and the gradient of every weight."""
    STUDENT.zero_grad(set_to_none=True)
    loss = UpdateLoss(
        student=STUDENT,
        teacher=TEACHER,
        divergence=partial(jensen_shannon, beta=0.3),
        micro_batch_tokens=micro_batch_tokens,
        turn_gate=turn_gate,
        gradient_checkpointing=gradient_checkpointing,
    )
    report = loss.backward(UpdateBatch.of(examples, CHAT, CONTEXT))
    return report, [weight.grad.clone() for weight in STUDENT.parameters() if weight.grad is not None]


def by_definition(examples: Sequence[Example], turn_gate: TurnGate = "verdict") -> Tensor:
    """Returns the loss of an update as it is defined: one forward pass per example, one token after the other."""

    def shares_of(component: str) -> float:
        return sum(
            len(example.tokens.action_ids) * example.share for example in examples if getattr(example, component)
        )

    def rows_before_action(
        model: torch.nn.Module, prompt_ids: Sequence[int], action_ids: Sequence[int], temperature: float = 1.0
    ) -> list[Tensor]:
        logits_LV = model(input_ids=torch.tensor([[*prompt_ids, *action_ids]])).logits[0] / temperature
        return [logits_LV[len(prompt_ids) + offset - 1].log_softmax(-1) for offset in range(len(action_ids))]

    total = torch.zeros((), dtype=torch.float64)
    for example in examples:
        tokens, (low, high) = example.tokens, example.clip
        student = rows_before_action(STUDENT, tokens.prompt_ids, tokens.action_ids)
        tempered = rows_before_action(STUDENT, tokens.prompt_ids, tokens.action_ids, tokens.temperature)
        for log_p, log_q, id_, old in zip(student, tempered, tokens.action_ids, tokens.logprobs, strict=True):
            ratio, advantage = (log_q[id_] - old).exp(), example.policy_gradient
            if advantage:
                surrogate = torch.min(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)
                total = total - example.share * surrogate / shares_of("policy_gradient")
            if example.cross_entropy:
                weight = example.share * example.cross_entropy / shares_of("cross_entropy")
                total = total - weight * log_p[id_]
        if example.teacher and counts(example, turn_gate, CHAT, STUDENT, TEACHER):
            with torch.no_grad():
                teacher = rows_before_action(TEACHER, CHAT.encode(example.teacher), tokens.action_ids)
            for log_s, log_t, id_ in zip(student, teacher, tokens.action_ids, strict=True):
                log_m = (0.3 * log_t.exp() + 0.7 * log_s.exp()).log()
                divergence = 0.3 * (log_t.exp() * (log_t - log_m)).sum() + 0.7 * (log_s.exp() * (log_s - log_m)).sum()
                weight = example.share * example.distillation / shares_of("distillation")
                if example.gate is not None:
                    weight /= 1 + math.exp(-example.gate * (log_t[id_] - log_s[id_]).item())
                total = total + weight * divergence
    return total


GATES: tuple[TurnGate, ...] = get_args(TurnGate)


@pytest.mark.parametrize(("seed", "turn_gate"), [*enumerate(GATES), (3, "verdict")])
def test_loss_and_gradient_are_those_of_the_definition(seed: int, turn_gate: TurnGate) -> None:
    examples = mixture(seed)
    report, gradients = gradient(examples, micro_batch_tokens=60, turn_gate=turn_gate)
    expected = by_definition(examples, turn_gate)
    assert report["loss"] == pytest.approx(expected.item(), abs=CLOSE)
    assert 0 < report["clip_fraction"] < 0.5
    gated = [not counts(example, turn_gate, CHAT, STUDENT, TEACHER) for example in examples]
    assert report["turns_gated"] == sum(gated)
    assert any(gated) == (turn_gate != "none")
    close(tuple(gradients), torch.autograd.grad(expected, list(STUDENT.parameters())))


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
@pytest.mark.parametrize("micro_batch_tokens", [140, 10_000])  # two episodes at a time and one, or all
def test_what_all_episodes_begin_with_is_read_once_and_changes_nothing(
    micro_batch_tokens: int, gradient_checkpointing: bool
) -> None:
    beginning = tuple(range(40))
    examples = mixture(4, beginning)
    read: list[int] = []

    def count(module: torch.nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if torch.is_grad_enabled():  # the lift of advice is measured without
            read.append(inputs[0].numel())

    with STUDENT.model.embed_tokens.register_forward_hook(count):
        report, gradients = gradient(
            examples, micro_batch_tokens=micro_batch_tokens, gradient_checkpointing=gradient_checkpointing
        )
    expected = by_definition(examples)
    assert report["loss"] == pytest.approx(expected.item(), abs=CLOSE)
    close(tuple(gradients), torch.autograd.grad(expected, list(STUDENT.parameters())))
    rows = student_rows(examples)
    assert len(rows) == 3
    lengths = [len(row.ids) - len(beginning) for row in sorted(rows, key=lambda row: len(row.ids), reverse=True)]
    if micro_batch_tokens == 10_000:
        assert read == [len(beginning), 3 * lengths[0]]
    else:
        assert read == [len(beginning), 2 * lengths[0], len(beginning) + lengths[2]]


def test_measuring_gives_the_metrics_of_an_update_and_no_gradient() -> None:
    examples = mixture(0)
    loss = UpdateLoss(student=STUDENT, teacher=TEACHER, divergence=jensen_shannon, micro_batch_tokens=100)
    STUDENT.zero_grad(set_to_none=True)
    metrics = loss.measure(UpdateBatch.of(examples, CHAT, CONTEXT))
    assert all(weight.grad is None for weight in STUDENT.parameters())
    assert {"followed", "lift", "loss", "divergence"} < set(metrics)
    assert loss.backward(UpdateBatch.of(examples, CHAT, CONTEXT)) == pytest.approx(metrics)


def test_one_action_sampled_at_two_temperatures_is_learned_at_both() -> None:
    sampled = episode(STUDENT, 1)[0]
    examples = [
        Example(0, replace(sampled, temperature=temperature), policy_gradient=advantage)
        for temperature, advantage in ((0.4, 1.0), (1.0, -0.5), (1.8, 2.0))
    ]
    report, gradients = gradient(examples)
    expected = by_definition(examples)
    assert report["loss"] == pytest.approx(expected.item(), abs=CLOSE)
    close(tuple(gradients), torch.autograd.grad(expected, list(STUDENT.parameters())))


@pytest.mark.parametrize("tokens", [1, 40, 97, 400])
def test_micro_batches_and_order_change_nothing(tokens: int) -> None:
    examples = mixture(5)
    whole_report, whole = gradient(examples)
    report, parts = gradient(Random(tokens).sample(examples, len(examples)), micro_batch_tokens=tokens)
    assert report == pytest.approx(whole_report, abs=CLOSE)
    close(parts, whole)


@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_how_many_logits_exist_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    examples = mixture(7)
    whole_report, whole = gradient(examples)
    sizes: list[int] = []
    monkeypatch.setattr(scorer, "CHUNK_LOGITS", tokens * VOCABULARY)
    head = STUDENT.get_output_embeddings()  # type: ignore[no-untyped-call]
    with head.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-2])):
        report, parts = gradient(examples)
    assert max(sizes) == tokens
    assert report == pytest.approx(whole_report, abs=CLOSE)
    close(parts, whole)


def test_components_are_means_over_their_own_tokens_and_add_up() -> None:
    examples = mixture(6)
    report, whole = gradient(examples)
    nothing = {"policy_gradient": 0.0, "cross_entropy": 0.0, "distillation": 0.0, "teacher": None}

    def only(component: str) -> list[Example]:
        kept = ("distillation", "teacher") if component == "distillation" else (component,)
        others: dict[str, Any] = {name: value for name, value in nothing.items() if name not in kept}
        return [replace(example, **others) for example in examples if getattr(example, component)]

    alone = {component: only(component) for component in ("policy_gradient", "cross_entropy", "distillation")}
    reports, gradients = zip(*(gradient(examples) for examples in alone.values()), strict=True)
    for component, part in zip(alone, reports, strict=True):
        assert part["loss"] == part[component] == pytest.approx(report[component], abs=CLOSE)
    close([sum(parts) for parts in zip(*gradients, strict=True)], whole)


def test_shares_count_in_proportion_to_one_another() -> None:
    first, second = (replace(tokens, prompt_ids=(7,)) for tokens in episode(STUDENT, 8, turns=2))
    lengths = len(first.action_ids), len(second.action_ids)
    assert lengths[0] != lengths[1]
    alone = [gradient([Example(0, tokens, cross_entropy=1.0)])[1] for tokens in (first, second)]
    of_episodes = [Example(0, first, cross_entropy=1.0), Example(1, second, cross_entropy=1.0)]
    _, by_token = gradient(of_episodes)
    total = sum(lengths)
    close(by_token, [(lengths[0] * a + lengths[1] * b) / total for a, b in zip(*alone, strict=True)])
    for scale in (1.0, 5.0):
        shares = [scale / length for length in lengths]
        _, by_episode = gradient([replace(e, share=share) for e, share in zip(of_episodes, shares, strict=True)])
        close(by_episode, [(a + b) / 2 for a, b in zip(*alone, strict=True)])


def test_a_policy_gradient_at_the_sampling_weights_is_that_of_the_advantage_weighted_log_likelihood() -> None:
    sampled = episode(STUDENT, 1)
    reinforced = [Example(0, tokens, policy_gradient=1.5) for tokens in sampled]
    imitated = [Example(0, tokens, cross_entropy=1.5) for tokens in sampled]
    report, gradients = gradient(reinforced)
    close(gradients, gradient(imitated)[1])
    assert report["loss"] == pytest.approx(-1.5)  # the ratio is 1 everywhere
    assert report["clip_fraction"] == 0


@pytest.mark.parametrize("temperature", [0.3, 0.5, 2.0])
def test_a_policy_gradient_is_that_of_the_distribution_that_was_sampled_from(temperature: float) -> None:
    """Compares with finite differences of the log-likelihood under softmax(logits / temperature) along the gradient."""
    sampled = episode(STUDENT, 1, temperature=temperature)
    _, gradients = gradient([Example(0, tokens, policy_gradient=1.5) for tokens in sampled])
    size = float(sum(part.square().sum() for part in gradients))

    @torch.no_grad()
    def likelihood(step: float) -> float:
        moved = deepcopy(STUDENT)
        for weight, part in zip(moved.parameters(), gradients, strict=True):
            weight += step * part
        total = sum(sum(logprobs(moved, t.prompt_ids, t.action_ids, temperature)) for t in sampled)
        return 1.5 * total / sum(len(t.action_ids) for t in sampled)

    step = 1e-3 / size**0.5
    assert (likelihood(-step) - likelihood(step)) / (2 * step) == pytest.approx(size, rel=1e-3)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_mismatch_is_0_on_true_logprobs_and_sees_an_off_by_one(temperature: float) -> None:
    episodes = [episode(STUDENT, seed, temperature=temperature) for seed in range(3)]
    sampled = [tokens for turns in episodes for tokens in turns if len(tokens.action_ids) > 1]
    report, _ = gradient([Example(0, tokens, cross_entropy=1.0) for tokens in sampled])
    assert report["mismatch"] < CLOSE
    shifted = [replace(tokens, logprobs=tokens.logprobs[1:] + tokens.logprobs[:1]) for tokens in sampled]
    report, _ = gradient([Example(0, tokens, cross_entropy=1.0) for tokens in shifted])
    assert report["mismatch"] > 0.3


def test_reported_means_are_over_the_tokens_that_they_are_about() -> None:
    first, second, third = episode(STUDENT, 3, temperature=0.5)
    review = privileged(second, "look")
    examples = [
        Example(0, first, policy_gradient=1.0),
        Example(0, second, teacher=review, distillation=2.0),
        Example(0, second, policy_gradient=1.0),
        Example(0, third, cross_entropy=1.0),
    ]
    report, _ = gradient(examples)
    lengths = [len(tokens.action_ids) for tokens in (first, second, third)]
    assert report["tokens_with_loss"] == sum(lengths)  # the second action counts once
    assert report["action_length"] == pytest.approx(sum(lengths) / 3)
    assert report["turns_distilled"] == 1
    assert report["distillation"] == pytest.approx(2 * report["divergence"])
    teacher_ids = CHAT.encode(review)
    with torch.no_grad():
        logits = TEACHER(input_ids=torch.tensor([[*teacher_ids, *second.action_ids]])).logits[0].log_softmax(-1)
    untempered = logprobs(STUDENT, second.prompt_ids, second.action_ids)
    gaps = [
        logits[len(teacher_ids) + offset - 1, id_].item() - logprob
        for offset, (id_, logprob) in enumerate(zip(second.action_ids, untempered, strict=True))
    ]
    assert report["teacher_gap"] == pytest.approx(sum(gaps) / len(gaps))
    assert report["teacher_gap_abs"] == pytest.approx(sum(map(abs, gaps)) / len(gaps))
    everything = torch.tensor([[*third.prompt_ids, *third.action_ids]])
    with torch.no_grad():
        p = (STUDENT(input_ids=everything).logits[0] / 0.5).softmax(-1)
    before = [len(t.prompt_ids) + n - 1 for t in (first, second, third) for n in range(len(t.action_ids))]
    assert report["entropy"] == pytest.approx(-(p * p.log()).sum(-1)[before].mean().item())


def test_reports_leave_out_components_without_tokens() -> None:
    report, _ = gradient([Example(0, episode(STUDENT, 4)[0], cross_entropy=1.0)])
    assert not {"divergence", "teacher_gap", "teacher_gap_abs", "clip_fraction"} & set(report)
    assert report["policy_gradient"] == report["distillation"] == report["turns_distilled"] == 0


def test_the_teacher_reads_the_past_of_an_episode_once() -> None:
    sampled = episode(STUDENT, 5, turns=4)
    distilled = [Example(0, tokens, teacher=privileged(tokens, "xyz"), distillation=1.0) for tokens in sampled]
    report, _ = gradient(distilled, micro_batch_tokens=30)
    apart = sum(len(tokens.prompt_ids) + 3 + len(tokens.action_ids) for tokens in sampled)
    once = len(sampled[-1].prompt_ids) + sum(3 + len(tokens.action_ids) for tokens in sampled)
    assert (report["teacher_tokens_apart"], report["teacher_tokens"]) == (apart, once)
    forgetful = [
        replace(e, teacher=(Message("user", "ab"), Message("user", "", ids=e.tokens.prompt_ids))) for e in distilled
    ]
    report, _ = gradient(forgetful)
    assert report["teacher_tokens"] == report["teacher_tokens_apart"]
    assert report["advice_tokens"] == 0


@pytest.mark.parametrize("micro_batch_tokens", [30, 10_000])
def test_advised_actions_are_counted_among_what_the_teacher_reads(micro_batch_tokens: int) -> None:
    taken = episode(STUDENT, 5, turns=4)
    advised = Finding(0, Verdict.FAILED, advice="IL")
    examples = [
        Example(0, tokens, teacher=privileged(tokens, "xyz"), distillation=1.0, finding=finding)
        for tokens, finding in zip(taken, (advised, None, advised, None), strict=True)
    ]
    report, _ = gradient(examples, micro_batch_tokens=micro_batch_tokens)
    plain, _ = gradient([replace(e, finding=None) for e in examples], micro_batch_tokens=micro_batch_tokens)
    assert report["teacher_tokens"] == plain["teacher_tokens"]
    read = 0  # behind the prompts of the two turns, which the teacher has read already
    for example in examples:
        if example.finding:
            read += len("xyz") + len(CHAT.encode_reply("IL"))
    assert report["advice_tokens"] == read
