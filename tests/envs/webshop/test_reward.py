"""The reward: its formula, its similarity against brute force, and the recorded rewards of the original."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.goals.goals import Goal
from hero.envs.webshop.reward import COLORS, normalize_color, score, similarity
from hero.envs.webshop.shop import Shop, open_shop
from tests.envs.webshop.recorded import DATA, lines, needs_recordings

phrases = st.text("ab é-_'A1", max_size=12)


def embedded() -> Shop:
    return open_shop(level="hard", seed=0, data=None, instruction_kind="human", goal_seed=42)


def recorded() -> Shop:
    return open_shop(level="", seed=0, data=DATA, instruction_kind="synthetic", goal_seed=42)


def all_goals(shop: Shop) -> list[Goal]:
    return [goal for split in ("test", "validation", "train") for goal in shop.goals[split]]


def weights_of(goal: Goal) -> dict[str, float]:
    """Returns the weight of each part that there is in the sum that the kind of product multiplies."""
    counts = {"w_att": len(goal.attributes), "w_option": len(goal.options), "w_price": 1}
    return {name: count / sum(counts.values()) for name, count in counts.items() if count}


def subsequence(a: str, b: str) -> int:
    """Returns the length of the longest common subsequence, by dynamic programming."""
    row = [0] * (len(b) + 1)
    for left in a:
        above = row[:]
        for column, right in enumerate(b, 1):
            row[column] = above[column - 1] + 1 if left == right else max(above[column], row[column - 1])
    return row[-1]


def ratio(a: str, b: str) -> float:
    return 200 * subsequence(a, b) / (len(a) + len(b)) if a or b else 100.0


def token_set_ratio(a: str, b: str) -> int:
    def words(text: str) -> set[str]:
        kept = "".join(letter for letter in text if not 128 <= ord(letter) < 256)
        return set(re.sub(r"\W", " ", kept).lower().split())

    left, right = words(a), words(b)
    if not left or not right:
        return 0
    common = " ".join(sorted(left & right))
    one, other = (f"{common} {' '.join(sorted(rest))}".strip() for rest in (left - right, right - left))
    if common and (common in (one, other)):
        return 100
    pairs = [(one, other)] + ([(common, one), (common, other)] if common else [])
    return round(max(ratio(*pair) for pair in pairs))


@given(phrases, phrases)
def test_similarity_is_token_set_ratio(a: str, b: str) -> None:
    assert similarity(a, b) == token_set_ratio(a, b)


@needs_recordings
def test_similarities_are_those_that_were_recorded() -> None:
    records = lines("fuzz_scores")
    assert len(records) == 900
    sides = [(record["a"], str(tuple(record["b"])) if record.get("b_is_tuple") else record["b"]) for record in records]
    assert [similarity(*pair) for pair in sides] == [record["score"] for record in records]


def test_colors() -> None:
    assert len(COLORS) == 102
    assert list(COLORS) == sorted(COLORS)
    expected = {"standard": "tan", "washed": "ash", "light blue": "blue", "10 inch": "10 inch", "": ""}
    assert {value: normalize_color(value) for value in expected} == expected


def test_every_goal_of_the_embedded_catalogue_can_be_reached() -> None:
    shop = embedded()
    for goal in all_goals(shop):
        groups = goal.product.options
        chosen = {group: value for group, values in groups.items() for value in values if value in goal.options}
        assert len(chosen) == len(goal.options)
        assert score(goal, goal.product, chosen, shop.prices[goal.product.asin]).total == 1.0


@given(st.data(), st.booleans())
def test_the_total_is_the_weighted_sum_of_the_parts(data: st.DataObject, upstream: bool) -> None:
    shop = embedded()
    goal = data.draw(st.sampled_from(all_goals(shop)))
    item = data.draw(st.sampled_from([*shop.inventory.products.values(), goal.product]))
    chosen = {group: data.draw(st.sampled_from(values)) for group, values in item.options.items()}
    reward = score(goal, item, chosen, data.draw(st.floats(0, 200)), upstream=upstream)
    weights = weights_of(goal)
    assert sum(weights.values()) == pytest.approx(1)
    parts = {name: getattr(reward, name.replace("w_", "r_")) * weight for name, weight in weights.items()}
    assert reward.total == pytest.approx(sum(parts.values()) * reward.r_type)
    assert 0 <= reward.total <= 1
    assert reward.r_type in (0.0, 0.1, 0.5, 1.0)


def test_each_part_fails_for_its_own_reason() -> None:
    shop = embedded()
    goal = next(goal for goal in all_goals(shop) if len(goal.options) == 2)
    item, price = goal.product, shop.prices[goal.product.asin]
    chosen = {group: value for group, values in item.options.items() for value in values if value in goal.options}
    full = score(goal, item, chosen, price)
    assert score(goal, item, chosen, goal.price_upper + 0.01) == replace(
        full, total=full.total - weights_of(goal)["w_price"], r_price=False
    )
    assert score(goal, item, chosen, goal.price_upper) == full
    assert score(goal, item, {}, price).r_option == 0.0
    assert score(goal, item, dict([*chosen.items()][:1]), price).r_option == 0.5
    bare = replace(item, attributes=("nothing",), title="x", bullets=(), description="")
    assert score(goal, bare, chosen, price).r_att == 0.0
    named = replace(bare, bullets=(goal.attributes[0].upper(),))
    assert score(goal, named, chosen, price).r_att == pytest.approx(1 / len(goal.attributes))


def test_attributes_count_from_a_similarity_above_85() -> None:
    wanted = "abcdefghijklmnopq"
    goal = replace(all_goals(embedded())[0], attributes=(wanted,))
    for attribute, similar, has in ((f"{wanted}12345", 87, 1.0), (f"{wanted}123456", 85, 0.0)):
        assert similarity(attribute, wanted) == similar
        bare = replace(goal.product, attributes=(attribute,), title="x", bullets=(), description="")
        assert score(goal, bare, {}, 1.0).r_att == has


@pytest.mark.parametrize(
    ("nouns", "query", "category", "expected"),
    [
        ("abc", "q", "a › b", 1.0),  # a third of the wanted nouns
        ("a", "q", "x", 1.0),  # a tenth, with the query
        ("a", "other", "a › b", 1.0),  # a tenth, with two categories
        ("a", "other", "a › x", 0.5),
        ("ab", "other", "x", 0.5),  # a fifth is not more than a fifth
        ("abc", "other", "x", 1.0),
        ("", "q", "a › b", 0.0),  # nothing in common overrides the query
    ],
)
def test_kinds_of_product(nouns: str, query: str, category: str, expected: float) -> None:
    goal = all_goals(embedded())[0]
    wanted = replace(goal.product, nouns=tuple("abcdefghij"), query="q", product_category="a › b")
    item = replace(wanted, nouns=tuple(nouns), query=query, product_category=category)
    assert score(replace(goal, product=wanted), item, {}, 1.0).r_type == expected


def test_a_wanted_title_without_nouns_leaves_the_kind_open() -> None:
    goal = all_goals(embedded())[0]
    wanted = replace(goal.product, nouns=(), query="q", product_category="a › b")
    item = replace(wanted, nouns=("a",), query="other", product_category="x")
    reward = score(replace(goal, product=wanted), item, {}, 1.0)
    assert (reward.title_score, reward.r_type) == (0.2, 0.5)


def test_few_nouns_in_common_are_worth_a_tenth() -> None:
    goal = all_goals(embedded())[0]
    wanted = replace(goal.product, nouns=tuple("abcdefghijkl"))
    assert score(replace(goal, product=wanted), replace(wanted, nouns=("a",)), {}, 1.0).r_type == 0.1
    nameless = replace(goal.product, nouns=())
    assert score(replace(goal, product=nameless), nameless, {}, 1.0).title_score == 0.2


def test_upstream_compares_options_of_synthetic_goals_with_their_group() -> None:
    goal = replace(all_goals(embedded())[0], options=("rosegold",), groups=("color",))
    chosen = {"color": "rosegold"}
    assert score(goal, goal.product, chosen, 1.0).r_option == 1.0
    assert score(goal, goal.product, chosen, 1.0, upstream=True).r_option == 0.0
    contained = replace(goal, options=("black and white",))
    assert score(contained, goal.product, {"color": "white"}, 1.0).r_option == 1.0  # left as it is: lenient, not broken
    assert score(contained, goal.product, {"color": "white"}, 1.0, upstream=True).r_option == 1.0
    signs = replace(goal, options=("★",))
    assert score(signs, goal.product, {"style": "★"}, 1.0).r_option == 1.0


@needs_recordings
def test_rewards_are_those_that_were_recorded() -> None:
    shop, records = recorded(), lines("rewards")
    goals = all_goals(shop)
    assert len(records) == 800
    for record in records:
        item = shop.inventory.products[record["asin"]]
        assert shop.prices[item.asin] == record["price"]
        goal = goals[record["goal_idx"]]
        reward = score(goal, item, record["options"], record["price"], upstream=True)
        parts = weights_of(goal) | {name: value for name, value in asdict(reward).items() if value is not None}
        assert parts == {"total": record["reward"], **record["info"]}


@needs_recordings
def test_every_recorded_goal_can_be_reached_and_upstream_93_percent() -> None:
    shop = recorded()
    reached = {False: 0, True: 0}
    for goal in all_goals(shop):
        chosen = dict(zip(goal.groups, goal.options, strict=True))
        for upstream in reached:
            price = shop.prices[goal.product.asin]
            reached[upstream] += score(goal, goal.product, chosen, price, upstream=upstream).total == 1.0
    assert reached == {False: 6910, True: 6452}
