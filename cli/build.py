"""From settings to the blocks of a run: what is cheap first, so that mistakes show before a model is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hero import registry
from hero.errors import ConfigError, DataError, RunError
from hero.runs.reader import Checkpoint, read_config, read_latest

from .provenance import as_it_was, of_model, require_same, run_of, source_of, today
from .settings import FIELDS, Settings

if TYPE_CHECKING:
    from hero.distill.base import Learner, Trainer
    from hero.envs.base import TextEnv
    from hero.policy import Policy
    from hero.reflect.base import Reflector

PARALLEL: Final = 64
"""Episodes that are under way at a time, at most: their prompts are answered in one batch."""
TRAIN_EXTRA: Final = ("torch", "transformers", "safetensors")


def require_train_extra() -> None:
    """Says in time what is missing.

    Raises:
        ConfigError: a package of the extra `train` is not installed.
    """
    if missing := [name for name in TRAIN_EXTRA if find_spec(name) is None]:
        raise ConfigError(f"{', '.join(missing)} not installed; run: pip install 'hero-agents[train]'")


def use_threads(threads: int) -> None:
    """Sets the number of threads and lets idle ones sleep; torch reads this when it is imported."""
    for library in ("OMP", "MKL"):  # a number of MKL's would go before that of OpenMP
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def make_envs(name: str, split: str, count: int, arguments: dict[str, Any]) -> list[TextEnv]:
    """Separate environments of one split.

    Raises:
        ConfigError: nobody registered the name, or the environment does not take an argument or its value.
    """
    from hero import envs

    return [envs.make(name, split=split, **arguments) for _ in range(min(count, PARALLEL))]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model as it is asked for.

    Attributes:
        source: a registered name, a directory, hub name or GGUF file, or a run directory for its newest checkpoint.
        chat_args: variables of its chat template.
        date: what its chat template is shown as today, as `2026-11-26`; None for today.
    """

    source: str
    chat_args: Mapping[str, Any] = field(default_factory=dict)
    date: str | None = None


def load_model(wanted: str | Wanted) -> Any:
    """The language model that is asked for.

    Raises:
        ConfigError: there is none, or it takes no such arguments.
        RunError: the run cannot be read, has no complete step yet, or its model has changed since.
    """
    if isinstance(wanted, str):
        wanted = Wanted(wanted)
    source = wanted.source
    if source == "hf":
        raise ConfigError("--model hf says not which model: give its directory, hub name or GGUF file instead")
    known = registry.names("hero.models")
    if source in known:
        if wanted.chat_args:
            raise ConfigError(
                f"--chat-arg does nothing with --model {source}, which has no chat template; leave it out"
            )
        return registry.build("hero.models", source)
    if run := run_of(source):
        return _trained(run, wanted)
    if (close := get_close_matches(source, known, n=1, cutoff=0.8)) and not os.path.exists(source):
        raise ConfigError(f"there is no model {source!r}; did you mean {close[0]!r}?")
    lm = registry.build(
        "hero.models", "hf", source=source, template_args=wanted.chat_args or None, date=wanted.date or today()
    )
    if (
        folder := Path(source).parent
    ).name == "snapshots":  # of the hub's cache: models--OWNER--NAME/snapshots/REVISION
        lm.name = folder.parent.name.rpartition("--")[2]
    return lm


def _trained(run: Path, wanted: Wanted) -> Any:
    """The model of a run as it is after its newest complete step."""
    config = read_config(run)
    source = source_of(run)
    then = config.provenance.get("model")
    if then is not None or run_of(source):
        with as_it_was(run, "model", ConfigError, DataError):
            now = of_model(source)
        require_same(run, "model", then or now, now)
    chat_args = {**config.settings.get("chat_args", {}), **wanted.chat_args}
    lm = load_model(Wanted(source, chat_args, wanted.date or config.provenance.get("date")))
    from hero.distill.state import MODEL, read_weights, widen

    widen(lm.model)

    def read(checkpoint: Checkpoint) -> bool:
        read_weights(lm.model, checkpoint.trainer / MODEL)
        return True

    if read_latest(run, read) is None:
        raise RunError(f"{run} has no complete step yet; take its model, {source}, or resume it first")
    return lm


@dataclass(frozen=True, slots=True)
class ShortReplies:
    """A language model whose policies cut actions off after so many tokens.

    Raises:
        ConfigError: that many leave no room for a prompt.
    """

    lm: Any
    max_new_tokens: int

    def __post_init__(self) -> None:
        _require_room(self.lm, "--action-tokens", self.max_new_tokens)

    @property
    def model(self) -> Any:
        return self.lm.model

    @property
    def chat(self) -> Any:
        return self.lm.chat

    @property
    def name(self) -> str:
        name: str = self.lm.name
        return name

    def policy(self, *, temperature: float, version: int = 0) -> Policy:
        policy: Policy = self.lm.policy(temperature=temperature, version=version, max_new_tokens=self.max_new_tokens)
        return policy


def _require_room(lm: Any, option: str, tokens: int) -> None:
    if tokens >= lm.context_length:
        raise ConfigError(
            f"{option} {tokens} leaves no room for a prompt: {lm.name} has {lm.context_length} tokens; give fewer"
        )


def check_components(settings: Settings) -> None:
    """Looks up every component by name and checks its options, without building anything.

    Raises:
        ConfigError: nobody registered a name, or the component refuses an option.
    """
    registry.check("hero.learners", settings.learner, settings.learner_args, later=["teacher"])
    for group, name, options, later in (
        ("hero.reflectors", settings.reflector, settings.reflector_args, "student"),
        ("hero.teachers", settings.teacher, settings.teacher_args, ""),
    ):
        if name is not None:
            registry.check(group, name, options, later=[later])
        elif options:
            kind = group.removeprefix("hero.").removesuffix("s")
            raise ConfigError(f"--{kind}-arg does nothing with --learner {settings.learner}; leave it out")


def make_learner(settings: Settings) -> Learner:
    """Builds the learner, with its teacher if it takes one.

    Raises:
        ConfigError: it takes no teacher, and options of one were given.
    """
    takes_teacher = "teacher" in registry.parameters(registry.load("hero.learners", settings.learner))
    if settings.teacher_args and not takes_teacher:
        raise ConfigError(f"--teacher-arg does nothing with --learner {settings.learner}; leave it out")
    teacher: dict[str, Any] = {}
    if settings.teacher is not None and takes_teacher:
        teacher["teacher"] = registry.build("hero.teachers", settings.teacher, **settings.teacher_args)
    learner: Learner = registry.build("hero.learners", settings.learner, **settings.learner_args, **teacher)
    return learner


def make_reflector(settings: Settings, lm: Any) -> Reflector | None:
    """Builds the reflector, on the model in training if it has a parameter `student`; None if there is no reflector."""
    if settings.reflector is None:
        return None
    asks = "student" in registry.parameters(registry.load("hero.reflectors", settings.reflector))
    student = {"student": lm} if asks else {}
    reflector: Reflector = registry.build("hero.reflectors", settings.reflector, **settings.reflector_args, **student)
    return reflector


def make_trainer(settings: Settings, lm: Any) -> Trainer:
    """Builds the trainer; where the learner distils nothing, it keeps no weights of a teacher."""
    from hero.distill.trainer import TorchTrainer

    own = registry.parameters(TorchTrainer).keys() & FIELDS.keys()
    options = {name: getattr(settings, name) for name in own} | {"teacher_weights": settings.teacher_weights or "live"}
    return TorchTrainer(
        ShortReplies(lm, settings.action_tokens),
        **{name: value for name, value in options.items() if value is not None},
    )
