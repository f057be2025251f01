"""Relatives of HERO, and what it is compared with: learners that differ in the teacher's context or in the turns.

Divergence, top-k and the teacher's weights are settings of the trainer, which all of them share, whatever each paper
chose. So a comparison shows what a context is worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

from hero.distill.base import Example, Teacher
from hero.distill.learners import GRPO, Distillation, Mean, share
from hero.distill.options import Range, require_declared
from hero.distill.sums import Sum, Weighted
from hero.distill.teacher import DemonstrationTeacher, FeedbackTeacher, HindsightTeacher
from hero.distill.turns import FAULTS, sampled_turns
from hero.types import JSON, Diagnosis, Finding, Group, Message, Trajectory


class Feedback(Distillation):
    """Distils every turn with what the environment said next (2606.11559, "Environment Feedback Only")."""

    defaults: ClassVar[Mapping[str, JSON]] = {"reflector": None, "teacher_weights": "ema"}

    def __init__(self) -> None:
        super().__init__(FeedbackTeacher(), praise="all")


class Demonstration(Distillation):
    """Distils every turn with a whole successful episode of the same task (2606.11559, "Full-Demo Privileged Teacher").

    It is that of a sibling, or else the newest from earlier in the run; never the episode itself. A task without either
    gives no examples. Of many tasks few are played twice, so episodes come in groups by default.
    """

    defaults: ClassVar[Mapping[str, JSON]] = {"group_size": 8, "reflector": None, "teacher_weights": "ema"}

    def __init__(self) -> None:
        super().__init__(DemonstrationTeacher(), praise="all")


class SDPO(Distillation):
    """Distils every turn with a successful sibling, or else with the environment's feedback (2601.20802).

    The paper shows a whole answer as feedback on one attempt. Here the prompt is that of each turn, and the feedback
    what the environment said after it. There is no correction for a sampler that is older than the weights, since each
    update is one step on what was just sampled.
    """

    defaults: ClassVar[Mapping[str, JSON]] = {"group_size": 8, "reflector": None, "teacher_weights": "ema"}
    min_group_size: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__(_DemonstrationOrFeedback(), praise="all")

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """Returns an example of weight 1 for each sampled turn that the teacher has something to show about."""
        return super().examples(replace(group, earlier=()), diagnoses)


class _DemonstrationOrFeedback:
    """Shows a successful sibling, and where there is none the environment's feedback."""

    def context(
        self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Sequence[Trajectory] = ()
    ) -> tuple[Message, ...] | None:
        """Returns the privileged prompt of one turn; None where there is neither."""
        shown = DemonstrationTeacher().context(trajectory, turn, diagnosis, siblings)
        return shown or FeedbackTeacher().context(trajectory, turn, diagnosis)


class HinTSD(Distillation):
    """Distils the turns of failed episodes that a finding calls wrong, and no others (HinT-SD, 2605.17873).

    The paper takes the spans of tokens that caused the failure; here these are whole actions.

    Args:
        teacher: writes the privileged prompt of a turn.
        gate: as for `Distillation`.
    """

    def __init__(self, teacher: Teacher | None = None, *, gate: float | None = None) -> None:
        super().__init__(teacher, gate=gate)

    def selects(self, trajectory: Trajectory, finding: Finding | None) -> bool:
        """Returns whether the episode failed and the finding calls the action wrong."""
        return not trajectory.success and finding is not None and finding.verdict in FAULTS


class OpenClaw(Distillation):
    """Distils turns with a hint, the diagnosis alone, at the end of the prompt (OpenClaw-RL, on-policy distillation).

    In the paper a judge writes the hint from the next state, and the gap of log-probabilities at the sampled tokens is
    an advantage. Here any reflector writes it, and the loss is a divergence over the vocabulary.
    """

    def __init__(self) -> None:
        super().__init__(HindsightTeacher(observation=False, reward=False), praise="all")


class SDAR(Sum):
    """Adds distillation, with a sigmoid gate on each token, to GRPO (2605.15155).

    The paper's privileged context is a skill that was retrieved for the task; here it is that of any teacher, and all
    praise counts. Weight and gate have neutral defaults of our own. Other forms of GRPO: `grpo+distill` with
    `distill.gate=1` and `distill.praise=all`.

    Args:
        teacher: writes the privileged prompt of a turn.
        weight: weight of the distillation.
        gate: steepness of the sigmoid of log p teacher - log p student, by which a token is weighed.
    """

    defaults: ClassVar[Mapping[str, JSON]] = {"group_size": 8, "teacher_weights": "ema"}
    min_group_size = 2

    def __init__(
        self,
        teacher: Teacher | None = None,
        *,
        weight: Annotated[float, Range(above=0, below=math.inf)] = 1.0,
        gate: Annotated[float, Range(above=0, below=math.inf)] = 1.0,
    ) -> None:
        require_declared(SDAR.__init__, locals())
        super().__init__(GRPO(), Weighted(Distillation(teacher, gate=gate, praise="all"), weight))


class KL:
    """Pulls every action towards the teacher's weights without any hindsight: `grpo+kl:0.04` stays near the start.

    The divergence is taken over the whole vocabulary, where GRPO (2402.03300) estimates it from the sampled tokens. Its
    mean is over all turns, also over those of groups of equal rewards, which give GRPO no examples.

    Args:
        mean: `token`, the mean over all tokens, or `episode`, the mean over episodes of their own means, as for `GRPO`.
    """

    defaults: ClassVar[Mapping[str, JSON]] = {"reflector": None, "teacher_weights": "frozen"}
    idle_with: ClassVar[Mapping[str, JSON]] = {"teacher_weights": "live"}

    def __init__(self, *, mean: Mean = "token") -> None:
        require_declared(KL.__init__, locals())
        self.mean = mean

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """Returns an example of weight 1 for each sampled turn, whose teacher reads the turn's own prompt."""
        return [
            Example(
                episode, tokens, teacher=member.turns[turn].prompt, distillation=1.0, share=share(member, self.mean)
            )
            for episode, member in enumerate(group.members)
            for turn, tokens in sampled_turns(member)
        ]
