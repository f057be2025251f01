"""Score stored episodes: what the teacher, shown a diagnosis, thinks of each token, and what it would have done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from hero.chat.base import Chat
from hero.distill.base import Example, Teacher
from hero.distill.learners import TaskKey, successes, task_groups
from hero.distill.turns import FAULTS, finding_about, sampled_turns, siblings_of
from hero.look.entries import Entry, batches
from hero.look.notes import Note
from hero.types import Action, Diagnosis, Message, Trajectory

if TYPE_CHECKING:
    from hero.distill.token_scores import TokenScore

Token = list[Any]
"""A scored token in a note: text, log p student, log p teacher, and [text, log p] of each of the teacher's likeliest.

The text is None for the token that ends an action.
"""


class Scorer(Protocol):
    """The part of a trainer that scores."""

    def score(self, examples: Sequence[Example]) -> list[list[TokenScore] | None]:
        """Returns what student and teacher think of each token; None where the privileged prompt is too long."""
        ...

    def teacher_acts(self, prompts: Sequence[Sequence[Message]]) -> list[Action]:
        """Returns the teacher's greedy actions."""
        ...


def score_batch(
    scorer: Scorer,
    teacher: Teacher,
    chat: Chat,
    batch: Sequence[Entry],
    diagnoses: Mapping[str, Diagnosis],
    earlier: Mapping[TaskKey, Trajectory] = MappingProxyType({}),
    *,
    only: AbstractSet[str] | None = None,
) -> dict[str, Note]:
    """Returns a note for each entry, by its key: the turns that the teacher has hindsight on, with their tokens.

    Args:
        batch: episodes that were played together.
        diagnoses: by key.
        earlier: a success of earlier steps by task, for teachers that show some.
        only: keys of the entries to score, where the others are but siblings; None for all.
    """
    only = {entry.key for entry in batch} if only is None else only
    asked = [each for each in scored_turns(teacher, batch, diagnoses, earlier) if each[0].key in only]
    scores = scorer.score([example for _, _, example in asked])
    wrong = [
        index
        for index, (_, _, example) in enumerate(asked)
        if scores[index] and example.finding and example.finding.verdict in FAULTS
    ]
    acts = scorer.teacher_acts([asked[index][2].teacher or () for index in wrong]) if wrong else []
    would = dict(zip(wrong, acts, strict=True))
    notes: dict[str, Note] = {key: {"turns": []} for key in only}
    for index, (entry, turn, example) in enumerate(asked):
        if tokens := scores[index]:
            note: Note = {"turn": turn, "tokens": [*_tokens(chat, example.tokens.action_ids, tokens)]}
            if index in would:
                note["would"] = would[index].text
            notes[entry.key]["turns"].append(note)
    return notes


def with_earlier(
    entries: Sequence[Entry], teacher: Teacher
) -> Iterator[tuple[list[Entry], Mapping[TaskKey, Trajectory]]]:
    """Yields the entries that were played together, in order, with the successes that the teacher is shown there.

    As in training those are of training episodes of earlier steps, if it takes any, and an evaluation has none.
    """
    takes_any = getattr(teacher, "needs_earlier", False)
    earlier: dict[TaskKey, Trajectory] = {}
    for batch in batches(entries):
        trained = takes_any and batch[0].split == "training"
        yield batch, earlier if trained else {}
        if trained:
            earlier = earlier | successes(entry.trajectory for entry in batch)


def scored_turns(
    teacher: Teacher,
    batch: Sequence[Entry],
    diagnoses: Mapping[str, Diagnosis],
    earlier: Mapping[TaskKey, Trajectory],
) -> Iterator[tuple[Entry, int, Example]]:
    """Yields every sampled turn that the teacher has hindsight on, whether or not a learner would select it."""
    number = 0
    for group, entries in task_groups(batch, lambda entry: entry.trajectory, earlier):
        for index, entry in enumerate(entries):
            number += 1
            if (diagnosis := diagnoses.get(entry.key)) is None:
                continue
            for turn, tokens in sampled_turns(entry.trajectory):
                if context := teacher.context(entry.trajectory, turn, diagnosis, siblings_of(group, index)):
                    finding = finding_about(diagnosis, turn)
                    yield entry, turn, Example(number, tokens, teacher=context, distillation=1.0, finding=finding)


def _tokens(chat: Chat, ids: Sequence[int], scores: Sequence[TokenScore]) -> Iterator[Token]:
    for text, score in zip(pieces(chat, ids), scores, strict=True):
        likeliest = [[_text(chat, id_), _rounded(logprob)] for id_, logprob in score.likeliest]
        yield [text, _rounded(score.student), _rounded(score.teacher), likeliest]


def _rounded(logprob: float) -> float:
    """Returns a log-probability as a note has it; -999 for less, since JSON knows no infinity."""
    return round(max(logprob, -999.0), 5)


def _text(chat: Chat, id_: int) -> str | None:
    return None if id_ in chat.stop_ids else chat.decode([id_])


def pieces(chat: Chat, ids: Sequence[int]) -> Iterator[str | None]:
    """Yields the text that each token adds to an action, None for one that ends it.

    A character of several tokens belongs to the last of them.
    """
    written = ""
    for count, id_ in enumerate(ids, 1):
        if id_ in chat.stop_ids:
            yield None
            continue
        text = chat.decode(ids[:count])
        if text.endswith("\ufffd") and count < len(ids) and ids[count] not in chat.stop_ids:
            yield ""
        else:
            yield text.removeprefix(written) if text.startswith(written) else text[len(written) :]
            written = text
