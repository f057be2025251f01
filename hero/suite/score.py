"""Score a language model on a suite: likelihoods of the right replies, and its own greedy replies.

Shapes: N tokens of the right replies of all rows, D hidden size, V vocabulary.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch

from hero.distill.pack import Row, action_row, micro_batches
from hero.distill.scorer import by_span, hidden_states, logit_chunks
from hero.errors import DataError, PolicyError
from hero.models.head import head_logits
from hero.models.language_model import LanguageModel
from hero.suite.items import Item
from hero.suite.measures import Score
from hero.types import Action, Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WINDOW: Final = 1024
"""Maximum number of tokens of a window of plain text, whatever the model's context: intervals take many windows."""
ROOM: Final = 2
"""Maximum length of a greedy reply, in lengths of the longest right reply of its kind."""
PROMPTS: Final = 32
"""Number of prompts that are answered between two reports of progress."""


def score_suite(
    lm: LanguageModel,
    items: Sequence[Item],
    *,
    micro_batch_tokens: int = 16_384,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Score]:
    """Scores a model on every item, in order; a plain text has a score for each of its windows.

    Args:
        micro_batch_tokens: maximum number of tokens of a forward pass, padding included; a longer row goes alone.
        on_progress: is called with the number of passes over an item that are done, and with that of all.

    Raises:
        DataError: a conversation and its reply do not fit the model's context.
        PolicyError: log-probabilities are not finite.
    """
    parts = [part for item in items for part in _parts(lm, item)]
    rows = [action_row(prompt, reply, index) for index, (_, prompt, reply) in enumerate(parts)]
    asked = [index for index, (item, _, _) in enumerate(parts) if item.messages]
    done, total = 0, len(parts) + len(asked)
    scores: dict[int, Score] = {}
    for index, nats in _likelihoods(lm.model, rows, micro_batch_tokens):
        item, _, reply = parts[index]
        if not math.isfinite(nats):
            raise PolicyError(f"{lm.name} gives log-probabilities that are not finite on {item.where}")
        scores[index] = Score(item.kind, item.where, nats, len(reply))
        on_progress(done := done + 1, total)
    for indices, actions in _answers(lm, parts, asked):
        for index, action in zip(indices, actions, strict=True):
            item, _, reply = parts[index]
            scores[index] = _with_reply(scores[index], item, lm.chat.decode(reply), action)
        on_progress(done := done + len(actions), total)
    return [scores[index] for index in range(len(parts))]


_Part = tuple[Item, tuple[int, ...], tuple[int, ...]]
"""An item, the ids that a model reads first, and those whose likelihood counts."""


def _parts(lm: LanguageModel, item: Item) -> Iterator[_Part]:
    """Yields the ids of an item; of a plain text those of each window."""
    limit, reply = lm.context_length, tuple(lm.chat.encode_reply(item.reply))
    if item.messages:
        prompt = tuple(lm.chat.encode(item.messages))
        if len(prompt) + len(reply) > limit:
            raise DataError(
                f"{item.where}: the conversation and its reply have {len(prompt) + len(reply)} tokens, but {lm.name} "
                f"reads {limit}; shorten them, or take the line out"
            )
        yield item, prompt, reply
        return
    # Models expect the token that begins every conversation; its own likelihood does not count.
    first, text = tuple(lm.chat.encode([Message("user", "?")])[:1]), reply[:-1]
    size = min(limit, WINDOW) - len(first)
    for start in range(0, len(text), size):
        yield item, first, text[start : start + size]


@torch.inference_mode()
def _likelihoods(model: PreTrainedModel, rows: Sequence[Row], tokens: int) -> Iterator[tuple[int, float]]:
    """Yields the index of each row and the negative log-likelihood of its action, in some order."""
    for part in micro_batches(rows, tokens):
        states_ND = hidden_states(model, part)
        ids_N = torch.tensor([id_ for row in part for id_ in row.action_ids], device=states_ND.device)
        logprobs_N = torch.cat(
            [
                head_logits(model, states_ND[chunk]).float().log_softmax(-1).gather(-1, ids_N[chunk, None])[:, 0]
                for chunk in logit_chunks(model, len(ids_N))
            ]
        )
        for row, _, own in by_span(part, logprobs_N.double()):
            yield row.example, -own.sum().item()


def _answers(
    lm: LanguageModel, parts: Sequence[_Part], asked: Sequence[int]
) -> Iterator[tuple[Sequence[int], list[Action]]]:
    """Yields indices of some of the parts that are asked for, and the greedy replies to their conversations."""
    for kind in dict.fromkeys(parts[index][0].kind for index in asked):
        own = [index for index in asked if parts[index][0].kind == kind]
        longest = max(len(reply) for _, _, reply in (parts[index] for index in own))
        policy = lm.policy(temperature=0.0, max_new_tokens=ROOM * longest)
        for start in range(0, len(own), PROMPTS):
            indices = own[start : start + PROMPTS]
            yield indices, policy.act([parts[index][0].messages for index in indices])


def _with_reply(score: Score, item: Item, right: str, action: Action) -> Score:
    """Returns the score with a greedy reply; one that was cut off is not well formed, and too long to be exact.

    Args:
        right: the right reply as the model writes it, which some chat templates begin with a blank.
    """
    text = action.text.removeprefix(right.removesuffix(item.reply) if right.endswith(item.reply) else "")
    form = not action.cut_off and re.fullmatch(item.pattern, text) is not None if item.pattern else None
    return replace(score, reply=text, exact=text == item.reply, well_formed=form)
