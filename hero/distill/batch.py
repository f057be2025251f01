"""The data of an update, made once, and the action tokens of each of its micro-batches, as tensors.

Shapes: N the action tokens of a micro-batch, or of a part of it; M those of them that carry one component of the loss;
E the examples that do; D the hidden size.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from hero.chat.base import Chat
from hero.distill.base import Example
from hero.distill.judged import JudgedTurns
from hero.distill.pack import Row, student_rows, teacher_row

Component: TypeAlias = Literal["policy_gradient", "cross_entropy", "distillation"]
COMPONENTS: Final[tuple[Component, ...]] = get_args(Component)
"""The components of the loss, named like the weights of an `Example`."""


def trainable(examples: Sequence[Example]) -> list[Example]:
    """Returns the examples that change anything: those with an action token, a share and a weight that is not 0."""
    return [
        e
        for e in examples
        if e.tokens.action_ids and e.share and any(getattr(e, component) for component in COMPONENTS)
    ]


@dataclass(frozen=True, slots=True)
class UpdateBatch:
    """The examples of one update, and the rows in which models read them.

    Attributes:
        examples: the trainable examples; without a teacher where the privileged prompt is too long.
        positions: of each of them its position among the examples that were given.
        student_rows: rows that score the action of every example.
        teacher_rows: rows that score the distilled examples, by index of the example.
        tokens: number of action tokens that carry a component; a token of two examples counts twice.
        shares: sum of the shares of these tokens, which is the denominator of the component's mean.
        turns_too_long: number of examples that lost their teacher.
        judged: the distilled examples whose teacher can be held against their finding.
    """

    examples: Sequence[Example]
    positions: Sequence[int]
    student_rows: Sequence[Row]
    teacher_rows: Mapping[int, Row]
    tokens: Mapping[Component, int]
    shares: Mapping[Component, float]
    turns_too_long: int
    judged: JudgedTurns

    @classmethod
    def of(cls, examples: Sequence[Example], chat: Chat, context: int) -> UpdateBatch:
        """Makes the batch; it is empty where no example is trainable.

        Args:
            chat: encodes the privileged prompts.
            context: maximum number of tokens of a privileged prompt with its action.

        Raises:
            ValueError: a trainable example has an empty prompt.
        """
        kept: list[Example] = []
        positions: list[int] = []
        teacher_rows: dict[int, Row] = {}
        too_long = 0
        for position, example in enumerate(examples):
            if not trainable([example]):
                continue
            row = teacher_row(example, len(kept), chat)
            if row and len(row.ids) > context:
                too_long += 1
                row, example = None, replace(example, teacher=None, distillation=0.0)
            if row:
                teacher_rows[len(kept)] = row
            if trainable([example]):
                kept.append(example)
                positions.append(position)
        carrying = {name: [e for e in kept if getattr(e, name)] for name in COMPONENTS}
        tokens = {name: sum(len(e.tokens.action_ids) for e in each) for name, each in carrying.items()}
        shares = {name: sum(e.share * len(e.tokens.action_ids) for e in each) for name, each in carrying.items()}
        judged = JudgedTurns.of(kept, teacher_rows, chat, context)
        return cls(kept, positions, student_rows(kept), teacher_rows, tokens, shares, too_long, judged)

    def carries_loss(self, index: int, gated: AbstractSet[int]) -> bool:
        """Returns whether an example contributes to the loss, if the distillation of some examples does not."""
        example = self.examples[index]
        others = example.policy_gradient or example.cross_entropy
        return bool(others or (example.distillation and index not in gated))


@dataclass(frozen=True, slots=True)
class ComponentTokens:
    """The action tokens that carry one component of the loss, in order; a token of two examples is there twice.

    Attributes:
        index: positions among the N action tokens, ascending.
        weights_M: weight of the component; 0 for distillation that is gated out.
        shares_M, clip_low_M, clip_high_M, gates_M: the token's `share`, `clip` and `gate`, NaN for no gate.
        teacher_states_MD: hidden states of the teacher for distillation; for other components D is 0.
    """

    index: Sequence[int]
    weights_M: Tensor
    shares_M: Tensor
    clip_low_M: Tensor
    clip_high_M: Tensor
    gates_M: Tensor
    teacher_states_MD: Tensor

    def part(self, start: int, stop: int) -> ComponentTokens:
        """Returns the tokens at the positions from `start` up to `stop`, with positions counted from `start`."""
        within = slice(bisect_left(self.index, start), bisect_left(self.index, stop))
        index = [position - start for position in self.index[within]]
        return ComponentTokens(
            index,
            self.weights_M[within],
            self.shares_M[within],
            self.clip_low_M[within],
            self.clip_high_M[within],
            self.gates_M[within],
            self.teacher_states_MD[within],
        )


@dataclass(frozen=True, slots=True)
class ActionTokens:
    """The action tokens of student rows: by row, by span, by token.

    Attributes:
        logprobs_N: log-probabilities at the time of sampling, each at its `temperature_N1`.
        components: the tokens of each component that any token carries.
    """

    ids_N: Tensor
    logprobs_N: Tensor
    temperature_N1: Tensor
    components: Mapping[Component, ComponentTokens]

    @classmethod
    def of(
        cls,
        batch: UpdateBatch,
        rows: Sequence[Row],
        teacher_states: Mapping[int, Tensor],
        states_ND: Tensor,
        gated: AbstractSet[int] = frozenset(),
    ) -> ActionTokens:
        """Collects the action tokens of a micro-batch.

        Args:
            rows: student rows of the batch.
            teacher_states: the teacher's hidden states of an action, a row per token, by example; for each example in
                `rows` that is distilled.
            states_ND: the student's hidden states; the result is on their device, and of their type but at least
                float32.
            gated: indices of the examples whose distillation is gated out.
        """
        like = states_ND.new_empty(0, dtype=torch.promote_types(states_ND.dtype, torch.float32))
        spans = [span for row in rows for span in row.spans]
        sampled = [batch.examples[span.examples[0]].tokens for span in spans]
        positions: dict[int, range] = {}
        start = 0
        for span in spans:
            positions |= dict.fromkeys(span.examples, range(start, start + len(span)))
            start += len(span)
        components: dict[Component, ComponentTokens] = {}
        for name in COMPONENTS:
            weights = {index: weight for index in positions if (weight := getattr(batch.examples[index], name))}
            distilled = name == "distillation"
            if distilled:
                weights |= dict.fromkeys(gated & weights.keys(), 0.0)
            if weights:
                states = [teacher_states[index] for index in weights] if distilled else []
                components[name] = _component_tokens(batch.examples, weights, positions, states, like)
        return cls(
            torch.tensor(list(chain.from_iterable(tokens.action_ids for tokens in sampled)), device=like.device),
            like.new_tensor(list(chain.from_iterable(tokens.logprobs for tokens in sampled))),
            like.new_tensor([[tokens.temperature] for tokens in sampled for _ in tokens.action_ids]),
            components,
        )

    def part(self, within: slice) -> ActionTokens:
        """Returns the tokens within a slice, whose start and stop are given."""
        parts = {name: tokens.part(within.start, within.stop) for name, tokens in self.components.items()}
        components = {name: tokens for name, tokens in parts.items() if tokens.index}
        return ActionTokens(self.ids_N[within], self.logprobs_N[within], self.temperature_N1[within], components)


def _component_tokens(
    examples: Sequence[Example],
    weights: Mapping[int, float],
    positions: Mapping[int, range],
    states: Sequence[Tensor],
    like: Tensor,
) -> ComponentTokens:
    """Returns the action tokens of the examples that have a weight; `states` are the teacher's of each, or empty."""
    tokens = [(position, number) for number, index in enumerate(weights) for position in positions[index]]
    states_MD = torch.cat(list(states)) if states else like.new_empty(len(tokens), 0)
    order = sorted(range(len(tokens)), key=lambda m: tokens[m][0])
    each = [(weight, examples[index]) for index, weight in weights.items()]
    numbers_E5 = like.new_tensor(
        [[weight, e.share, *e.clip, math.nan if e.gate is None else e.gate] for weight, e in each]
    )
    weights_M, shares_M, low_M, high_M, gates_M = numbers_E5[[tokens[m][1] for m in order]].unbind(-1)
    index = [tokens[m][0] for m in order]
    return ComponentTokens(index, weights_M, shares_M, low_M, high_M, gates_M, states_MD[order])
