"""Take a reflector: have the episodes of another agent judged turn by turn, with hindsight.

`hero.reflect` and `hero.types` need the standard library alone. A reflector sees a `Trajectory`, which is built here
from a chat log, such as any agent framework writes.
"""

from __future__ import annotations

from hero.reflect.rules import RulesReflector
from hero.types import Action, Diagnosis, Message, Stop, Trajectory, Turn

LOG = """\
user: Which port does the server use? You are in /app.
assistant: ls
user: README.md src
assistant: cat config.toml
user: error: no such file
assistant: cd .
user: README.md src
assistant: ls
user: README.md src
assistant: answer 8080
user: That is wrong."""


def trajectory_from(log: str, reward: float) -> Trajectory:
    """Each message of the assistant is the action of one turn, with all that stood before it as its prompt."""
    messages = [Message(role, text) for role, _, text in (line.partition(": ") for line in log.splitlines())]
    turns = [
        Turn(
            prompt=tuple(messages[:index]),
            action=Action(message.content),
            observation=messages[index + 1].content,
            reward=reward if index == len(messages) - 2 else 0.0,
            info={"action_valid": not messages[index + 1].content.startswith("error")},
        )
        for index, message in enumerate(messages)
        if message.role == "assistant"
    ]
    return Trajectory("shell", "find-port", seed=0, turns=tuple(turns), stop=Stop.TERMINATED)


def main() -> Diagnosis:
    """Prints each action with what the rules say of it; returns the diagnosis."""
    trajectory = trajectory_from(LOG, reward=0.0)
    (diagnosis,) = RulesReflector().reflect([trajectory])
    for index, turn in enumerate(trajectory.turns):
        print(f"{turn.action.text:<16} {diagnosis.about(index) or '(nothing to say)'}")
    return diagnosis


if __name__ == "__main__":
    main()
