"""Measures sampling with an adapter: `python -m benchmarks.adapters [DIR]`.

Arms in one process: the base without its adapter, the adapter as PEFT computes it, and as a policy computes it while it
samples. Each answers random prompts with replies of one length, 1, 8 and 32 at a time. Times are medians of repetitions
in turn, on the GPU where there is one. Without DIR the model has the layers of Qwen3-4B and a fortieth of their width,
so that, as on a GPU, operations take no longer than starting them does. The last line is a JSON object of all figures.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
import random
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Annotated, Any, Final
from unittest.mock import patch

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers import AutoModelForCausalLM

from benchmarks.episodes import Ledger, medians
from benchmarks.random_model import SHAPES
from hero.models import sampler
from hero.models.load import load
from hero.models.lora import acting_as, add_adapter
from hero.models.sampler import TransformersPolicy
from hero.types import Message

PROMPT: Final = 128
ROWS: Final = (1, 8, 32)


NARROW: Final = {"hidden_size": 64, "intermediate_size": 243, "num_attention_heads": 4, "num_key_value_heads": 1,
                 "head_dim": 16, "vocab_size": 512}  # fmt: skip


def narrow() -> Any:
    """Returns a model of random weights with many small layers."""
    kind, shape = SHAPES["Qwen3-4B"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return AutoModelForCausalLM.from_config(kind(**{**shape, **NARROW})).eval().to(device)


def answer(model: Any, rows: int, tokens: int) -> None:
    """Answers prompts that are always the same with replies of so many tokens, whose keys and values are forgotten."""
    rng = random.Random(0)
    vocabulary = model.config.get_text_config().vocab_size
    prompts = [[Message("user", "", tuple(rng.randrange(vocabulary) for _ in range(PROMPT)))] for _ in range(rows)]
    policy = TransformersPolicy(model, Ledger(), "adapted", temperature=1.0, seed=0, max_new_tokens=tokens, version=0)
    policy.act(prompts, range(rows))


def arms(model: Any, rows: int, tokens: int) -> dict[str, Callable[[], None]]:
    """Returns the arms by name."""

    def base() -> None:
        with acting_as(model, None):
            answer(model, rows, tokens)

    def by_peft() -> None:
        with patch.object(sampler, "quick_adapters", lambda model: nullcontext()):
            answer(model, rows, tokens)

    return {"without adapter": base, "by PEFT": by_peft, "as a policy does": partial(answer, model, rows, tokens)}


def main(
    model: Annotated[str, typer.Argument(help="Directory of a model.", show_default="one of many small layers")] = "",
    rank: Annotated[int, typer.Option(help="Rank of the adapter.")] = 16,
    tokens: Annotated[int, typer.Option(help="Tokens of a reply.")] = 32,
    repeats: Annotated[int, typer.Option(help="Repetitions.")] = 3,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
) -> None:
    """Measures sampling with an adapter."""
    torch.set_num_threads(threads)
    measured: Any = load(model).model if model else narrow()
    add_adapter(measured, rank=rank)
    names = list(arms(measured, 1, 1))
    table = Table("rows", *(f"{name}, tokens/s" for name in names), "as a policy does / by PEFT")
    figures = []
    for rows in track(ROWS, "sampling..."):
        made = list(arms(measured, rows, tokens).values())
        for arm in made:
            arm()
        seconds = dict(zip(names, medians(made, repeats), strict=True))
        rates = {name: rows * tokens / each for name, each in seconds.items()}
        figures.append({"rows": rows, **rates})
        ratio = rates["as a policy does"] / rates["by PEFT"]
        table.add_row(str(rows), *(f"{rate:.0f}" for rate in rates.values()), f"{ratio:.2f}")
    Console().print(table)
    place = str(next(measured.parameters()).device)
    print(json.dumps({"benchmark": "adapters", "model": model, "device": place, "figures": figures}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
