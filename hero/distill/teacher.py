"""What the self-teacher is shown: the student's own context and, with it, what hindsight knows."""

from __future__ import annotations

from hero.chat.thoughts import split
from hero.types import Diagnosis, Message, Trajectory


class HindsightTeacher:
    """The context of a turn, the next observation, the diagnosis and the final reward (2606.11559, "self-teacher").

    The privileged text is appended to the last message of the turn's own prompt, so that it works with every chat
    template, and everything before that message is shared with the student.

    Args:
        show_thoughts: keep in that context what the student thought in earlier turns, as the student saw it. Without
            them a turn that comes after a thought has a beginning of its own, which the teacher reads apart.
    """

    def __init__(self, *, show_thoughts: bool = True) -> None:
        self.show_thoughts = show_thoughts

    def context(self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis) -> tuple[Message, ...] | None:
        """The privileged prompt of one turn; None where the diagnosis has nothing to say of it."""
        review = diagnosis.about(turn)
        if not review:
            return None
        lived = trajectory.turns[turn]
        *before, last = lived.prompt if self.show_thoughts else map(_without_thoughts, lived.prompt)
        lines = ["Hindsight on the action taken here."]
        if lived.observation and lived.observation != review:
            lines.append(f"Next: {lived.observation}")
        lines += [f"Review: {review}", f"Final reward: {trajectory.reward:.2f}", "Now act with this in mind."]
        return (*before, Message(last.role, f"{last.content}\n\n" + "\n".join(lines)))


def _without_thoughts(message: Message) -> Message:
    """The message as it is, unless it is an assistant's with a thought: then its words alone, without their ids."""
    thought, words = split(message.content) if message.role == "assistant" else ("", "")
    return Message(message.role, words) if thought else message
