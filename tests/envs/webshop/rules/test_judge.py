"""The rules of WebShop: tolerant of any text, right about what a page shows, and silent about the rest."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.rules.read import parse_page
from hero.policy import FunctionPolicy
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.testing.strategies import trajectories, turns
from hero.types import Action, Diagnosis, Finding, Message, Stop, Trajectory
from tests.envs.webshop.episodes import moves, play
from tests.envs.webshop.recorded import DATA, needs_recordings
from tests.hostile import call_with_each, texts
from tests.played import FAILED, INVALID, UNNECESSARY, USEFUL, episode, findings

INSTRUCTION = "find me a padded quilted rain jacket in navy with size small, and price lower than 40.00 dollars"
SEARCH = f"WebShop [SEP] Instruction: [SEP] {INSTRUCTION} [SEP] Search"
TOP = f"Instruction: [SEP] {INSTRUCTION} [SEP] Back to Search"
GOOD = ("ZUKA", "Norvia quilted padded rain jacket", "$25.5")
DEAR = ("BADA", "Zelmo padded quilted rain jacket", "$65.5")
OTHER = ("COCE", "Umbria quilted hooded rain jacket", "$20.0")
GROUPS = [["color", "navy", "black"], ["size", "petite", "small"]]
FULL = "search[padded quilted rain jacket]"


def results(*items: tuple[str, str, str]) -> str:
    return " [SEP] ".join([TOP, "Page 1 (Total results: 50)", "Next >", *(part for item in items for part in item)])


def item(which: tuple[str, str, str], *chosen: str, groups: list[list[str]] = GROUPS) -> str:
    values = [f"{value} (selected)" if value in chosen else value for group in groups for value in group]
    buttons = ["Rating: N.A.", "Description", "Features", "Reviews", "Buy Now"]
    return " [SEP] ".join([TOP, "< Prev", *values, which[1], f"Price: {which[2]}", *buttons])


def shop(*steps: tuple[str, str], **rest: object) -> dict[int, Finding]:
    return findings(episode(steps, start=SEARCH, env_id="webshop", **rest))  # type: ignore[arg-type]


PAGE = results(OTHER, DEAR, GOOD)
DETAILS = f"{TOP} [SEP] < Prev [SEP] Warm and dry."
THANKS = "Thank you for shopping with us!"


def test_a_perfect_episode_is_useful_throughout() -> None:
    judged = shop(
        (FULL, PAGE),
        ("click[ZUKA]", item(GOOD)),
        ("click[navy]", item(GOOD, "navy")),
        ("click[small]", item(GOOD, "navy", "small")),
        ("click[buy now]", THANKS),
        reward=1.0,
    )
    assert [judged[turn].verdict for turn in range(5)] == [USEFUL] * 5
    assert not any(finding.advice for finding in judged.values())


@pytest.mark.parametrize(
    ("query", "cause"),
    [
        ("search[rain jacket]", "leaves out padded, quilted"),
        ("search[padded jackets]", "leaves out quilted, rain"),
        ("search[quilting padding]", "leaves out padded, quilted, rain, jacket"),
    ],
)
def test_a_query_that_leaves_words_out_lists_all_of_them(query: str, cause: str) -> None:
    assert shop((query, PAGE), ("click[ZUKA]", item(GOOD)))[0] == Finding(0, FAILED, cause, FULL)


def test_words_that_turn_out_to_be_an_option_are_not_required_of_a_query() -> None:
    instruction = "i need a black rain jacket, and price lower than 40.00 dollars"
    start, page, opened = (text.replace(INSTRUCTION, instruction) for text in (SEARCH, PAGE, item(GOOD)))
    steps = [("search[rain jacket]", page), ("click[ZUKA]", opened)]
    judged = findings(episode(steps, start=start, env_id="webshop", stop=Stop.MAX_TURNS))
    assert judged[0].verdict is USEFUL


@pytest.mark.parametrize(("clicked", "cause"), [(OTHER, "title lacks padded"), (DEAR, "over budget"), (GOOD, "")])
def test_the_result_that_fits_is_advised(clicked: tuple[str, str, str], cause: str) -> None:
    judged = shop((FULL, PAGE), (f"click[{clicked[0].lower()}]", item(clicked)), ("click[< prev]", PAGE))
    expected = Finding(1, FAILED, cause, "click[ZUKA]") if cause else Finding(1, USEFUL)
    assert judged[1] == expected


def test_an_item_within_a_price_range_is_over_budget_only_if_all_of_it_is() -> None:
    ranged = ("DADE", "Calden padded quilted rain jacket", "$35.0 to $55.0")
    judged = shop((FULL, results(ranged, DEAR)), ("click[DADE]", item(ranged)), ("click[buy now]", THANKS), reward=0.5)
    assert judged[1] == Finding(1, USEFUL)
    assert judged[2].cause == "navy not chosen"


def test_without_a_match_on_the_page_the_way_on_depends_on_the_query() -> None:
    page = results(OTHER, DEAR)
    assert shop((FULL, page), ("click[BADA]", item(DEAR)))[1].advice == "click[next >]"
    assert shop(("search[jacket]", page), ("click[BADA]", item(DEAR)))[1].advice == "click[back to search]"
    assert shop(("search[jacket]", page), ("click[back to search]", SEARCH), (FULL, PAGE))[1] == Finding(1, USEFUL)


def test_leaving_a_page_that_has_a_match_is_unnecessary() -> None:
    for button in ("next >", "back to search"):
        judged = shop((FULL, PAGE), (f"click[{button}]", SEARCH))
        assert judged[1] == Finding(1, UNNECESSARY, "a match is on this page", "click[ZUKA]")


@pytest.mark.parametrize(
    ("bought", "chosen", "cause", "advice"),
    [
        (GOOD, (), "navy not chosen", "click[navy]"),
        (GOOD, ("navy",), "small not chosen", "click[small]"),
        (GOOD, ("black", "small"), "navy not chosen", "click[navy]"),
        (DEAR, ("navy", "small"), "over budget", "click[< prev]"),
        (OTHER, ("navy", "small"), "title lacks padded", "click[< prev]"),
        (GOOD, ("navy", "small"), "bought without a look at the details", "click[description]"),
    ],
)
def test_a_poor_purchase_is_explained(
    bought: tuple[str, str, str], chosen: tuple[str, ...], cause: str, advice: str
) -> None:
    judged = shop((FULL, PAGE), ("click[zuka]", item(bought, *chosen)), ("click[Buy Now]", THANKS), reward=0.5)
    assert judged[2] == Finding(2, FAILED, cause, advice)


def test_an_item_that_does_not_offer_what_is_asked_for_is_left() -> None:
    bare = item(GOOD, groups=[["size", "petite", "large"]])
    judged = shop((FULL, PAGE), ("click[ZUKA]", bare), ("click[petite]", bare), ("click[< prev]", PAGE))
    assert judged[1] == Finding(1, FAILED, "no small", "click[next >]")
    assert judged[2] == Finding(2, UNNECESSARY, "no small", "click[< prev]")
    assert judged[3] == Finding(3, USEFUL)


def test_options_are_judged_by_the_instruction() -> None:
    judged = shop(
        (FULL, PAGE),
        ("click[ZUKA]", item(GOOD)),
        ("click[black]", item(GOOD, "black")),
        ("click[navy]", item(GOOD, "navy")),
        ("click[navy]", item(GOOD, "navy")),
        ("click[black]", item(GOOD, "black")),
        ("click[< prev]", PAGE),
    )
    assert judged[2] == Finding(2, FAILED, "navy is asked for", "click[navy]")
    assert judged[3] == Finding(3, USEFUL)
    assert judged[4] == Finding(4, UNNECESSARY, "chosen already", "click[small]")
    assert judged[5] == Finding(5, FAILED, "navy is asked for", "click[small]")
    assert judged[6] == Finding(6, UNNECESSARY, "the item fits", "click[navy]")


def test_options_are_inferred_from_the_clicks_where_the_page_does_not_mark_them() -> None:
    judged = shop(
        (FULL, PAGE),
        ("click[ZUKA]", item(GOOD)),
        ("click[navy]", item(GOOD)),
        ("click[description]", DETAILS),
        ("click[< prev]", item(GOOD)),
        ("click[buy now]", THANKS),
        reward=0.5,
    )
    assert judged[2] == Finding(2, USEFUL)
    assert judged[5] == Finding(5, FAILED, "small not chosen", "click[small]")


def test_details_that_show_nothing_are_unnecessary() -> None:
    empty = f"{TOP} [SEP] < Prev"
    judged = shop((FULL, PAGE), ("click[ZUKA]", item(GOOD)), ("click[reviews]", empty), ("click[< prev]", item(GOOD)))
    assert judged[2] == Finding(2, UNNECESSARY, "shows nothing", "click[navy]")


def test_an_invalid_action_is_answered_with_what_the_page_allows() -> None:
    judged = shop((FULL, PAGE), ("click[ZUKA]", item(GOOD)), ("buy it", item(GOOD)), invalid=(2,), stop=Stop.MAX_TURNS)
    assert judged[2] == Finding(2, INVALID, "no such thing", "click[navy]")


# Turns that the pages give no reason to judge.


def test_going_back_to_a_page_is_judged_by_what_is_on_it() -> None:
    far = ("HAHE", "Sandor rain coat", "$20.0")
    page = results(far, DEAR)
    judged = shop((FULL, page), ("click[HAHE]", item(far)), ("click[< prev]", page), stop=Stop.ERROR)
    assert 2 not in judged


def test_reading_details_is_a_matter_of_taste() -> None:
    judged = shop((FULL, PAGE), ("click[ZUKA]", item(GOOD)), ("click[features]", DETAILS), stop=Stop.ERROR)
    assert 2 not in judged


def test_details_that_were_read_are_not_advised_again() -> None:
    chosen = item(GOOD, "navy", "small")
    steps = [
        ("click[ZUKA]", chosen),
        ("click[features]", DETAILS),
        ("click[< prev]", chosen),
        ("click[buy now]", THANKS),
    ]
    assert shop((FULL, PAGE), *steps, reward=0.5)[4] == Finding(4, FAILED, "ended the episode with reward 0.50")


def test_a_full_query_that_brings_no_match_is_neither_praised_nor_blamed() -> None:
    assert 0 not in shop((FULL, results(OTHER, DEAR)), ("click[next >]", PAGE), stop=Stop.ERROR)


def test_turning_the_page_after_a_poor_query_is_not_praised() -> None:
    judged = shop(("search[jacket]", results(OTHER)), ("click[next >]", results(DEAR)), stop=Stop.ERROR)
    assert 1 not in judged


def test_titles_are_compared_without_a_match_only_where_one_is_clearly_better() -> None:
    bare, near = ("JAJE", "Orwell coat", "$20.0"), ("KAKE", "Orwell rain hat", "$20.0")
    page = results(bare, near, OTHER)
    assert shop((FULL, page), ("click[JAJE]", item(bare)), stop=Stop.ERROR)[1].advice == "click[COCE]"
    assert shop((FULL, page), ("click[KAKE]", item(near)), stop=Stop.ERROR)[1].advice == "click[COCE]"
    padded = ("LALE", "Orwell quilted rain hat", "$20.0")
    assert 1 not in shop((FULL, results(OTHER, padded)), ("click[LALE]", item(padded)), stop=Stop.ERROR)


def test_a_range_that_may_exceed_the_budget_is_not_recommended() -> None:
    ranged = ("DADE", "Calden padded quilted rain jacket", "$35.0 to $55.0")
    assert 1 not in shop((FULL, results(OTHER, ranged)), ("click[COCE]", item(OTHER)), stop=Stop.ERROR)


def test_a_purchase_after_a_poor_query_leads_back_to_the_search() -> None:
    judged = shop(
        ("search[quilted jacket]", results(OTHER)),
        ("click[COCE]", item(OTHER, "navy", "small")),
        ("click[buy now]", THANKS),
        reward=0.5,
    )
    assert judged[1] == Finding(1, FAILED, "title lacks padded", "click[back to search]")
    assert judged[2] == Finding(2, FAILED, "title lacks padded", "click[back to search]")


def test_a_title_is_not_blamed_where_a_missing_option_explains_the_reward() -> None:
    judged = shop(
        ("search[quilted jacket]", results(OTHER)), ("click[COCE]", item(OTHER)), ("click[buy now]", THANKS), reward=0.5
    )
    assert 1 not in judged
    assert judged[2].advice == "click[navy]"


def test_the_latest_query_counts() -> None:
    page = results(OTHER, DEAR)
    judged = shop(
        ("search[jacket]", page), ("click[back to search]", SEARCH), (FULL, page), ("click[BADA]", item(DEAR))
    )
    assert judged[3].advice == "click[next >]"


def test_an_option_that_another_item_offered_is_missed_where_it_is_not() -> None:
    bare = item(GOOD, groups=[["color", "black"], ["size", "small"]])
    steps = [("click[BADA]", item(DEAR)), ("click[< prev]", PAGE), ("click[ZUKA]", bare)]
    assert shop((FULL, PAGE), *steps)[3].cause == "no navy"
    assert shop((FULL, PAGE), ("click[ZUKA]", bare), stop=Stop.ERROR)[1] == Finding(1, USEFUL)


@pytest.mark.parametrize(
    ("asked", "groups", "advice"),
    [
        ("a coat, x-large", [["size", "large", "x-large"]], "click[x-large]"),
        ("a coat, x-large", [["size", "large", "small"]], "click[description]"),
        ("a coat in black and white", [["color", "white", "black and white"]], "click[black and white]"),
        ("a coat with color: rose gold, and size: x-large", [["color", "gold", "rose gold"]], "click[< prev]"),
        (
            "a coat with color: rose gold, and size: x-large",
            [["color", "gold", "rose gold"], ["size", "x-large"]],
            "click[rose gold]",
        ),
    ],
)
def test_requested_options_are_read_as_they_are_written(asked: str, groups: list[list[str]], advice: str) -> None:
    instruction = f"{asked}, and price lower than 40.00 dollars"
    coat = item(("MAME", "Norvia coat", "$20.0"), groups=groups).replace(INSTRUCTION, instruction)
    steps = [("click[buy now]", THANKS)]
    judged = findings(episode(steps, start=coat, env_id="webshop", reward=0.5))
    assert judged[0].advice == advice


@pytest.mark.parametrize(
    ("asked", "title"),
    [("women's jackets", "Norvia Women Jacket"), ("glass cup", "Norvia glasses cups"), ("26.5 boots", "Boot 26.5")],
)
def test_words_are_compared_whatever_their_number(asked: str, title: str) -> None:
    page = results(("NANE", title, "$20.0")).replace(INSTRUCTION, f"i need {asked}, and price lower than 40.00 dollars")
    steps = [("click[next >]", page)]
    fits = findings(episode(steps, start=page, env_id="webshop"))[0].cause == "a match is on this page"
    assert fits == (asked != "glass cup"), "a plural in -es is beyond the rule, and is not to be guessed"


def test_a_title_need_not_show_what_a_bought_one_of_full_reward_did_not() -> None:
    plain = ("GAGE", "Orwell quilted rain jacket", "$20.0")
    judged = shop(
        ("search[quilted rain jacket]", results(plain)),
        ("click[GAGE]", item(plain, "navy", "small")),
        ("click[buy now]", THANKS),
        reward=1.0,
    )
    assert {finding.verdict for finding in judged.values()} == {USEFUL}


OFFERED = [
    ("a 120 ml hair mask", "120ml"),
    ("a 120ml hair mask", "120 ml"),
    ("a hair mask, charcoal please", "heather charcoal"),
    ("a black hair mask", "black1901"),
    ("a black hair mask", "02-black"),
    ("a gray hair mask", "grey"),
    ("two hair masks", "2 pcs"),
    ("a hair mask, 2 packs", "pack of 2 (4 ounce)"),
    ("a hair mask, 10.5", "10.5 wide"),
    ("a rose gold hair mask", "rosegold"),
    ("a rosegold hair mask", "rose gold"),
    ("a blue hair mask", "navyblue"),
    ("a hair mask in xl", "x-large"),
    ("a hair mask the color of plums", "purple"),
    ("women's hair mask", "for woman"),
    ("a hair mask, Fresh-scented", "FRESH"),
    ("a hair mask with 1/2 inch bristles", "1 | 2 in."),
]
"""Instructions, and option values that they ask for in other words."""
MASK = ("PASA", "Orwell hair mask", "$20.0")


def mask(asked: str, *clicks: str, groups: list[list[str]], reward: float, marked: bool = True) -> dict[int, Finding]:
    """Returns the findings about an episode that searches for a mask, opens it, clicks some options and buys it."""
    chosen = [item(MASK, *clicks[:count], groups=groups) for count in range(len(clicks) + 1)]
    chosen = chosen if marked else [chosen[0]] * len(chosen)
    pages = [SEARCH, results(MASK), *chosen, THANKS]
    start, *seen = (page.replace(INSTRUCTION, f"i need {asked}, and price lower than 40.00 dollars") for page in pages)
    actions = ["search[hair mask]", "click[pasa]", *(f"click[{value}]" for value in clicks), "click[buy now]"]
    return findings(episode(zip(actions, seen, strict=True), start=start, reward=reward, env_id="webshop"))


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("reward", [0.5, 1.0])
@pytest.mark.parametrize(("asked", "value"), OFFERED)
def test_an_option_in_other_words_than_those_of_the_instruction_is_not_faulted(
    asked: str, value: str, reward: float, marked: bool
) -> None:
    groups = [["color", "teal", value], ["size", "mega"]]
    judged = mask(asked, value, groups=groups, reward=reward, marked=marked)
    assert judged.get(2) in (None, Finding(2, USEFUL))
    if reward == 1:
        assert judged[3] == Finding(3, USEFUL)


@pytest.mark.parametrize("asked", ["a black hair mask", "a hair mask with color: black"])
def test_a_purchase_of_full_reward_is_not_faulted_for_a_seeming_request(asked: str) -> None:
    judged = mask(asked, "black1901", groups=[["color", "black", "black1901"]], reward=1.0)
    assert set(judged) == {0, 1, 3}
    assert {finding.verdict for finding in judged.values()} == {USEFUL}


def test_an_item_that_offers_an_option_in_other_words_is_not_faulted_for_lacking_it() -> None:
    for reward in (0.5, 1.0):
        judged = mask("a hair mask with color charcoal", groups=[["color", "heather charcoal"]], reward=reward)
        assert "no charcoal" not in {finding.cause for finding in judged.values()}
    exact = mask("a hair mask with color: charcoal", groups=[["color", "heather charcoal"]], reward=0.5)
    assert exact[1].cause == "no charcoal"


def test_options_that_nothing_asks_for_are_faulted_even_in_a_bought_item() -> None:
    groups = [["color", "navy", "teal"], ["size", "mega", "tiny"]]
    assert mask("a hair mask in navy", "navy", "mega", groups=groups, reward=1.0)[3].cause == "not asked for"
    assert mask("a hair mask with color: navy", "navy", "mega", groups=groups, reward=1.0)[3].cause == "not asked for"
    assert mask("a hair mask in navy", "teal", "navy", groups=groups, reward=1.0)[2].cause == "navy is asked for"
    assert mask("a hair mask with color: navy", "teal", groups=groups, reward=0.5)[2].cause == "navy is asked for"


def test_marked_options_are_all_that_is_asked_for_whatever_other_words_are_left() -> None:
    groups = [["color", "navy", "teal"], ["size", "navy large"]]
    judged = mask("a soft hair mask with color: navy", "teal", "navy", groups=groups, reward=0.5)
    assert judged[2] == Finding(2, FAILED, "navy is asked for", "click[navy]")
    judged = mask("a hair mask with color: navy", "navy", "navy", groups=groups, reward=0.5)
    assert judged[3] == Finding(3, UNNECESSARY, "chosen already", "click[buy now]")


def test_a_marked_option_goes_before_words_that_another_value_shares() -> None:
    groups = [["flavor", "old fashioned", "teriyaki"]]
    judged = mask("an old fashioned hair mask with flavor: teriyaki", "teriyaki", groups=groups, reward=1.0)
    assert judged[2] == Finding(2, USEFUL)


def test_a_bought_title_of_full_reward_explains_words_of_the_instruction() -> None:
    plum = ("ROSO", "Plum lip balm", "$20.0")
    groups = [["color", "purple", "teal"]]
    pages = [SEARCH, results(MASK, plum), item(MASK, groups=groups), item(MASK, "purple", groups=groups), THANKS]
    start, *seen = (page.replace(INSTRUCTION, "i need a plum hair mask") for page in pages)
    steps = list(zip(["search[hair mask]", "click[pasa]", "click[purple]", "click[buy now]"], seen, strict=True))
    for reward, expected in ((1.0, None), (0.5, Finding(2, UNNECESSARY, "not asked for"))):
        assert findings(episode(steps, start=start, reward=reward, env_id="webshop")).get(2) == expected


def test_a_purchase_of_full_reward_is_useful_throughout() -> None:
    for asked in ("a hair mask with size 9", "a hair mask with size: 9"):
        judged = mask(asked, groups=[["size", "mega"]], reward=1.0)
        assert {finding.verdict for finding in judged.values()} == {USEFUL}
        assert mask(asked, groups=[["size", "mega"]], reward=0.5)[1].cause == "no 9"


@pytest.mark.parametrize(("value", "advice"), [("120ml", ""), ("huge", "click[buy now]")])
def test_nothing_is_to_be_bought_while_words_may_stand_for_an_option(value: str, advice: str) -> None:
    filled = ("PASA", "Orwell 120 ml hair mask", "$20.0")
    opened = item(filled, groups=[["color", "teal", value]])
    start, seen = (page.replace(INSTRUCTION, "i need a 120 ml hair mask") for page in (opened, f"{TOP} [SEP] < Prev"))
    judged = findings(episode([("click[reviews]", seen)], start=start, env_id="webshop", stop=Stop.ERROR))
    assert judged == {0: Finding(0, UNNECESSARY, "shows nothing", advice)}


def test_an_instruction_that_names_no_product_is_matched_by_none() -> None:
    page = results(MASK, GOOD).replace(INSTRUCTION, "please find me something in navy")
    steps = [("click[next >]", page.replace("Page 1", "Page 2"))]
    assert findings(episode(steps, start=page, env_id="webshop", stop=Stop.ERROR)) == {}


@needs_recordings
@pytest.mark.parametrize("compat", [None, "upstream"])
def test_no_click_that_led_to_full_reward_on_a_human_goal_is_faulted(compat: Any) -> None:
    env = WebShopEnv(data=DATA, split="test", goals="human", compat=compat)
    solved = 0
    for index, goal in enumerate(env._goals):
        clicks = [goal.product.asin, *goal.options, "buy now"]
        script = iter([f"search[{goal.product.title}]", *(f"click[{value}]" for value in clicks)])
        (played,) = rollout(
            [env], FunctionPolicy(lambda _, script=script: next(script)), [Task(index, 0)], max_turns=15
        )
        if played.reward == 1 and all(turn.info["action_valid"] for turn in played.turns):
            solved += 1
            judged = RulesReflector().reflect([played])[0].findings
            assert {finding.verdict for finding in judged if finding.turn} <= {USEFUL}, judged
    assert solved >= 10


@settings(max_examples=60)
@given(moves, st.integers(0, 20), st.sampled_from(["easy", "hard"]))
def test_both_observations_lead_to_the_same_findings(drawn: list[str | int], task: int, level: str) -> None:
    env = WebShopEnv(level=level)
    goal = env._goals[task]
    found = [
        f"search[{goal.product.title}]",
        f"click[{goal.product.asin}]",
        *(f"click[{each}]" for each in goal.options),
    ]
    actions = [action for action, *_ in play(env, [*found, *drawn], options={"task": task})[1:]]
    judged = []
    for kind in ("text", "text_rich"):
        script = iter(actions)
        policy = FunctionPolicy(lambda _, script=script: next(script))
        shown = WebShopEnv(level=level, observation=kind)
        (played,) = rollout([shown], policy, [Task(task, 0)], max_turns=len(actions))
        pages = [*map(parse_page, played.observations)]
        judged.append((pages, RulesReflector().reflect([played])[0].findings))
        assert None not in pages[: len(actions)]
    assert judged[0] == judged[1]


@settings(max_examples=60)
@given(
    trajectories(
        env_id=st.just("webshop"),
        turn=turns(
            action=st.builds(
                Action, st.sampled_from([FULL, "search[jacket]", "click[zuka]", "click[buy now]", "click[navy]", "?"])
            ),
            prompt=st.just((Message("user", SEARCH),)),
            observation=st.lists(
                st.sampled_from(
                    [SEARCH, PAGE, item(GOOD), item(DEAR, "navy"), DETAILS, *PAGE.split(" [SEP] "), "Price: $"]
                )
            ).map(" [SEP] ".join)
            | st.sampled_from([SEARCH, PAGE, item(GOOD), item(DEAR, "navy"), DETAILS]),
        ),
        max_turns=6,
    )
)
def test_jumbled_pages_never_raise(trajectory: Trajectory) -> None:
    assert isinstance(RulesReflector().reflect([trajectory])[0], Diagnosis)


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_advice_can_always_be_followed_and_is_never_what_was_done(level: str) -> None:
    env, rng = WebShopEnv(level=level, split="train"), random.Random(level)

    def erratic(messages: object) -> str:
        query = env._goal.text.partition(", and price")[0]
        listed = [action for action in env._info()["available_actions"] if action != "search[...]"]
        return rng.choice([f"search[{query}]", *listed * 2, "click[purple rain]"])

    tasks = [Task(index % env.num_tasks, index) for index in range(40)]
    played = rollout([env], FunctionPolicy(erratic), tasks, max_turns=15)
    advised = 0
    for task, trajectory, diagnosis in zip(tasks, played, RulesReflector().reflect(played), strict=True):
        for finding in diagnosis.findings:
            if not finding.advice:
                continue
            advised += 1
            assert finding.advice.lower() != trajectory.turns[finding.turn].action.text.lower()
            env.reset(seed=task.seed, options={"task": task.index})
            for turn in trajectory.turns[: finding.turn]:
                env.step(turn.action.text)
            assert env.step(finding.advice)[4]["action_valid"], finding
    assert advised > 100


def judge_texts(asked: str, title: str, value: str, query: str, reward: float) -> object:
    """Returns the findings about an episode with these texts."""
    top = f"Instruction: [SEP] {asked} [SEP] Back to Search"
    hits = ["Page 1 (Total results: 2)", "Next >", "ZUKA", title, "$2", "BADA", "x", "$3"]
    page = " [SEP] ".join([top, *hits])
    parts = ["< Prev", "color", "navy", value, "size", "small", title, "Price: $2", "Reviews", "Buy Now"]
    opened = " [SEP] ".join([top, *parts])
    clicks = ["navy", value, "features", "< prev", "buy now"]
    steps = [(f"search[{query}]", page), ("click[ZUKA]", opened), *((f"click[{click}]", opened) for click in clicks)]
    start = f"WebShop [SEP] Instruction: [SEP] {asked} [SEP] Search"
    return findings(episode([*steps, (query, opened)], start=start, reward=reward, env_id="webshop", invalid=(7,)))


def test_takes_a_moment_whatever_the_words_of_a_page_or_an_action() -> None:
    def judge(text: str) -> None:
        judge_texts(f"{text} a coat, and price lower than 4 dollars", text, text, text[:1000], 0.5)
        judge_texts("a coat", text, text, text, 1.0)

    many = (" ".join(f"{start}{index}" for index in range(5000)) for start in ("w", "size: w", ", size: w"))
    call_with_each(judge, [*texts("a, ", length=30_000), *many])
