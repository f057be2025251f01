"""The teacher follows as greedy decoding and whole prompts have it, however much a model reads at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from statistics import fmean, median

import pytest
import torch
from transformers import PreTrainedModel

from hero.distill import scorer
from hero.distill.base import Example
from hero.distill.batch import UpdateBatch
from hero.distill.follow import TurnGate
from hero.distill.judged import LIFT_TURNS, JudgedTurns
from hero.distill.loss import UpdateLoss
from hero.distill.losses import reverse_kl
from hero.distill.pack import teacher_row
from hero.types import Finding, Message, Tokens, Verdict
from tests.distill.doubles import counts, episode, logprobs
from tests.tiny_models import VOCABULARY, CharacterChat, random_model, tiny_model

STUDENT, TEACHER = tiny_model(0), tiny_model(1)
FAULTS = (Verdict.UNNECESSARY, Verdict.INVALID, Verdict.FAILED)


class ManyStops(CharacterChat):
    """A chat with so many stop tokens that a random model ends its replies."""

    stop_ids = frozenset(range(0, VOCABULARY, 4))


CHAT = ManyStops()


def text(ids: Sequence[int]) -> str:
    return "".join(chr(VOCABULARY + id_) for id_ in ids)


@torch.no_grad()
def decoded(model: PreTrainedModel, prompt_ids: Sequence[int], length: int) -> tuple[int, ...]:
    """Returns the likeliest ids after a prompt, one after the other, up to a stop token or a length."""
    ids: list[int] = []
    while len(ids) < length and not CHAT.stop_ids.intersection(ids):
        ids.append(int(model(input_ids=torch.tensor([[*prompt_ids, *ids]])).logits[0, -1].argmax()))
    return tuple(ids)


def judged(seed: int) -> list[Example]:
    """Returns distilled turns of four episodes with findings of every kind, some of which the teacher follows."""
    random = Random(seed)
    examples = []
    for index in range(4):
        for tokens in episode(STUDENT, 10 * seed + index, turns=4):
            review = (Message("user", "", ids=tokens.prompt_ids), Message("user", "x" * random.randint(1, 9)))
            likeliest = decoded(TEACHER, CHAT.encode(review), 6)
            if random.random() < 0.3:
                tokens = replace(tokens, action_ids=likeliest, logprobs=(-1.0,) * len(likeliest))
            ends = likeliest[-1] in CHAT.stop_ids
            advice = random.choice(
                ["", "IL", "QS`", text(likeliest) if ends else "B@", text(likeliest) if ends else ""]
            )
            finding = Finding(0, random.choice([*Verdict, None, *FAULTS]), advice=advice)
            if len(examples) % 7 == 6:  # advised what was done
                ids = tuple(CHAT.encode_reply("IL"))
                tokens = replace(tokens, action_ids=ids, logprobs=(-1.0,) * len(ids))
                finding = Finding(0, Verdict.FAILED, advice="IL")
            examples.append(Example(index, tokens, teacher=review, distillation=1.0, finding=finding))
    return examples


def measured(examples: Sequence[Example], *, turn_gate: TurnGate = "follow", tokens: int = 10_000) -> dict[str, float]:
    """Returns the metrics of an update."""
    STUDENT.zero_grad(set_to_none=True)
    loss = UpdateLoss(
        student=STUDENT, teacher=TEACHER, divergence=reverse_kl, micro_batch_tokens=tokens, turn_gate=turn_gate
    )
    return loss.backward(UpdateBatch.of(examples, CHAT, 128))


def expected(examples: Sequence[Example], turn_gate: TurnGate) -> dict[str, float]:
    """Returns the metrics that are about following, turn by turn, by decoding and from whole prompts."""
    followed, repeated, lifts, contradicted = [], [], [], 0
    for example in examples:
        assert example.teacher
        assert example.finding
        if example.finding.verdict not in FAULTS:
            continue
        prompt_ids, taken = CHAT.encode(example.teacher), example.tokens.action_ids
        advice = example.finding.advice
        ids = CHAT.encode_reply(advice) if advice else []
        if CHAT.decode(ids).strip() == CHAT.decode(taken).strip():
            contradicted += 1
            continue
        # An action that was sampled may hold a stop token within, which only ends what is decoded.
        repeated.append(all(decoded(TEACHER, [*prompt_ids, *taken[:n]], 1) == (taken[n],) for n in range(len(taken))))
        if advice:
            followed.append(decoded(TEACHER, prompt_ids, 9) == tuple(ids))
            lifts.append(
                sum(logprobs(TEACHER, prompt_ids, ids)) - sum(logprobs(STUDENT, example.tokens.prompt_ids, ids))
            )
    count = min(LIFT_TURNS, len(lifts))
    return {
        "turns_faulted": len(repeated) + contradicted,
        "turns_contradicted": contradicted,
        "turns_advised": len(followed),
        "turns_gated": sum(not counts(example, turn_gate, CHAT, STUDENT, TEACHER) for example in examples),
        "followed": fmean(followed),
        "repeated": fmean(repeated),
        "lift": median(lifts[number * len(lifts) // count] for number in range(count)),
    }


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("turn_gate", ["follow", "verdict", "none"])
def test_metrics_are_those_of_decoding_each_turn_by_itself(seed: int, turn_gate: TurnGate) -> None:
    examples = judged(seed)
    reference = expected(examples, turn_gate)
    metrics = measured(examples, turn_gate=turn_gate, tokens=70)
    assert {name: metrics[name] for name in reference} == pytest.approx(reference, abs=1e-5)
    assert 0 < reference["followed"] < 1
    assert reference["turns_contradicted"] > 0
    assert 0 < reference["repeated"] < 1
    assert (reference["turns_gated"] > 0) == (turn_gate != "none")


@pytest.mark.parametrize(("tokens", "logits"), [(1, 10_000), (60, 3), (10_000, 1), (150, 7)])
def test_how_much_is_read_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch, tokens: int, logits: int) -> None:
    examples = judged(2)
    whole = measured(examples, turn_gate="verdict")
    monkeypatch.setattr(scorer, "CHUNK_LOGITS", logits * VOCABULARY)
    parts = measured(Random(tokens).sample(examples, len(examples)), turn_gate="verdict", tokens=tokens)
    assert parts == pytest.approx(whole, abs=1e-5)


def test_the_teacher_follows_where_the_policy_would_decode_the_advice() -> None:
    lm = random_model()
    prompts = [(Message("user", "a" * n), Message("user", "b")) for n in range(1, 9)]
    actions = lm.policy(temperature=0.0, max_new_tokens=12).act(prompts)
    assert not any(action.cut_off for action in actions)
    for text, others, share in (("it", 0, 1.0), ("it", 4, 0.5), ("other", 8, 0.0)):
        examples = [
            Example(
                n, Tokens((1, 2), (5,), (-1.0,)), teacher=prompt, distillation=1.0,
                finding=Finding(0, Verdict.FAILED, advice=text if n < others else action.text),
            )
            for n, (prompt, action) in enumerate(zip(prompts, actions, strict=True))
        ]  # fmt: skip
        loss = UpdateLoss(student=lm.model, teacher=lm.model, divergence=reverse_kl, micro_batch_tokens=999)
        assert loss.backward(UpdateBatch.of(examples, lm.chat, 256))["followed"] == share


def test_thoughts_are_not_compared_and_their_turns_count() -> None:
    class Thinking(ManyStops):
        def decode(self, ids: Sequence[int]) -> str:
            return "<think>hm</think> go"

    tokens = Tokens((1, 2), (5, 4), (-1.0, -1.0))
    example = Example(0, tokens, (Message("user", "hm"),), distillation=1.0)
    for advice, chat, is_measured in (
        ("IL", Thinking(), False),
        ("<think>x</think>@", CHAT, False),
        ("M" * 126 + "L", CHAT, False),  # it does not fit
        ("M" * 125 + "L", CHAT, True),
        ("IL", CHAT, True),
    ):
        batch = UpdateBatch.of([replace(example, finding=Finding(0, Verdict.FAILED, advice=advice))], chat, 128)
        assert (0 in batch.judged.findings) is is_measured
        loss = UpdateLoss(student=STUDENT, teacher=TEACHER, divergence=reverse_kl, micro_batch_tokens=999)
        metrics = loss.backward(batch)
        assert metrics["turns_faulted"] == is_measured
        assert ("followed" in metrics) is ("repeated" in metrics) is ("lift" in metrics) is is_measured
        if not is_measured:
            assert metrics["turns_gated"] == 0
            assert metrics["tokens_with_loss"] == 2


def test_the_student_reads_the_advice_of_a_few_turns_evenly_spaced() -> None:
    tokens = Tokens((1, 2), (5, 4), (-1.0, -1.0))
    most = range(LIFT_TURNS)
    for count, positions in ((3, [0, 1, 2]), (LIFT_TURNS, [*most]), (3 * LIFT_TURNS, [3 * n for n in most])):
        verdicts = [Verdict.FAILED, Verdict.USEFUL] * count
        examples = [
            Example(n, tokens, (Message("user", "hm"),), distillation=1.0, finding=Finding(0, verdict, advice="IL"))
            for n, verdict in enumerate(verdicts)
        ]
        rows = {n: row for n, example in enumerate(examples) if (row := teacher_row(example, n, CHAT))}
        judged_turns = JudgedTurns.of(examples, rows, CHAT, 128)
        assert list(judged_turns.student_rows) == [2 * position for position in positions]
        assert len(judged_turns.advice_rows) == count


def test_without_findings_no_model_reads_anything_more() -> None:
    tokens = episode(STUDENT, 3)
    read: list[str] = []
    models = {"student": STUDENT, "teacher": TEACHER}
    hooks = [
        model.model.layers[0].register_forward_hook(lambda *_, name=name: read.append(name))
        for name, model in models.items()
    ]
    measured([Example(0, each, policy_gradient=1.0) for each in tokens])
    assert read == ["student"]
    read.clear()
    measured([Example(0, tokens[0], (Message("user", "hm"),), distillation=1.0)])
    assert read == ["teacher", "student"]
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("taken", ["IL", "IL ", "\nIL", "I"])
def test_advice_of_the_action_taken_contradicts_itself_however_that_was_sampled(taken: str) -> None:
    chat = random_model().chat
    for ids in (chat.encode_reply(taken), chat.encode_reply(taken)[:-1]):  # the second is cut off
        tokens = Tokens((1, 2), tuple(ids), (-1.0,) * len(ids))
        finding = Finding(0, Verdict.FAILED, advice="IL")
        example = Example(0, tokens, (Message("user", "hm"),), distillation=1.0, finding=finding)
        turns = UpdateBatch.of([example], chat, 128).judged
        assert turns.unchanged == ({0} if taken != "I" else set())
        assert turns.advice_rows.keys() == ({0} if taken == "I" else set())


def test_only_advice_of_another_action_is_read_by_the_student() -> None:
    turns = UpdateBatch.of(judged(0), CHAT, 128).judged
    assert turns.unchanged
    assert turns.student_rows.keys() == turns.advice_rows.keys()
    assert not turns.unchanged & turns.advice_rows.keys()
