"""Measures time and memory of an update, and of the same update in TRL: `python -m benchmarks.update`.

Arms in one process on the same episodes each take the gradient of a whole update: ours with full-vocabulary
Jensen-Shannon distillation of every turn; the same where every turn has a finding with advice, so that it is measured
whether the teacher follows; ours with GRPO; with --system, ours where the system prompt that all episodes begin with
is read for each of them; and, where TRL is installed, the loss of its SDPO trainer (self-distillation on a privileged
context), whose every turn is a row of its own. All have the same micro-batches of
tokens, a teacher of its own weights, and random tokens of the lengths that episodes in the embedded WebShop have. Times
are medians of repetitions in turn. The last line is a JSON object of the ratios.

TRL is not a dependency of ours: pip install trl datasets.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import ctypes
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from benchmarks import models
from benchmarks.episodes import Ledger, beginnings_apart, episode, medians
from hero.distill.base import Example
from hero.distill.batch import UpdateBatch
from hero.distill.loss import UpdateLoss
from hero.distill.losses import jensen_shannon
from hero.distill.pack import micro_batches, teacher_rows
from hero.models.architecture import context_length
from hero.types import Finding, Verdict


def ours(student: Any, teacher: Any, examples: Sequence[Example], tokens: int) -> Callable[[], float]:
    """Returns an arm: a function that takes the gradient of our update and returns the loss."""
    loss = UpdateLoss(
        student=student,
        teacher=teacher,
        divergence=jensen_shannon,
        micro_batch_tokens=tokens,
    )

    def arm() -> float:
        student.zero_grad(set_to_none=True)
        return loss.backward(UpdateBatch.of(examples, Ledger(), context_length(teacher)))["loss"]

    return arm


def advice(example: Example, vocabulary: int) -> str:
    """Returns an action of other tokens than the one that was taken, and of as many."""
    return " ".join(str((id_ + 1) % vocabulary) for id_ in example.tokens.action_ids)


def trl(student: Any, teacher: Any, examples: Sequence[Example], tokens: int) -> Callable[[], float]:
    """Returns an arm for TRL's loss: prompts padded on the left, actions on the right, logits of the actions alone."""
    from trl.experimental.sdpo.loss_utils import compute_full_logit_self_distillation_loss

    rows = teacher_rows(examples, Ledger())
    count = sum(len(example.tokens.action_ids) for example in examples)

    def batch(prompts: Sequence[tuple[int, ...]], actions: Sequence[tuple[int, ...]]) -> dict[str, Tensor]:
        before, after = max(map(len, prompts)), max(map(len, actions))
        ids = [
            [0] * (before - len(prompt)) + [*prompt, *action] + [0] * (after - len(action))
            for prompt, action in zip(prompts, actions, strict=True)
        ]
        mask = [
            [0] * (before - len(prompt)) + [1] * (len(prompt) + len(action)) + [0] * (after - len(action))
            for prompt, action in zip(prompts, actions, strict=True)
        ]
        device = student.device
        return {"input_ids": torch.tensor(ids, device=device), "attention_mask": torch.tensor(mask, device=device)}

    def arm() -> float:
        student.zero_grad(set_to_none=True)
        total = 0.0
        for part in micro_batches(rows, tokens):
            turns = [examples[row.example].tokens for row in part]
            actions = [turn.action_ids for turn in turns]
            kept = max(map(len, actions))
            logits = student(
                **batch([turn.prompt_ids for turn in turns], actions), use_cache=False, logits_to_keep=kept + 1
            ).logits[:, :-1]
            with torch.no_grad():
                privileged = [row.ids[: row.spans[0].start] for row in part]
                teacher_logits = teacher(**batch(privileged, actions), use_cache=False, logits_to_keep=kept + 1).logits[
                    :, :-1
                ]
            losses = compute_full_logit_self_distillation_loss(logits, teacher_logits, distillation_alpha=0.5)
            mask = torch.tensor([[k < len(action) for k in range(kept)] for action in actions], device=losses.device)
            loss = (losses * mask).sum() / count
            loss.backward()
            total += loss.item()
        return total

    return arm


def peak(arm: Callable[[], float]) -> tuple[float, float]:
    """Runs an arm; returns its loss and the MiB that it allocates beyond the memory in use before."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        return arm(), float(torch.cuda.max_memory_allocated() - before) / 2**20
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the high-water mark starts again
    before = status("VmRSS")
    return arm(), (status("VmHWM") - before) / 2**10


def status(name: str) -> int:
    """Returns a figure of this process's status in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def apart(arm: Callable[[], float]) -> Callable[[], float]:
    """Returns an arm that reads the beginning of every episode, also where all have the same."""

    def reading_apart() -> float:
        with beginnings_apart():
            return arm()

    return reading_apart


def compared(lm: Any, turns: int, episodes: int, repeats: int, tokens: int, system: int) -> dict[str, float]:
    """Measures time and memory of the arms, as ratios to those of the distilling update."""
    student, teacher = lm.model, deepcopy(lm.model).requires_grad_(False)
    with torch.no_grad():
        for weight in teacher.parameters():
            weight.mul_(1.01)  # so that there is something to learn
    vocabulary = student.config.get_text_config().vocab_size
    beginning = tuple(index % vocabulary for index in range(system))
    distilled = [example for seed in range(episodes) for example in episode(seed, turns, vocabulary, beginning)]
    reinforced = [
        replace(e, teacher=None, distillation=0.0, policy_gradient=1.0 if e.episode % 2 else -1.0) for e in distilled
    ]
    judged = [replace(e, finding=Finding(0, Verdict.FAILED, advice=advice(e, vocabulary))) for e in distilled]
    arms = [ours(student, teacher, each, tokens) for each in (distilled, judged, reinforced)]
    names = ["hero", "followed", "grpo"]
    if system:
        arms += [apart(arms[0]), apart(arms[2])]
        names += ["hero apart", "grpo apart"]
    if find_spec("trl"):
        arms.append(trl(student, teacher, distilled, tokens))
        names.append("trl")
    arms[0]()  # memory that libraries allocate once belongs to no arm
    losses, peaks = zip(*map(peak, arms), strict=True)
    memory = dict(zip(names, peaks, strict=True))
    seconds = dict(zip(names, medians(arms, repeats), strict=True))
    row = {"turns": turns, "hero / grpo": seconds["hero"] / seconds["grpo"]}
    row |= {"followed / hero": seconds["followed"] / seconds["hero"], "hero MiB": memory["hero"]}
    if system:
        row |= {f"{name} apart / {name}": seconds[f"{name} apart"] / seconds[name] for name in ("hero", "grpo")}
        row["apart / hero, memory"] = memory["hero apart"] / memory["hero"]
    if "trl" in names:
        row |= {"trl / hero": seconds["trl"] / seconds["hero"], "trl / hero, memory": memory["trl"] / memory["hero"]}
        row["loss difference"] = abs(losses[0] - losses[-1])
    return row


def main(
    model: Annotated[str, typer.Option(help="The model: tiny or smollm2.")] = "tiny",
    episodes: Annotated[int, typer.Option(help="Number of episodes of an update.")] = 4,
    repeats: Annotated[int, typer.Option(help="Repetitions of each arm.")] = 5,
    tokens: Annotated[int, typer.Option(help="Tokens of a micro-batch.")] = 8192,
    system: Annotated[int, typer.Option(help="Tokens of a system prompt that all episodes begin with.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Take a minute: fewer, shorter episodes.")] = False,
) -> None:
    """Compares the update of distillation with that of GRPO, and with TRL's."""
    torch.set_num_threads(threads)
    lm = models.load(model)  # type: ignore[arg-type]
    lengths: tuple[int, ...] = (2, 4, 8, 15)
    if quick:
        lengths, episodes, repeats = ((2,), 1, 1) if model == "smollm2" else ((2, 4), 1, 3)
    rows = [compared(lm, turns, episodes, repeats, tokens, system) for turns in track(lengths, "updating...")]
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:.3g}" for value in row.values()))
    Console().print(table)
    if "trl / hero" not in rows[0]:
        Console(stderr=True).print("TRL is not installed; its arm was left out")
    print(json.dumps({"benchmark": "update", "model": model, "rows": rows}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
