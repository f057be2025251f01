"""What the self-teacher is shown: the student's own context and, with it, what hindsight knows."""

from __future__ import annotations

from hero.types import Diagnosis, Message, Trajectory


class HindsightTeacher:
    """The context of a turn, the next observation, the diagnosis and the final reward (2606.11559, "self-teacher").

    The privileged text is appended to the last message of the turn's own prompt, so that it works with every chat
    template, and everything before that message is shared with the student.
    """

    def context(self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis) -> tuple[Message, ...] | None:
        """The privileged prompt of one turn; None where the diagnosis has nothing to say of it."""
        review = diagnosis.about(turn)
        if not review:
            return None
        lived = trajectory.turns[turn]
        *before, last = lived.prompt
        lines = ["Hindsight on the action taken here."]
        if lived.observation and lived.observation != review:
            lines.append(f"Next: {lived.observation}")
        lines += [f"Review: {review}", f"Final reward: {trajectory.reward:.2f}", "Now act with this in mind."]
        return (*before, Message(last.role, f"{last.content}\n\n" + "\n".join(lines)))
