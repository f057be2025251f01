"""Supervised training of a small Llama on weighted rows."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.nn import functional

from benchmarks.tiny.rows import Row


def new_model(vocabulary: int, layers: int, heads: int, width: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=width * 5 // 2,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=64,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=vocabulary - 1,
        pad_token_id=None,
        initializer_range=0.05,
    )
    return LlamaForCausalLM(config)


def batches(rows: Sequence[Row], tokens: int, rng: random.Random) -> Iterator[list[Row]]:
    """Batches of rows of like length, at most `tokens` padded tokens each, in random order; one pass over the rows."""
    order = sorted(range(len(rows)), key=lambda place: (len(rows[place].ids) // 16, rng.random()))
    groups: list[list[Row]] = [[]]
    for place in order:
        if (len(groups[-1]) + 1) * (len(rows[place].ids) + 15) > tokens and groups[-1]:
            groups.append([])
        groups[-1].append(rows[place])
    rng.shuffle(groups)
    yield from groups


def loss_of(model: Any, rows: Sequence[Row]) -> tuple[torch.Tensor, float]:
    """Weighted mean negative log-likelihood, and the share of greedily right tokens among those of weight 1."""
    length = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    weights = torch.zeros(len(rows), length)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = torch.tensor(row.ids)
        weights[place, : len(row.ids)] = torch.tensor(row.weights)
    # Padding is on the right, so causal attention alone keeps it out.
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    weights, targets = weights[:, 1:], ids[:, 1:]
    used = weights > 0
    logits = model.lm_head(hidden[used])
    losses = functional.cross_entropy(logits, targets[used], reduction="none")
    full = weights[used] == 1
    right = (logits.argmax(-1) == targets[used])[full].float().mean().item()
    return (losses * weights[used]).sum() / weights[used].sum(), right


def fit(
    model: Any,
    batch_stream: Iterator[list[Row]],
    steps: int,
    learning_rate: float,
    log: Callable[[int, float, float, float], None],
    log_every: int = 25,
) -> None:
    """Muon for the matrices, AdamW for the rest, with a linear warm-up and a cosine decay to a tenth.

    Under Muon (Jordan et al. 2024) the heads that find equal words appeared sooner than under AdamW alone.
    """
    matrices = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in name]
    others = [weight for name, weight in model.named_parameters() if weight.ndim != 2 or "embed" in name]
    optimizers = (
        torch.optim.Muon(matrices, lr=2 * learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.01),
    )
    warmup = max(1, min(50, steps // 10))

    def rate(step: int) -> float:
        progress = max(0.0, (step - warmup) / max(1, steps - warmup))
        return min(1.0, (step + 1) / warmup) * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, progress))))

    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, rate) for optimizer in optimizers]
    model.train()
    start, losses, rights = time.perf_counter(), [], []
    for step in range(steps):
        loss, right = loss_of(model, next(batch_stream))
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        losses.append(loss.item())
        rights.append(right)
        if (step + 1) % log_every == 0:
            recent = slice(-log_every, None)
            count = len(losses[recent])
            log(step + 1, sum(losses[recent]) / count, sum(rights[recent]) / count, time.perf_counter() - start)
    model.eval()
