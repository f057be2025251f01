"""Measures how fast episodes are played: `python -m benchmarks.rollout`.

It compares three arms in one process, all greedy, on episodes of equal shape: our rollout, which keeps keys and values
from turn to turn; transformers' `generate`, called at every turn on the prompts of those episodes; and a bare loop
that reads and decodes as many tokens in rigid batches without an environment, a chat or a ledger, which is the limit.
Tokens are random, with the lengths of episodes in the embedded WebShop. The last line is a JSON object of the ratios.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, ClassVar

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import models
from benchmarks.episodes import ACTION, OBSERVATION, medians
from hero.envs.base import StepResult, TextEnv
from hero.models.cache_layers import PreallocatedLayer, cache_arguments
from hero.rollout import Task, rollout
from hero.types import Message, Trajectory


class Talk(TextEnv):
    """Answers with another text at every turn, and never ends."""

    env_id: ClassVar[str] = "talk"
    num_tasks = 1_000_000

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        self.task, self.turn = task, 0
        return f"{task}", {}

    def apply(self, action: str) -> StepResult:
        self.turn += 1
        return StepResult(f"{self.task} {self.turn}")


class Noise:
    """Encodes every text as random ids of its own, always equally many, and never ends a reply."""

    stop_ids: frozenset[int] = frozenset()

    def __init__(self, vocabulary: int) -> None:
        def ids(text: str) -> tuple[int, ...]:
            rng = random.Random(text)
            return tuple(rng.randrange(vocabulary) for _ in range(OBSERVATION))

        self._ids = lru_cache(maxsize=None)(ids)

    def encode(self, messages: Sequence[Message]) -> list[int]:
        return [id_ for message in messages for id_ in message.ids or self._ids(message.content)]

    def encode_reply(self, text: str) -> list[int]:
        return list(self._ids(text))

    def decode(self, ids: Sequence[int]) -> str:
        return ""


@torch.inference_mode()
def generate_each_turn(model: Any, played: Sequence[Trajectory], turns: int) -> None:
    """Calls `generate` on every turn of all episodes."""
    for turn in range(turns):
        prompts = [trajectory.turns[turn].action.tokens.prompt_ids for trajectory in played]  # type: ignore[union-attr]
        ids = torch.tensor(prompts, device=model.device)
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=ACTION,
            min_new_tokens=ACTION,
            pad_token_id=0,
        )


@torch.inference_mode()
def bare(model: Any, episodes: int, turns: int) -> None:
    """Reads and decodes as many tokens, all rows in step, with room for all of them from the start."""
    layers = [PreallocatedLayer([], turns * (OBSERVATION + ACTION)) for _ in range(model.config.num_hidden_layers)]
    cache = cache_arguments(model, layers)
    ids = torch.randint(model.config.get_text_config().vocab_size, (episodes, OBSERVATION), device=model.device)
    token = ids[:, :0]
    for _ in range(turns):
        logits = model(torch.cat([token, ids], 1), logits_to_keep=1, **cache).logits
        for _ in range(ACTION - 1):
            token = logits[:, -1].log_softmax(-1).argmax(-1, keepdim=True)
            logits = model(token, logits_to_keep=1, **cache).logits
        token = logits[:, -1].log_softmax(-1).argmax(-1, keepdim=True)


def compare(lm: Any, turns: int, episodes: int, repeats: int) -> dict[str, float]:
    """Returns generated tokens per second of our rollout, and its ratios to the two other arms."""
    lm = replace(lm, chat=Noise(lm.model.config.get_text_config().vocab_size))
    envs = [Talk() for _ in range(episodes)]
    tasks = [Task(index, index) for index in range(episodes)]

    def ours() -> list[Trajectory]:
        return rollout(envs, lm.policy(temperature=0.0, max_new_tokens=ACTION), tasks, max_turns=turns)

    played = ours()
    arms = [ours, lambda: generate_each_turn(lm.model, played, turns), lambda: bare(lm.model, episodes, turns)]
    for arm in arms[1:]:
        arm()
    seconds = medians(arms, repeats)
    return {
        "turns": turns,
        "tokens/s": episodes * turns * ACTION / seconds[0],
        "generate / ours": seconds[1] / seconds[0],
        "share of the limit": seconds[2] / seconds[0],
        "ms per turn": 1000 * seconds[0] / turns,
    }


def main(
    model: Annotated[str, typer.Option(help="tiny or smollm2.")] = "tiny",
    episodes: Annotated[int, typer.Option(help="Number of episodes, all played at a time.")] = 16,
    repeats: Annotated[int, typer.Option(help="Repetitions of each arm.")] = 5,
    threads: Annotated[int, typer.Option(help="Number of torch threads.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Measure less, in under a minute.")] = False,
) -> None:
    """Compares our rollout with `generate` at every turn, and with a loop that only decodes."""
    torch.set_num_threads(threads)
    lm = models.load(model)  # type: ignore[arg-type]
    lengths = (2, 3) if quick else (5, 15)
    if quick:
        episodes, repeats = (1, 1) if model == "smollm2" else (4, 3)
    rows = [compare(lm, turns, episodes, repeats) for turns in track(lengths, "playing...")]
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:.3g}" for value in row.values()))
    Console().print(table)
    print(json.dumps({"benchmark": "rollout", "model": model, "rows": rows}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
