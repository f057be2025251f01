"""Warms a small instruct model up for the original's WebShop: `python -m benchmarks.smollm2 DIR --data DIR --out BASE`.

SmolLM2-135M never acts validly as it comes. After a few steps on episodes of the two shoppers of
`benchmarks.webshop_baselines` it does: it mostly buys the first hit, which earns over half of the reward and hardly
ever all of it, and clicks the wanted options now and then. It also learns to take the action that a diagnosis advises,
which larger models do as they come. What it does not do by habit it can then learn from its mistakes.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import track

from benchmarks.webshop_baselines import POLICIES
from hero.chat.base import Chat
from hero.distill.base import Example
from hero.distill.teacher import HindsightTeacher
from hero.distill.trainer import TorchTrainer
from hero.envs.webshop.env import WebShopEnv
from hero.models.export import export_model
from hero.models.load import load
from hero.policy import FunctionPolicy
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.types import Message, Tokens, Trajectory
from hero_cli.terminal import report_errors


def hindsight(chat: Chat, trajectories: list[Trajectory], first: int) -> list[Example]:
    """Returns an example per advice of the rules: the prompt that shows it, and the action that it names."""
    made = []
    teacher = HindsightTeacher()
    for trajectory, diagnosis in zip(trajectories, RulesReflector().reflect(trajectories), strict=True):
        for finding in diagnosis.findings:
            prompt = teacher.context(trajectory, finding.turn, diagnosis)
            if prompt and finding.advice:
                ids = tuple(chat.encode_reply(finding.advice))
                tokens = Tokens(tuple(chat.encode(prompt)), ids, (0.0,) * len(ids))
                made.append(Example(first + len(made), tokens, cross_entropy=1.0))
    return made


def examples(chat: Chat, trajectories: list[Trajectory]) -> list[Example]:
    """Returns an example of imitation per turn, each in its whole conversation."""
    made = []
    for episode, trajectory in enumerate(trajectories):
        prompt: tuple[Message, ...] = trajectory.turns[0].prompt
        for turn in trajectory.turns:
            prompt_ids, action_ids = tuple(chat.encode(prompt)), tuple(chat.encode_reply(turn.action.text))
            tokens = Tokens(prompt_ids, action_ids, (0.0,) * len(action_ids))
            made.append(Example(episode, tokens, cross_entropy=1.0))
            prompt = (*prompt, Message("assistant", turn.action.text, action_ids), Message("user", turn.observation))
    return made


@report_errors
def main(
    model: Annotated[Path, typer.Argument(help="Directory of the model.")],
    data: Annotated[Path, typer.Option(help="Directory of the original's files, with 1,000 products.")],
    out: Annotated[Path, typer.Option(help="New directory for the model.")],
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 8,
    episodes: Annotated[int, typer.Option(help="Episodes per step.")] = 4,
    careful: Annotated[float, typer.Option(help="Share of episodes in which options are clicked.")] = 0.25,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of AdamW.")] = 1e-4,
    seed: Annotated[int, typer.Option(help="Seed of tasks and shoppers.")] = 0,
) -> None:
    """Warms a model up, and writes it as a directory of transformers."""
    env, rng = WebShopEnv(data=data, split="train"), random.Random(seed)
    lm: Any = load(str(model))
    trainer = TorchTrainer(lm, learning_rate=learning_rate, teacher_weights="live", micro_batch_tokens=2048)
    losses = []
    for _ in track(range(steps), "warming..."):
        played = []
        for number in range(episodes):
            shopper = POLICIES["with options" if rng.random() < careful else "first hit"]
            task = Task(rng.randrange(env.num_tasks), number)
            played += rollout([env], FunctionPolicy(shopper), [task], max_turns=10)
        learned = examples(lm.chat, played) + hindsight(lm.chat, played, first=len(played))
        losses.append(trainer.update(learned)["loss"])
    export_model(lm, out)
    typer.echo(json.dumps({"benchmark": "smollm2", "losses": losses}))


if __name__ == "__main__":
    typer.run(main)
