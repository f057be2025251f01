"""Several reflectors as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hero.errors import ConfigError
from hero.reflect.base import Reflector, build_reflector, diagnoses_of, provenance_of
from hero.types import Diagnosis, Finding, Trajectory


class FirstOf:
    """Takes the finding about each turn from the first of several reflectors that has something to say about it.

    So rules that are sure of what they see can come before a model that judges the rest. All of them read every
    episode, and the tokens that they take add up.

    Args:
        of: two or more reflectors, or their names, the one that counts most first.
        student: the model in training, for a reflector that asks for it.

    Raises:
        ConfigError: fewer than two, nobody registered a name, or a reflector cannot be built without options.
    """

    name = "first"

    def __init__(self, *, of: Sequence[str | Reflector], student: Any = None) -> None:
        if isinstance(of, str) or len(of) < 2:
            raise ConfigError(f"of={of!r} of the reflector first is not a list of two or more reflectors")
        self.inner = [build_reflector(each, {}, student) if isinstance(each, str) else each for each in of]

    def provenance(self) -> dict[str, Any]:
        """Returns the provenance of those reflectors that have one, by their place, from "0" on."""
        each = enumerate(map(provenance_of, self.inner))
        return {str(place): provenance for place, provenance in each if provenance}

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns one diagnosis per trajectory; it names the problem of a reflector where no other has a finding."""
        answers = [diagnoses_of(each, trajectories) for each in self.inner]
        return [self._first(diagnoses) for diagnoses in zip(*answers, strict=True)]

    def _first(self, diagnoses: Sequence[Diagnosis]) -> Diagnosis:
        findings: dict[int, Finding] = {}
        problem = ""
        for diagnosis in diagnoses:
            if not any(other.findings for other in diagnoses if other is not diagnosis):
                problem = problem or diagnosis.problem
            for finding in filter(Finding.text, diagnosis.findings):
                findings.setdefault(finding.turn, finding)
        return Diagnosis(
            self.name,
            tuple(findings[turn] for turn in sorted(findings)),
            sum(diagnosis.tokens for diagnosis in diagnoses),
            problem,
        )
