"""Scores of a model, against forward passes over each prefix alone and against its own greedy replies."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from hero.chat.tiktoken import TiktokenChat
from hero.errors import DataError, PolicyError
from hero.models.language_model import LanguageModel
from hero.policy import FunctionPolicy
from hero.suite import score as module
from hero.suite.items import Item
from hero.suite.measures import compare, measure, worsened
from hero.suite.score import score_suite
from hero.types import Message
from tests.distill.doubles import logprobs
from tests.tiny_models import ENCODING, random_model


def item(text: str, reply: str, *, kind: str = "a", pattern: str = "") -> Item:
    messages = (Message("system", "Be brief."), Message("user", text))
    return Item(kind, messages, reply, pattern, f"suite.jsonl, line {len(text)}")


ITEMS = [item("x" * size, "ab" * (1 + size % 5), kind="ab"[size % 2]) for size in range(1, 7)]


@pytest.mark.parametrize("tokens", [1, 100, 10_000])
def test_likelihoods_are_those_of_each_reply_alone(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hero.distill.scorer.CHUNK_LOGITS", 5 * 263)  # five tokens at a time
    lm = random_model()
    scores = score_suite(lm, ITEMS, micro_batch_tokens=tokens)
    for score, asked in zip(scores, ITEMS, strict=True):
        reply = lm.chat.encode_reply(asked.reply)
        assert (score.kind, score.where, score.tokens) == (asked.kind, asked.where, len(reply))
        assert score.nats == pytest.approx(-sum(logprobs(lm.model, lm.chat.encode(asked.messages), reply)), rel=1e-4)


def test_plain_text_is_read_in_windows_that_hold_every_token_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, text = random_model(context=16), "A text of more tokens than the context has."
    ids = lm.chat.encode_reply(text)[:-1]
    first = lm.chat.encode([Message("user", "")])[0]
    for context in (16, 7):  # the model's, and a smaller one that is set here
        monkeypatch.setattr(module, "WINDOW", context)
        scores = score_suite(lm, [Item("text", (), text, "", "text.txt")])
        windows = [ids[start : start + context - 1] for start in range(0, len(ids), context - 1)]
        assert [score.tokens for score in scores] == [len(window) for window in windows]
        for score, window in zip(scores, windows, strict=True):
            assert score.nats == pytest.approx(-sum(logprobs(lm.model, [first], window)), rel=1e-4)
            assert (score.reply, score.exact, score.well_formed) == (None, None, None)


def test_greedy_replies_are_held_against_the_right_one_and_its_form() -> None:
    lm = random_model()
    prompts = [(Message("user", f"question {index}"),) for index in range(5)]
    greedy = [action.text for action in lm.policy(temperature=0.0, max_new_tokens=40).act(prompts)]
    assert any(len(text) > 1 for text in greedy)
    assert max(map(len, greedy)) < 20
    items = []
    for messages, text in zip(prompts, greedy, strict=True):
        right = text + "." * (20 - len(text))  # longer, so that no reply is cut off
        items += [Item("a", messages, right, "", ""), Item("a", messages, right, r"(?s)(?!.*\.$).*", "")]
        items += [Item("b", messages, text or ".", "(?s).?", ""), Item("c", messages, "." * 20, "", "")]
    scores = score_suite(lm, items)
    for index, text in enumerate(greedy):
        plain, formed, exact, other = scores[4 * index : 4 * index + 4]
        assert [score.reply for score in (plain, formed, exact)] == [text] * 3
        assert (plain.exact, plain.well_formed) == (False, None)
        assert (formed.exact, formed.well_formed) == (False, True)
        assert (exact.exact, exact.well_formed) == (text != "", len(text) < 2)
        assert other.exact is False


def test_a_blank_that_the_chat_template_writes_is_no_part_of_a_reply() -> None:
    class Padded(TiktokenChat):
        def encode_reply(self, text: str) -> list[int]:
            return super().encode_reply(" " + text)

    class Padding(LanguageModel):
        def policy(self, **_: Any) -> Any:
            return FunctionPolicy(lambda _: " Paris")

    lm = Padding(random_model().model, Padded(ENCODING), "padding")
    (score,) = score_suite(lm, [item("The capital of France?", "Paris", pattern="P.*")])
    assert (score.reply, score.exact, score.well_formed) == ("Paris", True, True)


def test_a_reply_that_is_cut_off_is_neither_exact_nor_well_formed() -> None:
    lm = random_model(stop_bias=-5.0)
    endless = lm.policy(temperature=0.0, max_new_tokens=50).act([[Message("user", "a")]])[0]
    (score,) = score_suite(lm, [Item("a", (Message("user", "a"),), "abab", "(?s).*", "")])
    assert score.reply
    assert endless.text.startswith(score.reply)
    assert (score.exact, score.well_formed) == (False, False)


def test_a_worse_model_is_found_worse() -> None:
    lm = random_model()
    prompts = [(Message("user", f"question {index}"),) for index in range(12)]
    replies = [action.text for action in lm.policy(temperature=0.0, max_new_tokens=20).act(prompts)]
    items = [Item("a", prompt, text, "", "") for prompt, text in zip(prompts, replies, strict=True) if text]
    assert len(items) > 5
    worse = copy.deepcopy(lm)
    with torch.no_grad():
        torch.manual_seed(1)
        for weight in worse.model.parameters():
            weight += weight.std() * torch.randn_like(weight)
    before, after = score_suite(lm, items), score_suite(worse, items)
    difference = compare(after, before)["a"]
    assert difference.nats.low > 0
    assert (exact := measure(before)["a"].exact)
    assert exact.value == 1
    assert "nats" in worsened(difference)
    assert worsened(compare(before, after)["a"]) == []


def test_progress_ends_where_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROMPTS", 2)
    seen: list[tuple[int, int]] = []
    items = [*ITEMS, Item("text", (), "some text", "", "")]
    score_suite(random_model(), items, on_progress=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {13}
    assert [done for done, _ in seen] == [*range(1, 8), 9, 10, 12, 13]


def test_what_a_model_cannot_read_is_named() -> None:
    lm = random_model(context=40)
    with pytest.raises(
        DataError, match=r"line 30: the conversation and its reply have \d+ tokens, but random reads 40"
    ):
        score_suite(lm, [item("x" * 30, "a")])
    with torch.no_grad():
        lm.model.lm_head.weight.fill_(torch.nan)
    with pytest.raises(
        PolicyError, match=r"random gives log-probabilities that are not finite on suite\.jsonl, line 3"
    ):
        score_suite(lm, [item("xxx", "a")])
