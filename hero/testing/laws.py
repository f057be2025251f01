"""Laws of each kind of component: one call in your tests plays many drawn cases, and reports the smallest that fails.

def test_my_reflector():
    check_reflector(MyReflector())
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hero.chat.base import Chat, drift_tokens
from hero.distill.base import Example, Learner, Teacher
from hero.distill.turns import siblings_of
from hero.errors import HeroError, PolicyError, require
from hero.policy import ContextLimited, Policy
from hero.reflect.base import Reflector, diagnoses_of
from hero.testing import strategies
from hero.types import Action, Diagnosis, Group, Message, Stop, Trajectory

CASES: Final = 50
"""Number of cases that a law is tried on."""
PHASES: Final = tuple(Phase)
"""Phases of Hypothesis in which a law is tried; without the last ones a failing case is not made smaller."""
Played = st.SearchStrategy[Trajectory]


def check_reflector(reflector: Reflector, episodes: Played | None = None, *, cases: int = CASES) -> None:
    """Checks that a reflector returns a sound diagnosis per episode, the same again, and changes nothing.

    Args:
        episodes: draws episodes that it can read; any by default.

    Raises:
        AssertionError: a law is broken.
    """

    def law(played: list[Trajectory]) -> None:
        copies = deepcopy(played)
        diagnoses = _sound(reflector, played)
        require(all(each.tokens >= 0 for each in diagnoses), "a diagnosis cost fewer than 0 tokens")
        require(played == copies, "the reflector changed an episode; copy what you change")
        require(diagnoses == _sound(reflector, copies), "the same episodes have other diagnoses when read again")
        for trajectory, diagnosis in zip(played, diagnoses, strict=True):
            require(diagnosis.author != "", "a diagnosis has no author; give the name of the reflector")
            require(bool(trajectory.turns) or not diagnosis.findings, "an episode without turns has findings")

    _try(law, st.lists(strategies.trajectories() if episodes is None else episodes, max_size=3), cases)


def _sound(reflector: Reflector, played: Sequence[Trajectory]) -> list[Diagnosis]:
    try:
        return diagnoses_of(reflector, played)
    except HeroError as error:
        raise AssertionError(str(error)) from error


def check_teacher(teacher: Teacher, *, cases: int = CASES) -> None:
    """Checks that a teacher writes a prompt that a policy could be given, or None, and is a pure function.

    Raises:
        AssertionError: a law is broken.
    """

    def law(drawn: tuple[Group, list[Diagnosis]]) -> None:
        group, diagnoses = drawn
        copy = deepcopy(group)
        for episode, (member, diagnosis) in enumerate(zip(group.members, diagnoses, strict=True)):
            siblings = siblings_of(group, episode)
            for turn in range(len(member.turns)):
                context = teacher.context(member, turn, diagnosis, siblings)
                require(
                    context is None or _is_prompt(context),
                    f"context must return None, or a tuple of hero.types.Message whose last one is the user's, not "
                    f"{context!r:.200}",
                )
                again = teacher.context(member, turn, diagnosis, siblings)
                require(context == again, "the same turn has another prompt when it is asked about again")
        require(group == copy, "the teacher changed an episode; copy what you change")

    _try(law, strategies.diagnosed_groups(), cases)


def _is_prompt(context: Any) -> bool:
    if not isinstance(context, tuple) or not all(isinstance(each, Message) for each in context):
        return False
    spoken = all(isinstance(each.content, str) and each.role in strategies.ROLES for each in context)
    return bool(context) and spoken and context[-1].role == "user"


def check_learner(learner: Learner, *, cases: int = CASES) -> None:
    """Checks that a learner returns examples of tokens that were sampled, with finite weights, and is a pure function.

    Raises:
        AssertionError: a law is broken.
    """

    def law(drawn: tuple[Group, list[Diagnosis]]) -> None:
        group, diagnoses = drawn
        copy, shown = deepcopy(group), list(diagnoses)
        examples = learner.examples(group, shown)
        require(group == copy and shown == diagnoses, "the learner changed what it was given; copy what you change")
        require(
            isinstance(examples, list) and all(isinstance(each, Example) for each in examples),
            f"examples must return a list of hero.distill.base.Example, not {examples!r:.200}",
        )
        require(examples == learner.examples(copy, diagnoses), "the same group gives other examples when asked again")
        for example in examples:
            require(
                0 <= example.episode < len(group.members),
                f"an example is of episode {example.episode}; members are numbered from 0 to {len(group.members) - 1}",
            )
            member = group.members[example.episode]
            require(member.stop is not Stop.ERROR, "a member that ended in an error gives an example; leave it out")
            sampled = [turn.action.tokens for turn in member.turns]
            require(example.tokens in sampled, "an example has tokens that its episode does not; take those of a turn")
            weights = (example.policy_gradient, example.cross_entropy, example.distillation, example.share)
            require(all(map(math.isfinite, weights)), f"the weights of an example are {weights}; they must be finite")
            require(example.share >= 0, f"the share of an example is {example.share}; it must be 0 or more")

    _try(law, strategies.diagnosed_groups(), cases)


def check_policy(
    policy: Policy, prompts: st.SearchStrategy[tuple[Message, ...]] = strategies.prompts, *, cases: int = 20
) -> None:
    """Checks that a policy answers each prompt by itself: equal prompts with equal seeds have equal answers.

    Args:
        prompts: draws prompts that it can read; any by default. One that it refuses with a `PolicyError` counts for
            nothing.

    Raises:
        AssertionError: a law is broken, or every prompt was refused.
    """
    answered = 0

    def law(drawn: list[tuple[tuple[Message, ...], int]]) -> None:
        asked, seeds = [prompt for prompt, _ in drawn], [seed for _, seed in drawn]
        try:
            actions = policy.act(asked, seeds)
            alone = [policy.act([prompt], [seed]) for prompt, seed in drawn]
        except PolicyError:
            return
        nonlocal answered
        answered += len(asked)
        require(
            isinstance(actions, list)
            and len(actions) == len(asked)
            and all(isinstance(each, Action) and isinstance(each.text, str) for each in actions),
            f"act must return a list of {len(asked)} hero.types.Action, one per prompt, not {actions!r:.200}",
        )
        for action, (same,) in zip(actions, alone, strict=True):
            require(_sampled(action) == _sampled(same), "a prompt has another answer by itself than beside others")
        for prompt, action in zip(asked, actions, strict=True):
            tokens = action.tokens
            require(
                tokens is None or all(-math.inf < logprob <= 0 for logprob in tokens.logprobs),
                "a log-probability is above 0, or infinite; give the natural logarithms of probabilities",
            )
            if tokens and isinstance(policy, ContextLimited):
                taken, most = len(tokens.prompt_ids) + len(tokens.action_ids), policy.count(prompt)
                require(taken <= most, f"a prompt and its answer have {taken} tokens, but count says at most {most}")

    _try(law, st.lists(st.tuples(prompts, st.integers(0, 2**63 - 1)), max_size=3), cases)
    require(answered > 0, "the policy refused every prompt; give prompts that it can read")


def _sampled(action: Action) -> tuple[str, tuple[int, ...]]:
    """Returns what was drawn; log-probabilities may differ by rounding."""
    return action.text, action.tokens.action_ids if action.tokens else ()


def check_chat(
    chat: Chat,
    said: st.SearchStrategy[str] = strategies.words,
    sampled: st.SearchStrategy[Sequence[int]] | None = None,
    *,
    cases: int = CASES,
) -> None:
    """Checks that a chat encodes nothing twice: each prompt begins with the prompt and the action before it.

    Args:
        said: draws what is said; one lower-case word by default, which every tokenizer and template keeps as it is.
        sampled: draws the ids of actions, as a model may sample them: also such that no text is encoded to. Those of
            replies by default.

    Raises:
        AssertionError: a law is broken.
    """

    def law(drawn: tuple[list[list[Message]], str]) -> None:
        prompts, reply = drawn
        for before, now in pairwise(prompts):
            ledger = [*chat.encode(before), *now[-2].ids]
            drift = drift_tokens(ledger, chat.encode(now))
            require(drift == 0, f"a prompt does not begin with the prompt and the action before it ({drift} tokens)")
        ids = chat.encode_reply(reply)
        require(bool(ids) and ids[-1] in chat.stop_ids, "a reply does not end with one of stop_ids")
        require(not chat.stop_ids.intersection(ids[:-1]), "a reply has a stop id before its end")
        require(
            chat.decode(ids).strip() == reply, f"the reply {reply!r} reads as {chat.decode(ids)!r} when it is decoded"
        )

    _try(law, st.tuples(strategies.conversations(chat, said=said, sampled=sampled), strategies.words), cases)


def _try(law: Callable[[Any], None], cases_of: st.SearchStrategy[Any], cases: int) -> None:
    """Tries a law on drawn cases; what fails is made as small as possible."""
    tried = given(cases_of)(law)
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    settings(max_examples=cases, deadline=None, database=None, phases=PHASES, suppress_health_check=slow)(tried)()
