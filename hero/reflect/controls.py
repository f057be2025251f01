"""Controls: the diagnoses of another reflector without what they say, to see what of them is learned from."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from hero.reflect.base import Reflector, build_reflector, diagnoses_of, provenance_of
from hero.types import Diagnosis, Finding, Trajectory, Verdict

T = TypeVar("T")


class VerdictReflector:
    """Keeps the verdicts of another reflector, without cause and advice.

    Args:
        of: the reflector that writes the diagnoses, or its name, an entry point of `hero.reflectors`.
        of_args: options of a reflector that is given by name.
        student: the model in training, for a reflector that asks for it.

    Raises:
        ConfigError: nobody registered the name, or the reflector refuses an option.
    """

    name = "verdict"

    def __init__(self, *, of: str | Reflector, of_args: Mapping[str, Any] | None = None, student: Any = None) -> None:
        self.inner = build_reflector(of, of_args or {}, student) if isinstance(of, str) else of

    def provenance(self) -> Any:
        """Returns the provenance of the reflector within."""
        return provenance_of(self.inner)

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns the diagnoses with verdicts alone; findings without one are left out."""
        return [
            replace(
                diagnosis,
                author=self.name,
                findings=tuple(Finding(each.turn, each.verdict) for each in diagnosis.findings if each.verdict),
            )
            for diagnosis in diagnoses_of(self.inner, trajectories)
        ]


class ShuffledReflector:
    """Gives every finding the words of another turn with the same verdict: as plausible, and about something else.

    The words come from the same call of `reflect`. They stay as they are only where no other turn has that verdict.
    Findings that say nothing are left out.

    Args:
        of: the reflector that writes the diagnoses, or its name, an entry point of `hero.reflectors`.
        of_args: options of a reflector that is given by name.
        student: the model in training, for a reflector that asks for it.
        seed: decides, together with the episodes, where the words go.
    """

    name = "shuffled"

    def __init__(
        self, *, of: str | Reflector, of_args: Mapping[str, Any] | None = None, seed: int = 0, student: Any = None
    ) -> None:
        self.inner = build_reflector(of, of_args or {}, student) if isinstance(of, str) else of
        self.seed = seed

    def provenance(self) -> Any:
        """Returns the provenance of the reflector within."""
        return provenance_of(self.inner)

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns the diagnoses with their verdicts in place, and with their causes and advice elsewhere."""
        diagnoses = diagnoses_of(self.inner, trajectories)
        played = [(each.task_id, each.seed, [turn.action.text for turn in each.turns]) for each in trajectories]
        rng = random.Random(repr((self.seed, played)))
        by_verdict: dict[Verdict | None, list[tuple[int, Finding]]] = {}
        for episode, diagnosis in enumerate(diagnoses):
            for finding in filter(Finding.text, diagnosis.findings):
                by_verdict.setdefault(finding.verdict, []).append((episode, finding))
        findings: list[dict[int, Finding]] = [{} for _ in diagnoses]
        for places in by_verdict.values():
            for (episode, finding), (_, other) in zip(places, deranged(places, rng), strict=True):
                findings[episode][finding.turn] = replace(finding, cause=other.cause, advice=other.advice)
        return [
            replace(diagnosis, author=self.name, findings=tuple(by_turn[turn] for turn in sorted(by_turn)))
            for diagnosis, by_turn in zip(diagnoses, findings, strict=True)
        ]


def deranged(items: Sequence[T], rng: random.Random) -> list[T]:
    """Returns items in a drawn order in which none keeps its place, all cycles equally likely (Sattolo's algorithm).

    A single item stays where it is.
    """
    order = list(items)
    for last in range(len(order) - 1, 0, -1):
        other = rng.randrange(last)
        order[last], order[other] = order[other], order[last]
    return order
