"""Writes a model of a known shape with random weights: `python -m benchmarks.random_model NAME DIR --ranks FILE`.

It takes the memory and the time of the released one, and acts at random: for measuring where no hub can be reached.
The vocabulary is read from a file of ranks in tiktoken's format, such as `resources/qwen.tiktoken` in the package
dashscope, so that pages have as many tokens as the released model reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import torch
import typer
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3MoeConfig
from transformers.convert_slow_tokenizer import TikTokenConverter

from hero.testing.templates import CHATML

SHAPES: Final[dict[str, tuple[type[PretrainedConfig], dict[str, Any]]]] = {
    "Qwen3-4B": (
        Qwen3Config,
        {"hidden_size": 2560, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
         "head_dim": 128, "intermediate_size": 9728, "vocab_size": 151_936, "tie_word_embeddings": True},
    ),
    "Qwen3-30B-A3B": (
        Qwen3MoeConfig,
        {"hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4,
         "head_dim": 128, "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128,
         "num_experts_per_tok": 8, "vocab_size": 151_936, "tie_word_embeddings": False},
    ),
}  # fmt: skip
"""Shapes as the models' own configurations have them."""
SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen's tokenizer splits a text before it merges."""
SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def tokenizer(ranks: Path) -> PreTrainedTokenizerFast:
    """Returns a tokenizer of merge ranks, with a template in ChatML."""
    made = TikTokenConverter(str(ranks), pattern=SPLIT, extra_special_tokens=list(SPECIAL)).converted()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=SPECIAL[-1], pad_token=SPECIAL[0], chat_template=CHATML
    )


def main(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(SHAPES)}.")],
    out: Annotated[Path, typer.Argument(help="New directory for the model.")],
    ranks: Annotated[Path, typer.Option(help="File of merge ranks, in tiktoken's format.")],
) -> None:
    """Writes a model in bfloat16 with random weights."""
    if name not in SHAPES:
        raise typer.BadParameter(f"{name} is none of {', '.join(SHAPES)}")
    kind, shape = SHAPES[name]
    spoken: Any = tokenizer(ranks)
    config = kind(**shape, max_position_embeddings=262_144, rope_theta=5_000_000.0, eos_token_id=spoken.eos_token_id)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(out)
    spoken.save_pretrained(out)


if __name__ == "__main__":
    typer.run(main)
