"""Scripted clerks for the embedded TauBench: an expert, bad habits, and reviews of finished episodes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.tiny.service_case import DONE, MORE, TOOLS, WHO, Case
from hero.envs.taubench.action import Call, parse_call
from hero.envs.taubench.answers import ORDER_NOT_FOUND, error, error_reason, is_error
from hero.envs.taubench.rules.read import confirmation
from hero.envs.taubench.tools.domains import writes
from hero.envs.taubench.tools.shared import TRANSFER
from hero.types import Diagnosis, Finding, Message, Trajectory, Verdict

NOT_FOUND: Final = error(ORDER_NOT_FOUND)
HAND_OVER: Final = Call(TRANSFER, {"summary": "The order was not found."}).text()


def expert(messages: Sequence[Message]) -> str:
    """Returns the right action."""
    return Case(messages).good()


@dataclass(frozen=True)
class Hasty:
    """A clerk with bad habits, each with its own probability, and careful otherwise.

    Attributes:
        bare: Probability of leaving out the # of an order id.
        gives_up: Probability of handing a customer over after an error, except those who want to cancel an order or to
            have it sent elsewhere; for them it tries again.
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
                hard = case.wish not in ("cancel", "move")
                return HAND_OVER if hard and chance < self.gives_up else good
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
