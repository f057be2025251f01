"""A language model as reflector: by default the student itself (2606.11559, "reflection")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, Protocol

from hero.chat.thoughts import without_thoughts
from hero.errors import ConfigError
from hero.policy import ContextLimited, Policy
from hero.types import Action, Diagnosis, Finding, Message, Stop, Trajectory, Verdict

REQUEST: Final = (
    "The episode is over. {reward}Review each turn of the assistant with hindsight, one line a "
    "turn: its number, a verdict (useful, unnecessary, invalid or failed), the cause, and the action to take instead.\n"
    "Example: 2 failed: over budget; instead: click[abc]"
)
_HEAD: Final = re.compile(
    r"""[\s\-*>#|`]*(?:turn\s*)?(?P<turn>\d{1,4})[\s\-*:.)|]*
        (?P<verdict>(?a:useful|unnecessary|invalid|failed))\b[\s*:,.;|\-]*""",
    re.IGNORECASE | re.VERBOSE,
)
_TAIL: Final = re.compile(r"[\s|]*")
_DECORATION: Final = " *`;,|"
_ADVICE: Final = re.compile(r"\binstead\b\**\s*:\s*", re.IGNORECASE)
_EMPHASIS: Final = re.compile(r"\*+|`+")
_CLOSING: Final = re.compile(r"[;,.]*(\*+|`+)")


class ModelReflector:
    """Shows a policy the whole episode and asks it for one line per turn.

    The policy sees the same as the paper's: task text, turns and final reward. Give one on the student's own weights
    for self-reflection, or any other for an external reflector. Greedy sampling makes diagnoses repeatable.

    Args:
        own_ids: whether the policy has the vocabulary of the one that played: it then reads the very ids that were
            sampled. Any other policy has to read their text.
    """

    def __init__(self, policy: Policy, name: str = "self", *, own_ids: bool = False) -> None:
        self.policy = policy
        self.name = name
        self.own_ids = own_ids

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns one diagnosis per trajectory.

        It is empty for an episode without turns. It names a problem, and has no finding, where a review does not fit
        the context of a `ContextLimited` policy, and where nothing in the answer can be read. An answer that was cut
        off counts up to its last whole line, and the problem says so where turns are left without a review.
        """
        reviews = [self._prompt(trajectory) if trajectory.turns else () for trajectory in trajectories]
        asked = [bool(review) and self._fits(review) for review in reviews]
        answers = iter(self.policy.act([review for review, ask in zip(reviews, asked, strict=True) if ask]))
        return [
            self._diagnosis(next(answers), len(trajectory.turns))
            if ask
            else Diagnosis(self.name, problem="the episode is longer than the reflector can read" if review else "")
            for trajectory, review, ask in zip(trajectories, reviews, asked, strict=True)
        ]

    def _prompt(self, trajectory: Trajectory) -> tuple[Message, ...]:
        prompt = review_prompt(trajectory)
        return prompt if self.own_ids else tuple(replace(message, ids=()) for message in prompt)

    def _fits(self, review: Sequence[Message]) -> bool:
        return not isinstance(self.policy, ContextLimited) or self.policy.count(review) <= self.policy.context_length

    def _diagnosis(self, answer: Action, turns: int) -> Diagnosis:
        tokens = answer.tokens
        cost = len(tokens.prompt_ids) + len(tokens.action_ids) if tokens else 0
        # The last line of an answer that was cut off may lack a part of its advice.
        findings = parse_review(answer.text.rpartition("\n")[0] if answer.cut_off else answer.text, turns)
        problem, reviewed = "", findings[-1].turn + 1 if findings else 0
        if answer.cut_off and reviewed < turns:
            problem = (
                f"it was cut off after turn {reviewed} of {turns}; let the reflector write more (max_new_tokens, or "
                "max_tokens of one behind an endpoint)"
            )
        elif not findings:
            problem = f"no line can be read in {answer.text!r:.200}"
        return Diagnosis(self.name, findings, cost, problem)


class Student(Protocol):
    """A language model, in training or not; its policies act with its current weights."""

    name: str

    @property
    def context_length(self) -> int: ...
    def policy(self, *, temperature: float, max_new_tokens: int) -> Policy: ...


class LanguageModelReflector:
    """A language model as the reflector of any episodes, greedy.

    Args:
        lm: the model.
        max_new_tokens: number of tokens after which a review is cut off.
        own_ids: as for `ModelReflector`.

    Raises:
        ConfigError: the model has no room for a prompt and `max_new_tokens` tokens.
    """

    def __init__(self, lm: Student, name: str, *, max_new_tokens: int, own_ids: bool) -> None:
        if not 0 < max_new_tokens < lm.context_length:
            raise ConfigError(
                f"max_new_tokens = {max_new_tokens} of the reflector {name} leaves no room for a prompt: {lm.name} "
                f"has {lm.context_length} tokens; give at least 1 and fewer than that"
            )
        self.lm, self.name, self.max_new_tokens, self.own_ids = lm, name, max_new_tokens, own_ids

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns one diagnosis per trajectory, as `ModelReflector.reflect`."""
        # A new policy each time, since a resumed run could not restore what an old one keeps of earlier episodes.
        policy = self.lm.policy(temperature=0.0, max_new_tokens=self.max_new_tokens)
        return ModelReflector(policy, self.name, own_ids=self.own_ids).reflect(trajectories)


class SelfReflector(LanguageModelReflector):
    """The student as the reflector of its own episodes, greedy (2606.11559, "reflection").

    Args:
        student: the model in training.
        max_new_tokens: number of tokens after which a review is cut off.

    Raises:
        ConfigError: the student has no room for a prompt and `max_new_tokens` tokens.
    """

    def __init__(self, student: Student, *, max_new_tokens: int = 512) -> None:
        super().__init__(student, "self", max_new_tokens=max_new_tokens, own_ids=True)


def review_prompt(trajectory: Trajectory) -> tuple[Message, ...]:
    """Returns the episode as it was played, followed by the request for a review.

    The student's own tokens stay as they were sampled; a model that keeps its cache reads only the request.
    """
    messages = list(trajectory.turns[0].prompt)
    for index, turn in enumerate(trajectory.turns):
        last = index == len(trajectory.turns) - 1
        reward = "" if trajectory.stop is Stop.UNKNOWN else f"Final reward: {trajectory.reward:.2f}. "
        request = "\n\n" + REQUEST.format(reward=reward) if last else ""
        messages += [turn.action.message(), Message("user", turn.observation + request)]
    return tuple(messages)


def parse_review(text: str, turns: int) -> tuple[Finding, ...]:
    """Returns the findings in a model's answer, in the order of the turns.

    One line is one finding, `2 failed: over budget; instead: click[abc]`, with turns counted from 1 and with the
    decoration that models add. Lines of any other form are skipped, and so are turns that do not exist; of two lines
    about one turn the first counts. Thoughts do not count.

    Args:
        turns: number of turns of the episode.
    """
    findings: dict[int, Finding] = {}
    for finding in _findings(text):
        if 0 <= finding.turn < turns:
            findings.setdefault(finding.turn, finding)
    return tuple(findings[turn] for turn in sorted(findings))


def _findings(text: str) -> Iterator[Finding]:
    """Yields the finding of each line that has one, in the order of the lines."""
    for line in without_thoughts(text).splitlines():
        if head := _HEAD.match(line):
            cause, advice = _parts(line, head.end())
            yield Finding(int(head["turn"]) - 1, Verdict(head["verdict"].lower()), cause, advice)


def _parts(line: str, start: int) -> tuple[str, str]:
    """Splits the text of a line from `start` on into cause and advice, "" for either that is missing."""
    # One pattern for both would take time quadratic in the number of blanks.
    if tail := _TAIL.match(line[::-1]):
        line = line[: max(start, len(line) - tail.end())]
    mark = _ADVICE.search(line, start)
    if not mark:
        return line[start:].strip(_DECORATION), ""
    cause = line[start : mark.start()].rstrip()
    cause = cause[:-1] if cause.endswith((";", ",", ".", "|")) else cause
    return cause.strip(_DECORATION), _without_closing(line)[mark.end() :].lstrip(_DECORATION)


def _without_closing(line: str) -> str:
    """Takes off the mark at a line's end that closes bold text or code; an action may itself end like one: `rm *`."""
    closing = _CLOSING.match(line[::-1])
    if not closing:
        return line
    rest = line[: len(line) - closing.end()]
    return rest.rstrip() if _EMPHASIS.findall(rest).count(closing[1]) % 2 else line
