"""Hypothesis strategies for the values of `hero.types`, conversations and ledgers: small, but with all that occurs."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from hero.chat.base import Chat
from hero.types import (
    JSON,
    Action,
    Diagnosis,
    Finding,
    Group,
    Message,
    Role,
    Stop,
    Tokens,
    Tools,
    Trajectory,
    Turn,
    Verdict,
)

ROLES: tuple[Role, ...] = ("system", "user", "assistant")

words = st.text(string.ascii_lowercase, min_size=1, max_size=8)
"""One lower-case word."""

texts = st.one_of(st.text(max_size=40), st.lists(words, max_size=6).map(" ".join))
"""Any text that UTF-8 can carry, blank and non-Latin included, and plain words."""

ids = st.integers(0, 499)
"""A token id of the shipped vocabulary."""

json_values: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=3,
)
"""JSON values that survive encoding and decoding."""

rewards = st.one_of(st.sampled_from([0.0, 0.0, 1.0, 0.5, -0.1]), st.floats(-10.0, 10.0))
"""A reward; most often one that is seen in practice, so that equal rewards occur."""


@st.composite
def tokens(draw: st.DrawFn, *, min_size: int = 0) -> Tokens:
    """Draws a prompt and an action of at least `min_size` ids."""
    action_ids = draw(st.lists(ids, min_size=min_size, max_size=6))
    logprobs = draw(st.lists(st.floats(-30.0, 0.0), min_size=len(action_ids), max_size=len(action_ids)))
    return Tokens(
        prompt_ids=tuple(draw(st.lists(ids, max_size=8))),
        action_ids=tuple(action_ids),
        logprobs=tuple(logprobs),
        policy_version=draw(st.integers(0, 99)),
        temperature=draw(st.just(1.0) | st.floats(0, 5, exclude_min=True)),
    )


tools = st.builds(Tools, st.lists(st.dictionaries(texts, json_values, max_size=3), max_size=2).map(tuple), texts)
"""Tools of any schemas."""

messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Message, st.sampled_from(ROLES), texts),
    st.builds(Message, st.just("assistant"), texts, st.lists(ids, min_size=1, max_size=5).map(tuple)),
    st.builds(Message, st.just("system"), texts, tools=tools),
)
"""A message, with the sampled ids or without, with tools or without."""

prompts = st.lists(messages, max_size=3).flatmap(
    lambda before: st.builds(lambda last: (*before, last), st.builds(Message, st.just("user"), texts))
)
"""A conversation that ends with a user message."""


def actions(*, text: st.SearchStrategy[str] = texts) -> st.SearchStrategy[Action]:
    """Draws an action with tokens or without."""
    return st.builds(Action, text=text, tokens=st.none() | tokens(), cut_off=st.booleans())


infos: st.SearchStrategy[dict[str, JSON]] = st.one_of(
    st.builds(dict),
    st.fixed_dictionaries(
        {"action_valid": st.booleans()},
        optional={"success": st.booleans(), "metrics": st.dictionaries(words, st.floats(-1e6, 1e6), max_size=3)},
    ),
    st.dictionaries(words, json_values, max_size=2),
)
"""The public facts of a step: none, the usual ones, or any."""


def turns(
    *,
    action: st.SearchStrategy[Action] | None = None,
    prompt: st.SearchStrategy[tuple[Message, ...]] = prompts,
    observation: st.SearchStrategy[str] = texts,
) -> st.SearchStrategy[Turn]:
    """Draws one turn."""
    return st.builds(
        Turn,
        prompt=prompt,
        action=actions() if action is None else action,
        observation=observation,
        reward=rewards,
        feedback=st.just("") | texts,
        info=infos,
    )


@st.composite
def trajectories(
    draw: st.DrawFn,
    *,
    env_id: st.SearchStrategy[str] = words,
    task_id: st.SearchStrategy[str] = words,
    turn: st.SearchStrategy[Turn] | None = None,
    max_turns: int = 4,
) -> Trajectory:
    """Draws an episode of 0 to `max_turns` turns; the error text is there exactly where the stop says so."""
    stop = draw(st.sampled_from(Stop))
    return Trajectory(
        env_id=draw(env_id),
        task_id=draw(task_id),
        seed=draw(st.integers(0, 2**31 - 1)),
        turns=tuple(draw(st.lists(turns() if turn is None else turn, max_size=max_turns))),
        stop=stop,
        error=draw(texts) if stop is Stop.ERROR else "",
    )


@st.composite
def diagnoses(draw: st.DrawFn, *, num_turns: int = 5) -> Diagnosis:
    """Draws findings about some of `num_turns` turns, some with nothing to say, and a problem now and then."""
    about = draw(st.sets(st.integers(0, num_turns - 1))) if num_turns else set()
    verdicts = st.none() | st.sampled_from(Verdict)
    findings = [
        Finding(turn, draw(verdicts), draw(st.just("") | texts), draw(st.just("") | texts)) for turn in sorted(about)
    ]
    problem = draw(st.just("") | words)  # beside findings, too, where an answer was cut off
    return Diagnosis(author=draw(words), findings=tuple(findings), tokens=draw(st.integers(0, 1000)), problem=problem)


@st.composite
def groups(
    draw: st.DrawFn, *, turn: st.SearchStrategy[Turn] | None = None, min_members: int = 1, max_members: int = 3
) -> Group:
    """Draws episodes of one task, and up to two earlier successes at it."""
    env_id, task_id = draw(words), draw(words)
    turn = turns() if turn is None else turn
    episode = trajectories(env_id=st.just(env_id), task_id=st.just(task_id), turn=turn)
    members = draw(st.lists(episode, min_size=min_members, max_size=max_members))
    return Group(tuple(members), tuple(draw(st.lists(st.builds(_solved, episode, turn), max_size=2))))


def _solved(episode: Trajectory, last: Turn) -> Trajectory:
    """Returns an episode that goes on with a turn that solves the task."""
    last = replace(last, info={**last.info, "success": True})
    return replace(episode, turns=(*episode.turns, last), stop=Stop.TERMINATED, error="")


@st.composite
def diagnosed_groups(draw: st.DrawFn, *, turn: st.SearchStrategy[Turn] | None = None) -> tuple[Group, list[Diagnosis]]:
    """Draws episodes of one task, and a diagnosis of each."""
    group = draw(groups(turn=turn))
    return group, [draw(diagnoses(num_turns=len(member.turns))) for member in group.members]


@st.composite
def ledgers(draw: st.DrawFn, *, rewritten: bool = True) -> list[Tokens]:
    """Draws the tokens of an episode's turns, of few different ids so that beginnings coincide by chance as well.

    Args:
        rewritten: a prompt may drop the end of the ledger before it, as under a template that rewrites history.
    """
    few = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple)
    ledger: tuple[int, ...] = ()
    drawn = []
    for _ in range(draw(st.integers(1, 4))):
        kept = draw(st.integers(0, len(ledger))) if rewritten and draw(st.booleans()) else len(ledger)
        prompt_ids, action_ids = ledger[:kept] + draw(few), draw(few)
        drawn.append(Tokens(prompt_ids, action_ids, (0.0,) * len(action_ids)))
        ledger = prompt_ids + action_ids
    return drawn


@st.composite
def conversations(
    draw: st.DrawFn,
    chat: Chat,
    *,
    said: st.SearchStrategy[str] = words,
    sampled: st.SearchStrategy[Sequence[int]] | None = None,
    tools: st.SearchStrategy[Tools | None] = st.none(),  # noqa: B008
) -> list[list[Message]]:
    """Draws the growing prompts of an episode, in which each action has the ids that were sampled.

    Args:
        chat: decodes the actions.
        said: draws what the system and the user say.
        sampled: draws the ids of an action, one or more; those of a reply in the words of `said` by default.
        tools: draws what stands beside the system's words.
    """
    system = draw(st.none() | said.filter(bool))
    prompt = [Message("system", system, tools=draw(tools))] if system else []
    prompt.append(Message("user", draw(said)))
    prompts = [prompt]
    for _ in range(draw(st.integers(1, 4))):
        ids = tuple(chat.encode_reply(draw(said)) if sampled is None else draw(sampled))
        action = Message("assistant", chat.decode(ids), ids)
        prompt = [*prompt, action, Message("user", draw(said))]
        prompts.append(prompt)
    return prompts
