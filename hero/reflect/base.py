"""The protocol of all reflectors, and of the rules that an environment brings along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from hero import registry
from hero.errors import ConfigError
from hero.types import Diagnosis, Finding, Trajectory, Verdict

Judge: TypeAlias = Callable[[Trajectory], Mapping[int, Finding | None]]
"""Rules of one environment, an entry point of `hero.rules`: a pure function from an episode to findings by turn.

A turn that is missing is left to the rules for all environments. None keeps every rule from judging a turn, since its
text leaves open whether the action was right. `hero.reflect.check.check_judge` checks rules against this contract.
"""


@runtime_checkable
class Reflector(Protocol):
    """Reads whole episodes after their end, and judges each turn with hindsight."""

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns one diagnosis per trajectory, in the same order; siblings (of the same task) may be compared.

        A finding never names a turn that its trajectory does not have.
        """
        ...


def check_wrapped(name: str, options: Mapping[str, Any]) -> None:
    """Checks the reflector that another one wraps, if it wraps one, without building either.

    A reflector with the parameters `of` and `of_args`, a name and its options, wraps that reflector.

    Args:
        name: of the outer reflector, known to be registered.
        options: of the outer reflector, known to be ones that it takes.

    Raises:
        ConfigError: nobody registered the inner name, or the inner reflector refuses an option.
    """
    inner, inner_options = options.get("of"), options.get("of_args") or {}
    declared = registry.parameters(registry.load("hero.reflectors", name))
    if isinstance(inner, str) and {"of", "of_args"} <= declared.keys():
        inner, inner_options = with_model(inner, inner_options)
        registry.check("hero.reflectors", inner, inner_options, later=["student"])
        check_wrapped(inner, inner_options)


def with_model(name: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the name and the options of a reflector; of NAME:MODEL they are NAME and, besides others, model=MODEL."""
    prefix, colon, model = name.partition(":")
    if not colon or prefix not in registry.names("hero.reflectors"):
        return name, dict(options)
    return prefix, {"model": model, **options}


def build_reflector(name: str, options: Mapping[str, Any], student: Any) -> Reflector:
    """Builds a reflector, which is given the model in training if it has a parameter `student`.

    Raises:
        ConfigError: nobody registered the name, the reflector refuses an option, or it cannot do without a model.
    """
    name, options = with_model(name, options)
    declared = registry.parameters(registry.load("hero.reflectors", name)).get("student")
    if declared is None:
        return registry.build("hero.reflectors", name, **options)  # type: ignore[no-any-return]
    if student is None and declared.default is declared.empty:
        raise ConfigError(f"the reflector {name} reads with the model in training; give it as student")
    return registry.build("hero.reflectors", name, **options, student=student)  # type: ignore[no-any-return]


def check_diagnoses(diagnoses: Sequence[Diagnosis], trajectories: Sequence[Trajectory], author: str) -> list[Diagnosis]:
    """Returns the answer of a reflector, once it is known to be a sound diagnosis per trajectory.

    Args:
        author: name of the reflector, for messages.

    Raises:
        ConfigError: it is something else; or a finding is about a turn that does not exist, or has odd fields.
    """
    are_diagnoses = isinstance(diagnoses, Sequence) and all(isinstance(each, Diagnosis) for each in diagnoses)
    if not are_diagnoses or len(diagnoses) != len(trajectories):
        raise ConfigError(
            f"the reflector {author} must return a list of {len(trajectories)} hero.types.Diagnosis, one per "
            f"trajectory, not {diagnoses!r:.80}"
        )
    for diagnosis, trajectory in zip(diagnoses, trajectories, strict=True):
        for finding in diagnosis.findings:
            is_finding = isinstance(finding, Finding) and isinstance(finding.verdict, Verdict | None)
            if not is_finding or not isinstance(finding.cause, str) or not isinstance(finding.advice, str):
                raise ConfigError(
                    f"the reflector {author} returned {finding!r:.120}; the verdict of a finding is a Verdict or None, "
                    "cause and advice are str"
                )
            if type(finding.turn) is not int or not 0 <= finding.turn < len(trajectory.turns):
                raise ConfigError(
                    f"the reflector {author} judges turn {finding.turn!r} of an episode of {len(trajectory.turns)} "
                    "turns, which are numbered from 0"
                )
    return list(diagnoses)


def provenance_of(reflector: Reflector) -> Any:
    """Returns what decides the answers of a reflector besides its options: what its method `provenance` returns.

    It is a dict of plain JSON, such as the hash of the files of a model, and {} for a reflector without that method. A
    run keeps it, and does not go on with another.
    """
    method = getattr(reflector, "provenance", dict)
    return method() if callable(method) else {}


def diagnoses_of(reflector: Reflector, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
    """Returns what a reflector answers, checked by `check_diagnoses`."""
    author = getattr(reflector, "name", type(reflector).__name__)
    return check_diagnoses(reflector.reflect(trajectories), trajectories, author)
