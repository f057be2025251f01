"""Another model on this machine as reflector."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Literal

from hero import registry
from hero.errors import ConfigError
from hero.reflect.model import LanguageModelReflector
from hero.runs.reader import is_run_dir


class LocalReflector(LanguageModelReflector):
    """A model that is not trained reviews the episodes, greedily, on this machine (2606.11559, external reflector).

    It may be larger than the student, or the model that the student starts from: reviews by the student change as it
    learns, and these do not. It reads the text of the episodes, since its vocabulary may be another one.

    Args:
        model: a registered model, such as `tiny`, a directory, a GGUF file, or a name on the hub.
        template_args: variables of its chat template, such as `enable_thinking`; registered models take none.
        device: such as `cuda:1` or `cpu`; None for that of the student.
        dtype: precision of the weights; None for bfloat16 on a GPU and float32 elsewhere.
        max_new_tokens: number of tokens after which a review is cut off.
        student: the model in training, on whose device, with whose date in its template and whose limit of keys and
            values it reviews.

    Raises:
        ConfigError: there is no such model, it cannot be loaded or used, or has no room for `max_new_tokens` tokens.
    """

    def __init__(
        self,
        *,
        model: str,
        template_args: dict[str, Any] | None = None,
        device: str | None = None,
        dtype: Literal["float32", "bfloat16", "float16"] | None = None,
        max_new_tokens: int = 512,
        student: Any = None,
    ) -> None:
        _require_model(model)
        if device is None and hasattr(student, "model"):
            device = str(student.model.device)
        if registry.is_known("hero.models", model):
            if template_args:
                raise ConfigError(f"template_args = {template_args} do nothing with {model}; leave them out")
            lm = registry.build("hero.models", model)
            from hero.models.load import placement

            place, kind = placement(device, dtype)
            lm.model.to(device=place, dtype=kind)
            name = model
        else:
            date = getattr(getattr(student, "chat", None), "date", None)
            options = {"template_args": template_args, "date": date, "device": device, "dtype": dtype}
            lm = registry.build("hero.models", "hf", source=model, **options)
            name = lm.name
        lm.kv_cache_bytes = getattr(student, "kv_cache_bytes", lm.kv_cache_bytes)
        super().__init__(lm, f"local:{name}", max_new_tokens=max_new_tokens, own_ids=False)
        self._source = model

    def provenance(self) -> dict[str, Any]:
        """Returns the hash of the model's files, and for a model of the hub its revision; empty where not known."""
        from hero.models.fingerprint import model_fingerprint  # which loads torch

        identity = model_fingerprint(self._source)
        return {name: identity[name] for name in ("revision", "sha256") if name in identity}


def _require_model(model: str) -> None:
    """Refuses what cannot be the name or the place of a model."""
    if not model or model == "hf":
        raise ConfigError(
            f"model = {model!r} of the reflector local names no model; give a directory, a GGUF file, a name on the "
            "hub, or tiny"
        )
    if model.startswith("openai:"):
        raise ConfigError(f"model = {model!r} is not on this machine; take the reflector {model}")
    if is_run_dir(Path(model).expanduser()):
        raise ConfigError(
            f"model = {model!r} of the reflector local is a run; write its model first (hero "
            f"export {shlex.quote(model)} DIR), and give DIR"
        )
