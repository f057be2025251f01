"""Prompts for a model, and a check that the log-probabilities of its actions are true."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from hero.models.language_model import LanguageModel
from hero.types import Action, Message, Tokens


def ask(text: str) -> list[Message]:
    """Makes a conversation of one message."""
    return [Message("user", text)]


def tokens_of(action: Action) -> Tokens:
    """Returns the tokens of an action, which must have some."""
    assert action.tokens is not None
    return action.tokens


def fresh_logprobs(lm: LanguageModel, tokens: Tokens) -> list[float]:
    """Computes log-probabilities in one forward pass over prompt and action, without batch or cache."""
    ids = torch.tensor([tokens.prompt_ids + tokens.action_ids])
    with torch.no_grad():
        scores = (lm.model(input_ids=ids, use_cache=False).logits[0].float() / tokens.temperature).log_softmax(-1)
    start = len(tokens.prompt_ids) - 1
    return [scores[start + index, token].item() for index, token in enumerate(tokens.action_ids)]


def assert_true_logprobs(lm: LanguageModel, actions: Sequence[Action], roundings: int = 8) -> None:
    """Asserts that actions have the log-probabilities of a fresh forward pass.

    Args:
        roundings: tolerance, in roundings of the largest logit in float32, magnified by the temperature.
    """
    for action in actions:
        tokens = tokens_of(action)
        with torch.no_grad():
            largest = lm.model(input_ids=torch.tensor([tokens.prompt_ids])).logits.abs().max().item()
        tolerance = roundings * torch.finfo(torch.float32).eps * max(1.0, largest) / tokens.temperature
        assert tokens.logprobs == pytest.approx(fresh_logprobs(lm, tokens), abs=tolerance)
