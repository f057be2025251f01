"""Measure whether the teacher follows the findings that it is shown, and gate out the turns in which it does not.

A finding that the teacher does not follow teaches nothing: it would pull the student towards the action that it calls
wrong, or towards whatever else the privileged text happens to make likely.

Shapes: N tokens of some actions, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from statistics import fmean, median
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from hero.distill.batch import UpdateBatch
from hero.distill.losses import token_logprobs
from hero.distill.pack import Row
from hero.distill.scorer import by_span, logit_chunks, teacher_hidden_states
from hero.distill.turns import FAULTS
from hero.models.head import head_logits
from hero.processes import ALONE, Processes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TurnGate: TypeAlias = Literal["follow", "verdict", "none"]


class ActionScore(NamedTuple):
    """One model's score of a whole action.

    Attributes:
        logprob: log-probability of all its tokens, in nats.
        likeliest: whether each token is the likeliest after those before it, so that greedy decoding gives the action.
    """

    logprob: float
    likeliest: bool


class Following:
    """Scores the judged turns of one update, to measure whether the teacher follows, and gates out those where not.

    A faulted turn with advice counts only if the teacher finds the whole advised action likelier than the one that was
    taken; without advice, only if it finds the action less likely than the student does. With the gate `verdict` a turn
    called useful, too, counts only if the teacher finds the action at least as likely as the student does. With the
    gate `none` all turns count.

    Args:
        tokens: maximum number of tokens that go through the student at once.
        lockstep: processes that have to make equally many forward passes.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        teacher: PreTrainedModel,
        batch: UpdateBatch,
        gate: TurnGate,
        tokens: int,
        lockstep: Processes = ALONE,
    ) -> None:
        self._student, self._teacher, self._batch, self._gate = student, teacher, batch, gate
        self._tokens, self._lockstep = tokens, lockstep
        findings = batch.judged.findings
        self._faulted = {index for index, finding in findings.items() if finding.verdict in FAULTS}
        self._scored = set(findings) if gate == "verdict" else self._faulted
        self._taken: dict[int, ActionScore] = {}
        """The teacher's score of the action that was taken in each judged turn, by index of the example."""
        self._advised: dict[int, ActionScore] = {}
        """The teacher's score of the advised action in each faulted turn that has advice."""
        self._lifts: list[float] = []
        self._gated: set[int] = set()

    @property
    def gated(self) -> frozenset[int]:
        """Indices of the examples, so far, whose distillation does not count."""
        return frozenset(self._gated)

    @torch.no_grad()
    def add_teacher(
        self, rows: Sequence[Row], taken_states: Mapping[int, Tensor], advice_states: Mapping[int, Tensor]
    ) -> None:
        """Scores the judged turns of a micro-batch with the teacher.

        Args:
            rows: the student's rows of the micro-batch.
            taken_states: the teacher's hidden states of each distilled action, by index of the example.
            advice_states: those of each advised action that it reads.
        """
        examples, judged = self._batch.examples, self._batch.judged
        scored = {index: states for index, states in taken_states.items() if index in self._scored}
        taken = action_scores(self._teacher, [(examples[i].tokens.action_ids, each) for i, each in scored.items()])
        self._taken |= zip(scored, taken, strict=True)
        advice = [(judged.advice_rows[index].action_ids, states) for index, states in advice_states.items()]
        advised = dict(zip(advice_states, action_scores(self._teacher, advice), strict=True))
        advised |= {i: self._taken[i] for i in scored if i in judged.unchanged}
        self._advised |= advised
        student_rows = [row for index, row in judged.student_rows.items() if index in advised]
        for part, states_ND in teacher_hidden_states(
            self._student, student_rows, rows, tokens=self._tokens, lockstep=self._lockstep
        ):
            read = [(row, states) for row, _, states in by_span(part, states_ND)]
            student = action_scores(self._student, [(row.action_ids, states) for row, states in read])
            for (row, _), score in zip(read, student, strict=True):
                self._lifts.append(advised[row.example].logprob - score.logprob)

    @torch.no_grad()
    def add_student(self, rows: Sequence[Row], states_ND: Tensor) -> None:
        """Gates turns of a micro-batch, after `add_teacher`.

        Args:
            rows: the student's rows of the micro-batch.
            states_ND: the student's hidden states of the actions in its rows.
        """
        if self._gate == "none" or not self._scored:
            return
        states = {index: each for _, span, each in by_span(rows, states_ND) for index in span.examples}
        compared = [index for index in states if index in self._taken and index not in self._advised]
        actions = [(self._batch.examples[index].tokens.action_ids, states[index]) for index in compared]
        student = dict(zip(compared, action_scores(self._student, actions), strict=True))
        for index in states.keys() & self._taken.keys():
            taken = self._taken[index].logprob
            if index in self._advised:
                counts = self._advised[index].logprob > taken
            elif index in self._faulted:
                counts = taken < student[index].logprob
            else:
                counts = taken >= student[index].logprob
            if not counts:
                self._gated.add(index)

    def gather(self, processes: Processes) -> None:
        """Adds what other processes scored of the same update."""
        parts = processes.gather([(self._taken, self._advised, self._lifts, self._gated)])
        self._lifts = []
        for taken, advised, lifts, gated in parts:
            self._taken |= taken
            self._advised |= advised
            self._lifts += lifts
            self._gated |= gated

    def metrics(self) -> dict[str, float]:
        """Returns the metrics that `TorchTrainer.update` describes; the shares only where there is such a turn."""
        unchanged = self._batch.judged.unchanged
        advised = self._advised.keys() - unchanged
        counts = {"faulted": self._faulted, "contradicted": unchanged, "advised": advised, "gated": self._gated}
        metrics = {f"turns_{name}": float(len(turns)) for name, turns in counts.items()}
        if advised:
            metrics["followed"] = fmean(self._advised[index].likeliest for index in advised)
        if consistent := self._faulted - unchanged:
            metrics["repeated"] = fmean(self._taken[index].likeliest for index in consistent)
        if self._lifts:
            metrics["lift"] = median(self._lifts)  # a few turns whose advice cannot be followed would decide a mean
        return metrics


def action_scores(model: PreTrainedModel, actions: Sequence[tuple[Sequence[int], Tensor]]) -> list[ActionScore]:
    """Returns a model's score of each action.

    Args:
        actions: the ids of each action and the model's hidden states that predict them [its tokens, D].
    """
    if not actions:
        return []
    states_ND = torch.cat([states for _, states in actions])
    ids_N = torch.tensor([id_ for ids, _ in actions for id_ in ids], device=states_ND.device)
    logprobs: list[float] = []
    likeliest: list[bool] = []
    for part in logit_chunks(model, len(ids_N)):
        logits_NV = head_logits(model, states_ND[part])
        logprobs += token_logprobs(logits_NV, ids_N[part]).tolist()
        likeliest += (logits_NV.argmax(-1) == ids_N[part]).tolist()
    scores, start = [], 0
    for ids, _ in actions:
        stop = start + len(ids)
        scores.append(ActionScore(fsum(logprobs[start:stop]), all(likeliest[start:stop])))
        start = stop
    return scores
