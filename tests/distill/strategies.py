"""Examples of drawn episodes."""

from __future__ import annotations

from hypothesis import strategies as st

from hero.distill.base import Example
from hero.testing.strategies import ledgers


@st.composite
def example_lists(draw: st.DrawFn) -> list[Example]:
    """Draws turns of some episodes in any order, with histories that are extended, rewritten, or met twice."""
    examples = []
    for episode in range(draw(st.integers(0, 3))):
        for tokens in draw(ledgers()):
            examples += [Example(episode, tokens, cross_entropy=1.0)] * draw(st.integers(1, 2))
    return draw(st.permutations(examples))
