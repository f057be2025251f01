"""Every learner that is registered moves a tiny model, but for the one that is not to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from hero import registry
from hero.distill.base import Example, Learner
from hero.distill.learners import Base
from hero.distill.sums import Sum, Weighted, at
from hero.distill.trainer import TorchTrainer
from hero.types import Action, Diagnosis, Finding, Group, Message, Stop, Tokens, Trajectory, Turn, Verdict
from tests.distill.doubles import episode
from tests.tiny_models import TinyLM, tiny_model

SAMPLED = episode(tiny_model(), 1)
FINDINGS = (Finding(0, Verdict.FAILED, "dear", "back"), Finding(1, Verdict.USEFUL, "fine"))


def played(success: bool) -> Trajectory:
    """Returns an episode of the sampled turns, each after the one same page."""

    def turn(tokens: Tokens, last: bool) -> Turn:
        prompt = (Message("user", "page", tokens.prompt_ids),)
        info = {"success": success} if last else {}
        return Turn(prompt, Action("act", tokens), "next", float(success and last), info=info)

    turns = tuple(turn(tokens, tokens is SAMPLED[-1]) for tokens in SAMPLED)
    return Trajectory("env", "task", 0, turns, Stop.TERMINATED)


GROUP, DIAGNOSES = Group((played(True), played(False))), [Diagnosis("me", FINDINGS)] * 2


def trained() -> TorchTrainer:
    """Returns a trainer whose weights are no longer those of the start."""
    lm = TinyLM(tiny_model(context=512))
    trainer = TorchTrainer(lm, learning_rate=1e-3, teacher_weights="frozen", turn_gate="none")
    trainer.update([Example(0, tokens, cross_entropy=1.0) for tokens in SAMPLED])
    return trainer


def moves(learner: Learner) -> bool:
    trainer = trained()
    before = [weight.detach().clone() for weight in trainer.lm.model.parameters()]
    report = trainer.update(learner.examples(GROUP, DIAGNOSES))
    assert report["turns_too_long"] == 0
    after = trainer.lm.model.parameters()
    return any(not torch.equal(now, then) for now, then in zip(after, before, strict=True))


def built() -> Iterator[tuple[str, Learner]]:
    for name in registry.names("hero.learners"):
        yield name, registry.build("hero.learners", name)


@pytest.mark.parametrize(("name", "learner"), list(built()), ids=registry.names("hero.learners"))
def test_a_learner_moves_a_tiny_model(name: str, learner: Learner) -> None:
    assert moves(learner) == (name != "base")


def test_a_sum_moves_it_at_every_point_of_the_run() -> None:
    fading = Sum(*(Weighted(learner, 1, 0) for _, learner in built()))
    assert moves(fading)
    assert moves(at(fading, 0.9))
    assert not moves(at(fading, 1.0))
    assert not moves(Sum(Base()))
