"""A person at the terminal as policy."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from hero.types import Action, Message


class HumanPolicy:
    """Shows what a policy would be shown and asks for the action.

    Instructions are shown with the first turn of an episode, then only what is new.

    Args:
        console: where to show and to ask; the terminal unless given.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()

    def act(self, prompts: Sequence[Sequence[Message]]) -> list[Action]:
        """Asks about each prompt in turn.

        Raises:
            EOFError: the input has ended.
        """
        return [self._ask(prompt) for prompt in prompts]

    def _ask(self, prompt: Sequence[Message]) -> Action:
        first = not any(message.role == "assistant" for message in prompt)
        for message in prompt if first else prompt[-1:]:
            title = "instructions" if message.role == "system" else "observation"
            # As plain text: observations are full of brackets, which rich would take for markup.
            self.console.print(Panel(Text(message.content), title=title, title_align="left"))
        return Action(self.console.input("[bold]action>[/bold] ").strip())
