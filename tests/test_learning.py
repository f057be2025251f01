"""The shipped policy learns: updates on failed episodes change what the policy would do on other tasks."""

from collections.abc import Sequence

import torch

from hero.distill.learners import Distillation, group_examples
from hero.distill.pack import Row, Span
from hero.distill.scorer import action_logits
from hero.distill.trainer import TorchTrainer
from hero.envs.webshop.env import WebShopEnv
from hero.models import tiny
from hero.models.language_model import LanguageModel
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.types import Message, Trajectory
from hero.warm.rows import reply_ids


def play(trainer: TorchTrainer, split: str, step: int) -> list[Trajectory]:
    envs = [WebShopEnv(split=split) for _ in range(32)]
    tasks = [Task(32 * step + index, index) for index in range(32)]
    return rollout(envs, trainer.policy(temperature=0.5), tasks, max_turns=8, seed=step)


def advice_rows(lm: LanguageModel, played: Sequence[Trajectory]) -> list[Row]:
    """Makes rows of the student's prompts and, as replies, the clicks that the reflector advises.

    Searches are left out, since the policy never words them like the reflector: their small likelihood would hide that
    of the clicks.
    """
    rows = []
    for trajectory, diagnosis in zip(played, RulesReflector().reflect(played), strict=True):
        for finding in diagnosis.findings:
            if finding.advice.startswith("click["):
                prompt: Sequence[Message] = trajectory.turns[finding.turn].prompt
                ids, answer = lm.chat.encode(prompt), reply_ids(lm.chat, prompt, finding.advice)
                rows.append(Row((*ids, *answer), (Span(len(ids), len(ids) + len(answer), (len(rows),)),)))
    return rows


def mean_logprob(lm: LanguageModel, rows: Sequence[Row]) -> float:
    with torch.no_grad():
        logprobs = action_logits(lm.model, rows).log_softmax(-1)
    ids = torch.tensor([token for row in rows for token in row.action_ids])
    return logprobs.gather(-1, ids[:, None]).mean().item()


def test_failed_episodes_alone_make_advised_actions_likelier_on_other_tasks() -> None:
    lm = tiny.load()
    trainer = TorchTrainer(lm, learning_rate=1e-3)
    held_out = advice_rows(lm, play(trainer, "validation", 0))
    assert len(held_out) > 20
    before = mean_logprob(lm, held_out)
    for step in range(3):
        failed = [trajectory for trajectory in play(trainer, "train", step) if not trajectory.success]
        pairs = list(zip(failed, RulesReflector().reflect(failed), strict=True))
        trainer.update(group_examples(Distillation(), pairs))
    assert mean_logprob(lm, held_out) > before + 0.1
