"""Another model on this machine as reflector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hero import registry
from hero.errors import ConfigError
from hero.models.fingerprint import model_fingerprint
from hero.reflect.model import ModelReflector
from hero.types import JSON, Diagnosis, Trajectory


class LocalReflector:
    """A model that is not trained reviews the episodes, greedily, on this machine (2606.11559, external reflector).

    It may be larger than the student, or the model that the student starts from: reviews by the student change as it
    learns, and these do not.

    Args:
        model: a registered model, such as `tiny`, a directory, a GGUF file, or a name on the hub.
        template_args: variables of its chat template, such as `enable_thinking`; registered models take none.
        device, dtype: as for `hero.models.load.load`; None for a GPU where there is one, in bfloat16.
        max_new_tokens: number of tokens after which a review is cut off.

    Raises:
        ConfigError: there is no such model, it cannot be loaded or used, or has no room for `max_new_tokens` tokens.
    """

    def __init__(
        self,
        *,
        model: str,
        template_args: dict[str, Any] | None = None,
        device: str | None = None,
        dtype: str | None = None,
        max_new_tokens: int = 256,
    ) -> None:
        given = {"template_args": template_args, "device": device, "dtype": dtype}
        options: Mapping[str, JSON] = {name: value for name, value in given.items() if value}
        self._source = model
        if registry.is_known("hero.models", model) and model != "hf":
            self._lm = registry.build("hero.models", model, **options)
        else:
            self._lm = registry.build("hero.models", "hf", source=model, **options)
        self.name = f"local:{self._lm.name}"
        if not 0 < max_new_tokens < self._lm.context_length:
            raise ConfigError(
                f"max_new_tokens = {max_new_tokens} of the reflector local leaves no room for a prompt: {model} has "
                f"{self._lm.context_length} tokens; give at least 1 and fewer than that"
            )
        self._max_new_tokens = max_new_tokens

    def provenance(self) -> dict[str, Any]:
        """Returns the hash of the model's files, and for a model of the hub its revision; empty where not known."""
        identity = model_fingerprint(self._source)
        return {name: identity[name] for name in ("revision", "sha256") if name in identity}

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns one diagnosis per trajectory, as `ModelReflector.reflect`."""
        # A new policy each time, since a resumed run could not restore what an old one keeps of earlier episodes.
        policy = self._lm.policy(temperature=0.0, max_new_tokens=self._max_new_tokens)
        return ModelReflector(policy, self.name).reflect(trajectories)
