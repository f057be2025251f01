"""Logs of a run for TensorBoard and Weights & Biases; nothing is written or sent unless it is asked for."""

from __future__ import annotations

import os
import uuid
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from hero.callback import Callback, Phase
from hero.errors import ConfigError

if TYPE_CHECKING:
    from hero.runs.replica import Replica
    from hero.runs.writer import Run

    from .settings import Settings

LogKind = Literal["tensorboard", "wandb", "none"]
FOLDER: Final = "log"
"""Subdirectory of the run directory for whatever a log writes."""
PACKAGES: Final[Mapping[LogKind, str]] = {"tensorboard": "tensorboardX", "wandb": "wandb"}
FLUSH_SECONDS: Final = 5
TITLE: Final = 60
"""Characters of the title of an alert."""


def require_package(kind: LogKind) -> None:
    """Checks that the package that a log needs is installed.

    Raises:
        ConfigError: it is not.
    """
    if kind == "none":
        return
    spec = find_spec(PACKAGES[kind])
    # A directory of that name, such as the wandb/ that other programs leave behind, is a package without an origin.
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"--log {kind} needs {PACKAGES[kind]}, which is not installed; run: pip install 'hero-agents[{kind}]'"
        )


def scalars(record: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Returns all numbers of a record by the path of their keys, such as `rollout/success`.

    The value of an estimate has the name of the estimate itself, and its bounds are below that name.

    Args:
        prefix: path of the record itself; "" for none.
    """
    flat: dict[str, float] = {}
    for key, value in record.items():
        name = prefix if key == "value" else f"{prefix}/{key}".removeprefix("/")
        if isinstance(value, Mapping):
            flat |= scalars(value, name)
        elif isinstance(value, int | float):
            flat[name] = float(value)
    return flat


def step_scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """Returns the numbers of a row of steps.jsonl but the step, and 1 for each alarm that it raised."""
    return scalars(_without(row, "step") | {"alarms": dict.fromkeys(row["alarms"], 1)}, "")


def evaluation_scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """Returns the numbers of a row of evals.jsonl, such as `eval/sampled/success` and `eval/sampled/success/low`."""
    return scalars(_without(row, "step", "turns"), f"eval/{row['mode']}")


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


class RunLog(Callback):
    """Writes each record of a run once, in the order in which the run makes them.

    Args:
        held: number of records, from the first on, that the log holds already.
    """

    def __init__(self, held: int) -> None:
        self.held = held
        self.step = 0

    @abstractmethod
    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes the numbers of one record."""

    @abstractmethod
    def close(self) -> None:
        """Writes whatever is still in memory."""

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        self.step = step

    def on_step_end(self, row: Mapping[str, Any]) -> None:
        self._add(row["step"], step_scalars(row))

    def on_evaluate(self, row: Mapping[str, Any]) -> None:
        self._add(row["step"], evaluation_scalars(row))

    def _add(self, step: int, values: Mapping[str, float]) -> None:
        if self.held:
            self.held -= 1
        else:
            self.write(step, values)


class TensorBoardLog(RunLog):
    """Writes event files.

    Each start writes the whole log anew, and marks what earlier ones wrote as superseded, which TensorBoard then hides:
    so a run that was killed leaves neither gaps nor points of steps that were cut off.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        from tensorboardX import SummaryWriter

        super().__init__(held=0)
        self.writer = SummaryWriter(str(path / FOLDER), purge_step=0, flush_secs=FLUSH_SECONDS)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def on_warning(self, text: str) -> None:
        self.writer.add_text("alarms", text, self.step)

    def close(self) -> None:
        self.writer.close()


class WandbLog(RunLog):
    """Sends metrics to Weights & Biases, or with WANDB_MODE=offline keeps them in the run directory.

    A run that is resumed goes on in the same run there, with the first record that is missing. Offline it is not known
    what was sent, so that each start writes the whole log anew.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        import wandb

        folder = path / FOLDER
        folder.mkdir(exist_ok=True)
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "hero"),
            name=path.name,
            id=_run_id(folder / "wandb-run-id"),
            resume="allow",
            dir=folder,
            config=settings.record(),
            settings=wandb.Settings(console="off", silent=True),  # the screen belongs to the display of the run
        )
        self.run.define_metric("*", step_metric="step")  # its own axis counts records
        super().__init__(held=self.run.step)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log({"step": step, **values})

    def on_warning(self, text: str) -> None:
        self.run.alert(title=text[:TITLE], text=text, level="WARN")  # of equal titles one a minute is sent

    def close(self) -> None:
        self.run.finish()


def _run_id(file: Path) -> str:
    """Returns the id of a run at Weights & Biases, which is made at its first start."""
    if not file.exists():
        file.write_text(f"{uuid.uuid4().hex}\n", "utf-8")
    return file.read_text("utf-8").strip()


LOGS: Final[Mapping[LogKind, type[TensorBoardLog | WandbLog]]] = {"tensorboard": TensorBoardLog, "wandb": WandbLog}


@contextmanager
def open_log(kind: LogKind, run: Run | Replica, settings: Settings) -> Iterator[Callback]:
    """Opens the log of a run for the block, and writes the records into it that the run has made before.

    Yields:
        A callback that writes what follows; one that does nothing for `none`.
    """
    if kind == "none":
        yield Callback()
        return
    log = LOGS[kind](run.path, settings)
    try:
        steps, evals = ([(row["step"], row) for row in run.rows(name)] for name in ("steps", "evals"))
        before = [*((step, log.on_step_end, row) for step, row in steps)]
        before += [(step, log.on_evaluate, row) for step, row in evals]
        for _, write, row in sorted(before, key=lambda each: each[0]):  # stable: of a step, its evaluations come last
            write(row)
        yield log
    finally:
        log.close()
