"""Warms a small instruct model up for the originals: `python -m benchmarks.smollm2 DIR --data DIR --out BASE`.

SmolLM2-135M never acts validly as it comes. After a few steps on episodes of careless experts it does. In WebShop it
mostly buys the first hit, like the shoppers of `benchmarks.webshop_baselines`, which earns over half of the reward and
hardly ever all of it, and clicks the wanted options now and then. At TauBench's retail desk (`--env taubench`) it
mostly leaves the # of an order's id out and asks for no yes, like the clerk of `benchmarks.retail_clerk`. It also
learns to take the action that a diagnosis advises, which larger models do as they come. What it does not do by habit it
can then learn from its mistakes.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from rich.progress import track

from benchmarks.retail_clerk import Clerk
from benchmarks.webshop_baselines import POLICIES
from hero.chat.base import Chat
from hero.distill.base import Example
from hero.distill.teacher import HindsightTeacher
from hero.distill.trainer import TorchTrainer
from hero.envs.taubench.env import TauBenchEnv
from hero.envs.webshop.env import WebShopEnv
from hero.errors import DataError
from hero.models.export import export_model
from hero.models.load import load
from hero.policy import FunctionPolicy
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.types import Message, Tokens, Trajectory
from hero_cli.terminal import report_errors

MAX_TURNS: Final = {"webshop": 10, "taubench": 15}


def expert(env: WebShopEnv | TauBenchEnv, rng: random.Random, careful: float) -> FunctionPolicy:
    """Returns who plays the next episode."""
    if isinstance(env, TauBenchEnv):
        return FunctionPolicy(Clerk(env, rng, bare=1 - careful, no_question=1 - careful))
    return FunctionPolicy(POLICIES["with options" if rng.random() < careful else "first hit"])


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
    data: Annotated[Path, typer.Option(help="Directory of the original's files; of WebShop's with 1,000 products.")],
    out: Annotated[Path, typer.Option(help="New directory for the model.")],
    env: Annotated[Literal["webshop", "taubench"], typer.Option(help="Shop, or retail desk.")] = "webshop",
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 8,
    episodes: Annotated[int, typer.Option(help="Episodes per step.")] = 4,
    careful: Annotated[
        float,
        typer.Option(help="Share of episodes in which options are clicked; of turns with care at the desk."),
    ] = 0.25,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of AdamW.")] = 1e-4,
    micro_batch_tokens: Annotated[
        int | None,
        typer.Option(help="Tokens that go through the model at once.", show_default="2048, at the desk 16384"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of tasks and experts.")] = 0,
) -> None:
    """Warms a model up, and writes it as a directory of transformers."""
    lm: Any = load(str(model))
    at_desk = env == "taubench"
    played_in: WebShopEnv | TauBenchEnv = (
        TauBenchEnv(domain="retail", split="train", data=data, user="scripted")
        if at_desk
        else WebShopEnv(data=data, split="train")
    )
    # At the desk most tokens are those that all episodes begin with, its tools, which a batch reads once.
    trainer = TorchTrainer(
        lm,
        learning_rate=learning_rate,
        teacher_weights="live",
        micro_batch_tokens=micro_batch_tokens or (16_384 if at_desk else 2_048),
        gradient_checkpointing=at_desk,
    )
    rng = random.Random(seed)
    losses, too_long = [], 0
    for _ in track(range(steps), "warming..."):
        played = []
        for number in range(episodes):
            task = Task(rng.randrange(played_in.num_tasks), number)
            played += rollout([played_in], expert(played_in, rng, careful), [task], max_turns=MAX_TURNS[env])
        learned = examples(lm.chat, played) + hindsight(lm.chat, played, first=len(played))
        lengths = [len(each.tokens.prompt_ids) + len(each.tokens.action_ids) for each in learned]
        fitting = [each for each, length in zip(learned, lengths, strict=True) if length <= lm.context_length]
        too_long += len(learned) - len(fitting)
        if not fitting:
            raise DataError(f"no turn fits into the {lm.context_length} tokens of {model}; take a larger model")
        losses.append(trainer.update(fitting)["loss"])
    export_model(lm, out)
    typer.echo(json.dumps({"benchmark": "smollm2", "losses": losses, "too_long": too_long}))


if __name__ == "__main__":
    typer.run(main)
