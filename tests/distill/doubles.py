"""Episodes that a tiny model sampled, its true log-probabilities, how exact these can be, and gates written out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from hero.chat.base import Chat
from hero.distill.base import Example
from hero.distill.follow import TurnGate
from hero.types import Tokens, Verdict
from tests.tiny_models import VOCABULARY


def rounding(model: PreTrainedModel) -> float:
    """Returns the maximum relative difference of forward passes in float64 that differ in their shapes alone.

    The root mean squares of transformers are float32 whatever the weights are. A sum of D squares is up to D roundings
    from one in another order, and so in the end is what all norms one after the other make of it.
    """
    sizes = [norm.weight.numel() for norm in model.modules() if type(norm).__name__.endswith("RMSNorm")]
    return max(1e-9, torch.finfo(torch.float32).eps * sum(sizes))


@torch.no_grad()
def logprobs(
    model: PreTrainedModel, prompt_ids: Sequence[int], action_ids: Sequence[int], temperature: float = 1.0
) -> tuple[float, ...]:
    """Returns log p of each action id, from a forward pass of its own over exactly what precedes it."""
    each = []
    for length, id_ in enumerate(action_ids):
        before = torch.tensor([[*prompt_ids, *action_ids[:length]]])
        logits = model(input_ids=before).logits[0, -1] / temperature
        each.append(logits.log_softmax(-1)[id_].item())
    return tuple(each)


def counts(example: Example, gate: TurnGate, chat: Chat, student: PreTrainedModel, teacher: PreTrainedModel) -> bool:
    """Returns whether the gate lets a distilled example count, from forward passes over whole prompts."""
    finding, taken = example.finding, example.tokens.action_ids
    if example.teacher is None or finding is None or finding.verdict is None or gate == "none":
        return True
    privileged = chat.encode(example.teacher)
    likely = sum(logprobs(teacher, privileged, taken))
    before = sum(logprobs(student, example.tokens.prompt_ids, taken))
    if finding.verdict is Verdict.USEFUL:
        return gate == "follow" or likely >= before
    if not finding.advice:
        return likely < before
    advised = chat.encode_reply(finding.advice)
    return tuple(advised) != taken and sum(logprobs(teacher, privileged, advised)) > likely


def episode(
    model: PreTrainedModel, seed: int, *, turns: int = 3, temperature: float = 1.0, beginning: tuple[int, ...] = ()
) -> list[Tokens]:
    """Makes the turns of one append-only episode of random ids, with the model's true log-probabilities.

    Args:
        beginning: the ids that the first prompt begins with.
    """
    random = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> tuple[int, ...]:
        size = int(torch.randint(low, high, (), generator=random))
        return tuple(torch.randint(VOCABULARY, (size,), generator=random).tolist())

    ledger = beginning
    sampled = []
    for _ in range(turns):
        prompt_ids, action_ids = ledger + draw(2, 9), draw(1, 6)
        true = logprobs(model, prompt_ids, action_ids, temperature)
        sampled.append(Tokens(prompt_ids, action_ids, true, temperature=temperature))
        ledger = prompt_ids + action_ids
    return sampled
