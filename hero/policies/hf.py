"""Language models that run in this process, through transformers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from hero.chat import StoredChat, TiktokenChat
from hero.errors import ConfigError
from hero.model_config import attends_only
from hero.policies.sampler import TransformersPolicy
from hero.template_chat import TemplateChat

MAX_NEW_TOKENS: Final = 256


@dataclass
class LanguageModel:
    """A causal language model and the chat that it reads: what learner, policy and reflector share.

    Attributes:
        model: a `transformers` causal language model all of whose layers are attention.
        batch_tokens: decode that many padded tokens at a time, at most (but always one row): bounds the memory for
            keys and values.
    """

    model: Any
    chat: StoredChat
    name: str
    batch_tokens: int = 65_536

    @property
    def context(self) -> int:
        """The most tokens that the model can attend to."""
        context: int = self.model.config.get_text_config().max_position_embeddings
        return context

    def policy(
        self, *, temperature: float = 1.0, seed: int = 0, max_new_tokens: int = MAX_NEW_TOKENS, version: int = 0
    ) -> TransformersPolicy:
        """A policy on the current weights (no copy).

        Args:
            temperature: of sampling; 0 is greedy.
            seed: of its private generator.
            max_new_tokens: an action is cut off after that many.
            version: number of updates that the weights have seen; stands in `Tokens.policy_version`.
        """
        return TransformersPolicy(
            self, temperature=temperature, seed=seed, max_new_tokens=max_new_tokens, version=version
        )

    def save(self, path: Path) -> None:
        """Writes weights, configuration and vocabulary; `load` reads the directory."""
        path.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(path)
        self.chat.save(path)


def load(source: str) -> LanguageModel:
    """A model from a directory, a hub name or a GGUF file; on a GPU in bfloat16 where there is one, else in float32.

    Raises:
        ConfigError: nothing can be found under `source`, it cannot be loaded, it remembers more than keys and values,
            or it has no chat template.
    """
    try:
        path = Path(source).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:  # a name that is too long; a user who is not there
        raise ConfigError(f"no model {source!r:.80}: {error}") from error
    if path.suffix == ".gguf":
        from hero.policies.gguf import load_gguf

        model, tokenizer = load_gguf(path)
    elif (path / TiktokenChat.FILE).is_file():
        from hero.policies import tiny

        return tiny.load(path)
    else:
        model, tokenizer = _load_pretrained(source, path)
    if not attends_only(model):
        raise ConfigError(
            f"the model {source!r} ({type(model).__name__}) keeps a state that cannot go back to an earlier turn; "
            "take one all of whose layers attend"
        )
    device, dtype = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    chat = TemplateChat(tokenizer, _stop_ids(model))
    return LanguageModel(model.to(device=device, dtype=dtype).eval(), chat, path.name)


def _stop_ids(model: Any) -> list[int]:
    """What ends a reply, as far as the generation settings of a model say so."""
    ids = getattr(model.generation_config, "eos_token_id", None)
    return [] if ids is None else [ids] if isinstance(ids, int) else list(ids)


def _load_pretrained(source: str, path: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if path.is_dir() and not (path / "config.json").is_file():
        raise ConfigError(f"{source!r} holds no model: it has no config.json")
    where = str(path) if path.is_dir() else source
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(where)
        dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
        return AutoModelForCausalLM.from_pretrained(where, dtype=dtype, attn_implementation="sdpa"), tokenizer
    except OSError as error:
        raise ConfigError(
            f"no model {source!r}: neither a directory with config.json, weights and tokenizer, nor a name on the hub "
            f"that can be reached from here ({_first_line(error)})"
        ) from error
    except Exception as error:  # what a damaged or unknown model makes of its many readers
        raise ConfigError(
            f"the model {source!r} cannot be loaded ({type(error).__name__}: {_first_line(error)}); fetch it again, or "
            "take a causal language model that the installed transformers knows"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "no message")
