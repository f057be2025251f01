"""Compare the token ids that a tokenizer makes with those that its files list."""

from __future__ import annotations

import json
from typing import Any


def largest_id(tokenizer: Any) -> int:
    """Returns the largest id that a tokenizer, of transformers or of tokenizers, can make; -1 if it makes none."""
    return max(tokenizer.get_vocab().values(), default=-1)


def without_additions(tokenizer: Any, listed: int, model: Any) -> Any:
    """Returns the tokenizer without the tokens that transformers added, if the model does not embed these.

    Some tokenizer classes add a token that they rely on, such as GPT-2's end of text, and any text may spell it.

    Args:
        listed: number of tokens that the files list; higher ids are additions.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    if largest_id(tokenizer) < model.get_input_embeddings().weight.shape[0]:
        return tokenizer
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    backend["added_tokens"] = [added for added in backend["added_tokens"] if added["id"] < listed]
    ids = tokenizer.get_vocab()
    special = {
        role: token for role, token in tokenizer.special_tokens_map.items() if ids.get(str(token), listed) < listed
    }
    reduced: Any = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(backend)), **special)  # type: ignore[no-untyped-call]
    reduced.chat_template, reduced.name_or_path = tokenizer.chat_template, tokenizer.name_or_path
    return reduced
