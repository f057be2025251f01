"""The model reflector shows the whole episode, reads what models write, and invents nothing."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hero.policy import FunctionPolicy
from hero.reflect.model import REQUEST, ModelReflector, parse_review, review_prompt
from hero.types import Action, Diagnosis, Finding, Message, Stop, Tokens, Trajectory, Turn, Verdict
from tests.hostile import call_with_each, texts

WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
PHRASES = st.lists(WORDS.filter(lambda word: word.lower() != "instead"), min_size=1, max_size=4).map(" ".join)
FINDINGS = st.builds(Finding, st.integers(0, 5), st.sampled_from(Verdict), st.just("") | PHRASES, st.just("") | PHRASES)


def episode(actions: list[str], reward: float = 0.5) -> Trajectory:
    turns: list[Turn] = []
    for index, action in enumerate(actions):
        past = [m for turn in turns for m in (turn.prompt[-1], turn.action.message())]
        prompt = (Message("system", "rules"), *past, Message("user", f"page {index}"))
        tokens = Tokens((1,), (index + 10, 2), (-0.1, -0.1))
        last = index == len(actions) - 1
        turns.append(Turn(prompt, Action(action, tokens), f"page {index + 1}", reward if last else 0.0))
    return Trajectory("shop", "task", 0, tuple(turns), Stop.TERMINATED)


@given(st.lists(FINDINGS, max_size=6), st.sampled_from(["{}", "- **Turn {}**", "{}.", "turn {}:", "> {})"]))
def test_reads_back_every_finding_that_names_an_existing_turn_once(findings: list[Finding], label: str) -> None:
    lines = []
    for finding in findings:
        cause = f": {finding.cause}" if finding.cause else ""
        advice = f"; instead: {finding.advice}" if finding.advice else ""
        lines.append(f"{label.format(finding.turn + 1)} {finding.verdict}{cause}{advice}")
    first = {finding.turn: finding for finding in reversed(findings) if finding.turn < 4}
    assert parse_review("\n".join(lines), turns=4) == tuple(first[turn] for turn in sorted(first))


ANSWERS = st.lists(
    st.sampled_from(["\n1 failed", "\n2 useful: ", "\nturn 7 invalid ", "; instead: ", "1", "0 useful"])
    | st.text(max_size=4)
).map("".join)


@given(ANSWERS, st.integers(0, 5))
@example("1 failed: x; instead: y", 1)
def test_invents_nothing_whatever_the_answer(text: str, turns: int) -> None:
    findings = parse_review(text, turns)
    assert all(0 <= finding.turn < turns for finding in findings)
    assert all(finding.cause in text and finding.advice in text for finding in findings)


@pytest.mark.parametrize(
    ("line", "cause", "advice"),
    [
        ("1 failed: over budget; instead: click[abc]", "over budget", "click[abc]"),
        ("**Turn 1** - FAILED - over budget. Instead: `click[abc]`", "over budget", "click[abc]"),
        ("1 failed; instead: click[a; b]", "", "click[a; b]"),
        ("1 failed: bought instead of looking", "bought instead of looking", ""),
        ("| 1 | failed | over budget |", "over budget", ""),
        ("**1 failed: over budget; instead: click[abc]**", "over budget", "click[abc]"),
        ("1 failed: over budget; **instead:** *click[abc]*.", "over budget", "click[abc]"),
        ("**Turn 1** failed; instead: rm `date`/**", "", "rm `date`/**"),
    ],
)
def test_reads_the_forms_that_models_write(line: str, cause: str, advice: str) -> None:
    assert parse_review(line, 1) == (Finding(0, Verdict.FAILED, cause, advice),)


@given(
    PHRASES, st.sampled_from(["", ";", ",", ".", "*", " *", "/**;", "`"]), st.sampled_from(["{}", "`{}`", "**{}**;"])
)
def test_reads_an_action_to_its_last_character(start: str, end: str, form: str) -> None:
    mark = form.partition("{}")[0][:1]
    action = start + (end if not mark or mark not in end else "")
    assert parse_review(f"1 failed: x; instead: {form.format(action)}", 1)[0].advice == action


LINE = re.compile(
    r"""^[\s\-*>#|`]*(?:turn\s*)?(?P<turn>\d{1,4})[\s\-*:.)|]*
        (?P<verdict>useful|unnecessary|invalid|failed)\b[\s*:,.;|\-]*
        (?P<cause>.*?)
        (?:[;,.|]?\s*\binstead\b\**\s*:\s*(?P<advice>.*?))?[\s|]*$""",
    re.IGNORECASE | re.VERBOSE,
)
"""The form of a line in one pattern, which takes time quadratic in blanks."""
PARTS = [*"1 \t:;,.|*`-_x#\xa0\x1d١", "turn", "Failed", "instead", "Instead", "instead:", "inſtead"]
LINES = st.lists(st.sampled_from(PARTS), max_size=10).map("".join)


@given(st.sampled_from(["1 failed", "1 useful:", "**turn 1** FAILED - ", ""]), LINES)
@example("1 failed", " foo . \t instead** :|x \t|")
@example("1 failed", "*instead:1\t*")
@example("1 failed", "\t|\t")
def test_reads_a_line_as_one_pattern_would(start: str, line: str) -> None:
    match = LINE.match(start + line) if len((start + line).splitlines()) == 1 else None
    parts = [match[part] or "" for part in ("cause", "advice")] if match else []
    parsed = [part for finding in parse_review(start + line, 9999) for part in (finding.cause, finding.advice)]
    # With a mark of bold text the blanks before it go, too.
    plain, expected = ([re.sub(r"^[\s*`;,|]+|[\s*`;,|]+$", "", part) for part in each] for each in (parsed, parts))
    assert plain == expected or len((start + line).splitlines()) > 1


def test_takes_a_moment_for_any_answer() -> None:
    call_with_each(lambda text: parse_review(text, 5), texts("1 failed: a", "1 failed; instead"))


def test_a_letter_that_only_folds_to_one_of_a_verdict_is_not_read() -> None:
    assert parse_review("1 uſeful", 1) == ()


def test_shows_the_whole_episode_once_with_the_sampled_ids_and_the_reward() -> None:
    trajectory = episode(["search[x]", "click[buy now]"])
    messages = review_prompt(trajectory)
    assert [message.role for message in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert messages[:-2] == trajectory.turns[-1].prompt
    assert [message.ids for message in messages if message.role == "assistant"] == [(10, 2), (11, 2)]
    assert messages[-1].content == "page 2\n\n" + REQUEST.format(reward="Final reward: 0.50. ")


@pytest.mark.parametrize("own", [False, True])
def test_only_a_policy_with_the_vocabulary_of_the_student_reads_the_sampled_ids(own: bool) -> None:
    read = list[tuple[int, ...]]()

    def act(messages: Sequence[Message]) -> str:
        read.extend(message.ids for message in messages if message.role == "assistant")
        return "1 useful"

    ModelReflector(FunctionPolicy(act), own_ids=own).reflect([episode(["a", "b"])])
    assert read == ([(10, 2), (11, 2)] if own else [(), ()])


def test_one_diagnosis_per_episode_in_order_and_none_for_an_empty_one() -> None:
    answers = iter(["2 useful", "nothing to say", "1 invalid"])
    reflector = ModelReflector(FunctionPolicy(lambda _: next(answers)), name="judge")
    empty = Trajectory("shop", "task", 0, (), Stop.ERROR, "boom")
    diagnoses = reflector.reflect([episode(["a", "b"]), empty, episode(["c"]), episode(["d"])])
    assert [[(finding.turn, finding.verdict) for finding in diagnosis.findings] for diagnosis in diagnoses] == [
        [(1, Verdict.USEFUL)],
        [],
        [],
        [(0, Verdict.INVALID)],
    ]
    assert {diagnosis.author for diagnosis in diagnoses} == {"judge"}
    assert [diagnosis.problem for diagnosis in diagnoses] == ["", "", "no line can be read in 'nothing to say'", ""]


@pytest.mark.parametrize(
    ("text", "reviewed"),
    [
        ("1 useful\n2 failed: over budget; instead: click[b0", 1),
        ("1 useful\n2 failed; instead: click[b]\n", 2),
        ("1 useful\n2 fa", 1),
        ("1 useful", 0),
        ("", 0),
    ],
)
def test_an_answer_that_was_cut_off_counts_up_to_its_last_whole_line(text: str, reviewed: int) -> None:
    class Limited(FunctionPolicy):
        def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
            return [Action(text, cut_off=True) for _ in prompts]

    policy = Limited(lambda _: "")
    (whole,) = ModelReflector(policy).reflect([episode(["a"] * reviewed)]) if reviewed else [Diagnosis("self")]
    (cut,) = ModelReflector(policy).reflect([episode(["a", "b", "c"])])
    assert len(cut.findings) == len(whole.findings) == reviewed
    assert (cut.problem.partition(";")[0], whole.problem) == (f"it was cut off after turn {reviewed} of 3", "")


def test_an_episode_that_is_too_long_to_review_is_skipped() -> None:
    class Small(FunctionPolicy):
        context_length = 7

        def count(self, prompt: tuple[Message, ...]) -> int:
            return len(prompt)

    short, long = episode(["a", "b"]), episode(["a", "b", "c"])  # reviews of 6 and 8 messages
    reflector = ModelReflector(Small(lambda messages: "1 useful"))
    skipped, reviewed = reflector.reflect([long, short])
    assert (skipped.findings, skipped.problem) == ((), "the episode is longer than the reflector can read")
    assert (len(reviewed.findings), reviewed.problem) == (1, "")
