"""Scores of tokens against the update's own metrics, and against a plain forward pass per action."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from hero.distill.base import Example
from hero.distill.batch import UpdateBatch
from hero.distill.token_scores import TokenScore, score_tokens
from hero.distill.trainer import TorchTrainer
from hero.types import Message
from tests.distill.doubles import episode, logprobs
from tests.distill.test_loss import CHAT, CLOSE, CONTEXT, STUDENT, TEACHER, gradient, mixture, privileged
from tests.tiny_models import TinyLM, random_model, tiny_model


def scored(batch: UpdateBatch, *, tokens: int = 10_000, likeliest: int = 3) -> dict[int, list[TokenScore]]:
    return score_tokens(STUDENT, TEACHER, batch, acting=nullcontext(), micro_batch_tokens=tokens, likeliest=likeliest)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tokens", [1, 40, 10_000])
def test_the_mean_gap_is_that_of_the_update(seed: int, tokens: int) -> None:
    examples = mixture(seed)
    report, _ = gradient(examples)
    batch = UpdateBatch.of(examples, CHAT, CONTEXT)
    scores = scored(batch, tokens=tokens)
    assert scores.keys() == batch.teacher_rows.keys()
    gaps = [score.teacher - score.student for each in scores.values() for score in each]
    assert sum(gaps) / len(gaps) == pytest.approx(report["teacher_gap"], abs=CLOSE)
    assert sum(map(abs, gaps)) / len(gaps) == pytest.approx(report["teacher_gap_abs"], abs=CLOSE)


def test_each_token_is_scored_as_by_a_forward_pass_of_its_own() -> None:
    sampled = episode(STUDENT, 7)
    reviews = [privileged(tokens, "look" * number) for number, tokens in enumerate(sampled, 1)]
    examples = [Example(0, t, teacher=r, distillation=1.0) for t, r in zip(sampled, reviews, strict=True)]
    scores = scored(UpdateBatch.of(examples, CHAT, CONTEXT), likeliest=2)
    for index, (tokens, review) in enumerate(zip(sampled, reviews, strict=True)):
        prompt = CHAT.encode(review)
        assert [score.id for score in scores[index]] == list(tokens.action_ids)
        own = logprobs(STUDENT, tokens.prompt_ids, tokens.action_ids)
        theirs = logprobs(TEACHER, prompt, tokens.action_ids)
        assert [score.student for score in scores[index]] == pytest.approx(own, abs=CLOSE)
        assert [score.teacher for score in scores[index]] == pytest.approx(theirs, abs=CLOSE)
        with torch.no_grad():
            logits = TEACHER(input_ids=torch.tensor([[*prompt, *tokens.action_ids]])).logits[0].log_softmax(-1)
        for offset, score in enumerate(scores[index]):
            best = logits[len(prompt) + offset - 1].topk(2)
            assert [id_ for id_, _ in score.likeliest] == best.indices.tolist()
            assert [logprob for _, logprob in score.likeliest] == pytest.approx(best.values.tolist(), abs=CLOSE)


def test_scores_stand_where_their_examples_do_and_none_where_nothing_is_distilled() -> None:
    lm = TinyLM(tiny_model(3))
    trainer = TorchTrainer(lm)
    first, second, third = episode(lm.model, 3)
    long = (Message("user", "x" * 200),)
    examples = [
        Example(0, first, cross_entropy=1.0),
        Example(0, second, teacher=long, distillation=1.0),
        Example(0, second, cross_entropy=0.0),
        Example(0, third, teacher=privileged(third, "look"), distillation=1.0),
    ]
    scores = trainer.score(examples)
    assert [each is None for each in scores] == [True, True, True, False]
    assert scores[3] is not None
    assert [score.id for score in scores[3]] == list(third.action_ids)
    (alone,) = trainer.score([replace(examples[3])])
    assert alone is not None
    assert [score.teacher for score in alone] == pytest.approx([score.teacher for score in scores[3]], abs=CLOSE)
    assert trainer.score([]) == []


def test_the_teacher_acts_by_its_own_weights() -> None:
    lm, other = random_model(seed=1, stop_bias=0.0), random_model(seed=2, stop_bias=0.0)
    lm.max_new_tokens = 4
    trainer = TorchTrainer(lm, teacher_weights="frozen")
    prompts = [(Message("user", "ab"),), (Message("user", "look"),)]
    before = trainer.policy(temperature=0.0).act(prompts, [0, 0])
    with torch.no_grad():
        for weight, new in zip(lm.model.parameters(), other.model.parameters(), strict=True):
            weight.copy_(new)
    after = trainer.policy(temperature=0.0).act(prompts, [0, 0])
    assert [each.text for each in after] != [each.text for each in before]
    assert [each.text for each in trainer.teacher_acts(prompts)] == [each.text for each in before]
