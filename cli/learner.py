"""Read `--learner`: a component of `hero.learners`, or a weighted sum of several.

    distill                            one learner
    grpo+kl:0.04                       a sum, with a weight
    distill:1->0+grpo:0->1             weights that change linearly, from the start of the run to its end

An option of a part of a sum has its name in front: `--learner-arg grpo.clip_high=0.28`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hero import registry
from hero.errors import ConfigError

from .settings import option

if TYPE_CHECKING:
    from hero.distill.base import Learner, Teacher

GROUP: Final = "hero.learners"


@dataclass(frozen=True, slots=True)
class Part:
    """One learner of a sum.

    Attributes:
        component: the class or function that builds it.
        start: its weight at the start of the run.
        end: its weight at the end of the run.
    """

    name: str
    component: Any
    start: float
    end: float

    @property
    def takes_teacher(self) -> bool:
        """True if it is given the teacher of the run."""
        try:
            return "teacher" in registry.parameters(self.component)
        except (TypeError, ValueError):  # nothing that can be built, which `LearnerChoice.check` refuses
            return False

    def with_implied(self, brought: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the defaults that it brings, with those that follow from them and from its parameters."""
        implied = {} if self.takes_teacher else {"teacher": None}
        if implied and brought.get("teacher_weights") is None:  # it distils nothing
            implied |= {"teacher_weights": None, "divergence": None, "turn_gate": None}
        if brought.get("reflector", "any") is None:  # there are no findings that a teacher could follow
            implied["turn_gate"] = None
        return implied | dict(brought)


@dataclass(frozen=True, slots=True)
class LearnerChoice:
    """The learner of a run.

    Attributes:
        text: as `--learner` gives it.
        parts: one or more; different components.
    """

    text: str
    parts: tuple[Part, ...]

    @property
    def changes(self) -> bool:
        """True if it is another at another point of the run."""
        return any(part.start != part.end or hasattr(part.component, "at") for part in self.parts)

    def defaults(self, brought: Mapping[str, Mapping[str, Any]], given: Collection[str]) -> dict[str, Any]:
        """Returns the defaults of settings with this learner; None for a setting that no part has a use for.

        Args:
            brought: the defaults that the component of each part brings, by its name.
            given: settings that the user gave, about which the parts need not agree.

        Raises:
            ConfigError: two parts bring different defaults of one setting, or one of several parts does not train.
        """
        merged: dict[str, Any] = {}
        by_part = {part.name: part.with_implied(brought[part.name]) for part in self.parts}
        for setting in dict.fromkeys(name for defaults in by_part.values() for name in defaults):
            values = {name: defaults[setting] for name, defaults in by_part.items() if setting in defaults}
            wanted = {name: value for name, value in values.items() if value is not None}
            if setting == "steps" and 0 in wanted.values() and len(values) < len(self.parts):
                idle = next(name for name, steps in wanted.items() if steps == 0)
                raise ConfigError(f"--learner {self.text}: {idle} does not train; leave it out of the sum")
            if setting == "group_size" and wanted:
                merged[setting] = max(wanted.values())
            elif len(set(wanted.values())) > 1 and setting not in given:
                opinions = ", ".join(f"{name} {value}" for name, value in wanted.items())
                raise ConfigError(
                    f"the parts of --learner {self.text} have different defaults of {option(setting)} ({opinions}); "
                    "give that option"
                )
            elif wanted or len(values) == len(self.parts):
                merged[setting] = next(iter(wanted.values()), None)
        return merged

    def check(self, arguments: Mapping[str, Any]) -> None:
        """Checks the options of each part, without building anything.

        Raises:
            ConfigError: an option is of no part, or the part refuses it.
        """
        for part, options in self._options(arguments):
            registry.check(GROUP, part.name, options, later=["teacher"])

    def require_option(self, key: str) -> None:
        """Checks that a part has an option, whatever its value.

        Raises:
            ConfigError: none has.
        """
        for part, options in self._options({key: None}):
            for name in options:
                registry.require_option(GROUP, part.name, name, later=["teacher"])

    def build(self, arguments: Mapping[str, Any], teacher: Teacher | None) -> Learner:
        """Builds the learner.

        Args:
            arguments: options of the parts.
            teacher: given to each part that takes one.
        """
        from hero.distill.sums import Sum, Weighted

        learners: list[Learner] = []
        for part, options in self._options(arguments):
            given = options | ({"teacher": teacher} if teacher and part.takes_teacher else {})
            learner = registry.build(GROUP, part.name, **given)
            learners.append(learner if part.start == part.end == 1 else Weighted(learner, part.start, part.end))
        return learners[0] if len(learners) == 1 else Sum(*learners)

    def _options(self, arguments: Mapping[str, Any]) -> Iterator[tuple[Part, dict[str, Any]]]:
        """Yields each part with its options."""
        names = [part.name for part in self.parts]
        of_part: dict[str, dict[str, Any]] = {name: {} for name in names}
        for key, value in arguments.items():
            name, dot, option_name = key.rpartition(".")
            if not dot and len(names) > 1:
                choices = " or ".join(f"{name}.{key}" for name in names)
                raise ConfigError(f"--learner-arg {key}: say of which part of {self.text}, as in {choices}")
            if dot and name not in names:
                raise ConfigError(f"--learner-arg {key}: {self.text} has no part {name!r}; it has {', '.join(names)}")
            of_part[name or names[0]][option_name] = value
        return ((part, of_part[part.name]) for part in self.parts)


def read_learner(text: str) -> LearnerChoice:
    """Returns the learner that `--learner` names.

    Raises:
        ConfigError: a part is not registered, is named twice, or has a weight that is not possible.
    """
    parts = tuple(_part(text, *_split(part)) for part in text.split("+"))
    names = [part.name for part in parts]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"--learner {text} has {twice} twice; name it once, with the sum of the weights")
    return LearnerChoice(text, parts)


def _split(part: str) -> tuple[str, str, str]:
    """Returns name, colon and weight of a part; the name may have a colon itself, as `module:Class`."""
    name, colon, rest = part.partition(":")
    attribute, *weight = rest.split(":", 1)
    if name not in registry.names(GROUP) and registry.is_path(f"{name}:{attribute}"):
        return f"{name}:{attribute}", ":" if weight else "", "".join(weight)
    return name, colon, rest


def _part(text: str, name: str, colon: str, weight: str) -> Part:
    if not name:
        raise ConfigError(f"--learner {text!r} has a part without a name; write it as in grpo+kl:0.04")
    start, arrow, end = weight.partition("->")
    ends = [_weight(text, name, number) for number in ([start, end] if arrow else [start])] if colon else [1.0]
    if not any(ends):
        raise ConfigError(f"--learner {text}: with weight 0 {name} does nothing; leave it out")
    return Part(name, registry.load(GROUP, name), ends[0], ends[-1])


def _weight(text: str, name: str, number: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise ConfigError(
            f"--learner {text}: {number!r} is not a weight; give a number of at least 0, as in {name}:0.5, or two for "
            f"start and end of the run, as in '{name}:0->1'"
        )
    return weight
