"""Take the teacher: hindsight inside TRL's GRPOTrainer (`pip install trl`), by two of its hooks.

`rollout_func` plays an episode per prompt, has it reviewed, and scores each sampled token again with hindsight in the
prompt. The advantage of a token is then what hindsight adds to its log-probability, which is the reverse KL of
distillation as a policy gradient (1707.06347 with 2306.13649): no reward, no group of siblings is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from hero import envs
from hero.chat.template import TemplateChat
from hero.distill.teacher import HindsightTeacher
from hero.models.language_model import LanguageModel
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.types import Diagnosis, Trajectory


class HindsightTrainer(GRPOTrainer):
    """GRPO with an advantage per token, which `play` leaves in `gaps`."""

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        output = super()._generate_and_score_completions(inputs)
        width = output["completion_ids"].shape[1]
        rows = [[*gaps, *[0.0] * (width - len(gaps))] for gaps in self.gaps]
        output["advantages"] = torch.tensor(rows, device=output["completion_ids"].device)
        return output


def play(prompts: Sequence[Any], trainer: HindsightTrainer) -> dict[str, Any]:
    """Plays the task of each prompt with TRL's model; the environment's words are masked (`env_mask`)."""
    lm = LanguageModel(trainer.model, TemplateChat(trainer.processing_class), "trl", max_new_tokens=16)
    was_training = trainer.model.training
    trainer.model.eval()
    tasks = [Task(int(prompt[-1]["content"]), trainer.state.global_step, index) for index, prompt in enumerate(prompts)]
    games = [trainer.make_env() for _ in prompts]
    episodes = rollout(games, lm.policy(temperature=1.0), tasks, max_turns=trainer.max_turns)
    diagnoses = RulesReflector().reflect(episodes)
    reviewed = zip(episodes, diagnoses, strict=True)
    sequences = [as_sequence(episode, gaps_of(lm, episode, diagnosis)) for episode, diagnosis in reviewed]
    trainer.model.train(was_training)
    trainer.gaps = [sequence.pop("gaps") for sequence in sequences]
    return {name: [sequence[name] for sequence in sequences] for name in sequences[0]}


@torch.no_grad()
def gaps_of(lm: LanguageModel, episode: Trajectory, diagnosis: Diagnosis) -> list[list[float]]:
    """Returns log p(token | hindsight) - log p(token) of each token of each action; 0 where there is no hindsight."""
    rows = []
    for index, turn in enumerate(episode.turns):
        tokens, context = turn.action.tokens, HindsightTeacher().context(episode, index, diagnosis)
        if context is None:
            rows.append([0.0] * len(tokens.action_ids))
            continue
        ids = torch.tensor([[*lm.chat.encode(context), *tokens.action_ids]], device=lm.model.device)
        count = len(tokens.action_ids)
        logprobs = lm.model(input_ids=ids).logits[0, -count - 1 : -1].float().log_softmax(-1)
        taught = logprobs.gather(1, ids[0, -count:, None])[:, 0]
        rows.append((taught.cpu() - torch.tensor(tokens.logprobs)).tolist())
    return rows


def as_sequence(episode: Trajectory, gaps: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Returns an episode as TRL takes it: the first prompt, and all that follows it as one completion."""
    first, last = episode.turns[0].action.tokens, episode.turns[-1].action.tokens
    start = len(first.prompt_ids)
    completion = [*last.prompt_ids, *last.action_ids][start:]
    logprobs, mask, advantages = ([0.0] * len(completion) for _ in range(3))
    for turn, row in zip(episode.turns, gaps, strict=True):
        tokens = turn.action.tokens
        where = slice(len(tokens.prompt_ids) - start, len(tokens.prompt_ids) - start + len(tokens.action_ids))
        logprobs[where], mask[where], advantages[where] = tokens.logprobs, [1.0] * len(row), row
    return {
        "prompt_ids": [*first.prompt_ids],
        "completion_ids": completion,
        "logprobs": logprobs,
        "env_mask": [int(bit) for bit in mask],
        "gaps": advantages,
    }


def no_reward(completions: Sequence[Any], **_: Any) -> list[float]:
    """Returns a reward per episode, which TRL asks for; the advantages are those of the tokens."""
    return [0.0] * len(completions)


def main(model: str, out: Path, *, env: str = "webshop", steps: int = 2, max_turns: int = 3, **options: Any) -> Any:
    """Trains a model of Hugging Face's format on the training tasks of an environment; returns the trainer.

    Args:
        options: of the environment.
    """
    config = GRPOConfig(
        str(out), max_steps=steps, per_device_train_batch_size=4, num_generations=2, learning_rate=1e-3, report_to=[],
        use_cpu=not torch.cuda.is_available(), bf16=False, save_strategy="no", logging_steps=1, beta=0.0,
        disable_dropout=True,
    )  # fmt: skip
    tasks = [{"prompt": [{"role": "user", "content": str(index)}]} for index in range(64)]
    trainer = HindsightTrainer(
        model,
        args=config,
        train_dataset=Dataset.from_list(tasks),
        rollout_func=play,
        reward_funcs=no_reward,
    )
    trainer.make_env, trainer.max_turns = lambda: envs.make(env, split="train", **options), max_turns
    trainer.train()
    return trainer


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
