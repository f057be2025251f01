"""The self-teacher's prompt: the student's own prompt of a turn, and hindsight of one kind or another.

The text is appended to the last message of that prompt, which works with every chat template, and everything before
that message is shared with the student.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from hero.chat.thoughts import split, without_thoughts
from hero.distill.turns import finding_about
from hero.types import Diagnosis, Finding, Message, Stop, Trajectory


class HindsightTeacher:
    """Shows the next observation, the diagnosis and the final reward of a turn (2606.11559, "self-teacher").

    A turn without a diagnosis has no hindsight. Where neither diagnosis nor advice is shown, every turn that an
    observation followed has; the reward alone is none.

    Args:
        observation: whether to show the next observation.
        diagnosis: whether to show verdict and cause of the finding about the turn.
        advice: whether to show the action that the finding advises.
        reward: whether to show the final reward of the episode.
        show_thoughts: whether to keep the thoughts of earlier turns in the prompt, as the student saw them. Without
            them the prompt of a turn after a thought shares less with the student's, and the teacher reads more.
    """

    def __init__(
        self,
        *,
        observation: bool = True,
        diagnosis: bool = True,
        advice: bool = True,
        reward: bool = True,
        show_thoughts: bool = True,
    ) -> None:
        self.observation, self.diagnosis, self.advice, self.reward = observation, diagnosis, advice, reward
        self.show_thoughts = show_thoughts

    def shown(self, turn: int, diagnosis: Diagnosis) -> Finding | None:
        """Returns the finding about a turn, without advice that is not shown; None where nothing of it is shown."""
        finding = finding_about(diagnosis, turn)
        if finding is None or not self._review(finding):
            return None
        return finding if self.advice else replace(finding, advice="")

    def _review(self, finding: Finding | None) -> str:
        """Returns the parts of a finding that are shown; "" where there are none."""
        if finding and not self.diagnosis:
            finding = replace(finding, verdict=None, cause="")
        if finding and not self.advice:
            finding = replace(finding, advice="")
        return finding.text() if finding else ""

    def context(
        self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Sequence[Trajectory] = ()
    ) -> tuple[Message, ...] | None:
        """Returns the privileged prompt of one turn; None where there is nothing to show about it."""
        review = self._review(finding_about(diagnosis, turn))
        observation = trajectory.turns[turn].observation if self.observation else ""
        if not (review if self.diagnosis or self.advice else observation):
            return None
        prompt = trajectory.turns[turn].prompt
        lines = ["Hindsight on the action taken here."]
        if observation and observation != review:
            lines.append(f"Next: {observation}")
        if review:
            lines.append(f"Review: {review}")
        if self.reward and trajectory.stop is not Stop.UNKNOWN:
            lines.append(f"Final reward: {trajectory.reward:.2f}")
        return _with_hindsight(prompt if self.show_thoughts else map(_without_thoughts, prompt), lines)


class FeedbackTeacher:
    """Shows the next observation and the environment's own feedback (2606.11559, "Environment Feedback Only")."""

    def context(
        self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Sequence[Trajectory] = ()
    ) -> tuple[Message, ...] | None:
        """Returns the privileged prompt of one turn; None where the environment said nothing after it."""
        played = trajectory.turns[turn]
        lines = [f"Next: {played.observation}"] if played.observation else []
        if played.feedback:
            lines.append(f"Review: {played.feedback}")
        return _with_hindsight(played.prompt, ["Hindsight on the action taken here.", *lines]) if lines else None


class DemonstrationTeacher:
    """Shows a whole successful episode of the same task (2606.11559, "Full-Demo Privileged Teacher")."""

    needs_earlier: ClassVar[bool] = True

    def context(
        self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Sequence[Trajectory] = ()
    ) -> tuple[Message, ...] | None:
        """Returns the prompt of one turn and the first success among the siblings; None where none succeeded."""
        demonstration = next((sibling for sibling in siblings if sibling.success), None)
        if demonstration is None:
            return None
        lines = ["A successful attempt at this task."]
        for played in demonstration.turns:
            lines += [f"Action: {without_thoughts(played.action.text)}", f"Next: {played.observation}"]
        return _with_hindsight(trajectory.turns[turn].prompt, lines)


def _with_hindsight(prompt: Iterable[Message], lines: Sequence[str]) -> tuple[Message, ...]:
    """Returns a prompt with lines, and the request to heed them, at the end of its last message."""
    *before, last = prompt
    hindsight = "\n".join([*lines, "Now act with this in mind."])
    return (*before, Message(last.role, f"{last.content}\n\n{hindsight}"))


def _without_thoughts(message: Message) -> Message:
    """Returns an assistant's message without its thought, as words without ids; any other message as it is."""
    thought, words = split(message.content) if message.role == "assistant" else ("", "")
    return Message(message.role, words) if thought else message
