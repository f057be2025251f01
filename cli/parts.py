"""Build the parts of a run, and check those of a resumed one against what it was started with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hero.errors import ConfigError, DataError, HeroError
from hero.processes import Processes
from hero.runs.reader import read_config

from . import build, provenance
from .gpu_memory import GPUMemory
from .interrupt import unmissable
from .model import load_trainable, with_model_defaults
from .settings import Settings

if TYPE_CHECKING:
    from hero.distill.base import Learner
    from hero.distill.trainer import TorchTrainer
    from hero.envs.base import TextEnv
    from hero.reflect.base import Reflector


@dataclass(frozen=True, slots=True)
class Origin:
    """Names where the parts of a run come from; those of a resumed one must be as they were at its start.

    Attributes:
        source: where to load the model from.
        date: the date that chat templates write as today.
        path: the run directory.
        stored: the provenance of a resumed run; empty for a new one, or if the run has none.
    """

    source: str
    date: str
    path: Path
    stored: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path) -> Origin:
        """Returns where the parts of a run that is there come from.

        Raises:
            RunError: the run cannot be read, or does not name its model.
        """
        stored = read_config(path).provenance
        return cls(provenance.model_source(path), stored.get("date", provenance.today()), path, stored)

    def explain_missing(self, part: str, *missing: type[HeroError]) -> AbstractContextManager[None]:
        """Returns a context in which such an error means that data or a model of the resumed run are gone."""
        return provenance.explain_missing(self.path, part, *missing) if part in self.stored else nullcontext()

    def require_same(self, part: str, now: Mapping[str, Any]) -> None:
        """Checks a part of the provenance of a resumed run.

        Raises:
            RunError: it has changed.
        """
        if self.stored:
            provenance.require_same(self.path, part, self.stored.get(part, {}), now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Holds the parts of a run.

    Attributes:
        settings: those of the run, with what the model brings.
        memory: a note about the memory that training takes.
        gpu: measures the memory of each phase of training.
        provenance: that of the run, if it starts here.
    """

    settings: Settings
    envs: list[TextEnv]
    eval_envs: list[TextEnv]
    learner: Learner
    reflector: Reflector | None
    trainer: TorchTrainer
    processes: Processes
    memory: build.MemoryNote
    gpu: GPUMemory
    provenance: dict[str, Any]

    @property
    def all_envs(self) -> list[TextEnv]:
        """Returns those of training, then those of evaluation."""
        return [*self.envs, *self.eval_envs]


@unmissable()
def build_parts(settings: Settings, origin: Origin, processes: Processes) -> Parts:
    """Builds the parts of a run, what takes long last.

    Args:
        processes: those that share the work, which must have the same data and model.

    Raises:
        ConfigError: a component or an option is wrong, or the processes have other data or another model.
        RunError: data or models of a resumed run have changed.
    """
    build.require_train_extra()
    build.check_components(settings)
    build.use_threads(settings.threads)
    envs, eval_envs = _make_envs(settings, origin, processes)
    build.load_rules(envs[0])
    if origin.stored:
        origin.require_same("env", provenance.env_provenance(envs[0]))
        with origin.explain_missing("model", ConfigError, DataError):
            model = provenance.model_provenance(origin.source)
        origin.require_same("model", model)
    learner = build.make_learner(settings)
    lm = load_trainable(origin.source, settings, origin.date)
    settings = with_model_defaults(settings, lm)
    build.use_adapter(settings.record(), lm)
    memory = build.require_memory(settings, lm, processes) if settings.steps != 0 else build.MemoryNote("", fits=True)
    if settings.serve:
        lm = build.served(lm, settings.serve, processes)
    with origin.explain_missing("reflector", ConfigError):
        reflector = build.make_reflector(settings, lm)
    trainer = build.make_trainer(settings, lm, processes)
    device = lm.model.device
    now = provenance.run_provenance(settings, origin.source, envs[0], reflector, origin.date, device.type)
    origin.require_same("reflector", now["reflector"])
    provenance.require_equal(processes.gather([now]))
    return Parts(
        settings=settings,
        envs=envs,
        eval_envs=eval_envs,
        learner=learner,
        reflector=reflector,
        trainer=trainer,
        processes=processes,
        memory=memory,
        gpu=GPUMemory(device),
        provenance=now,
    )


def _make_envs(settings: Settings, origin: Origin, processes: Processes) -> tuple[list[TextEnv], list[TextEnv]]:
    """Returns the environments of training and of evaluation.

    Raises:
        ConfigError: the environment refuses an option, or has fewer validation tasks than the run evaluates on.
        RunError: the data of a resumed run are gone.
    """
    arguments = settings.env_args | origin.stored.get("env", {}).get("arguments", {})
    with origin.explain_missing("env", DataError):
        envs, eval_envs = (
            build.make_envs(settings.env, split, math.ceil(count / processes.size), arguments)
            for split, count in (("train", settings.episodes), ("validation", settings.eval_tasks))
        )
    if settings.eval_tasks > (num_tasks := eval_envs[0].num_tasks):
        raise ConfigError(f"--eval-tasks {settings.eval_tasks}, but there are {num_tasks} validation tasks; give fewer")
    return envs, eval_envs
