"""Thoughts apart from actions, for every reader of a model's text: environments, users, reflectors. No imports of hero.

The forms are those that models write: `<think>` tags and their kin, alone at the end where the chat template opens
them; the channels of gpt-oss and Gemma; ReAct's `Thought: ... Action: ...` (2210.03629).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

_NAME: Final = "(?:seed:|mm:|longcat_)?think|thinking|thoughts?|reason(?:ing)?|analysis|reflection|scratchpad"
_TAGS: Final = (
    ("◁think▷", "◁/think▷"),
    (r"(?<!\w)\[THINK\]", r"\[/THINK\]"),  # an action may have [THINK] as its argument
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|channel>thought", r"<channel\|>"),
    ("<unused94>thought", "<unused95>"),
    (r"<\|channel\|>analysis<\|message\|>", r"<\|end\|>"),
)
"""What begins and what ends a thought, besides tags of a name: `<think>` and `</think>`."""
_ENDS_OTHERS: Final = r"<\|end\|>"
"""An end that also ends replies without thoughts, so that it tells nothing where no beginning stands before it."""
_BOUNDARY: Final = re.compile(
    rf"(?i:<(?:(?P<name>{_NAME})|/(?:{_NAME}))[ \t]*>)|"
    + "|".join([*(f"({begin})" for begin, _ in _TAGS), *(end for _, end in _TAGS if end != _ENDS_OTHERS)])
)
_ENDINGS: Final = tuple(re.compile(end) for _, end in _TAGS)
_SIGNS: Final = ("<", "◁", "THINK]")
"""Every mark of a thought holds one of them, and most texts hold none."""
_FRAME: Final = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>(?:final|commentary)<\|message\|>"
    r"|<\|(?:START|END)_RESPONSE\|>|<\|(?:begin|end)_of_solution\|>|<\|(?:end|return|call)\|>\s*+\Z"
)
"""What such models set around their words."""

_LABEL: Final = (
    r"[ \t>#*_-]*+(?:\d+[.)][ \t*_]*+)?{}[ \t]*+(?:\d+[ \t]*+)?[*_]*+[ \t]*+[:：][*_]*+"
    r"|[ \t]*+(?:\#+|[*_]{{2}})[ \t*_]*+{}[ \t]*+(?:\d+[ \t]*+)?[*_]*+[ \t]*+\r?$"
)
"""A label with a colon, or one that is a heading."""


def _label(name: str) -> str:
    return f"(?:{_LABEL.format(name, name)})"


_THOUGHT: Final = re.compile(f"^{_label('thoughts?')}", re.IGNORECASE | re.MULTILINE)
_ACTION_LINE: Final = re.compile(f"^{_label('(?:next )?action')}", re.IGNORECASE | re.MULTILINE)
_ANSWER_LINE: Final = re.compile(f"^{_label('(?:act|(?:final )?answer)')}", re.IGNORECASE | re.MULTILINE)
_ACTION_WORD: Final = re.compile(r"\baction[ \t]*+(?:\d+[ \t]*+)?[:：]", re.IGNORECASE)
_NEXT_LINE: Final = re.compile(f"^{_label('(?:observation|thoughts?)')}", re.IGNORECASE | re.MULTILINE)
_INPUT: Final = re.compile(
    rf"[`*\"'\[]*+(\w++)[`*\"'\]]*+[ \t]*+\r?\n\s*+{_label('action input')}(.*)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_INPUT_WORDS: Final = re.compile("action input", re.IGNORECASE)

_WRAPPED: Final = re.compile(
    r"(?i:<(?P<tag>action|answer|response|tool_call)>)(?P<tagged>.*?)(?:(?i:</(?P=tag)>)|\Z)"
    r"|```(?:[ \t\w+-]*\r?\n)?(?P<fenced>.*?)(?:```|\Z)",
    re.DOTALL,
)
_QUOTES: Final = ('"', "'", "`")


class Reply(NamedTuple):
    """A model's text in its two parts.

    Attributes:
        thought: "" where there is none.
        words: the whole text, unchanged, where there is no thought; "" where there is nothing else.
    """

    thought: str
    words: str


@lru_cache(maxsize=32)
def split(text: str) -> Reply:
    """Separates what a model thought from what it says or does.

    Thoughts are what stands between a beginning and an end, after a beginning that never ends, and before an end that
    never began. So is what follows a line label `Thought:`. The words are then what follows the first `Action:`, up
    to the next observation or thought, or what stands before the thought where there is no action. So it is with a
    text that begins with `Action:`.
    """
    thoughts, words = _untagged(text)
    begun = words.lstrip()
    acts = _ACTION_LINE.match(begun)
    label = None if acts else _THOUGHT.search(begun)
    if acts or label:
        thought, words = _labelled(begun, label)
        thoughts.append(thought)
    if words is text:
        return Reply("", text)
    return Reply("\n".join(filter(None, map(str.strip, thoughts))), words.strip())


def without_thoughts(text: str) -> str:
    """The words of a text: what it says or does."""
    return split(text).words


def readings(text: str) -> Iterator[str]:
    """Yields what may be the action in a text, for an environment that takes the first that it can read.

    Words with line labels `Action:` are taken in parts, each up to the next observation or thought. Of each part comes
    the whole, the same without quotes and emphasis around it, what stands in `<action>`, `<answer>`, `<response>` and
    `<tool_call>` tags and in fences, and last, if there are labels, the first line.
    """
    labelled = _ACTION_LINE.search(text)
    for part in _ACTION_LINE.split(without_thoughts(text)):
        part = _NEXT_LINE.split(part, maxsplit=1)[0].strip()
        yield part
        yield _plain(part)
        for match in _WRAPPED.finditer(part):
            yield (match["tagged"] or match["fenced"] or "").strip()
        if labelled:
            yield _plain(part.partition("\n")[0])


def action_input(text: str) -> tuple[str, str] | None:
    """The name and the argument of an action on two lines, `search` and `Action Input: shoes`; None for other forms."""
    if not _INPUT_WORDS.search(text):
        return None
    match = next(filter(None, map(_INPUT.fullmatch, readings(text))), None)
    return (match[1], _argument(match[2].strip())) if match else None


def _argument(text: str) -> str:
    """The argument without a fence, quotes or brackets around the whole of it."""
    if (fenced := _WRAPPED.fullmatch(text)) and fenced["fenced"]:
        return fenced["fenced"].strip()
    quoted = len(text) > 1 and ((text[0] == text[-1] and text[0] in _QUOTES) or text[0] + text[-1] == "[]")
    return text[1:-1].strip() if quoted else text


def _plain(text: str) -> str:
    return text.strip("`*\"' \t\r\n")


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
        elif end := _ending(match).search(text, place):
            thoughts.append(text[place : end.start()])
            place = end.end()
        else:
            thoughts.append(text[place:])
            place = len(text)
    if place == 0 and not _FRAME.search(text):
        return [], text
    return thoughts, _FRAME.sub("", "".join([*words, text[place:]]))


def _ending(begin: re.Match[str]) -> re.Pattern[str]:
    """What ends a thought that begins so."""
    if name := begin["name"]:
        return re.compile(rf"</{name}[ \t]*>", re.IGNORECASE)
    return _ENDINGS[(begin.lastindex or 0) - 2]


def _labelled(words: str, thought: re.Match[str] | None) -> tuple[str, str]:
    """Words with a label `Thought:`, or with `Action:` at their head, in their two parts."""
    begin = thought.end() if thought else 0
    line = _ACTION_LINE.search(words, begin) or _ANSWER_LINE.search(words, begin)
    label = line or next(reversed(list(_ACTION_WORD.finditer(words, begin))), None)
    before = words[: thought.start()] if thought else ""
    if label is None:
        return words[begin:], before
    after = words[label.end() :]
    following = _NEXT_LINE.search(after)
    return before + words[begin : label.start()], after[: following.start()] if following else after
