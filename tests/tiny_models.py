"""Random models that are small enough for any test."""

from __future__ import annotations

import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Gemma3nForCausalLM,
    Gemma3nTextConfig,
    LlamaConfig,
    LlamaForCausalLM,
)

from benchmarks.tiny.webshop import PATTERN
from hero.chat.tiktoken import TiktokenChat
from hero.models.language_model import LanguageModel
from tests.chat.templates import CHATML, tokenizer

ENCODING = tiktoken.Encoding(
    "bytes",
    pat_str=PATTERN,
    mergeable_ranks={bytes([byte]): byte for byte in range(256)} | {b" a": 256, b"ab": 257, b" ab": 258},
    special_tokens={token: 259 + place for place, token in enumerate(TiktokenChat.SPECIAL)},
)


def random_model(*, seed: int = 0, context: int = 256, stop_bias: float = 15.0, **config: Any) -> LanguageModel:
    """Two layers of width 32, byte by byte, with grouped key-value heads.

    Args:
        stop_bias: by default replies end after one to eight tokens, mostly; below 0 they never do.
    """
    torch.manual_seed(seed)
    shape: dict[str, Any] = {
        "vocab_size": ENCODING.n_vocab,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": ENCODING.n_vocab - 1,
        "pad_token_id": None,
        "initializer_range": 0.3,
    }
    model = LlamaForCausalLM(LlamaConfig(**(shape | config))).eval()
    with torch.no_grad():
        # One channel is the same in every state, so that the head can have something like a bias.
        model.model.embed_tokens.weight[:, 0] = 3.0
        model.lm_head.weight[:, 0] = 0.0
        model.lm_head.weight[ENCODING.n_vocab - 1, 0] = stop_bias
    return LanguageModel(model, TiktokenChat(ENCODING), "random")


def sharing_model(vocabulary: int) -> Gemma3nForCausalLM:
    """A model whose last two of four layers use the keys and values of the first two."""
    torch.manual_seed(0)
    config = Gemma3nTextConfig(
        vocab_size=vocabulary,
        vocab_size_per_layer_input=vocabulary,
        hidden_size=32,
        hidden_size_per_layer_input=8,
        intermediate_size=48,
        num_hidden_layers=4,
        num_kv_shared_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        sliding_window=16,
        layer_types=["sliding_attention", "full_attention"] * 2,
        laurel_rank=8,
        activation_sparsity_pattern=[0.0] * 4,
        max_position_embeddings=512,
        initializer_range=0.3,
    )
    return Gemma3nForCausalLM(config).eval()


def save_pretrained(path: Path, kind: str = "llama", template: str = CHATML, **config: Any) -> None:
    """Writes a random model of a kind that transformers knows, with its tokenizer, as released models come."""
    spoken = tokenizer(template)
    shape: dict[str, Any] = {
        "vocab_size": len(spoken),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "bos_token_id": None,
        "eos_token_id": spoken.eos_token_id,
        "pad_token_id": None,
    }
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(shape | config)))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(std=0.3)
    model.save_pretrained(path)
    spoken.save_pretrained(path)


def save_gguf(file: Path, *, layers: int = 2, blocks: int = 2) -> None:
    """Writes a random Llama in llama.cpp's format; skips the test where nothing could read it.

    Args:
        layers: what the header says.
        blocks: what there are.
    """
    needed = ["gguf", "accelerate"] + (["sentencepiece"] if version("transformers") < "5" else [])
    if missing := [name for name in needed if find_spec(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    from gguf import GGUFWriter, TokenType

    spoken, width, heads, inner = tokenizer(CHATML), 32, 4, 48
    tokens = sorted(spoken.get_vocab(), key=spoken.get_vocab().get)
    merges = json.loads(spoken.backend_tokenizer.to_str())["model"]["merges"]
    writer = GGUFWriter(file, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    control = set(spoken.added_tokens_decoder)
    writer.add_token_types([TokenType.CONTROL if n in control else TokenType.NORMAL for n in range(len(tokens))])
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    writer.add_bos_token_id(spoken.bos_token_id)
    writer.add_eos_token_id(spoken.eos_token_id)
    writer.add_chat_template(CHATML)
    square, wide = (width, width), (inner, width)
    names: dict[str, tuple[int, ...]] = {"token_embd": (len(tokens), width), "output": (len(tokens), width)}
    for block in range(blocks):
        parts = {"attn_q": square, "attn_k": square, "attn_v": square, "attn_output": square}
        parts |= {"ffn_gate": wide, "ffn_up": wide, "ffn_down": wide[::-1]}
        parts |= {"attn_norm": (width,), "ffn_norm": (width,)}
        names |= {f"blk.{block}.{part}": size for part, size in parts.items()}
    generator = torch.Generator().manual_seed(0)
    for name, size in (names | {"output_norm": (width,)}).items():
        writer.add_tensor(f"{name}.weight", (0.3 * torch.randn(size, generator=generator)).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
