"""Summarise the scores of a suite by kind, and compare those of two models, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import correlation
from typing import Any

from hero.intervals import Estimate, paired_difference, ratio_interval, wilson_interval
from hero.suite.items import ALL


@dataclass(frozen=True, slots=True)
class Score:
    """The score of a model on one item, or on one window of a plain text.

    Attributes:
        where: file and line of the item.
        nats: negative log-likelihood of the right reply.
        tokens: number of tokens of that reply, the stop token included.
        reply: the model's own greedy reply; None for plain text.
        exact: whether that is the right reply, to the letter; None for plain text.
        well_formed: whether it has the form that the item asks for; None where any will do.
    """

    kind: str
    where: str
    nats: float
    tokens: int
    reply: str | None = None
    exact: bool | None = None
    well_formed: bool | None = None


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of a model on items of one kind, or their differences between two models.

    Attributes:
        items: number of items, or of windows of a plain text.
        tokens: number of tokens of the right replies.
        nats: negative log-likelihood per token.
        exact: share of items whose greedy reply is the right one; None where there are none.
        well_formed: share of items whose greedy reply has the right form; None where no item asks for one.
    """

    items: int
    tokens: int
    nats: Estimate
    exact: Estimate | None
    well_formed: Estimate | None

    @property
    def perplexity(self) -> Estimate:
        """Exponential of `nats`; of a difference, the ratio of the two perplexities."""
        return Estimate(*map(_exp, (self.nats.value, self.nats.low, self.nats.high)))

    def record(self) -> dict[str, Any]:
        """Returns plain JSON."""
        estimates = {"nats": self.nats, "exact": self.exact, "well_formed": self.well_formed}
        return {"items": self.items, "tokens": self.tokens} | {
            name: estimate and estimate.record() for name, estimate in estimates.items()
        }


def measure(scores: Sequence[Score]) -> dict[str, Measures]:
    """Returns the measures by kind, in order of first appearance, and those of all items where there are more kinds."""
    return {
        kind: Measures(
            len(own),
            sum(score.tokens for score in own),
            ratio_interval([score.nats for score in own], [score.tokens for score in own]),
            _share([score.exact for score in own]),
            _share([score.well_formed for score in own]),
        )
        for kind, own in _by_kind(scores).items()
    }


def compare(after: Sequence[Score], before: Sequence[Score]) -> dict[str, Measures]:
    """Returns the measures of `after` minus those of `before` by kind, paired item by item.

    Args:
        before: scores of the same items, in the same order, of a model with the same tokenizer.
    """
    differences = {}
    pairs = list(zip(_by_kind(after).items(), _by_kind(before).values(), strict=True))
    for (kind, new), old in pairs:
        nats = [one.nats - other.nats for one, other in zip(new, old, strict=True)]
        sizes = [score.tokens for score in new]
        differences[kind] = Measures(
            len(new),
            sum(sizes),
            ratio_interval(nats, sizes),
            _share_difference([score.exact for score in new], [score.exact for score in old]),
            _share_difference([score.well_formed for score in new], [score.well_formed for score in old]),
        )
    return differences


def worsened(difference: Measures) -> list[str]:
    """Returns the names of the measures that are worse than before, with the whole interval."""
    shares = {"exact": difference.exact, "well_formed": difference.well_formed}
    worse = ["nats"] if difference.nats.low > 0 else []
    return worse + [name for name, share in shares.items() if share and share.high < 0]


def _by_kind(scores: Sequence[Score]) -> dict[str, list[Score]]:
    kinds: dict[str, list[Score]] = {}
    for score in scores:
        kinds.setdefault(score.kind, []).append(score)
    return kinds | ({ALL: list(scores)} if len(kinds) > 1 else {})


def _share(hits: Sequence[bool | None]) -> Estimate | None:
    asked = [hit for hit in hits if hit is not None]
    return wilson_interval(sum(asked) / len(asked), len(asked)) if asked else None


def _share_difference(after: Sequence[bool | None], before: Sequence[bool | None]) -> Estimate | None:
    new, old = _share(after), _share(before)
    if new is None or old is None:
        return None
    a, b = ([int(hit) for hit in hits if hit is not None] for hits in (after, before))
    r = correlation(a, b) if len(set(a)) > 1 and len(set(b)) > 1 else 0.0
    return paired_difference(new, old, r)


def _exp(nats: float) -> float:
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf
