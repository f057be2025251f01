"""Examples of drawn episodes."""

from __future__ import annotations

from hypothesis import strategies as st

from hero.distill.base import Example
from hero.types import Tokens

ids = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple)  # few ids, so that beginnings coincide


@st.composite
def example_lists(draw: st.DrawFn) -> list[Example]:
    """Draws turns of some episodes in any order, with histories that are extended, rewritten, or met twice."""
    examples = []
    for episode in range(draw(st.integers(0, 3))):
        ledger: tuple[int, ...] = ()
        for _ in range(draw(st.integers(1, 4))):
            kept = ledger if draw(st.booleans()) else ledger[: draw(st.integers(0, len(ledger)))]
            prompt_ids, action_ids = kept + draw(ids), draw(ids)
            tokens = Tokens(prompt_ids, action_ids, (0.0,) * len(action_ids))
            examples += [Example(episode, tokens, cross_entropy=1.0)] * draw(st.integers(1, 2))
            ledger = prompt_ids + action_ids
    return draw(st.permutations(examples))
