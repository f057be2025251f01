"""The recipe of the tiny policy (scripted shoppers, rows, ranks), and the promises of the shipped weights."""

import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import tiktoken
import torch

from benchmarks.tiny.episodes import play
from benchmarks.tiny.shop_page import PageView, Requirements
from benchmarks.tiny.shop_rows import CODE, copy_rows, drill_rows, excerpt, with_new_codes, word_rows
from benchmarks.tiny.shopper import Erratic, Sloppy, Wanderer, expert, review
from benchmarks.tiny.webshop import HARD, PATTERN
from hero.envs.webshop.env import WebShopEnv
from hero.models import tiny
from hero.reflect.model import parse_review, review_prompt
from hero.rollout import Task, rollout
from hero.types import Message, Stop, Trajectory, Verdict
from hero.warm.rows import Row, as_lines, episode_row, review_row, teacher_rows
from hero.warm.tokenizer import train_ranks

CHAT = tiny.load_chat(tiny.SHIPPED)


def erratic(episodes: int = 12, level: str = "medium") -> list[Trajectory]:
    rng = random.Random(0)
    return play(WebShopEnv(level=level), Erratic(rng, 0.4), episodes, rng)


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_the_expert_reads_pages_so_well_that_it_always_succeeds(level: str) -> None:
    episodes = play(WebShopEnv(level=level), expert, 25, random.Random(1))
    assert all(episode.success for episode in episodes)
    assert all(finding.verdict is Verdict.USEFUL for episode in episodes for finding in review(episode).findings)


def test_habits_cost_most_of_the_success_but_not_all() -> None:
    rng = random.Random(2)
    episodes = play(WebShopEnv(), Sloppy(rng, 1, 1, 1, 1), 200, rng)
    assert 0.15 < sum(episode.success for episode in episodes) / 200 < 0.4


def test_who_goes_in_circles_runs_out_of_turns_and_his_reviews_advise_the_way_out() -> None:
    rng = random.Random(3)
    episodes = play(WebShopEnv(), Wanderer(rng, 0.9, Erratic(rng, 0.0)), 40, rng)
    assert sum(episode.stop is Stop.MAX_TURNS for episode in episodes) > 30
    repeated = sum(len(episode.turns) - len({turn.action.text for turn in episode.turns}) for episode in episodes)
    assert repeated > 3 * len(episodes)
    for episode in episodes:
        for finding in review(episode).findings:
            action = episode.turns[finding.turn].action.text
            astray = action in ("click[description]", "click[features]") or (
                action == "click[back to search]" and finding.advice.startswith("click[")
            )
            assert not (astray and finding.verdict is Verdict.USEFUL)


def test_after_any_mistakes_the_expert_still_leads_to_success() -> None:
    env = WebShopEnv()
    for index, episode in enumerate(erratic()):
        page, _ = env.reset(options={"task": int(episode.task_id.rpartition("-")[2])})
        mistaken = episode.turns[: index % len(episode.turns)]
        for turn in mistaken:
            page, *_ = env.step(turn.action.text)
        messages = [*(mistaken[-1].prompt if mistaken else ()), *(turn.action.message() for turn in mistaken[-1:])]
        done, success = False, False
        for _ in range(12):
            messages.append(Message("user", page))
            action = expert(messages)
            assert PageView(messages).is_good(action)
            page, _, done, _, info = env.step(action)
            messages.append(Message("assistant", action))
            if done:
                success = info["success"]
                break
        assert done
        assert success


def test_reviews_are_in_the_form_that_the_model_reflector_reads() -> None:
    for episode in erratic():
        assert parse_review(as_lines(review(episode)), len(episode.turns)) == review(episode).findings


def test_rows_teach_right_actions_and_reviews_and_nothing_else() -> None:
    for episode in erratic():
        row = episode_row(CHAT, episode, review(episode), imitate=False)
        learned = CHAT.decode([token for token, weight in zip(row.ids, row.weights, strict=True) if weight])
        right = [turn.action.text for turn in episode.turns if PageView(turn.prompt).is_good(turn.action.text)]
        assert learned == "".join(right) + as_lines(review(episode))
        only_review = review_row(CHAT, episode, review(episode))
        assert only_review.ids == row.ids
        assert sum(only_review.weights) == len(row.ids) - len(CHAT.encode(review_prompt(episode)))


@pytest.mark.parametrize("turns", [1, 2, 10])
def test_an_excerpt_is_played_on_and_reviewed_without_what_was_before(turns: int) -> None:
    for episode in erratic():
        for start in range(0, len(episode.turns), turns):
            part = excerpt(episode, start, turns)
            assert [turn.action for turn in part.turns] == [turn.action for turn in episode.turns[start:][:turns]]
            assert part.turns[0].prompt == episode.turns[start].prompt[-1:]
            for turn, following in zip(part.turns, part.turns[1:], strict=False):
                continued = (*turn.prompt, turn.action.message(), Message("user", turn.observation))
                assert following.prompt == continued
            review(part)


def test_other_codes_change_nothing_but_the_codes() -> None:
    rng = random.Random(0)
    for episode in erratic():
        old, new = review_prompt(episode), review_prompt(with_new_codes(episode, rng))
        for before, after in zip(old, new, strict=True):
            assert CODE.sub("", after.content) == CODE.sub("", before.content)
        old_codes, new_codes = (CODE.findall(" ".join(m.content for m in messages)) for messages in (old, new))
        assert len(set(zip(old_codes, new_codes, strict=True))) == len(set(old_codes)) == len(set(new_codes))
        assert set(new_codes) != set(old_codes) or not old_codes


def test_every_code_of_the_catalogue_is_one_that_can_be_changed() -> None:
    pages = [message.content for episode in erratic() for message in review_prompt(episode)]
    shown = {
        code for page in pages for code, _, _ in (PageView([Message("user", page)]).items if "Page " in page else ())
    }
    assert shown
    assert all(CODE.fullmatch(code) for code in shown)


def test_pieces_to_copy_are_determined_by_their_first_token() -> None:
    rows = list(copy_rows(CHAT, random.Random(0), 50))
    assert len(rows) == 50
    for row in rows:
        shown = row.ids[: next(index for index, token in enumerate(row.ids) if token in row.ids[:index])]
        following = dict(pairwise(shown))
        learned = [
            (before, token)
            for before, token, weight in zip(row.ids, row.ids[1:], row.weights[1:], strict=False)
            if weight
        ]
        assert len(learned) >= 16
        assert all(following[before] == token for before, token in learned)


def test_a_recipe_that_goes_on_starts_from_the_weights_and_keeps_the_tokenizer(tmp_path: Path) -> None:
    replace(HARD, phases=()).make(tmp_path, seed=0, on_step=lambda *_: None)
    made, shipped = tiny.load(tmp_path), tiny.load()
    assert (tmp_path / tiny.RANKS).read_bytes() == (tiny.SHIPPED / tiny.RANKS).read_bytes()
    others = shipped.model.state_dict()
    assert all(torch.equal(weight, others[name]) for name, weight in made.model.state_dict().items())


def test_teacher_rows_answer_hindsight_with_what_is_right() -> None:
    for episode in erratic():
        rows = list(teacher_rows(CHAT, episode, review(episode), random.Random(0), share=1.0))
        assert len(rows) == len(episode.turns)
        for row, turn in zip(rows, episode.turns, strict=True):
            answer = CHAT.decode([token for token, weight in zip(row.ids, row.weights, strict=True) if weight])
            assert PageView(turn.prompt).is_good(answer)


def answers(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Returns the text of each row before its first weight, and from there on."""
    starts = [[bool(weight) for weight in row.weights].index(True) for row in rows]
    return [(CHAT.decode(row.ids[:at]), CHAT.decode(row.ids[at:])) for row, at in zip(rows, starts, strict=True)]


@pytest.mark.parametrize("max_items", [1, 3, 10])
def test_drills_judge_every_result_that_their_page_keeps(max_items: int) -> None:
    rng = random.Random(0)
    drills = answers([row for episode in erratic() for row in drill_rows(CHAT, episode, rng, max_items)])
    kept = set()
    for shown, answer in drills:
        if "Check each result." in shown:
            page = PageView([Message("user", shown.removeprefix("<|user|>").partition("\nCheck")[0])])
            expected = [f"{code} {page.requirements.verdict(title, price)}" for code, title, price in page.items]
            assert answer.splitlines() == expected
            kept.add(len(expected))
    assert max(kept) == min(max_items, 6)
    assert min(kept) == 1


def test_drills_judge_items_that_serve_and_items_that_do_not() -> None:
    rng, verdicts = random.Random(0), set()
    for shown, answer in answers([row for episode in erratic() for row in drill_rows(CHAT, episode, rng, 10)]):
        if "Check this item." in shown:
            page = shown.removeprefix("<|user|>").partition("\nCheck")[0]
            assert answer == (PageView([Message("user", page)]).fault or "fits")
            verdicts.add(answer == "fits")
    assert verdicts == {True, False}


def test_drills_answer_pages_with_what_is_right() -> None:
    rng, kinds = random.Random(0), set()
    for shown, answer in answers([row for episode in erratic() for row in drill_rows(CHAT, episode, rng, 10)]):
        if "Check" not in shown:
            page = PageView([Message("user", shown.removeprefix("<|user|>").removesuffix("<|assistant|>"))])
            assert page.is_good(answer)
            kinds.add(page.page)
    assert kinds == {"search", "results", "item"}


def test_words_are_checked_one_by_one_and_then_together() -> None:
    required = Requirements(("quilted", "lined"), "rain jacket", (), 30.0)
    assert required.by_word("Norvia lined hooded rain jacket", "$30.0") == (
        "quilted no, lined yes, rain jacket yes, price yes"
    )
    assert required.by_word("Norvia quilted lined denim skirt", "$8.0 to $31.0") == (
        "quilted yes, lined yes, rain jacket no, price no"
    )
    rng = random.Random(0)
    rows = answers([row for episode in erratic() for row in word_rows(CHAT, episode, rng)])
    assert {"Check each word." in shown for shown, _ in rows} == {True, False}
    for shown, answer in rows:
        instruction, title, price = shown.removesuffix("<|assistant|>").split(" [SEP] ")[-3:]
        assert answer.endswith(Requirements.read(instruction).verdict(title, price))


def test_ranks_are_those_of_the_tokenizer_that_was_trained() -> None:
    texts = [message.content for episode in erratic(30) for message in review_prompt(episode)]
    ranks = train_ranks(texts, PATTERN, 400)
    assert sorted(ranks.values()) == list(range(400))
    encoding = tiktoken.Encoding("test", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    sizes = [len(encoding.encode(text)) / len(text.encode()) for text in texts]
    assert all(encoding.decode(encoding.encode(text)) == text for text in texts)
    assert sum(sizes) / len(sizes) < 0.6


def test_the_shipped_policy_is_small_acts_validly_and_fails_by_habit() -> None:
    lm = tiny.load()
    assert 0.5e6 < sum(weight.numel() for weight in lm.model.parameters()) < 5e6
    assert sum(file.stat().st_size for file in tiny.SHIPPED.iterdir()) < 10e6
    envs = [WebShopEnv(split="validation") for _ in range(50)]
    policy = lm.policy(temperature=0.0, max_new_tokens=48)
    episodes = rollout(envs, policy, [Task(index, 0) for index in range(50)], max_turns=8)
    turns = [turn for episode in episodes for turn in episode.turns]
    assert sum(turn.info["action_valid"] is True for turn in turns) / len(turns) > 0.95
    assert 0.1 < sum(episode.success for episode in episodes) / 50 < 0.6
