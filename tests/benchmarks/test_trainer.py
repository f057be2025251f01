"""The benchmarks of the trainer compare equal computations."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from benchmarks.episodes import Ledger, episode, turn_by_turn
from benchmarks.exactness import result
from benchmarks.scoring import Masked, compared
from hero.distill.batch import UpdateBatch
from hero.distill.loss import UpdateLoss
from hero.distill.losses import jensen_shannon
from hero.distill.pack import share_prefixes, student_rows, teacher_rows
from hero.distill.scorer import action_logits
from tests.tiny_models import VOCABULARY, tiny_model


def test_an_episode_under_a_mask_has_the_logits_of_every_row_alone() -> None:
    model = tiny_model(context=4096)
    examples = [example for seed in range(2) for example in episode(seed, 3, VOCABULARY)]
    teachers = teacher_rows(examples, Ledger())
    masked = Masked(*share_prefixes(teachers, student_rows(examples)))
    with torch.no_grad():
        expected = action_logits(model, [teachers[index] for index in masked.order])
        torch.testing.assert_close(masked.logits(model), expected, rtol=1e-4, atol=1e-5)
        masked.seen.fill_(True)  # every token sees all others
        assert (masked.logits(model) - expected).abs().max() > 1e-3


def test_all_ways_of_scoring_agree() -> None:
    row = compared(tiny_model(context=4096), turns=3, episodes=2, repeats=1, masked=True)
    assert row["tokens"] > 1
    assert row["difference"] < 1e-4
    assert row["difference_masked"] < 1e-4


def test_turn_by_turn_reads_everything_again_with_the_same_result() -> None:
    model = tiny_model(context=4096)

    def read() -> dict[str, float]:
        loss = UpdateLoss(
            student=deepcopy(model),
            teacher=model,
            divergence=jensen_shannon,
            micro_batch_tokens=8192,
        )
        return loss.backward(UpdateBatch.of(episode(0, 3, VOCABULARY), Ledger(), 4096))

    once, first = read(), result(model, 3)
    with turn_by_turn():
        apart, second = read(), result(model, 3)
    assert once["teacher_tokens"] < once["teacher_tokens_apart"]
    assert apart["teacher_tokens"] == apart["teacher_tokens_apart"] == once["teacher_tokens_apart"]
    assert read()["teacher_tokens"] == once["teacher_tokens"]
    assert first.apart(second)["logits"] < 1e-4
    assert first.apart(second)["gradient"] == pytest.approx(0, abs=1e-3)
