"""Separate thoughts from actions in a model's text, for every reader: environments, users, reflectors.

The forms are those that models write: `<think>` and similar tags, or only the end tag where the chat template writes
the first; the channels of gpt-oss and Gemma; ReAct's `Thought: ... Action: ...` (2210.03629).
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
"""Beginning and end of a thought, besides tags with one of the names: `<think>` and `</think>`."""
_ENDS_OTHERS: Final = r"<\|end\|>"
"""An end that also ends replies without thoughts, so that it means nothing without a beginning before it."""
_BOUNDARY: Final = re.compile(
    rf"(?i:<(?:(?P<name>{_NAME})|/(?:{_NAME}))[ \t]*>)|"
    + "|".join([*(f"({begin})" for begin, _ in _TAGS), *(end for _, end in _TAGS if end != _ENDS_OTHERS)])
)
_ENDINGS: Final = tuple(re.compile(end) for _, end in _TAGS)
_SIGNS: Final = ("<", "◁", "THINK]")
"""Every tag of a thought contains one of them, and most texts contain none."""
_FRAME: Final = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>(?:final|commentary)<\|message\|>"
    r"|<\|(?:START|END)_RESPONSE\|>|<\|(?:begin|end)_of_solution\|>|<\|(?:end|return|call)\|>\s*+\Z"
)
"""Frames that models with such tags write around the words of a reply."""

_LABEL: Final = (
    r"[ \t>#*_-]*+(?:\d+[.)][ \t*_]*+)?{}[ \t]*+(?:\d+[ \t]*+)?[*_]*+[ \t]*+[:：][*_]*+"
    r"|[ \t]*+(?:\#+|[*_]{{2}})[ \t*_]*+{}[ \t]*+(?:\d+[ \t]*+)?[*_]*+[ \t]*+\r?$"
)
"""A line label with a colon, or one that is a heading."""


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


class SplitText(NamedTuple):
    """The two parts of a model's text.

    Attributes:
        thought: "" if there is none.
        words: the whole text, unchanged, if there is no thought; "" if there is nothing but a thought.
    """

    thought: str
    words: str


@lru_cache(maxsize=32)
def split(text: str) -> SplitText:
    """Separates the thoughts in a model's text from its words and actions.

    A thought is the text between a beginning and an end, after a beginning without an end, or before an end without a
    beginning. It also follows a line label `Thought:`; the words are then the text after the first `Action:`, up to the
    next observation or thought, or the text before the thought if there is no action. A text that begins with `Action:`
    is read in the same way.
    """
    thoughts, words = _untagged(text)
    stripped = words.lstrip()
    begins_with_action = _ACTION_LINE.match(stripped)
    label = None if begins_with_action else _THOUGHT.search(stripped)
    if begins_with_action or label:
        thought, words = _labelled(stripped, label)
        thoughts.append(thought)
    if words is text:
        return SplitText("", text)
    return SplitText("\n".join(filter(None, map(str.strip, thoughts))), words.strip())


def without_thoughts(text: str) -> str:
    """Returns a text without its thoughts."""
    return split(text).words


def readings(text: str) -> Iterator[str]:
    """Yields the candidates for the action in a text, for an environment that takes the first that it can read.

    Words with line labels `Action:` are taken in parts, each up to the next observation or thought. For each part come
    the whole, the whole without quotes and emphasis around it, the contents of `<action>`, `<answer>`, `<response>`
    and `<tool_call>` tags and of fences, and last, if there are labels, the first line.
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
    """Returns name and argument of an action on two lines, `search` and `Action Input: shoes`; else None."""
    if not _INPUT_WORDS.search(text):
        return None
    match = next(filter(None, map(_INPUT.fullmatch, readings(text))), None)
    return (match[1], _argument(match[2].strip())) if match else None


def _argument(text: str) -> str:
    """Strips a fence, quotes or brackets around the whole argument."""
    if (fenced := _WRAPPED.fullmatch(text)) and fenced["fenced"]:
        return fenced["fenced"].strip()
    quoted = len(text) > 1 and ((text[0] == text[-1] and text[0] in _QUOTES) or text[0] + text[-1] == "[]")
    return text[1:-1].strip() if quoted else text


def _plain(text: str) -> str:
    return text.strip("`*\"' \t\r\n")


def _untagged(text: str) -> tuple[list[str], str]:
    """Returns the thoughts in tags and channels, and the rest: the text itself if there are none."""
    if not any(sign in text for sign in _SIGNS):
        return [], text
    thoughts: list[str] = []
    words: list[str] = []
    position = 0
    while match := _BOUNDARY.search(text, position):
        words.append(text[position : match.start()])
        position = match.end()
        if match.lastindex is None:  # an end without a beginning
            thoughts += words
            words.clear()
        elif end := _ending(match).search(text, position):
            thoughts.append(text[position : end.start()])
            position = end.end()
        else:
            thoughts.append(text[position:])
            position = len(text)
    if position == 0 and not _FRAME.search(text):
        return [], text
    return thoughts, _FRAME.sub("", "".join([*words, text[position:]]))


def _ending(begin: re.Match[str]) -> re.Pattern[str]:
    """Returns the pattern of the end that belongs to a beginning."""
    if name := begin["name"]:
        return re.compile(rf"</{name}[ \t]*>", re.IGNORECASE)
    return _ENDINGS[(begin.lastindex or 0) - 2]


def _labelled(words: str, thought: re.Match[str] | None) -> tuple[str, str]:
    """Splits words with a label `Thought:`, or with `Action:` at their head, into thought and words."""
    begin = thought.end() if thought else 0
    line = _ACTION_LINE.search(words, begin) or _ANSWER_LINE.search(words, begin)
    label = line or next(reversed(list(_ACTION_WORD.finditer(words, begin))), None)
    before = words[: thought.start()] if thought else ""
    if label is None:
        return words[begin:], before
    after = words[label.end() :]
    following = _NEXT_LINE.search(after)
    return before + words[begin : label.start()], after[: following.start()] if following else after
