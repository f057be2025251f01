"""Write a model in the formats of transformers and PEFT, so that other programs load it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from safetensors.torch import save_file
from torch import Tensor

from hero.chat.base import Chat
from hero.chat.tiktoken import TiktokenChat
from hero.errors import ConfigError
from hero.models.language_model import LanguageModel
from hero.models.lora import STUDENT, adapter_state, is_adapted

TEMPLATE: Final = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""The template of `TiktokenChat` in Jinja."""


def export_model(lm: LanguageModel, path: Path) -> None:
    """Writes a directory of transformers: configurations, weights, and the tokenizer with its chat template.

    Args:
        path: a directory, which is made if there is none.

    Raises:
        ConfigError: the model has an adapter; merge it first.
    """
    if is_adapted(lm.model):
        raise ConfigError("the model has an adapter, which a directory of transformers cannot hold; merge it first")
    lm.model.save_pretrained(path)
    tokenizer_of(lm.chat).save_pretrained(path)


def export_adapter(lm: LanguageModel, path: Path, base: str) -> None:
    """Writes a directory of PEFT: the adapter `STUDENT`, its configuration, and the tokenizer of the model.

    Args:
        path: a directory, which is made if there is none.
        base: directory or hub name of the model without the adapter, for the configuration.
    """
    write_adapter(lm.model, path, base)
    tokenizer_of(lm.chat).save_pretrained(path)


def write_adapter(model: Any, path: Path, base: str, weights: Mapping[str, Tensor] | None = None) -> None:
    """Writes the adapter `STUDENT` and its configuration, as PEFT does.

    Args:
        weights: those of the adapter, by the names of `adapter_state`; None for the model's own.
    """
    from peft.utils import SAFETENSORS_WEIGHTS_NAME

    config = copy(model.peft_config[STUDENT])
    config.base_model_name_or_path, config.inference_mode = base, True
    config.save_pretrained(path)
    # PEFT names weights as those of a model within its own.
    named = adapter_state(model, STUDENT) if weights is None else weights
    of_peft = {f"base_model.model.{name}": weight for name, weight in named.items()}
    save_file(of_peft, path / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})


def tokenizer_of(chat: Chat) -> Any:
    """Returns the tokenizer of transformers, with a chat template, that encodes conversations as a chat does.

    Raises:
        ConfigError: the chat is of another kind than those of this package.
    """
    if isinstance(chat, TiktokenChat):
        return _fast_tokenizer(chat)
    if (tokenizer := getattr(chat, "tokenizer", None)) is None:
        raise ConfigError(f"a {type(chat).__name__} has no tokenizer of transformers, so it cannot be exported")
    return tokenizer


def _fast_tokenizer(chat: TiktokenChat) -> Any:
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import TikTokenConverter

    special = list(chat.SPECIAL)
    with TemporaryDirectory() as scratch:
        chat.save(Path(scratch))
        tokenizer = TikTokenConverter(  # type: ignore[no-untyped-call]
            vocab_file=str(Path(scratch) / chat.FILE), pattern=chat.encoding._pat_str, extra_special_tokens=special
        ).converted()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=special[-1],
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
