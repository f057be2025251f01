"""What can be read off a finished TauBench episode: which calls failed, told nothing new or came before a yes."""

from __future__ import annotations

from hero.envs.taubench.rules.read import Call, asked, consents, does_not_know, is_error, read_call
from hero.types import Finding, Trajectory, Verdict

Judgement = tuple[Verdict, str, str]
"""Verdict, cause and advice."""


def judge(trajectory: Trajectory) -> dict[int, Finding]:
    """Findings about the turns of a TauBench episode whose texts tell whether the action was right."""
    episode = _Episode(trajectory)
    judged = ((number, episode.judged(number)) for number in range(len(trajectory.turns)))
    return {number: Finding(number, *judgement) for number, judgement in judged if judgement}


class _Episode:
    """The turns of one episode, with their calls read."""

    def __init__(self, trajectory: Trajectory) -> None:
        self.trajectory, self.observations = trajectory, trajectory.observations
        self.actions = [turn.action.text for turn in trajectory.turns]
        self.calls = [read_call(action) for action in self.actions]
        self.invalid = [turn.info.get("action_valid") is False for turn in trajectory.turns]

    def answer(self, number: int) -> str:
        return self.observations[number + 1]

    def judged(self, number: int) -> Judgement | None:
        """What the texts say of one turn; None where they do not tell."""
        call = self.calls[number]
        if call is None:
            return None if self.invalid[number] else self._message(number)
        if is_error(self.answer(number)):
            return Verdict.FAILED, self.answer(number).removeprefix("Error: "), _mended(call, self.answer(number))
        if call.writes:
            return self._write(number, call)
        if call.reads and (before := self._told_before(number, call)) is not None:
            return Verdict.UNNECESSARY, f"the same call was answered in turn {before + 1}", ""
        return None

    def _write(self, number: int, call: Call) -> Judgement | None:
        """Judges a change of the database, which needs a yes to what the user was told last, or to this very change."""
        said = [at for at in range(number) if self.calls[at] is None and not self.invalid[at]]
        agreed = [at for at in said if consents(self.answer(at))]
        to_this = agreed and (agreed[-1] == said[-1] or call.question() in [self.actions[at] for at in agreed])
        if not to_this:
            return Verdict.FAILED, "the user has not said yes to it", call.question()
        return (Verdict.USEFUL, "", "") if self.trajectory.reward >= 1 else None

    def _told_before(self, number: int, call: Call) -> int | None:
        """The turn in which an equal call was answered, with nothing written since; None if there is none."""
        for at in range(number - 1, -1, -1):
            other = self.calls[at]
            if other == call and not is_error(self.answer(at)):
                return at
            if other and other.writes and not is_error(self.answer(at)):
                return None
        return None

    def _message(self, number: int) -> Judgement | None:
        """Judges words to the user: whether they ask again, or were answered with nothing new."""
        replies = [at for at in range(number) if self.calls[at] is None and not self.invalid[at]]
        for at in replies:
            again = asked(self.actions[number]) & asked(self.actions[at])
            if again and not does_not_know(self.answer(at)) and asked(self.actions[number]) <= asked(self.actions[at]):
                return Verdict.UNNECESSARY, f"{', '.join(sorted(again))} asked for before, in turn {at + 1}", ""
        last = number == len(self.actions) - 1
        if not last and self.answer(number) in [self.observations[0], *map(self.answer, replies)]:
            # A plain yes may be said to many questions, and each time it is new.
            return None if consents(self.answer(number)) else (Verdict.UNNECESSARY, "the user said that before", "")
        return None


def _mended(call: Call, error: str) -> str:
    """The call without the fault that the error shows; "" where it shows none."""
    order = call.arguments.get("order_id")
    if error == "Error: order not found" and isinstance(order, str) and order[:1] != "#":
        return Call(call.name, {**call.arguments, "order_id": f"#{order}"}).text()
    return ""
