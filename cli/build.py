"""Build the components of a run from its settings."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hero import registry
from hero.errors import ConfigError, naming_extra
from hero.processes import ALONE, Processes

from .learner import read_learner
from .options import as_options
from .settings import FIELDS, Settings
from .terminal import warn_on_error

if TYPE_CHECKING:
    from hero.distill.base import Learner
    from hero.distill.memory import MemoryEstimate
    from hero.distill.trainer import TorchTrainer
    from hero.envs.base import TextEnv
    from hero.reflect.base import Reflector

MAX_PARALLEL: Final = 64
"""Maximum number of episodes under way at a time, whose prompts are answered in one batch."""
TRAIN_EXTRA: Final = ("torch", "transformers", "safetensors")


def require_train_extra() -> None:
    """Checks that the packages that training needs are installed.

    Raises:
        ConfigError: a package of the extra `train` is not installed.
    """
    if missing := [name for name in TRAIN_EXTRA if find_spec(name) is None]:
        raise ConfigError(f"{', '.join(missing)} not installed; run: pip install 'hero-agents[train]'")


def use_threads(threads: int) -> None:
    """Sets the number of threads and lets idle ones sleep; torch reads this when it is imported."""
    for library in ("OMP", "MKL"):  # MKL_NUM_THREADS takes precedence over OMP_NUM_THREADS
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def make_envs(name: str, split: str, count: int, arguments: dict[str, Any]) -> list[TextEnv]:
    """Builds separate environments of one split, at most `MAX_PARALLEL` of them.

    Raises:
        ConfigError: nobody registered the name, or the environment refuses an option.
    """
    from hero import envs

    declared = registry.parameters(registry.check("hero.envs", name, arguments, later=["split"])).values()
    if not any(each.name == "split" or each.kind is each.VAR_KEYWORD for each in declared):
        raise ConfigError(
            f"the environment {name!r} has no parameter split, which names the set of tasks; add it there"
        )
    made = [envs.make(name, split=split, **arguments) for _ in range(min(count, MAX_PARALLEL))]
    if len({id(env.unwrapped) for env in made}) < len(made):
        raise ConfigError(f"the environment {name!r} returns one instance again and again; return a new one each time")
    return made


def load_rules(env: TextEnv) -> None:
    """Imports the rules of an environment, if there are any, so that a broken package is named before anything runs."""
    from hero.reflect.rules import rules_of

    rules_of(env.env_id)


@contextmanager
def closing(envs: Iterable[TextEnv]) -> Iterator[None]:
    """Closes environments at the end of the block, whatever ends it; what a close raises is a warning."""
    try:
        yield
    finally:
        for env in envs:
            with warn_on_error("an environment could not be closed"):
                env.close()


def check_components(settings: Settings) -> None:
    """Looks up every component by name and checks its options, without building anything.

    Raises:
        ConfigError: nobody registered a name, or the component refuses an option.
    """
    from hero.reflect.base import check_wrapped

    read_learner(settings.learner).check(settings.learner_args)
    for group, name, options, later in (
        ("hero.reflectors", settings.reflector, settings.reflector_args, "student"),
        ("hero.teachers", settings.teacher, settings.teacher_args, ""),
    ):
        if name is not None:
            registry.check(group, name, options, later=[later])
        elif options:
            kind = group.removeprefix("hero.").removesuffix("s")
            raise ConfigError(f"--{kind}-arg does nothing with --learner {settings.learner}; leave it out")
    if settings.reflector is not None:
        check_wrapped(settings.reflector, settings.reflector_args)


def make_learner(settings: Settings) -> Learner:
    """Builds the learner, with the teacher if it takes one."""
    teacher = None
    if settings.teacher is not None:
        teacher = registry.build("hero.teachers", settings.teacher, **settings.teacher_args)
        _require_method("teacher", settings.teacher, teacher, "context")
    learner = read_learner(settings.learner).build(settings.learner_args, teacher)
    _require_method("learner", settings.learner, learner, "examples")
    return learner


def _require_method(kind: str, name: str, component: Any, method: str) -> None:
    """Refuses what was built by a name if it is nothing of that kind.

    Raises:
        ConfigError: it has no such method.
    """
    if not callable(getattr(component, method, None)):
        raise ConfigError(f"the {kind} {name} is {component!r:.80}, which has no method {method}")


def make_reflector(settings: Settings, lm: Any) -> Reflector | None:
    """Builds the reflector, which is given the model in training if it has a parameter `student`; None without one."""
    from hero.reflect.base import build_reflector

    if settings.reflector is None:
        return None
    reflector = build_reflector(settings.reflector, settings.reflector_args, lm)
    _require_method("reflector", settings.reflector, reflector, "reflect")
    return reflector


def use_adapter(settings: Mapping[str, Any], lm: Any) -> None:
    """Adds the adapter of a run, if it trains one; one that the model has already is merged into its weights first.

    Args:
        settings: those of the run, by name.
    """
    from hero.models.lora import add_adapter, is_adapted, merge_adapter

    if is_adapted(lm.model):
        merge_adapter(lm.model)
    if rank := settings["lora"]:
        targets = [name.strip() for name in settings["lora_targets"].split(",") if name.strip()]
        add_adapter(lm.model, rank=rank, alpha=settings["lora_alpha"], targets=targets, seed=settings["seed"])


def served(lm: Any, url: str, processes: Processes) -> Any:
    """Returns the model as one that acts on a server; OPENAI_API_KEY holds its key, if it needs one."""
    with naming_extra("users"):
        from hero.models.served import ServedModel
    return ServedModel.of(lm, url, key=os.environ.get("OPENAI_API_KEY", ""), processes=processes)


class MemoryNote(NamedTuple):
    """A sentence about the memory that training takes in each process, and whether the device has as much."""

    text: str
    fits: bool


def require_memory(settings: Settings, lm: Any, processes: Processes = ALONE) -> MemoryNote:
    """Compares the memory that training takes with that of the device, and says what would fit where it does not.

    Raises:
        ConfigError: the weights alone, with gradient and optimiser, do not fit.
    """
    from hero.distill.memory import GIB, ModelSize, device_memory, estimate_memory

    size = ModelSize.of(lm.model)
    names = ("lora", "gradient_checkpointing", "micro_batch_tokens", "shard", "kv_cache_gib")
    given = {name: getattr(settings, name) for name in names}

    def needed(options: Mapping[str, Any]) -> MemoryEstimate:
        weights = settings.teacher_weights or "live"
        sequences = 0 if settings.serve else min(MAX_PARALLEL, math.ceil(settings.episodes / processes.size))
        others = {name: value for name, value in options.items() if name not in ("shard", "kv_cache_gib")}
        shards = processes.size if options["shard"] else 1
        return estimate_memory(
            size,
            teacher_weights=weights,
            sequences=sequences,
            kv_cache_bytes=round(options["kv_cache_gib"] * GIB),
            max_tokens=settings.max_tokens,
            shards=shards,
            **others,
        )

    estimate, available = needed(given), device_memory(lm.model.device)
    if not available or estimate.peak <= available:
        limit = f" of {available / GIB:.1f}" if available else ""
        where = " in each process" if processes.size > 1 else ""
        return MemoryNote(f"training takes up to {estimate.peak / GIB:.1f}{limit} GiB{where}", fits=True)
    recompute, adapt = {"gradient_checkpointing": True}, {"lora": settings.lora or 16}
    fewer = ({"micro_batch_tokens": 2**power} for power in (13, 11, 9))
    less: list[dict[str, Any]] = [recompute, adapt, recompute | adapt, *(recompute | adapt | each for each in fewer)]
    smaller = {"kv_cache_gib": min(settings.kv_cache_gib, 2.0)}
    less = [smaller, *less, *(each | smaller for each in less)]
    if processes.size > 1:
        less = [{"shard": True}, *(each | {"shard": True} for each in less)]
    fitting = (options for options in less if needed(given | options).peak <= available)
    remedy = "take a smaller model, or another device"
    if options := next(fitting, None):
        changed = {name: value for name, value in options.items() if value != given[name]}
        remedy = f"{' '.join(as_options(changed))} would fit"
    text = f"training takes about {estimate}, and there are {available / GIB:.1f} GiB; {remedy}"
    if estimate.always > available:
        raise ConfigError(text)
    return MemoryNote(text, fits=False)


def make_trainer(settings: Settings, lm: Any, processes: Processes = ALONE) -> TorchTrainer:
    """Builds the trainer; where the learner distils nothing, it keeps no weights of a teacher."""
    from hero.distill.trainer import TorchTrainer

    names = registry.parameters(TorchTrainer).keys() & FIELDS.keys()
    options = {name: getattr(settings, name) for name in names}
    options["teacher_weights"] = settings.teacher_weights or "live"
    options["shard"] = settings.shard and processes.size > 1  # a run goes on with any number of processes
    given = {name: value for name, value in options.items() if value is not None}
    return TorchTrainer(lm, processes=processes, **given)
