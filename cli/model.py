"""Load the model that a user asks for, be it registered, a file, a name of the hub, or the result of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hero import registry
from hero.errors import ConfigError, DataError, RunError
from hero.runs.reader import Checkpoint, read_config, read_latest

from .provenance import explain_missing, model_provenance, model_source, require_same, run_dir_of, today


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model as the user asks for it.

    Attributes:
        source: a registered name, a directory, hub name or GGUF file, or a run directory for its newest checkpoint.
        chat_args: variables of its chat template.
        date: the date that its chat template writes as today, such as `2026-11-26`; None for today.
    """

    source: str
    chat_args: Mapping[str, Any] = field(default_factory=dict)
    date: str | None = None


def load_model(choice: ModelChoice, action_tokens: int) -> Any:
    """Returns the language model of a choice, whose policies cut actions off after `action_tokens` tokens.

    Raises:
        ConfigError: there is no such model, it does not take the `chat_args`, or has no room for that many tokens.
        RunError: the run cannot be read, has no complete step yet, or its model has changed since.
    """
    lm = _load(choice)
    if action_tokens >= lm.context_length:
        raise ConfigError(
            f"--action-tokens {action_tokens} leaves no room for a prompt: {lm.name} has {lm.context_length} tokens; "
            "give fewer"
        )
    lm.max_new_tokens = action_tokens
    return lm


def _load(choice: ModelChoice) -> Any:
    source = choice.source
    if source == "hf":
        raise ConfigError("--model hf needs a model: give its directory, hub name or GGUF file instead")
    names = registry.names("hero.models")
    if source in names:
        if choice.chat_args:
            raise ConfigError(
                f"--chat-arg does nothing with --model {source}, which has no chat template; leave it out"
            )
        return registry.build("hero.models", source)
    if run := run_dir_of(source):
        return _load_trained(run, choice)
    if (close := get_close_matches(source, names, n=1, cutoff=0.8)) and not os.path.exists(source):
        raise ConfigError(f"there is no model {source!r}; did you mean {close[0]!r}?")
    template_args, date = choice.chat_args or None, choice.date or today()
    lm = registry.build("hero.models", "hf", source=source, template_args=template_args, date=date)
    folder = Path(source).parent
    if folder.name == "snapshots":  # in the hub's cache: models--OWNER--NAME/snapshots/REVISION
        lm.name = folder.parent.name.rpartition("--")[2]
    return lm


def _load_trained(run: Path, choice: ModelChoice) -> Any:
    """Returns the model of a run as it is after its newest complete step."""
    config = read_config(run)
    source = model_source(run)
    stored = config.provenance.get("model")
    if stored is not None or run_dir_of(source):
        with explain_missing(run, "model", ConfigError, DataError):
            now = model_provenance(source)
        require_same(run, "model", stored or now, now)
    chat_args = {**config.settings.get("chat_args", {}), **choice.chat_args}
    lm = _load(ModelChoice(source, chat_args, choice.date or config.provenance.get("date")))
    from hero.distill.state import MODEL, read_weights, widen

    widen(lm.model)

    def read(checkpoint: Checkpoint) -> bool:
        read_weights(lm.model, checkpoint.trainer / MODEL)
        return True

    if read_latest(run, read) is None:
        raise RunError(f"{run} has no complete step yet; take its model, {source}, or resume it first")
    return lm
