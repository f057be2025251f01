"""The recipe of the policy for TauBench: scripted clerks, rows of numbers and records, and the shipped weights."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import tiktoken

from benchmarks.tiny.clerk import HAND_OVER, NOT_FOUND, Erratic, Hasty, Wanderer, expert, review
from benchmarks.tiny.desk_rows import (
    call_rows,
    choice_rows,
    lookup_rows,
    number_rows,
    record_rows,
    verdict_row,
    word_rows,
)
from benchmarks.tiny.episodes import desk, play
from benchmarks.tiny.service_case import TOOLS, Case
from benchmarks.tiny.taubench import PATTERN, wandering
from hero.chat.base import Chat
from hero.envs.taubench.action import parse_call
from hero.envs.taubench.answers import is_error
from hero.envs.taubench.env import TauBenchEnv
from hero.models import tiny
from hero.policy import FunctionPolicy
from hero.reflect.model import parse_review, review_prompt
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.types import Message, Trajectory, Verdict
from hero.warm.rows import Row, as_lines, episode_row, review_row
from hero.warm.tokenizer import train_ranks

CHAT = tiny.load_chat(tiny.MODELS / "taubench")


def every_task(act: Callable[[Sequence[Message]], str]) -> list[Trajectory]:
    env = TauBenchEnv(data="embedded")
    return rollout([env], FunctionPolicy(act), [Task(index, 0) for index in range(env.num_tasks)], max_turns=30)


def test_the_expert_serves_every_customer_and_reviews_itself_so() -> None:
    for episode in every_task(expert):
        assert episode.success
        assert {finding.verdict for finding in review(episode).findings} == {Verdict.USEFUL}


def test_after_mistakes_that_can_be_made_good_the_expert_still_serves() -> None:
    rng, env = random.Random(0), TauBenchEnv(data="embedded")
    mended = [episode for episode in play(env, Erratic(rng, 0.4), 80, rng) if episode.success]
    assert len(mended) > 20
    for index, episode in enumerate(mended):
        turns = episode.turns[: index % len(episode.turns)]
        env.reset(options={"task": int(episode.task_id.rpartition("-")[2])})
        for turn in turns:
            assert env.step(turn.action.text)[0] == turn.observation
        messages, done, reward = [*episode.turns[len(turns)].prompt], False, 0.0
        while not done:
            action = expert(messages)
            answer, reward, done, truncated, _ = env.step(action)
            assert not truncated
            messages += [Message("assistant", action), Message("user", answer)]
        assert reward == 1.0


def test_habits_cost_most_of_the_success_but_not_all() -> None:
    episodes = every_task(Hasty(random.Random(0), 1, 1, 1))
    assert 0.15 < sum(episode.success for episode in episodes) / len(episodes) < 0.35
    asked = [turn.action.text for episode in episodes for turn in episode.turns]
    assert HAND_OVER in asked
    assert not any("(yes/no)?" in action for action in asked)


def test_who_wanders_repeats_answered_and_failed_actions_and_no_review_calls_that_useful() -> None:
    repeated = Counter[bool]()
    for episode in play(desk(0), Wanderer(random.Random(0)), 120, random.Random(0)):
        actions = [turn.action.text for turn in episode.turns]
        for finding in review(episode).findings:
            if actions[finding.turn] in actions[: finding.turn]:
                assert finding.verdict is not Verdict.USEFUL
                assert finding.advice != actions[finding.turn]
                repeated[is_error(episode.turns[finding.turn].observation)] += 1
    assert min(repeated[False], repeated[True]) > 30


def test_the_rules_advise_against_the_habits_what_the_expert_would_do() -> None:
    advised = set()
    for episode in every_task(Hasty(random.Random(0), 1, 0, 1)):
        for finding in RulesReflector().reflect([episode])[0].findings:
            if finding.advice:
                turn = episode.turns[finding.turn]
                assert finding.advice == Case(turn.prompt).good()
                advised.add(turn.observation == NOT_FOUND)
    assert advised == {True, False}


def test_reviews_are_in_the_form_that_the_model_reflector_reads() -> None:
    rng = random.Random(0)
    seen = set()
    for episode in play(desk(0), Erratic(rng, 0.4), 120, rng):
        diagnosis = review(episode)
        assert parse_review(as_lines(diagnosis), len(episode.turns)) == diagnosis.findings
        seen |= {finding.cause for finding in diagnosis.findings}
    assert {"order not found", "a tool can do it", "done before", "the user has not said yes to it"} < seen
    assert {"not what was asked for", "nothing was changed", "too early"} < seen


def learned(chat: Chat, row: Row) -> str:
    return chat.decode([token for token, weight in zip(row.ids, row.weights, strict=True) if weight])


def test_rows_teach_right_actions_and_reviews_and_nothing_else() -> None:
    rng = random.Random(0)
    for episode in play(desk(0), Erratic(rng, 0.4), 20, rng):
        right = [turn.action.text for turn in episode.turns if turn.action.text == Case(turn.prompt).good()]
        row = episode_row(CHAT, episode, review(episode), imitate=False)
        assert learned(CHAT, row) == "".join(right) + as_lines(review(episode))


def test_actions_that_are_left_out_are_not_learned() -> None:
    (episode,) = play(desk(0), expert, 1, random.Random(0))
    left_out, *others = (turn.action.text for turn in episode.turns)
    row = episode_row(CHAT, episode, review(episode), imitate=True, left_out=[left_out])
    assert learned(CHAT, row) == "".join(others) + as_lines(review(episode))


def test_judgements_are_learned_without_the_advice() -> None:
    advised = 0
    for episode in play(desk(0), Wanderer(random.Random(0)), 10, random.Random(0)):
        row, lines = verdict_row(CHAT, episode, review(episode)), as_lines(review(episode)).splitlines()
        assert row.ids == review_row(CHAT, episode, review(episode)).ids
        assert learned(CHAT, row) == "\n".join(re.sub("(; instead:).*", r"\1", line) for line in lines)
        assert row.weights[-1] == 1.0
        advised += sum("instead" in line for line in lines)
    assert advised > 20


def test_rows_about_wandering_fit_the_context_and_end_in_what_is_learned() -> None:
    rows = list(wandering(CHAT, 0, random.Random(0)))
    assert len(rows) > 200
    assert 1500 < max(len(row.ids) for row in rows) <= tiny.load_taubench().context_length
    assert all(row.weights[-1] == 1.0 for row in rows)


def test_every_number_of_n_digits_is_one_token_whatever_the_texts_hold() -> None:
    episodes = play(desk(0), expert, 20, random.Random(0))
    texts = [message.content for episode in episodes for message in review_prompt(episode)]
    ranks = train_ranks(texts, PATTERN, 600, digits=2)
    assert sorted(ranks.values()) == list(range(600))
    encoding = tiktoken.Encoding("test", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    assert all(len(encoding.encode(f"{number:02d}")) == 1 for number in range(100))
    assert all(encoding.decode(encoding.encode(text)) == text for text in texts)


def test_numbers_are_determined_by_their_first_token() -> None:
    rows = list(number_rows(CHAT, random.Random(0), 20))
    assert len(rows) == 20
    for row in rows:
        text = CHAT.decode(row.ids)
        numbers = [text[start : start + 5] for start in range(0, len(text), 5)]
        shown, again = numbers[: len(numbers) // 3], numbers[len(numbers) // 3 :]
        assert sorted(again) == sorted(shown * 2)
        assert learned(CHAT, row) == "".join(number[3:] for number in again)


def test_words_are_shown_once_and_learned_twice_but_for_their_first_tokens() -> None:
    rows = list(word_rows(CHAT, range(300, 900), random.Random(0), 60))
    assert len(rows) == 60
    for row in rows:
        shown = row.ids[: len(row.ids) // 3]
        assert sorted(row.ids[len(shown) :]) == sorted(shown * 2)
        assert not any(row.weights[: len(shown)])
        assert 0 < sum(row.weights) < 2 * len(shown)
        later = row.ids[len(shown) :]
        pairs = set(pairwise(shown))
        weighted = zip(later, later[1:], row.weights[len(shown) + 1 :], strict=False)
        assert all((before, token) in pairs for before, token, weight in weighted if weight)
    texts = [CHAT.decode(row.ids) for row in rows]
    assert any(" Street" in text for text in texts)
    assert any(re.search(r"[a-z]+_[a-z]+_\d{5}", text) for text in texts)


def test_calls_are_learned_after_the_words_and_records_that_hold_their_arguments() -> None:
    names = set()
    for episode in play(desk(0), expert, 60, random.Random(0)):
        for row in call_rows(CHAT, episode):
            call = parse_call(learned(CHAT, row))
            assert call is not None
            names.add(call.name)
            shown = CHAT.decode([token for token, weight in zip(row.ids, row.weights, strict=True) if not weight])
            numbers = re.findall(r"\d{5}", call.text())
            assert numbers
            assert all(number in shown for number in numbers)
    assert {"get_user_details", "get_product_details", *TOOLS.values()} == names


def test_every_entry_of_a_record_is_asked_for_once_and_its_ids_alone_are_learned() -> None:
    kinds = Counter[str]()
    for row in lookup_rows(CHAT, random.Random(0)):
        shown, _, asked = CHAT.decode(row.ids).removeprefix("<|user|>").partition("<|assistant|>")
        record, answers = json.loads(shown), dict(re.findall(r" the ([^:]+):(\S+)", asked))
        if "variants" in record:
            options = {key: variant["options"] for key, variant in record["variants"].items()}
            entries = {" and ".join(" ".join(pair) for pair in chosen.items()): key for key, chosen in options.items()}
        elif "items" in record:
            entries = {item["name"].lower(): item["product_id"] + item["item_id"] for item in record["items"]}
        else:
            entries = {key.rpartition("_")[0].replace("_", " "): key for key in record["payment_methods"]}
        assert answers == entries
        assert learned(CHAT, row) == "".join(answers.values())
        kinds["items"] += "items" in record and len(answers) > 1
        kinds["variants"] += "variants" in record
        kinds["methods"] += "payment_methods" in record
    assert kinds == {"variants": 12, "items": 24, "methods": 24}


def test_each_wish_of_a_conversation_is_followed_by_the_call_that_serves_it() -> None:
    wanted = Counter[str]()
    for row in choice_rows(CHAT, random.Random(0)):
        opening, *exchanges = CHAT.decode(row.ids).removeprefix("<|user|>").split("<|user|>")
        order, *others = map(json.loads, opening.splitlines())
        calls = ""
        for words, _, text in (exchange.partition("<|assistant|>") for exchange in exchanges):
            call = parse_call(text)
            assert call is not None
            calls += text
            if product := re.search(r"the (\w+) of order", words):
                (item,) = (item for item in order["items"] if item["name"].lower() == product[1])
                assert call.arguments.get("item_ids", [item["item_id"]]) == [item["item_id"]]
                assert call.arguments.get("product_id", item["product_id"]) == item["product_id"]
            elif "The one" in words:
                chosen = others[0]["variants"][call.arguments["new_item_ids"][0]]
                assert all(f"{group} {value}" in words for group, value in chosen["options"].items())
                assert call.arguments["item_ids"] != call.arguments["new_item_ids"]
            else:
                assert call.arguments["payment_method_id"] in others[0]["payment_methods"]
                assert call.arguments["payment_method_id"].rpartition("_")[0].replace("_", " ") in words
            wanted[call.name] += 1
        assert learned(CHAT, row) == calls
    assert len(wanted) == 5


def test_facts_that_are_read_off_a_record_are_in_it() -> None:
    rng, read = random.Random(0), 0
    for episode in play(desk(0), Erratic(rng, 0.0), 60, rng):
        for row in record_rows(CHAT, episode, rng):
            shown = CHAT.decode([token for token, weight in zip(row.ids, row.weights, strict=True) if not weight])
            assert all(piece in shown for piece in learned(CHAT, row).split())
            read += 1
    assert read > 60


def test_the_shipped_policy_is_small_calls_tools_and_fails_by_habit() -> None:
    lm = tiny.load_taubench()
    assert 0.5e6 < sum(weight.numel() for weight in lm.model.parameters()) < 5e6
    assert sum(file.stat().st_size for file in (tiny.MODELS / "taubench").iterdir()) < 10e6
    envs = [TauBenchEnv(data="embedded", split="validation") for _ in range(48)]
    policy = lm.policy(temperature=0.0, max_new_tokens=128)
    episodes = rollout(envs, policy, [Task(index, 0) for index in range(48)], max_turns=10)
    actions = [turn.action.text for episode in episodes for turn in episode.turns]
    assert sum("W" in action and "#W" not in action for action in actions) > 24
    assert HAND_OVER in actions
    assert 0.1 < sum(episode.success for episode in episodes) / 48 < 0.5
