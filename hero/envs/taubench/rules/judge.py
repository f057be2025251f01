"""Rules for a finished TauBench episode: which calls failed, brought nothing new or came before a yes."""

from __future__ import annotations

from hero.envs.taubench.action import Call, parse_call
from hero.envs.taubench.answers import ORDER_NOT_FOUND, error_reason, is_error
from hero.envs.taubench.rules.read import asks_for, confirmation, consents, does_not_know
from hero.envs.taubench.tools.domains import reads, writes
from hero.types import Finding, Trajectory, Verdict

Judgement = tuple[Verdict, str, str]
"""Verdict, cause and advice."""


def judge(trajectory: Trajectory) -> dict[int, Finding]:
    """Returns findings about those turns of a TauBench episode whose texts show whether the action was right."""
    episode = _Episode(trajectory)
    judgements = ((turn, episode.judge(turn)) for turn in range(len(trajectory.turns)))
    return {turn: Finding(turn, *judgement) for turn, judgement in judgements if judgement}


class _Episode:
    """The turns of one episode, with their calls read."""

    def __init__(self, trajectory: Trajectory) -> None:
        self.trajectory, self.observations = trajectory, trajectory.observations
        self.actions = [turn.action.text for turn in trajectory.turns]
        self.calls = [parse_call(action) for action in self.actions]
        self.invalid = [turn.info.get("action_valid") is False for turn in trajectory.turns]

    def answer(self, turn: int) -> str:
        return self.observations[turn + 1]

    def judge(self, turn: int) -> Judgement | None:
        """Judges one turn; None where its texts do not show whether it was right."""
        call = self.calls[turn]
        if call is None:
            return None if self.invalid[turn] else self._message(turn)
        answer = self.answer(turn)
        if is_error(answer):
            return Verdict.FAILED, error_reason(answer), _corrected(call, answer)
        if writes(call.name):
            return self._write(turn, call)
        if reads(call.name) and (before := self._answered_before(turn, call)) is not None:
            return Verdict.UNNECESSARY, f"the same call was answered in turn {before + 1}", ""
        return None

    def _write(self, turn: int, call: Call) -> Judgement | None:
        """Judges a change of the database, which needs a yes to the agent's last message, or to this very change."""
        messages = self._messages_before(turn)
        agreed = [at for at in messages if consents(self.answer(at))]
        to_this = agreed and (agreed[-1] == messages[-1] or confirmation(call) in [self.actions[at] for at in agreed])
        if not to_this:
            return Verdict.FAILED, "the user has not said yes to it", confirmation(call)
        return (Verdict.USEFUL, "", "") if self.trajectory.reward >= 1 else None

    def _answered_before(self, turn: int, call: Call) -> int | None:
        """Returns the turn in which an equal call was answered, with nothing written since; None if there is none."""
        for at in range(turn - 1, -1, -1):
            earlier = self.calls[at]
            if earlier is None or is_error(self.answer(at)):
                continue
            if earlier == call:
                return at
            if writes(earlier.name):
                return None
        return None

    def _message(self, turn: int) -> Judgement | None:
        """Judges words to the user: whether they ask again, or were answered with nothing new."""
        messages = self._messages_before(turn)
        asked = asks_for(self.actions[turn])
        for at in messages:
            if asked and asked <= asks_for(self.actions[at]) and not does_not_know(self.answer(at)):
                return Verdict.UNNECESSARY, f"{', '.join(sorted(asked))} asked for before, in turn {at + 1}", ""
        last = turn == len(self.actions) - 1
        if not last and self.answer(turn) in [self.observations[0], *map(self.answer, messages)]:
            # A plain yes may answer many questions, and is new to each.
            same = [at for at in messages if self.actions[at] == self.actions[turn] and consents(self.answer(at))]
            if consents(self.answer(turn)):
                return (Verdict.UNNECESSARY, f"the user said yes to it in turn {same[-1] + 1}", "") if same else None
            return Verdict.UNNECESSARY, "the user said that before", ""
        return None

    def _messages_before(self, turn: int) -> list[int]:
        """Returns the turns before this one in which the agent spoke to the user."""
        return [at for at in range(turn) if self.calls[at] is None and not self.invalid[at]]


def _corrected(call: Call, answer: str) -> str:
    """Returns the call without the fault that an error shows; "" where it shows none."""
    order_id = call.arguments.get("order_id")
    if error_reason(answer) == ORDER_NOT_FOUND and isinstance(order_id, str) and order_id[:1] != "#":
        return Call(call.name, {**call.arguments, "order_id": f"#{order_id}"}).text()
    return ""
