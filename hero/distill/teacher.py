"""The self-teacher's prompt: the student's own prompt of a turn, and hindsight."""

from __future__ import annotations

from collections.abc import Sequence

from hero.chat.thoughts import split
from hero.types import Diagnosis, Message, Trajectory


class HindsightTeacher:
    """Adds the next observation, diagnosis and final reward to the prompt of a turn (2606.11559, "self-teacher").

    The text is appended to the last message of that prompt, which works with every chat template, and everything before
    that message is shared with the student.

    Args:
        show_thoughts: whether to keep the thoughts of earlier turns in the prompt, as the student saw them. Without
            them the prompt of a turn after a thought shares less with the student's, and the teacher reads more.
    """

    def __init__(self, *, show_thoughts: bool = True) -> None:
        self.show_thoughts = show_thoughts

    def context(
        self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Sequence[Trajectory] = ()
    ) -> tuple[Message, ...] | None:
        """Returns the privileged prompt of one turn; None where the diagnosis has nothing to say about it."""
        review = diagnosis.about(turn)
        if not review:
            return None
        prompt, observation = trajectory.turns[turn].prompt, trajectory.turns[turn].observation
        *before, last = prompt if self.show_thoughts else map(_without_thoughts, prompt)
        lines = ["Hindsight on the action taken here."]
        if observation and observation != review:
            lines.append(f"Next: {observation}")
        lines += [f"Review: {review}", f"Final reward: {trajectory.reward:.2f}", "Now act with this in mind."]
        return (*before, Message(last.role, f"{last.content}\n\n" + "\n".join(lines)))


def _without_thoughts(message: Message) -> Message:
    """Returns an assistant's message without its thought, as words without ids; any other message as it is."""
    thought, words = split(message.content) if message.role == "assistant" else ("", "")
    return Message(message.role, words) if thought else message
