"""Measures diagnoses by what the hidden state of the environment says about the actions that they judge.

The numbers of a step go into its record; none of them reaches a reflector, rule, teacher or policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Final, TypeAlias

from hero.distill.base import Example
from hero.errors import ConfigError
from hero.reflect.rules import RulesReflector
from hero.types import Diagnosis, Trajectory, Verdict

IsRight: TypeAlias = Callable[[Trajectory, int, str], bool | None]
"""`TextEnv.is_right`: whether an action at a turn of an episode leads towards success; None where that is open."""
Words: TypeAlias = frozenset[str]
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of one diagnosed episode by the hidden state: True for right, False for wrong, None for open.

    Attributes:
        actions: one per turn, about the action that was taken.
        advice: by turn, about the action that the finding advises; only of findings with advice.
    """

    actions: tuple[bool | None, ...]
    advice: Mapping[int, bool | None]


def labels_of(is_right: IsRight, trajectory: Trajectory, diagnosis: Diagnosis) -> Labels:
    """Returns the labels of an episode.

    Raises:
        ConfigError: the environment raised.
    """
    try:
        return Labels(
            tuple(is_right(trajectory, at, turn.action.text) for at, turn in enumerate(trajectory.turns)),
            {each.turn: is_right(trajectory, each.turn, each.advice) for each in diagnosis.findings if each.advice},
        )
    except Exception as error:  # foreign code
        raise ConfigError(
            f"is_right of {trajectory.env_id} raised {type(error).__name__}: {error}; run "
            "hero.envs.contract.check_text_env on the environment"
        ) from error


def diagnosis_metrics(diagnosed: Iterable[tuple[Diagnosis, Labels]]) -> dict[str, float]:
    """Returns how far the diagnoses of some episodes agree with their labels.

    `verdicts_right` is the share of findings with a verdict, about an action with a label, that call a right action
    useful and a wrong one something else. Of the turns with a wrong action, `faults_found` is the share whose verdict
    says so, and `faults_praised` the share that is called useful; `wrong_turns` is their number per episode.
    `advice_right` is the share of right advice among that with a label. A share of nothing is left out, and
    `wrong_turns` where no action has a label; `faults_found` and `faults_praised` also where there is no verdict at
    all, as without a reflector.
    """
    diagnosed = list(diagnosed)
    verdicts = [{finding.turn: finding.verdict for finding in diagnosis.findings} for diagnosis, _ in diagnosed]
    judged = [
        (of_episode.get(turn), label)
        for of_episode, (_, labels) in zip(verdicts, diagnosed, strict=True)
        for turn, label in enumerate(labels.actions)
        if label is not None
    ]
    wrong = [verdict for verdict, label in judged if not label]
    reviewed = wrong if any(verdict for of_episode in verdicts for verdict in of_episode.values()) else []
    advice = [label for _, labels in diagnosed for label in labels.advice.values() if label is not None]
    shares = {
        "verdicts_right": [(verdict is Verdict.USEFUL) is label for verdict, label in judged if verdict],
        "faults_found": [verdict not in (None, Verdict.USEFUL) for verdict in reviewed],
        "faults_praised": [verdict is Verdict.USEFUL for verdict in reviewed],
        "advice_right": advice,
    }
    per_episode = {"wrong_turns": len(wrong) / len(diagnosed)} if judged else {}
    return {name: fmean(values) for name, values in shares.items() if values} | per_episode


def unnecessary_turns(trajectories: Sequence[Trajectory]) -> float:
    """Returns the number of turns per episode that the rules call unnecessary, whatever reflector is in use."""
    diagnoses = RulesReflector().reflect(trajectories)
    verdicts = [finding.verdict for diagnosis in diagnoses for finding in diagnosis.findings]
    return verdicts.count(Verdict.UNNECESSARY) / len(trajectories)


@lru_cache(maxsize=8192)
def words_of(text: str) -> Words:
    """Returns the words of a text: its runs of letters and digits, without case."""
    return frozenset(_WORD.findall(text.casefold()))


def leak(trajectories: Iterable[Trajectory], privileged: Words) -> float:
    """Returns the share of privileged words, which their own prompts do not show, in the words of all actions.

    Words count as often as they occur. It is 0 where there are none.
    """
    leaked = total = 0
    for turn in (turn for trajectory in trajectories for turn in trajectory.turns):
        written = _WORD.findall(turn.action.text.casefold())
        shown = [words_of(message.content) for message in turn.prompt]
        leaked += sum(word in privileged and not any(word in words for words in shown) for word in written)
        total += len(written)
    return leaked / total if total else 0.0


def diagnosis_words(diagnoses: Iterable[Diagnosis]) -> Words:
    """Returns the words of all findings, as teachers read them."""
    texts = (finding.text() for diagnosis in diagnoses for finding in diagnosis.findings)
    return frozenset[str]().union(*map(words_of, texts))


def frame_words(examples: Iterable[Example]) -> Words:
    """Returns the words that a teacher always writes: those that the last messages of all its prompts have in common.

    Empty where there is no teacher. The words that all pages share are among them; every prompt shows these.
    """
    prompts = [words_of(example.teacher[-1].content) for example in examples if example.teacher]
    return prompts[0].intersection(*prompts[1:]) if prompts else frozenset()


class QualityMeter:
    """Measures one training step after another.

    Args:
        previous: diagnoses of the step before the first that is measured; empty at the start of a run.
    """

    def __init__(self, is_right: IsRight, previous: Iterable[Diagnosis] = ()) -> None:
        self._is_right = is_right
        self._previous = list(previous)

    def measure(self, pairs: Sequence[tuple[Trajectory, Diagnosis]], examples: Iterable[Example]) -> dict[str, float]:
        """Returns the metrics of a step: those of `diagnosis_metrics`, `unnecessary_turns`, and `leak`.

        Words can have leaked from the diagnoses of the step before and from what the teacher always writes; from
        nothing in the first step of a run.

        Args:
            pairs: the episodes of the step, each with its diagnosis.
            examples: what the step learns from.
        """
        trajectories = [trajectory for trajectory, _ in pairs]
        diagnosed = [(diagnosis, labels_of(self._is_right, trajectory, diagnosis)) for trajectory, diagnosis in pairs]
        privileged = diagnosis_words(self._previous) | frame_words(examples) if self._previous else Words()
        self._previous = [diagnosis for _, diagnosis in pairs]
        return {
            **diagnosis_metrics(diagnosed),
            "unnecessary_turns": unnecessary_turns(trajectories),
            "leak": leak(trajectories, privileged),
        }
