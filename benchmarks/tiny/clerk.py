"""Scripted clerks for the embedded TauBench: an expert, bad habits, and reviews of finished episodes."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.tiny.service_case import DONE, MORE, TOOLS, WHO, Case
from hero.envs.taubench.action import Call, parse_call
from hero.envs.taubench.answers import ORDER_NOT_FOUND, error, error_reason, is_error
from hero.envs.taubench.data.embedded.tables import LAST_NAMES, STREETS
from hero.envs.taubench.rules.read import confirmation
from hero.envs.taubench.tools.domains import writes
from hero.envs.taubench.tools.shared import TRANSFER
from hero.types import Diagnosis, Finding, Message, Trajectory, Verdict

NOT_FOUND: Final = error(ORDER_NOT_FOUND)
NUMBER: Final = re.compile(r"\b\d{5}\b")
HAND_OVER: Final = Call(TRANSFER, {"summary": "The order was not found."}).text()


def expert(messages: Sequence[Message]) -> str:
    """Returns the right action."""
    return Case(messages).good()


@dataclass(frozen=True)
class Hasty:
    """A clerk with bad habits, each with its own probability, and careful otherwise.

    Attributes:
        bare: Probability of leaving out the # of an order id.
        gives_up: Probability of handing a customer over after an error, except those who want to cancel an order; for
            them it tries again.
        no_question: Probability of changing an order without asking for a yes.
    """

    rng: random.Random
    bare: float
    gives_up: float
    no_question: float

    def __call__(self, messages: Sequence[Message]) -> str:
        case = Case(messages)
        good, chance = case.good(), self.rng.random()
        if good == case.look.text():
            if case.moves and case.moves[-1][1] == NOT_FOUND:
                return HAND_OVER if case.wish != "cancel" and chance < self.gives_up else good
            return good.replace("#", "") if chance < self.bare else good
        if good.endswith("(yes/no)?") and chance < self.no_question:
            return case.write().text()
        return good


@dataclass(frozen=True)
class Erratic:
    """The expert with random mistakes, so that every state and every mistake occurs."""

    rng: random.Random
    rate: float

    def __call__(self, messages: Sequence[Message]) -> str:
        case = Case(messages)
        good = case.good()
        return good if self.rng.random() >= self.rate else self.rng.choice(self._astray(case))

    def _astray(self, case: Case) -> list[str]:
        """Returns actions that are wrong, or may be."""
        answers = case.looked_up
        complete = "get_order_details" in answers and case.complete
        astray = [WHO, MORE, HAND_OVER]
        if "get_order_details" not in answers:
            astray += [case.look.text().replace("#", "")] * 4
        if answers:
            astray += [next(action for action, answer in reversed(case.moves) if answer in answers.values())] * 2
        if complete and case.wish in TOOLS and not case.late:
            wrong = case.write(self.rng.randint(1, 5)) if case.wish in ("change", "exchange") else case.write()
            astray += [case.write().text(), confirmation(wrong), wrong.text(), DONE] * 2
        return astray


class Wanderer:
    """A clerk who does again what was done before, mistakes included, and so goes round in circles.

    Each episode has a turn at which that begins, a period of one to three turns, and a probability of repeating what
    was done that long ago. In the other turns the clerk mostly gets an id or a name wrong, or errs like `Erratic`.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.careful, self.lost = Erratic(rng, 0.05), Erratic(rng, 0.4)

    def __call__(self, messages: Sequence[Message]) -> str:
        case = Case(messages)
        actions = [action for action, _ in case.moves]
        if not actions:
            self.onset, self.period, self.stuck = (
                self.rng.randint(0, 8),
                self.rng.randint(1, 3),
                self.rng.uniform(0.2, 0.9),
            )
        if len(actions) < self.onset:
            return self.careful(messages)
        if len(actions) > self.onset and self.rng.random() < self.stuck:
            return actions[-min(self.period, len(actions))]
        return self._garbled(case) if self.rng.random() < 0.7 else self.lost(messages)

    def _garbled(self, case: Case) -> str:
        """Returns the right action, or the change to come, with a number or a name replaced by another.

        An action without any is returned as it is.
        """
        good = case.good()
        if good.endswith("(yes/no)?") and self.rng.random() < 0.6:
            good = case.write().text()
        shown = NUMBER.findall(" ".join(answer for _, answer in case.moves)) or [
            str(self.rng.randrange(10_000, 99_999))
        ]
        names = [name.lower() for name in LAST_NAMES if f"_{name.lower()}_" in good]
        streets = [street for street in STREETS if f" {street} Street" in good]
        swaps = [(number, shown) for number in NUMBER.findall(good)]
        swaps += [(name, [other.lower() for other in LAST_NAMES]) for name in names]
        swaps += [(street, STREETS) for street in streets] * 2
        if not swaps:
            return good
        old, others = self.rng.choice(swaps)
        return good.replace(old, self.rng.choice(others), 1)


def review(trajectory: Trajectory) -> Diagnosis:
    """Returns the findings of a perfect reader about every turn of an episode."""
    findings = []
    for index, turn in enumerate(trajectory.turns):
        case, action = Case(turn.prompt), turn.action.text
        good = case.good()
        if action == good:
            findings.append(Finding(index, Verdict.USEFUL))
        else:
            verdict, cause = _fault(case, action, turn.observation)
            findings.append(Finding(index, verdict, cause, good))
    return Diagnosis("review", tuple(findings))


def _fault(case: Case, action: str, answer: str) -> tuple[Verdict, str]:
    """Returns verdict and cause for an action that is not right."""
    call = parse_call(action)
    if is_error(answer):
        return Verdict.FAILED, error_reason(answer)
    if action == HAND_OVER:
        return Verdict.FAILED, "a tool can do it"
    if any(action == earlier for earlier, _ in case.moves):
        return Verdict.UNNECESSARY, "done before"
    if call and writes(call.name):
        wrong = case.complete and call != case.write()
        return Verdict.FAILED, "not what was asked for" if wrong else "the user has not said yes to it"
    if action == DONE:
        return Verdict.FAILED, "nothing was changed"
    return Verdict.FAILED, "not what was asked for" if action.endswith("(yes/no)?") else "too early"
