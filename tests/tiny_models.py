"""Random models that are small enough for any test, and the chats that they read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3nForCausalLM,
    Gemma3nTextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
)

from benchmarks.tiny.webshop import PATTERN
from hero.chat.tiktoken import TiktokenChat
from hero.models.language_model import LanguageModel
from hero.policy import FunctionPolicy, Policy
from hero.testing.templates import CHATML, tokenizer
from hero.types import Message

ENCODING = tiktoken.Encoding(
    "bytes",
    pat_str=PATTERN,
    mergeable_ranks={bytes([byte]): byte for byte in range(256)} | {b" a": 256, b"ab": 257, b" ab": 258},
    special_tokens={token: 259 + index for index, token in enumerate(TiktokenChat.SPECIAL)},
)
"""A token per byte, and a few merges."""
VOCABULARY = 64
"""Size of the vocabulary of all models but `random_model` and those that are saved."""
SHAPE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1,
}  # fmt: skip


def random_model(*, seed: int = 0, context: int = 256, stop_bias: float = 15.0, **config: Any) -> LanguageModel:
    """Makes a Llama of two layers of width 32, with grouped key-value heads, that reads byte by byte.

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


def tiny_model(seed: int = 0, *, tied: bool = True, context: int = 128) -> LlamaForCausalLM:
    """Makes a Llama of two layers in float64, though its norms work in float32."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=tied,
        initializer_range=0.2,
    )
    model = LlamaForCausalLM(config)
    model.to(torch.float64)  # type: ignore[arg-type]
    model.train(False)
    return model


def gemma() -> PreTrainedModel:
    """Makes a model with soft-capped logits, sliding attention and tied embeddings."""
    config = SHAPE | {"head_dim": 16, "sliding_window": 4, "final_logit_softcapping": 0.5}
    return Gemma2ForCausalLM(Gemma2Config(vocab_size=VOCABULARY, **config))


def granite() -> PreTrainedModel:
    """Makes a model that divides its logits by a constant."""
    config = SHAPE | {"num_hidden_layers": 1, "num_key_value_heads": None, "logits_scaling": 3.0}
    return GraniteForCausalLM(GraniteConfig(vocab_size=VOCABULARY, **config))


def gpt2() -> PreTrainedModel:
    """Makes a model with learned absolute positions, and with dropout in training."""
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=2, n_positions=64))


def mixtral() -> PreTrainedModel:
    """Makes a model that routes tokens to experts; only eager experts work in float64."""
    config = SHAPE | {"num_local_experts": 3, "experts_implementation": "eager"}
    return MixtralForCausalLM(MixtralConfig(vocab_size=VOCABULARY, **config))


KINDS: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": tiny_model, "gemma": gemma, "granite": granite, "gpt2": gpt2, "mixtral": mixtral,
}  # fmt: skip
"""Models that differ in their attention, in their positions, and in what they do to their logits."""
every_kind = pytest.mark.parametrize("build", KINDS.values(), ids=KINDS)


def in_float64(build: Callable[[], PreTrainedModel]) -> PreTrainedModel:
    """Builds a model with weights that are always the same, without dropout."""
    torch.manual_seed(0)
    model = build()
    model.to(torch.float64)  # type: ignore[arg-type]
    model.train(False)
    return model


def sharing_model(vocabulary: int) -> Gemma3nForCausalLM:
    """Makes a model whose last two of four layers use the keys and values of the first two."""
    torch.manual_seed(0)
    config = SHAPE | {
        "vocab_size": vocabulary,
        "vocab_size_per_layer_input": vocabulary,
        "hidden_size_per_layer_input": 8,
        "num_hidden_layers": 4,
        "num_kv_shared_layers": 2,
        "head_dim": 16,
        "sliding_window": 16,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "laurel_rank": 8,
        "activation_sparsity_pattern": [0.0] * 4,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
    }
    return Gemma3nForCausalLM(Gemma3nTextConfig(**config)).eval()


def sliding_model(vocabulary: int) -> MistralForCausalLM:
    """Makes a model that attends to the last eight tokens."""
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, sliding_window=8, initializer_range=0.1,
    )  # fmt: skip
    return MistralForCausalLM(config).eval()


def state_space_model() -> MambaForCausalLM:
    """Makes a model without attention."""
    return MambaForCausalLM(MambaConfig(vocab_size=8, hidden_size=8, state_size=2, num_hidden_layers=1))


def convolving_model(vocabulary: int) -> Lfm2ForCausalLM:
    """Makes a model one of whose two layers keeps a state in place of keys and values."""
    kinds = ["conv", "full_attention"]
    return Lfm2ForCausalLM(Lfm2Config(vocab_size=vocabulary, layer_types=kinds, **SHAPE))


class CharacterChat:
    """A chat with one id per character; sampled ids stand as they are. A reply brings its own stop token."""

    stop_ids = frozenset({1})

    def encode(self, messages: Sequence[Message]) -> list[int]:
        return [id_ for message in messages for id_ in message.ids or (ord(c) % VOCABULARY for c in message.content)]

    def encode_reply(self, text: str) -> list[int]:
        return self.encode([Message("assistant", text)])

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


@dataclass
class TinyLM:
    """A model, a chat and a name, as a trainer needs them; records the arguments of `policy`."""

    model: PreTrainedModel = field(default_factory=tiny_model)
    chat: CharacterChat = field(default_factory=CharacterChat)
    name: str = "tiny-random"
    asked: list[tuple[float, int]] = field(default_factory=list)

    def policy(self, *, temperature: float, version: int) -> Policy:
        self.asked.append((temperature, version))
        return FunctionPolicy(lambda messages: "")


def save_pretrained(path: Path, kind: str = "llama", template: str = CHATML, **config: Any) -> None:
    """Writes a random model of a kind that transformers knows, with its tokenizer, in the files of a released model."""
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
    """Writes a random Llama in llama.cpp's format; skips the test if a package that reads it is missing.

    Args:
        layers: number of layers in the header.
        blocks: number of layers in the file.
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
