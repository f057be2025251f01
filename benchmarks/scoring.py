"""Measures the time that one pass for all teacher prompts of an episode saves: `python -m benchmarks.scoring`.

Two arms in one process on the same episodes compute the teacher's logits of every action token: one reads the shared
prefix of an episode once, the other reads it again at every turn. A third, on request, has the prefix and all suffixes
of an episode in one row, under a four-dimensional mask. The tokens are random, of the lengths that episodes in the
embedded WebShop have, since their values change no cost. Times are medians of repetitions in turn. The last line is a
JSON object of the ratios.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Annotated, Any, Final

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import models
from benchmarks.episodes import ACTION, Ledger, episode, medians
from hero.distill.pack import Row, micro_batches, share_prefixes, student_rows, teacher_rows, tokens_read
from hero.distill.scorer import action_logits, teacher_hidden_states
from hero.models.head import head_logits

TOKENS: Final = 16_384


class Masked:
    """Puts episodes of equal lengths into one row each: [prefix, suffix, suffix, ...].

    Each suffix attends to the part of the prefix that belongs to its turn, and to itself.
    """

    def __init__(self, rows: Sequence[Row], prefixes: Sequence[tuple[int, ...]]) -> None:
        families = [[row for row in rows if row.prefix == index] for index in range(len(prefixes))]
        prefix, family = prefixes[0], families[0]
        self.order = [row.example for family in families for row in family]
        self.ids = torch.tensor(
            [
                [*prefix, *chain.from_iterable(row.ids[row.shared :] for row in family)]
                for prefix, family in zip(prefixes, families, strict=True)
            ]
        )
        positions, predictors = list(range(len(prefix))), []
        seen = torch.ones(self.ids.shape[1], self.ids.shape[1], dtype=torch.bool).tril()
        for row in family:
            start, stop = len(positions), len(positions) + row.suffix_length
            seen[start:stop, row.shared : start] = False
            predictors += range(start + row.spans[0].start - row.shared - 1, stop - 1)
            positions += range(row.shared, len(row.ids))
        self.seen, self.positions, self.predictors = seen[None, None], torch.tensor([positions]), predictors

    def logits(self, model: Any) -> Any:
        """Returns the logits of all action tokens, by example in `order`."""
        own = {name: value.to(model.device) for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        decoded = model.get_decoder()(
            input_ids=own["ids"], attention_mask=own["seen"], position_ids=own["positions"], use_cache=False
        )
        return head_logits(model, decoded.last_hidden_state[:, self.predictors].flatten(0, 1))


@torch.no_grad()
def compared(model: Any, turns: int, episodes: int, repeats: int, masked: bool) -> dict[str, float]:
    """Compares tokens, times and logits of the arms."""
    vocabulary = model.config.get_text_config().vocab_size
    examples = [example for seed in range(episodes) for example in episode(seed, turns, vocabulary)]
    students, rows = student_rows(examples), teacher_rows(examples, Ledger())

    def apart() -> dict[tuple[Row, ...], Any]:
        return {tuple(part): action_logits(model, part) for part in micro_batches(rows, TOKENS)}

    def once() -> dict[tuple[Row, ...], Any]:
        return {
            tuple(part): head_logits(model, states)
            for part, states in teacher_hidden_states(model, rows, students, tokens=TOKENS)
        }

    def by_example(logits: dict[tuple[Row, ...], Any]) -> dict[int, Any]:
        return {
            row.example: of_row
            for part, all_logits in logits.items()
            for row, of_row in zip(part, all_logits.split(ACTION), strict=True)
        }

    slow, fast = by_example(apart()), by_example(once())
    sharing, prefixes = share_prefixes(rows, students)
    arms: list[Callable[[], Any]] = [apart, once]
    if masked:
        together = Masked(sharing, prefixes)
        masked_logits = dict(zip(together.order, together.logits(model).split(ACTION), strict=True))
        arms.append(lambda: together.logits(model))
    seconds_apart, seconds_once, *seconds_masked = medians(arms, repeats)
    tokens_apart, tokens_once = sum(len(row.ids) for row in rows), tokens_read(sharing)
    row = {
        "turns": turns,
        "tokens": tokens_apart / tokens_once,
        "wall": seconds_apart / seconds_once,
        "seconds_once_per_turn": seconds_once / (turns * episodes),
        "difference": max((slow[index] - fast[index]).abs().max().item() for index in slow),
    }
    if masked:
        row["masked"] = seconds_masked[0] / seconds_once
        row["difference_masked"] = max((slow[index] - masked_logits[index]).abs().max().item() for index in slow)
    return row


def main(
    model: Annotated[str, typer.Option(help="The model: tiny or smollm2.")] = "tiny",
    episodes: Annotated[int, typer.Option(help="Number of episodes that are scored together.")] = 4,
    repeats: Annotated[int, typer.Option(help="Repetitions of each arm.")] = 5,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Take a minute: fewer, shorter episodes.")] = False,
    masked: Annotated[bool, typer.Option("--masked", help="Also score in one row under a mask; slow.")] = False,
) -> None:
    """Compares teacher scoring in one pass per episode with one pass per turn."""
    torch.set_num_threads(threads)
    lm = models.load(model)  # type: ignore[arg-type]
    lengths = (2, 4) if quick else (2, 4, 8, 15, 30)
    if quick:
        episodes, repeats = 1, 1 if model == "smollm2" else 3
    rows = [compared(lm.model, turns, episodes, repeats, masked) for turns in track(lengths, "scoring...")]
    columns = ["turns", "tokens", "wall clock", "wall / tokens", "ms per turn, once", "largest difference of logits"]
    table = Table(*columns, *(["masked / once", "its difference"] if masked else []))
    for row in rows:
        cells = [f"{row[name]:.2f} x" for name in ("tokens", "wall")]
        cells += [f"{row['wall'] / row['tokens']:.2f}", f"{1000 * row['seconds_once_per_turn']:.1f}"]
        cells.append(f"{row['difference']:.1e}")
        if masked:
            cells += [f"{row['masked']:.2f}", f"{row['difference_masked']:.1e}"]
        table.add_row(f"{row['turns']:.0f}", *cells)
    Console().print(table)
    print(json.dumps({"benchmark": "scoring", "model": model, "rows": rows}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
