"""Measures the memory of an update beside its estimate: `python -m benchmarks.memory update DIR`.

`python -m benchmarks.memory estimate` prints estimates for two models of the Qwen3 family, from their shapes alone:
models with one and two of their layers are measured, and what a layer adds is multiplied.

Arms of `update`: all weights or an adapter of rank 16, with and without gradient checkpointing. Each is a process of
its own, in which a model of a directory takes two updates on random tokens, of episodes as long as those in the
embedded WebShop; the time is that of the second. Where there is a GPU, that is where the model is. The last line is a
JSON object of all figures.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
import subprocess
import sys
import time
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers import AutoModelForCausalLM

from benchmarks.episodes import Ledger, episode
from benchmarks.random_model import SHAPES
from benchmarks.update import status
from hero.distill.memory import GIB, ModelSize, estimate_memory
from hero.distill.trainer import TorchTrainer
from hero.models.load import load
from hero.models.lora import add_adapter
from hero.models.sampler import KV_CACHE_BYTES

app = typer.Typer(add_completion=False, help=__doc__)


def measured(source: str, rank: int, gradient_checkpointing: bool, tokens: int, turns: int) -> dict[str, float]:
    """Returns estimate and peak in GiB, and seconds, of an update in this process."""
    import peft  # noqa: F401  # so that its code is not counted

    baseline = memory("VmRSS")
    lm: Any = load(source)
    vocabulary = lm.model.config.get_text_config().vocab_size
    examples = [example for seed in range(2) for example in episode(seed, turns, vocabulary)]
    expected = estimate_memory(
        ModelSize.of(lm.model),
        lora=rank or None,
        teacher_weights="ema",
        micro_batch_tokens=tokens,
        sequences=0,
        kv_cache_bytes=0,
        gradient_checkpointing=gradient_checkpointing,
        loss_tokens=sum(len(example.tokens.action_ids) for example in examples),
    )
    if rank:
        add_adapter(lm.model, rank=rank)
    lm.chat = Ledger()
    trainer = TorchTrainer(lm, micro_batch_tokens=tokens, gradient_checkpointing=gradient_checkpointing)
    trainer.update(examples)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the high-water mark starts again
    start = time.perf_counter()
    trainer.update(examples)  # it ends with numbers of the GPU, so that there is nothing left to wait for
    seconds = time.perf_counter() - start
    return {
        "estimate": expected.peak / GIB,
        "measured": (memory("VmHWM") - baseline) / GIB,
        "seconds": seconds,
    }


def memory(kind: Literal["VmRSS", "VmHWM"]) -> int:
    """Returns bytes in use, or the most since they were counted anew; on a GPU of its tensors, since the start."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() if kind == "VmHWM" else torch.cuda.memory_allocated()
    return 1024 * status(kind)


OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "": {},
    "--lora 16": {"lora": 16},
    "--lora 16 --micro-batch-tokens 8192": {"lora": 16, "micro_batch_tokens": 8192},
    "--lora 16 --micro-batch-tokens 4096": {"lora": 16, "micro_batch_tokens": 4096},
    "--lora 16 --gradient-checkpointing": {"lora": 16, "gradient_checkpointing": True},
    "--lora 16 --gradient-checkpointing --micro-batch-tokens 8192 --kv-cache-gib 4": {
        "lora": 16, "gradient_checkpointing": True, "micro_batch_tokens": 8192, "kv_cache_bytes": 4 * GIB,
    },
    "--lora 16 --micro-batch-tokens 4096 --kv-cache-gib 30": {
        "lora": 16, "micro_batch_tokens": 4096, "kv_cache_bytes": 30 * GIB,
    },
    "--gradient-checkpointing --shard, 8 processes": {"shards": 8, "gradient_checkpointing": True},
}  # fmt: skip


def scaled(name: str) -> ModelSize:
    """Returns the size of a model in bfloat16, from models with one and two of its layers."""
    kind, shape = SHAPES[name]
    sizes = []
    for layers in (1, 2):
        config = kind(**{**shape, "num_hidden_layers": layers}, max_position_embeddings=40_960)
        sizes.append(ModelSize.of(AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)))
    one, two = (asdict(size) for size in sizes)
    more = shape["num_hidden_layers"] - 1
    return ModelSize(**{key: type(value)(value + more * (two[key] - value)) for key, value in one.items()})


@app.command()
def estimate() -> None:
    """Prints what runs with two large models would take, with the options of `hero run`."""
    table = Table("options of hero run", *(f"{name}, GiB" for name in SHAPES))
    sizes = {name: scaled(name) for name in track(SHAPES, "measuring layers...")}
    rows = {}
    for text, options in OPTIONS.items():
        limits = {"micro_batch_tokens": 16_384, "sequences": 64, "kv_cache_bytes": KV_CACHE_BYTES} | options
        rows[text] = {
            name: estimate_memory(size, teacher_weights="ema", **limits).peak / GIB for name, size in sizes.items()
        }
        table.add_row(text or "(none)", *(f"{peak:.0f}" for peak in rows[text].values()))
    Console().print(table)
    print(json.dumps({"benchmark": "memory estimate", "rows": rows}))  # noqa: T201


@app.command()
def update(
    model: Annotated[str, typer.Argument(help="Directory of a model of transformers.")],
    tokens: Annotated[int, typer.Option(help="Tokens of a micro-batch.")] = 1900,
    turns: Annotated[int, typer.Option(help="Turns of each of two episodes.")] = 8,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 2,
    ranks: Annotated[str, typer.Option(help="Ranks of adapters with commas between; 0 is all weights.")] = "0,16",
    arm: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Measures the memory of an update beside its estimate."""
    torch.set_num_threads(threads)
    if arm:
        rank, gradient_checkpointing = map(int, arm.split())
        print(json.dumps(measured(model, rank, bool(gradient_checkpointing), tokens, turns)))  # noqa: T201
        return
    table = Table("weights", "checkpointing", "estimate, GiB", "measured, GiB", "estimate / measured", "time")
    rows: list[dict[str, Any]] = []
    for rank, gradient_checkpointing in track(list(product(map(int, ranks.split(",")), (0, 1))), "updating..."):
        options = [f"--tokens={tokens}", f"--turns={turns}", f"--threads={threads}"]
        options.append(f"--arm={rank} {gradient_checkpointing}")
        command = [sys.executable, "-m", "benchmarks.memory", "update", model, *options]
        # Freed memory goes back at once, so that the high-water mark is that of what is in use.
        environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        figures = json.loads(done.stdout)
        rows.append({"rank": rank, "gradient_checkpointing": bool(gradient_checkpointing), **figures})
        ratio = figures["estimate"] / figures["measured"]
        table.add_row(
            f"adapter of rank {rank}" if rank else "all",
            "yes" if gradient_checkpointing else "no",
            f"{figures['estimate']:.2f}",
            f"{figures['measured']:.2f}",
            f"{ratio:.2f}",
            f"{figures['seconds'] / rows[0]['seconds']:.2f}",
        )
    Console().print(table)
    print(json.dumps({"benchmark": "memory", "tokens": tokens, "turns": turns, "rows": rows}))  # noqa: T201


if __name__ == "__main__":
    app()
