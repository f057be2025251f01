"""`hero eval --suite`: measure a model on held-out text; of a run, what it has forgotten since its start."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import typer
from rich.table import Table
from rich.text import Text

from hero.errors import ConfigError
from hero.intervals import Estimate
from hero.suite.items import Item, read_suite
from hero.suite.measures import Measures, Score, compare, measure, worsened

from . import build
from .interrupt import unmissable
from .model import ModelChoice, load_checkpoint, load_start
from .resolve import PLAYED
from .settings import Settings, option
from .terminal import console, progress_bars, with_interval

SUITE_SETTINGS: Final = ("chat_args", "threads", "device", "dtype")
"""Settings that decide how a model answers a suite."""
EPISODES_ONLY: Final = (
    *(name for name in PLAYED if name not in SUITE_SETTINGS),
    *("split", "tasks", "trials", "greedy", "seed", "out"),
)
"""Parameters of `hero eval` that do nothing with a suite."""
WIDE = 120
"""Columns that a terminal needs for values and their intervals side by side."""
WORDS = {"nats": "nats per token", "exact": "exact replies", "well_formed": "well-formed replies"}


def refuse_idle(context: typer.Context, model: str) -> None:
    """Refuses options that a suite has no use for, and models whose probabilities are not known.

    Raises:
        ConfigError: the user gave one.
    """
    if model.startswith("openai:"):
        raise ConfigError(f"--suite needs a model on this machine, whose probabilities it reads, not {model}")
    for name in EPISODES_ONLY:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise ConfigError(f"{option(name)} does nothing with --suite, which plays no episodes; leave it out")


def evaluate_suite(
    file: Path, choice: ModelChoice, run: Path | None, settings: Settings, as_json: bool, begin: Callable[[], None]
) -> None:
    """Measures a model on a suite, or a run at its start and at a checkpoint, and prints the measures.

    Args:
        run: the directory of a run that `choice` names; None for any other model.
        begin: is called when the model is loaded.
    """
    items = read_suite(file)
    build.require_train_extra()
    build.use_threads(settings.threads)
    scores, step = _score(items, choice, run, settings.micro_batch_tokens, begin)
    columns = {name: measure(own) for name, own in scores.items()}
    if run:
        before, after = scores.values()
        columns["difference"] = compare(after, before)
    if as_json:
        record: dict[str, Any] = {"suite": str(file), "model": choice.source}
        record |= {} if step is None else {"step": step}
        record["measures"] = {
            name: {kind: own.record() for kind, own in measures.items()} for name, measures in columns.items()
        }
        record["scores"] = {name: list(map(asdict, own)) for name, own in scores.items()}
        print(json.dumps(record, allow_nan=False))  # noqa: T201
        return
    out = console()
    name = choice.source if step is None else f"{choice.source} ({choice.checkpoint} checkpoint, step {step})"
    out.print(f"{name} on {file} (95 % intervals)", markup=False)
    out.print(suite_table(columns, stacked=out.width < WIDE))
    if run:
        out.print(_verdict(columns["difference"]), markup=False)


@unmissable()
def _score(
    items: Sequence[Item], choice: ModelChoice, run: Path | None, micro_batch_tokens: int, begin: Callable[[], None]
) -> tuple[dict[str, list[Score]], int | None]:
    """Returns the scores of a model; of a run, those of its start and of its checkpoint, and the step of that."""
    from hero.suite.score import score_suite

    lm, step = load_checkpoint(choice)
    begin()
    with progress_bars() as bars:

        def scored(name: str, lm: Any) -> list[Score]:
            bar = bars.add_task(name, total=None)
            return score_suite(
                lm,
                items,
                micro_batch_tokens=micro_batch_tokens,
                on_progress=lambda done, total: bars.update(bar, completed=done, total=total),
            )

        if run is None:
            return {"model": scored("model", lm)}, None
        after = scored("checkpoint", lm)
        del lm  # there may be no memory for two
        return {"start": scored("start", load_start(run, choice)), "checkpoint": after}, step


def suite_table(columns: Mapping[str, Mapping[str, Measures]], *, stacked: bool) -> Table:
    """Returns a table with a row for each kind and each of what was measured.

    Args:
        columns: the measures of each kind, by what was measured, such as a checkpoint.
        stacked: whether intervals stand below their values and the perplexity, which the nats say as well, is left
            out: for narrow terminals.
    """
    kinds = next(iter(columns.values()))
    header = ("kind", "items", *([""] if len(columns) > 1 else []), "nats per token")
    header += (*(() if stacked else ("perplexity",)), "exact %", "well-formed %")
    table = Table(*header, box=None, pad_edge=False, collapse_padding=stacked, header_style="dim")
    for kind in kinds:
        for name, measures in columns.items():
            own, signed = measures[kind], name == "difference"
            is_first = name == next(iter(columns))
            labels = [kind, str(own.items)] if is_first else ["", ""]
            labels += [name] if len(columns) > 1 else []
            perplexity = ("x " if signed else "") + with_interval(own.perplexity, ".3g")
            shares = [_percent(share, signed) for share in (own.exact, own.well_formed)]
            cells = [with_interval(own.nats, "+.3f" if signed else ".3f"), *([] if stacked else [perplexity]), *shares]
            if stacked:
                cells = [cell.replace(" [", "\n[").replace(", ", ",\u00a0") for cell in cells]
            table.add_row(*map(Text, (*labels, *cells)))
    return table


def _verdict(differences: Mapping[str, Measures]) -> str:
    """Returns in a sentence on which kinds of items the checkpoint is worse than the start."""
    worse = {kind: names for kind, own in differences.items() if (names := worsened(own))}
    if not worse:
        return "Nothing forgotten that this suite can show: no interval of a difference lies on the worse side of 0."
    listed = "; ".join(f"{kind} ({', '.join(WORDS[name] for name in names)})" for kind, names in worse.items())
    return f"Worse than at the start, with the whole interval: {listed}"


def _percent(share: Estimate | None, signed: bool) -> str:
    if share is None:
        return "–"
    return with_interval(Estimate(100 * share.value, 100 * share.low, 100 * share.high), "+.1f" if signed else ".1f")
