"""A tiny random model, a chat without words, and episodes that the model sampled: enough to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from hero.policy import FunctionPolicy, Policy
from hero.types import Message, Tokens

VOCABULARY = 64


def tiny_model(seed: int = 0, *, tied: bool = True, context: int = 128) -> LlamaForCausalLM:
    """A random Llama of two layers in float64, though its norms work in float32."""
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


def rounding(model: PreTrainedModel) -> float:
    """How far results of forward passes in float64 may be apart, relatively, where only their shapes differ.

    The root mean squares of transformers are float32 whatever the weights are. A sum of D squares is up to D roundings
    from one in another order, and so in the end is what all norms one after the other make of it.
    """
    sizes = [norm.weight.numel() for norm in model.modules() if type(norm).__name__.endswith("RMSNorm")]
    return max(1e-9, torch.finfo(torch.float32).eps * sum(sizes))


class CharacterChat:
    """One id per character; sampled ids stand as they are."""

    stop_ids = frozenset({1})

    def encode(self, messages: Sequence[Message]) -> list[int]:
        return [id_ for message in messages for id_ in message.ids or (ord(c) % VOCABULARY for c in message.content)]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


@dataclass
class TinyLM:
    """What a trainer owns: a model, a chat and a name. Remembers the versions that it was asked for."""

    model: PreTrainedModel = field(default_factory=tiny_model)
    chat: CharacterChat = field(default_factory=CharacterChat)
    name: str = "tiny-random"
    asked: list[tuple[float, int]] = field(default_factory=list)

    def policy(self, *, temperature: float, version: int) -> Policy:
        self.asked.append((temperature, version))
        return FunctionPolicy(lambda messages: "")


@torch.no_grad()
def logprobs(
    model: PreTrainedModel, prompt_ids: Sequence[int], action_ids: Sequence[int], temperature: float = 1.0
) -> tuple[float, ...]:
    """log p of each action id, from a forward pass of its own over exactly what precedes it."""
    found = []
    for length, id_ in enumerate(action_ids):
        before = torch.tensor([[*prompt_ids, *action_ids[:length]]])
        logits = model(input_ids=before).logits[0, -1] / temperature
        found.append(logits.log_softmax(-1)[id_].item())
    return tuple(found)


def episode(model: PreTrainedModel, seed: int, *, turns: int = 3, temperature: float = 1.0) -> list[Tokens]:
    """The turns of one append-only episode of random ids, with the model's true log-probabilities at a temperature."""
    random = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> tuple[int, ...]:
        size = int(torch.randint(low, high, (), generator=random))
        return tuple(torch.randint(VOCABULARY, (size,), generator=random).tolist())

    ledger: tuple[int, ...] = ()
    lived = []
    for _ in range(turns):
        prompt_ids, action_ids = ledger + draw(2, 9), draw(1, 6)
        found = logprobs(model, prompt_ids, action_ids, temperature)
        lived.append(Tokens(prompt_ids, action_ids, found, temperature=temperature))
        ledger = prompt_ids + action_ids
    return lived
