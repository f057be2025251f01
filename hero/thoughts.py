"""Thoughts apart from actions, for every reader of a model's text: environments, users, reflectors. No imports of hero.

The forms are those that models write: `<think>` tags and their kin, alone at the end where the chat template opens
them; the channels of gpt-oss and Gemma; ReAct's `Thought: ... Action: ...` (2210.03629).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_TAGS: Final = (
    *((f"<{name}>", f"</{name}>") for name in ("think", "thinking", "thought", "reasoning", "seed:think")),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
)
"""What begins and what ends a thought."""
_ENDS_OTHERS: Final = "<|end|>"
"""An end that also ends replies without thoughts, so that it tells nothing where no beginning stands before it."""
_BOUNDARY: Final = re.compile(
    "|".join(
        # An action may have [THINK] as its argument.
        rf"(?<!\w)({re.escape(begin)})" if begin.startswith("[") else f"({re.escape(begin)})"
        for begin, _ in _TAGS
    )
    + "|"
    + "|".join(re.escape(end) for _, end in _TAGS if end != _ENDS_OTHERS)
)
_ENDINGS: Final = tuple(re.compile(re.escape(end)) for _, end in _TAGS)
_SIGNS: Final = ("<", "◁", "THINK]")
"""Every mark of a thought holds one of them, and most texts hold none."""
_FINAL: Final = re.compile(r"(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>")

_LABEL: Final = r"[ \t>#*_]*{}[ \t]*(?:\d+[ \t]*)?[*_]*[:：][*_]*"
_THOUGHT: Final = re.compile(_LABEL.format("thoughts?"), re.IGNORECASE)
_ACTION_LINE: Final = re.compile(f"^{_LABEL.format('action')}", re.IGNORECASE | re.MULTILINE)
_ACTION_WORD: Final = re.compile(r"\baction[ \t]*(?:\d+[ \t]*)?[:：]", re.IGNORECASE)
_NEXT_LINE: Final = re.compile(f"^{_LABEL.format('(?:observation|thoughts?)')}", re.IGNORECASE | re.MULTILINE)
_INPUT: Final = re.compile(r"(\w+)[ \t]*\n\s*action input[ \t]*[:：](.*)", re.IGNORECASE | re.DOTALL)

_WRAPPED: Final = re.compile(
    r"<(?P<tag>action|answer|tool_call)>(?P<tagged>.*?)(?:</(?P=tag)>|\Z)"
    r"|```(?:[ \t\w+-]*\n)?(?P<fenced>.*?)(?:```|\Z)",
    re.DOTALL,
)


class Reply(NamedTuple):
    """A model's text in its two parts.

    Attributes:
        thought: "" where there is none.
        words: the whole text, unchanged, where there is no thought; "" where there is nothing else.
    """

    thought: str
    words: str


def split(text: str) -> Reply:
    """Separates what a model thought from what it says or does.

    Thoughts are what stands between a beginning and an end, after a beginning that never ends, and before an end that
    never began. A text that begins with `Thought:` is a thought up to its first `Action:`; what follows that, up to the
    next observation or thought, are the words. So it is with a text that begins with `Action:`.
    """
    thoughts, words = _untagged(text)
    begun = words.lstrip()
    if label := _THOUGHT.match(begun) or _ACTION_LINE.match(begun):
        thought, words = _labelled(begun[label.end() :] if label.re is _THOUGHT else begun)
        thoughts.append(thought)
    if words is text:
        return Reply("", text)
    return Reply("\n".join(filter(None, map(str.strip, thoughts))), words.strip())


def without_thoughts(text: str) -> str:
    """The words of a text: what it says or does."""
    return split(text).words


def readings(text: str) -> Iterator[str]:
    """Yields what may be the action in a text, for an environment that takes the first that it can read.

    First the words as they are, then without quotes and emphasis around them, then what stands in `<action>`,
    `<answer>` and `<tool_call>` tags and in fences, last what follows the line label `Action:`.
    """
    words = without_thoughts(text).strip()
    yield words
    yield words.strip("`*\"' \t\r\n")
    for match in _WRAPPED.finditer(words):
        yield (match["tagged"] or match["fenced"] or "").strip()
    if _ACTION_LINE.search(words):
        yield _labelled(words)[1].strip()


def action_input(words: str) -> tuple[str, str] | None:
    """The name and the argument of an action on two lines, `search` and `Action Input: shoes`; None for other forms."""
    match = _INPUT.fullmatch(words.strip())
    return (match[1], match[2].strip()) if match else None


def _untagged(text: str) -> tuple[list[str], str]:
    """The thoughts in tags and channels, and the rest; the text itself where there are none."""
    if not any(sign in text for sign in _SIGNS):
        return [], text
    thoughts: list[str] = []
    words: list[str] = []
    place = 0
    while match := _BOUNDARY.search(text, place):
        words.append(text[place : match.start()])
        place = match.end()
        if match.lastindex is None:  # an end that never began
            thoughts += words
            words.clear()
        elif end := _ENDINGS[match.lastindex - 1].search(text, place):
            thoughts.append(text[place : end.start()])
            place = end.end()
        else:
            thoughts.append(text[place:])
            place = len(text)
    if place == 0 and not _FINAL.search(text):
        return [], text
    return thoughts, _FINAL.sub("", "".join([*words, text[place:]]))


def _labelled(words: str) -> tuple[str, str]:
    """The part before the first line `Action:`, or else before the last such word, and the part after it."""
    label = _ACTION_LINE.search(words) or next(reversed(list(_ACTION_WORD.finditer(words))), None)
    if label is None:
        return words, ""
    after = words[label.end() :]
    following = _NEXT_LINE.search(after)
    return words[: label.start()], after[: following.start()] if following else after
