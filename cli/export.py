"""`hero export`: write a trained model for transformers, PEFT and vLLM, or the episodes of a run as a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import typer

from hero.errors import ConfigError, RunError

from . import build
from .model import CheckpointOption, ModelArgument, ModelChoice, load_checkpoint
from .provenance import model_source, run_dir_of
from .terminal import console, loading, report_errors, warn


@report_errors
def export(
    model: ModelArgument,
    out: Annotated[
        Path, typer.Argument(help="Directory to write, or file.jsonl or file.parquet; nothing may be there yet.")
    ],
    what: Annotated[
        Literal["model", "episodes", "sft", "preferences"],
        typer.Option(
            "--as",
            help="The model; or every episode with its diagnosis; or the conversations of solved episodes; or pairs of "
            "the advised action and the one that was taken.",
        ),
    ] = "model",
    checkpoint: CheckpointOption = None,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Add an adapter (--lora) to the weights and write those, instead of it alone."),
    ] = False,
) -> None:
    """Write a trained model, or the episodes of a run, so that other programs load it.

    The directory holds configuration, weights and tokenizer with its chat template, as transformers and vLLM read them.
    Of a run with --lora it holds the adapter alone, as PEFT and vLLM read it beside its base; --merge writes a whole
    model. `hero run --model DIR` and `hero eval DIR` read it, too.

    With --as, the training episodes of a run become a dataset of JSON lines or Parquet: datasets.load_dataset reads
    it, and trainers of conversations (sft) and of preferences do.
    """
    from hero.look.notes import require_outside
    from hero.look.rows import SUFFIXES

    run = run_dir_of(model)
    require_outside(out)
    if what != "model":
        _export_episodes(model, run, out, what, idle={"--checkpoint": checkpoint, "--merge": merge})
        return
    if out.suffix in SUFFIXES:
        raise ConfigError(f"{out} is the name of a dataset; give a directory, or --as episodes, sft or preferences")
    if checkpoint and not run:
        raise ConfigError(f"--checkpoint {checkpoint} does nothing with {model}, which is not a run; leave it out")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ConfigError(f"{out} exists already; give a directory that does not")
    with loading(model):
        build.require_train_extra()
        from hero.models.export import export_adapter, export_model
        from hero.models.lora import is_adapted, merge_adapter

        lm, step = load_checkpoint(ModelChoice(model, checkpoint=checkpoint or "best"))
    if not hasattr(lm, "model"):
        raise ConfigError(f"{model} has no weights here, so there is nothing to export")
    adapted = is_adapted(lm.model)
    if merge and not adapted:
        raise ConfigError(f"--merge does nothing with {model}, which has no adapter; leave it out")
    if adapted and not merge and run and run_dir_of(model_source(run)):
        raise ConfigError(f"the base of {model} is another run, which PEFT cannot load; give --merge for a whole model")
    with console(errors=True).status(f"writing {out} ..."), _whole(out) as scratch:
        if adapted and not merge and run:
            export_adapter(lm, scratch, model_source(run))
        else:
            if adapted:
                merge_adapter(lm.model)
            export_model(lm, scratch)
    written = "adapter" if adapted and not merge else "model"
    of = model if step is None else f"{model} ({checkpoint or 'best'} checkpoint, step {step})"
    console().print(f"{written} of {of} written to {out}", markup=False)


def _export_episodes(model: str, run: Path | None, out: Path, what: str, idle: Mapping[str, Any]) -> None:
    """Writes the training episodes of a run as a dataset."""
    from hero.look.entries import read_entries
    from hero.look.rows import LAYOUTS, write_rows

    if run is None:
        raise ConfigError(f"{model} is not a run, so it has no episodes to export; give the --out of hero run")
    for name, value in idle.items():
        if value:
            raise ConfigError(f"{name} does nothing with --as {what}; leave it out")
    if out.exists():
        raise ConfigError(f"{out} exists already; give a file that does not")
    entries = read_entries(run, ["training"])
    count = write_rows(out, LAYOUTS[what](entries))
    console().print(f"{count} rows ({what}) of {model} written to {out}", markup=False)
    solved = sum(entry.trajectory.success for entry in entries)
    if what == "sft" and count < solved:
        left_out = f"{solved - count} of {solved} solved episodes are left out"
        warn(console(errors=True), f"{left_out}: they are not one conversation")


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """Gives a directory to write into, which becomes `out` if the block ends well, and is removed otherwise."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
            whole = Path(scratch) / out.name
            whole.mkdir()
            yield whole
            whole.replace(out)
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error}; free some space, or give another directory") from error
