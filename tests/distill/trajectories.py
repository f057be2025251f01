"""Small episodes of one task, for tests of learners and teachers."""

from __future__ import annotations

from hypothesis import strategies as st

from hero.types import Action, Group, Message, Stop, Tokens, Trajectory, Turn

PROMPT = (Message("user", "shop"),)
REWARDS = st.sampled_from([0.0, 1.0, 0.5, -0.25, 2 / 3])


def episode(
    reward: float, *texts: str, stop: Stop = Stop.TERMINATED, tokens: bool = True, success: bool | None = None
) -> Trajectory:
    """Returns an episode of one turn per text; the reward comes with the last."""
    turns = tuple(
        Turn(
            PROMPT,
            Action(text, Tokens((1,), (index + 2, 0), (-0.5, -0.1)) if tokens else None),
            "page",
            reward if index == len(texts) - 1 else 0.0,
            info={} if success is None or index < len(texts) - 1 else {"success": success},
        )
        for index, text in enumerate(texts)
    )
    return Trajectory("env", "task", 0, turns, stop, "boom" if stop is Stop.ERROR else "")


def learnable(group: Group) -> list[tuple[int, int, Tokens]]:
    """Returns episode, turn and tokens of each turn that may be learned from."""
    turns = []
    for episode_index, member in enumerate(group.members):
        if member.stop == Stop.ERROR:
            continue
        for turn_index, turn in enumerate(member.turns):
            if turn.action.tokens is not None and len(turn.action.tokens.action_ids) > 0:
                turns.append((episode_index, turn_index, turn.action.tokens))
    return turns
