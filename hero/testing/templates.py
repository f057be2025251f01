"""Chat templates as released models have them, and a small byte-level tokenizer to try them on; needs transformers."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

CHATML: Final = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou"
    " are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' +"
    " message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3: Final = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' +"
    " message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
    "{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL: Final = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] | trim + eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
GEMMA: Final = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
SILENT: Final = GEMMA.replace("{{ raise_exception('System role not supported') }}", "{% set messages = messages[1:] %}")
"""Drops a system message without an error."""
THINKING: Final = (
    "{% for message in messages %}{% set content = message['content'] %}{% if message['role'] == 'assistant' %}"
    "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
)
"""Opens every reply with a thought, and leaves thoughts out of the past."""
PRESET: Final = CHATML.replace("assistant\n' }}", "assistant\n<think>\n\n</think>\n\n' }}")
"""Opens every reply with an empty thought, and has none in the past, as Qwen3 without thinking."""
CLOSED: Final = CHATML.replace("assistant\n' }}", "assistant\n<think>' }}").replace(
    "'\n' + message['content']", "'\n' + ('</think>' if message['role'] == 'assistant' else '') + message['content']"
)
"""Opens every reply with a thought, and has the end of one before each past action, as GLM 4.7."""
BLANK: Final = CHATML.replace("assistant\n' }}", "assistant\n\n' }}")
"""Opens every reply with an empty line, and has none in the past."""
UNTHINKING: Final = CHATML.replace(
    "'\n' + message['content']",
    "'\n' + ('<think></think>\n' if message['role'] == 'assistant' else '') + message['content']",
)
"""Writes an empty thought before each past action, and leaves it to the model to think."""
CHANNELS: Final = (
    "{% for message in messages %}{{ '<start_of_turn>' + message['role'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|start_header_id|>final' }}{% endif %}"
    "{{ '<|end_header_id|>' + message['content'] }}"
    "{{ eos_token if loop.last and not add_generation_prompt else '<end_of_turn>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>assistant' }}{% endif %}"
)
"""Has the model write the channel of each message, as gpt-oss does: what ends a thought is not what ends a reply."""

HERMES: Final = (
    "{% if tools %}{{ '<|im_start|>system\n' }}{% if messages[0]['role'] == 'system' %}"
    "{{ messages[0]['content'] + '\n\n' }}{% endif %}{{ '# Tools\n\n<tools>' }}"
    "{% for tool in tools %}{{ '\n' }}{{ tool | tojson }}{% endfor %}{{ '\n</tools><|im_end|>\n' }}"
    "{% elif messages[0]['role'] == 'system' %}{{ '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}"
    "{% endif %}{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}{% for call in message['tool_calls'] %}"
    '{{ \'\n<tool_call>\n{"name": "\' + call.function.name + \'", "arguments": \' }}'
    "{{ call.function.arguments | tojson }}{{ '}\n</tool_call>' }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Has tools in the system message."""
FIRST: Final = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>' }}"
    "{{ '\n\n' }}{% if tools and message['role'] == 'user' and loop.index0 <= 1 %}{{ 'Functions:\n' }}"
    "{% for tool in tools %}{{ tool | tojson(indent=4) + '\n\n' }}{% endfor %}{% endif %}"
    "{% if message['tool_calls'] %}{% set call = message['tool_calls'][0].function %}"
    "{{ '{\"name\": \"' + call.name + '\", \"parameters\": ' }}{{ call.arguments | tojson }}{{ '}<|eot_id|>' }}"
    "{% else %}{{ message['content'] | trim + '<|eot_id|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
"""Has tools in the first message of the user, and calls without words beside them."""
NO_TOOLS: Final = {
    "no system": HERMES.replace("{{ messages[0]['content'] + '\n\n' }}", ""),
    "other calls": HERMES.replace('{"name": "\' + call', "<function=' + call"),
    "no calls": HERMES.replace("message['tool_calls']", "[]"),
    "moving": "{% set ns = namespace(last=0) %}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    + FIRST.replace("loop.index0 <= 1", "loop.index0 == ns.last"),
    "descriptions": HERMES.replace(
        "{{ tool | tojson }}",
        "{% for given in tool.function.parameters.properties.values() %}{{ ': ' + given.description }}{% endfor %}"
        "{{ tool | tojson }}",
    ),
}
"""Templates that write tools in place of the system text, write calls in another form or not at all, put tools before
the latest message of the user, or ask for descriptions that not all tools have.
"""
LAST: Final = MISTRAL.replace(
    "{{ '[INST] '",
    "{% if tools and loop.last %}{{ '[AVAILABLE_TOOLS] ' + tools | tojson + '[/AVAILABLE_TOOLS]' }}{% endif %}"
    "{{ '[INST] '",
)
"""Has tools before the last message of the user: they move with every turn."""
TOOLS: Final = {"hermes": HERMES, "first": FIRST}

WHOLE: Final = "{{ message['content'] + eos_token }}"
LOOP: Final = "{% for message in messages %}" + WHOLE + "{% endfor %}"
"""Writes nothing but the contents."""

APPEND_ONLY: Final = {
    "chatml": CHATML, "llama3": LLAMA3, "mistral": MISTRAL, "gemma": GEMMA, "silent": SILENT, "last": LAST,
    "thinking": THINKING, "preset": PRESET, "closed": CLOSED, "blank": BLANK,
    "unthinking": UNTHINKING, "channels": CHANNELS, **TOOLS,
}  # fmt: skip
"""Templates that never rewrite what they wrote, by name."""
STOPS: Final = {
    "chatml": "<|im_end|>", "llama3": "<|eot_id|>", "mistral": "</s>", "gemma": "<end_of_turn>",
    "silent": "<end_of_turn>", "last": "</s>", "hermes": "<|im_end|>", "first": "<|eot_id|>",
    "thinking": "<|im_end|>", "preset": "<|im_end|>", "closed": "<|im_end|>", "blank": "<|im_end|>",
    "unthinking": "<|im_end|>", "channels": "</s>",
}  # fmt: skip
"""The token that ends a reply in each of them."""
SPECIAL: Final = (
    "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>",
    "<end_of_turn>", "<s>", "</s>",
)  # fmt: skip
"""The special tokens of the tokenizer."""


@cache
def tokenizer(template: str | None, eos: str | None = "</s>") -> Any:
    """Makes a byte-level tokenizer with a few merges, also of line feeds and blanks, so that boundaries matter."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ċ", "Ċ"), ("Ġ", "Ġ"), ("Ġ", "a"), ("a", "b"), ("Ġa", "b"), (":", "Ċ"), ("ĊĊ", "ĊĊ")]
    tokens = [*alphabet, *(first + second for first, second in merges)]
    backend = Tokenizer(models.BPE(vocab={token: id_ for id_, token in enumerate(tokens)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    made: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, bos_token="<s>", eos_token=eos, pad_token=eos
    )
    made.add_special_tokens({"additional_special_tokens": [token for token in SPECIAL if token not in ("<s>", eos)]})
    made.chat_template = template
    return made
