"""Check the rules of an environment. Run it in the tests of your package: `check_judge(rules, trajectories)`.

The episodes are yours, so they decide how much of the rules is checked: play some that end well and some that do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import product
from typing import Final

from hero.chat.thoughts import without_thoughts
from hero.errors import require
from hero.reflect.base import Judge
from hero.types import Finding, Stop, Trajectory, Verdict

HOSTILE: Final = (
    "",
    " \n\t",
    "\x00",
    "\\",
    "]]][[[",
    "{0} %s ${x}",
    "<think>",
    '{"name": null, "arguments": [1]}',
    "🛒 ﷽ ẞ İ ǆ",
    "e\u0301\u200b\u202e",
    "-1",
    "click[" * 20,
    "a" * 10_000,
)
"""Texts of actions that a policy may come up with, and that no environment has to understand."""
CUTS: Final = tuple(stop for stop in Stop if stop is not Stop.TERMINATED)
"""Ways in which an episode may end after any turn."""


def check_judge(rules: Judge, trajectories: Sequence[Trajectory]) -> None:
    """Checks that rules may be registered as an entry point of `hero.rules`.

    The rules judge each episode, its beginnings up to every turn, and the same episode without feedback and with other
    texts in place of its actions.

    Args:
        trajectories: episodes of the rules' environment, at least one of them with turns.

    Raises:
        AssertionError: a check failed; the message says what to change.
    """
    require(any(trajectory.turns for trajectory in trajectories), "give at least one episode that has turns")
    for index, trajectory in enumerate(trajectories):
        findings = _checked_findings(rules, trajectory, f"episode {index}")
        silent = replace(trajectory, turns=tuple(replace(turn, feedback="") for turn in trajectory.turns))
        where = f"episode {index} without feedback"
        require(
            _verdicts(_checked_findings(rules, silent, where)) == _verdicts(findings),
            f"{where} gets other verdicts than with it; judge by actions, observations, info and rewards, and read "
            "feedback for the wording of a cause at most",
        )
        for variant, where in (*_beginnings(trajectory), *_hostile(trajectory)):
            _checked_findings(rules, variant, f"episode {index} {where}")


def _beginnings(trajectory: Trajectory) -> Iterator[tuple[Trajectory, str]]:
    """Yields the episode cut short at every length, 0 included, in every way; each with its description."""
    for length, stop in product(range(len(trajectory.turns) + 1), CUTS):
        error = "ValueError: a fault" if stop is Stop.ERROR else ""
        part = replace(trajectory, turns=trajectory.turns[:length], stop=stop, error=error)
        yield part, f"cut to {length} of {len(trajectory.turns)} turns ({stop})"


def _hostile(trajectory: Trajectory) -> Iterator[tuple[Trajectory, str]]:
    """Yields the episode with each hostile text in place of all its actions, and of one; each with its description."""
    for index, text in enumerate(HOSTILE):
        turns = [replace(turn, action=replace(turn.action, text=text)) for turn in trajectory.turns]
        yield replace(trajectory, turns=tuple(turns)), f"with {text!r:.40} for every action"
        if turns:
            turn = index % len(turns)
            mixed = (*trajectory.turns[:turn], turns[turn], *trajectory.turns[turn + 1 :])
            yield replace(trajectory, turns=mixed), f"with {text!r:.40} for the action of turn {turn}"


def _checked_findings(rules: Judge, trajectory: Trajectory, where: str) -> dict[int, Finding | None]:
    """Lets the rules judge an episode twice, and returns their findings once they have passed the checks."""
    copy = deepcopy(trajectory)
    findings = _findings(rules, trajectory, where)
    require(trajectory == copy, f"{where} was changed by the rules; copy what you change")
    again = _findings(rules, copy, where)
    require(findings == again, f"{where} gets other findings when it is judged again; keep no state and draw nothing")
    for turn, finding in findings.items():
        require(
            type(turn) is int and 0 <= turn < len(trajectory.turns),
            f"{where} has a finding for {turn!r}; its turns are numbered from 0 to {len(trajectory.turns) - 1}",
        )
        _check_finding(finding, turn, trajectory, f"{where}, turn {turn}:")
    return findings


def _findings(rules: Judge, trajectory: Trajectory, where: str) -> dict[int, Finding | None]:
    try:
        findings = rules(trajectory)
    except Exception as error:
        raise AssertionError(
            f"{where} raised {error!r}; leave out a turn that the rules cannot read, whatever its texts and length"
        ) from error
    require(
        isinstance(findings, Mapping),
        f"{where} must get a mapping from turns to findings, not a {type(findings).__name__}; return {{}} for none",
    )
    return dict(findings)


def _check_finding(finding: Finding | None, turn: int, trajectory: Trajectory, where: str) -> None:
    if finding is None:
        return
    require(
        isinstance(finding, Finding),
        f"{where} {finding!r} is not a hero.types.Finding; return None for a turn that no rule may judge",
    )
    require(finding.turn == turn, f"{where} the finding is about turn {finding.turn}; key it by its own turn")
    require(
        isinstance(finding.verdict, Verdict),
        f"{where} the verdict is {finding.verdict!r}, not a hero.types.Verdict; leave out a turn without one",
    )
    for name, text in (("cause", finding.cause), ("advice", finding.advice)):
        require(
            isinstance(text, str) and (text == "" or text.strip() != ""),
            f'{where} the {name} is {text!r}, not a str with words; give "" where there is nothing to say',
        )
    action = without_thoughts(trajectory.turns[turn].action.text).strip()
    require(
        finding.verdict is Verdict.USEFUL or finding.advice == "" or finding.advice.strip() != action,
        f"{where} {action!r:.80} is both faulted ({finding.verdict}) and advised; leave the advice out",
    )


def _verdicts(findings: Mapping[int, Finding | None]) -> dict[int, Verdict | None]:
    return {turn: finding.verdict for turn, finding in findings.items() if finding}
