"""What an update costs, and what it would cost elsewhere: `python -m benchmarks.update`.

Three arms in one process on the same episodes, each the gradient of a whole update: ours with full-vocabulary
Jensen-Shannon distillation of every turn, ours with GRPO, and, where TRL is installed, the loss of its SDPO trainer
(self-distillation on a privileged context), whose every turn is a row of its own. All with the same micro-batches of
tokens, a teacher of its own weights, and random tokens of the lengths that episodes in the embedded WebShop have. Times
are medians of repetitions in turn. The last line is a JSON object of the ratios.

TRL is no dependency of ours: pip install trl datasets.
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
from benchmarks.episodes import Ledger, episode, medians
from hero.distill.base import Example
from hero.distill.batch import UpdateBatch
from hero.distill.loss import UpdateLoss
from hero.distill.losses import jensen_shannon
from hero.distill.pack import micro_batches, teacher_rows
from hero.models.architecture import context_length


def ours(student: Any, teacher: Any, examples: Sequence[Example], tokens: int) -> Callable[[], float]:
    """The gradient of our update."""
    loss = UpdateLoss(
        student=student,
        teacher=teacher,
        divergence=jensen_shannon,
        clip=0.2,
        micro_batch_tokens=tokens,
    )

    def arm() -> float:
        student.zero_grad(set_to_none=True)
        return loss.backward(UpdateBatch.of(examples, Ledger(), context_length(teacher)))["loss"]

    return arm


def trl(student: Any, teacher: Any, examples: Sequence[Example], tokens: int) -> Callable[[], float]:
    """The gradient of TRL's loss: prompts padded on the left, actions on the right, logits of the actions alone."""
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
            own = [examples[row.spans[0].examples[0]].tokens for row in part]
            actions = [turn.action_ids for turn in own]
            kept = max(map(len, actions))
            logits = student(
                **batch([turn.prompt_ids for turn in own], actions), use_cache=False, logits_to_keep=kept + 1
            ).logits[:, :-1]
            with torch.no_grad():
                told = [row.ids[: row.spans[0].start] for row in part]
                taught = teacher(**batch(told, actions), use_cache=False, logits_to_keep=kept + 1).logits[:, :-1]
            losses = compute_full_logit_self_distillation_loss(logits, taught, distillation_alpha=0.5)
            mask = torch.tensor([[k < len(action) for k in range(kept)] for action in actions], device=losses.device)
            loss = (losses * mask).sum() / count
            loss.backward()
            total += loss.item()
        return total

    return arm


def peak(arm: Callable[[], float]) -> tuple[float, float]:
    """What an arm gives, and the MiB that it needs beyond what is there before it."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        return arm(), float(torch.cuda.max_memory_allocated() - before) / 2**20
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the high-water mark starts again
    before = _status("VmRSS")
    return arm(), (_status("VmHWM") - before) / 2**10


def _status(name: str) -> int:
    """KiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def compared(lm: Any, turns: int, episodes: int, repeats: int, tokens: int) -> dict[str, float]:
    """Time and memory of the arms, as ratios to the distilling update."""
    student, teacher = lm.model, deepcopy(lm.model).requires_grad_(False)
    with torch.no_grad():
        for weight in teacher.parameters():
            weight.mul_(1.01)  # so that there is something to learn
    vocabulary = student.config.get_text_config().vocab_size
    told = [example for number in range(episodes) for example in episode(number, turns, vocabulary)]
    reinforced = [
        replace(e, teacher=None, distillation=0.0, policy_gradient=1.0 if e.episode % 2 else -1.0) for e in told
    ]
    arms = [ours(student, teacher, told, tokens), ours(student, teacher, reinforced, tokens)]
    names = ["hero", "grpo"]
    if find_spec("trl"):
        arms.append(trl(student, teacher, told, tokens))
        names.append("trl")
    arms[0]()  # what the libraries allocate once is nobody's need
    losses, needed = zip(*map(peak, arms), strict=True)
    memory = dict(zip(names, needed, strict=True))
    seconds = dict(zip(names, medians(arms, repeats), strict=True))
    found = {"turns": turns, "hero / grpo": seconds["hero"] / seconds["grpo"], "hero MiB": memory["hero"]}
    if "trl" in names:
        found |= {"trl / hero": seconds["trl"] / seconds["hero"], "trl / hero, memory": memory["trl"] / memory["hero"]}
        found["loss difference"] = abs(losses[0] - losses[2])
    return found


def main(
    model: Annotated[str, typer.Option(help="tiny or smollm2.")] = "tiny",
    episodes: Annotated[int, typer.Option(help="Of an update.")] = 4,
    repeats: Annotated[int, typer.Option(help="Of each arm.")] = 5,
    tokens: Annotated[int, typer.Option(help="Of a micro-batch.")] = 8192,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="In less than a minute: fewer and shorter episodes.")] = False,
) -> None:
    """Compares the update of distillation with that of GRPO, and with TRL's."""
    torch.set_num_threads(threads)
    lm = models.load(model)  # type: ignore[arg-type]
    lengths: tuple[int, ...] = (2, 4, 8, 15)
    if quick:
        lengths, episodes, repeats = ((2,), 1, 1) if model == "smollm2" else ((2, 4), 1, 3)
    found = [compared(lm, turns, episodes, repeats, tokens) for turns in track(lengths, "updating...")]
    table = Table(*found[0])
    for row in found:
        table.add_row(*(f"{value:.3g}" for value in row.values()))
    Console().print(table)
    if "trl / hero" not in found[0]:
        Console(stderr=True).print("TRL is not installed; its arm was left out")
    print(json.dumps({"benchmark": "update", "model": model, "rows": found}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
