"""Load the model that a user asks for, be it registered, a file, a name of the hub, or the result of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from hero import registry
from hero.errors import ConfigError, DataError, RunError, naming_extra
from hero.models.source import local_path
from hero.runs.reader import Checkpoint, WhichCheckpoint, read_checkpoint, read_config

from .build import use_adapter
from .provenance import explain_missing, model_provenance, model_source, require_same, run_dir_of, today
from .settings import Settings
from .terminal import with_default

LORA_RATE: Final = 10
"""Learning rate of an adapter as a multiple of that of all weights (Schulman et al. 2025, LoRA Without Regret)."""
ModelArgument: TypeAlias = Annotated[
    str, typer.Argument(help="A run directory, or a model: tiny, tiny-taubench, a directory, hub name or GGUF file.")
]
CheckpointOption: TypeAlias = Annotated[
    WhichCheckpoint | None,
    typer.Option(
        help=with_default(
            "Which checkpoint of a run: the one with the highest sampled success on validation tasks, or the last.",
            "best",
        ),
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model as the user asks for it.

    Attributes:
        source: a registered name, a directory, hub name or GGUF file, or a run directory.
        chat_args: variables of its chat template.
        date: the date that its chat template writes as today, such as `2026-11-26`; None for today.
        checkpoint: which checkpoint of a run.
        device, dtype: as for `hero.models.load.load`.
    """

    source: str
    chat_args: Mapping[str, Any] = field(default_factory=dict)
    date: str | None = None
    checkpoint: WhichCheckpoint = "best"
    device: str | None = None
    dtype: Any = None

    @classmethod
    def of(cls, source: str, given: Mapping[str, Any], checkpoint: WhichCheckpoint = "best") -> ModelChoice:
        """Returns the choice of a user who gave some settings to play with."""
        placed = {name: given.get(name) for name in ("device", "dtype")}
        return cls(source, given.get("chat_args", {}), checkpoint=checkpoint, **placed)


def load_model(choice: ModelChoice, settings: Settings) -> Any:
    """Returns the language model of a choice, whose policies have the limits of the settings.

    Raises:
        ConfigError: there is no such model, it does not take the `chat_args`, or has no room for that many tokens.
        RunError: the run cannot be read, has no complete step yet, or its model has changed since.
    """
    return load_checkpoint(choice, settings)[0]


def load_trainable(source: str, settings: Settings, date: str) -> Any:
    """Returns the language model that a run with these settings trains.

    Args:
        source: where to load it from.
        date: the date that its chat template writes as today.

    Raises:
        ConfigError: as `load_model`; or the model can only be played, such as one behind an endpoint.
        RunError: as `load_model`.
    """
    lm = load_model(
        ModelChoice(source, settings.chat_args, date, device=settings.device, dtype=settings.dtype), settings
    )
    if not hasattr(lm, "model"):
        raise ConfigError(f"--model {source} has no weights to train here; hero eval and hero play take it")
    return lm


def load_checkpoint(choice: ModelChoice, settings: Settings | None = None) -> tuple[Any, int | None]:
    """Returns what `load_model` does, and of a run the step of the checkpoint, None for other models."""
    lm, step = _load(choice)
    if settings is None:
        return lm, step
    lm.max_new_tokens = settings.action_tokens or lm.max_new_tokens
    lm.kv_cache_bytes = round(settings.kv_cache_gib * 2**30)
    if lm.max_new_tokens >= lm.context_length:
        raise ConfigError(
            f"--action-tokens {lm.max_new_tokens} leaves no room for a prompt: {lm.name} has {lm.context_length} "
            "tokens; give fewer"
        )
    return lm, step


def with_model_defaults(settings: Settings, lm: Any) -> Settings:
    """Returns settings with what the loaded model brings, where they leave it open."""
    rate = settings.learning_rate or lm.learning_rate * (LORA_RATE if settings.lora else 1)
    return replace(settings, learning_rate=rate, action_tokens=lm.max_new_tokens)


def _load(choice: ModelChoice) -> tuple[Any, int | None]:
    source = choice.source
    if source == "hf":
        raise ConfigError("--model hf needs a model: give its directory, hub name or GGUF file instead")
    kind, _, name = source.partition(":")
    if kind == "openai" and name:
        if choice.chat_args:
            raise ConfigError(f"--chat-arg does nothing with {source}, whose endpoint writes the prompt; leave it out")
        return _endpoint_model(name), None
    if registry.is_known("hero.models", source):
        if choice.chat_args:
            raise ConfigError(
                f"--chat-arg does nothing with --model {source}, which has no chat template; leave it out"
            )
        lm = registry.build("hero.models", source)
        if not callable(getattr(lm, "policy", None)):
            raise ConfigError(f"the model {source} is {lm!r:.80}, which has no method policy")
        if choice.device or choice.dtype:
            from hero.models.load import placement

            device, dtype = placement(choice.device, choice.dtype)
            lm.model.to(device=device, dtype=dtype)
        return lm, None
    if run := run_dir_of(source):
        return _load_trained(run, choice)
    names = registry.names("hero.models")
    if (close := get_close_matches(source, names, n=1, cutoff=0.8)) and not os.path.exists(source):
        raise ConfigError(f"there is no model {source!r}; did you mean {close[0]!r}?")
    local_path(source)  # a mistake in a path is reported before anything heavy is imported
    template_args, date = choice.chat_args or None, choice.date or today()
    placed = {name: value for name in ("device", "dtype") if (value := getattr(choice, name))}
    lm = registry.build("hero.models", "hf", source=source, template_args=template_args, date=date, **placed)
    folder = Path(source).parent
    if folder.name == "snapshots":  # in the hub's cache: models--OWNER--NAME/snapshots/REVISION
        lm.name = folder.parent.name.rpartition("--")[2]
    return lm, None


def _endpoint_model(name: str) -> Any:
    with naming_extra("users"):
        from hero.endpoint.policy import EndpointModel
    return EndpointModel(name)


def load_start(run: Path, choice: ModelChoice) -> Any:
    """Returns the language model that a run started from, with the adapter that it trains.

    Args:
        choice: the run, what its chat template is given besides, and a precision if not that of the training.

    Raises:
        ConfigError: the model does not take the `chat_args`.
        RunError: the run cannot be read, or its model has changed since.
    """
    return _in_precision(_load_start(run, choice), choice.dtype)


def _load_start(run: Path, choice: ModelChoice) -> Any:
    """Returns what `load_start` does, in the precision of the training."""
    config = read_config(run)
    source = model_source(run)
    stored = config.provenance.get("model")
    if stored is not None or run_dir_of(source):
        with explain_missing(run, "model", ConfigError, DataError):
            now = model_provenance(source)
        require_same(run, "model", stored or now, now)
    chat_args = {**config.settings.get("chat_args", {}), **choice.chat_args}
    date = choice.date or config.provenance.get("date")
    lm, _ = _load(ModelChoice(source, chat_args, date, device=choice.device, dtype=config.settings.get("dtype")))
    from hero.distill.state import widen

    use_adapter(config.settings, lm)
    widen(lm.model)
    return lm


def _in_precision(lm: Any, dtype: Any) -> Any:
    """Converts the weights of a model, unless `dtype` is None, and returns it."""
    if dtype:
        from hero.models.load import placement

        lm.model.to(dtype=placement(str(lm.model.device), dtype)[1])
    return lm


def _load_trained(run: Path, choice: ModelChoice) -> tuple[Any, int]:
    """Returns the model of a run as it is in a checkpoint, and the step of that."""
    from hero.distill.state import MODEL, read_weights

    lm = _load_start(run, choice)

    def read(checkpoint: Checkpoint) -> int:
        read_weights(lm.model, checkpoint.trainer / MODEL)
        return checkpoint.step

    step = read_checkpoint(run, choice.checkpoint, read)
    if step is None:
        raise RunError(f"{run} has no complete step yet; take its model, {model_source(run)}, or resume it first")
    return _in_precision(lm, choice.dtype), step
