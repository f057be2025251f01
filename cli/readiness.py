"""Tell from a few episodes whether hindsight can teach a model in an environment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple

from hero.alarms import MIN_TURNS

LEAST_FINDINGS: Final = 0.05
"""Smallest share of turns with a finding."""
LEAST_FOLLOWED: Final = 0.3
"""Smallest share of the faulted turns in which the teacher must follow; the gate leaves the others out of training.

With 0.48 to 0.59 success tripled (docs/results.md, "Where successes are rare"); with 0 to 0.03 nothing is learned.
"""
LEAST_LOWERED: Final = 0.5
"""The same where there is no advice, and to follow is to find the action less likely: half of them are by chance."""
MOST_REPEATED: Final = 0.5
"""Largest share of the faulted turns in which the teacher may take the same action again."""
LEAST_RIGHT: Final = 0.5
"""Share of the advice that is right below which another reflector is recommended (docs/results.md, as above)."""
_ELSE: Final = (
    "train it first on replies that follow advice, take a larger model or another --reflector, or learn from rewards "
    "alone with --learner grpo"
)


class Answer(NamedTuple):
    """The answer to whether hindsight can teach a model, and a sentence that gives the reason."""

    can_teach: Literal["yes", "no", "unknown"]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Measurements of a few episodes; shares are between 0 and 1.

    Attributes:
        success: share of the episodes.
        turns_with_finding: share of all turns.
        turns_called_wrong: turns whose action a finding calls unnecessary, invalid or failed.
        turns_faulted, turns_advised, turns_gated, turns_distilled, turns_too_long, followed, repeated, lift: as
            `TorchTrainer.update` returns them with the gate `follow`; None for a mean over no turn.
        verdicts_right, faults_found, advice_right: as in `quality` of a step's metrics, by the hidden state of the
            environment; None where it does not tell.
        longest_prompt: tokens of the longest privileged prompt with its action.
        context_length: tokens that the model reads.
    """

    episodes: int
    valid_actions: float
    success: float
    turns_with_finding: float
    turns_called_wrong: int
    turns_distilled: int
    turns_too_long: int
    turns_faulted: int
    turns_advised: int
    turns_gated: int
    followed: float | None
    repeated: float | None
    lift: float | None
    verdicts_right: float | None
    faults_found: float | None
    advice_right: float | None
    longest_prompt: int
    context_length: int

    def answer(self, model: str) -> Answer:
        """Returns whether hindsight can teach the model, with each threshold that decides it."""
        if self.turns_with_finding < LEAST_FINDINGS:
            return _no(
                model,
                f"the reflector says something about {_percent(self.turns_with_finding)} of the turns, and "
                f"{_percent(LEAST_FINDINGS)} are needed; take another --reflector",
            )
        if self.turns_too_long > self.turns_distilled:
            return _no(
                model,
                f"{self.turns_too_long} of {self.turns_too_long + self.turns_distilled} privileged prompts exceed its "
                "context; give fewer --max-turns, or take a model with a longer context",
            )
        if not self.turns_called_wrong:
            return Answer(
                "unknown",
                "It is open whether hindsight can teach here: the reflector calls no action wrong; give more "
                "--episodes, or a --reflector that judges actions",
            )
        if not self.turns_distilled + self.turns_too_long:
            return Answer(
                "unknown",
                f"It is open whether hindsight can teach {model} here: the learner distils none of these turns in its "
                "first step; give one that does, such as --learner distill",
            )
        if not self.turns_faulted:
            return Answer(
                "unknown",
                f"It is open whether hindsight can teach {model} here: its actions hold thoughts, which say nothing "
                "about each other; watch teacher_gap and success in a short run",
            )
        if self.turns_faulted < MIN_TURNS:
            return Answer(
                "unknown",
                f"It is open whether hindsight can teach {model} here: of the actions {self.turns_faulted} are called "
                f"wrong, and {MIN_TURNS} are needed to tell; give more --episodes",
            )
        if self.repeated is None:
            return _no(
                model,
                f"in all {self.turns_faulted} faulted turns the diagnosis advises the very action that was taken; take "
                "another --reflector",
            )
        return self._following(model, self.repeated)

    def _following(self, model: str, repeated: float) -> Answer:
        """Returns the answer where the teacher's scores decide."""
        followed, least, what = self.followed, LEAST_FOLLOWED, "it takes the advised action"
        if followed is None or self.turns_advised < MIN_TURNS:
            followed, least = 1 - self.turns_gated / self.turns_faulted, LEAST_LOWERED
            what = "it finds the action less likely than before"
        shown = f"shown the diagnosis, {what} in {_percent(followed)} of the faulted turns "
        again = f"the same action again in {_percent(repeated)} "
        if followed < least:
            return _no(model, f"{shown}({_percent(least)} are needed); {_ELSE}")
        if repeated > MOST_REPEATED:
            return _no(model, f"shown the diagnosis, it takes {again}(at most {_percent(MOST_REPEATED)}); {_ELSE}")
        if self.lift is not None and self.lift <= 0 and self.turns_advised >= MIN_TURNS:
            return _no(model, f"the advice makes the advised action no likelier (lift {self.lift:.2f} nats); {_ELSE}")
        return Answer(
            "yes",
            f"Hindsight can teach {model} here: {shown}(at least {_percent(least)}) and {again}(at most "
            f"{_percent(MOST_REPEATED)}). Whether it comes to act so without being shown, only a "
            f"run shows.{self._doubt()}",
        )

    def _doubt(self) -> str:
        """Returns a sentence about advice that is mostly wrong, which a teacher follows as well; "" where it is not."""
        if self.advice_right is None or self.advice_right >= LEAST_RIGHT:
            return ""
        return (
            f" But only {_percent(self.advice_right)} of the advice is right, as the environment knows, and wrong "
            "advice is taught as well: a --reflector that knows better (rules, local:MODEL or openai:MODEL) teaches "
            "more, and --learner sdar has rewards beside it."
        )

    def record(self) -> dict[str, Any]:
        """Returns everything that was measured, with the thresholds, as JSON."""
        limits = {"turns_with_finding": LEAST_FINDINGS, "followed": LEAST_FOLLOWED, "repeated": MOST_REPEATED}
        limits |= {"lowered": LEAST_LOWERED, "advice_right": LEAST_RIGHT, "turns": MIN_TURNS}
        return asdict(self) | {"thresholds": limits}

    def lines(self) -> dict[str, str]:
        """Returns what people want to read, by label."""

        def of(share: float | None, turns: str) -> str:
            return "not measured" if share is None else f"{_percent(share)} of {turns}"

        return {
            "success": f"{_percent(self.success)} of {self.episodes} episodes",
            "valid actions": _percent(self.valid_actions),
            "turns with a finding": _percent(self.turns_with_finding),
            "takes the advised action": of(self.followed, "the faulted turns with advice"),
            "repeats the action": of(self.repeated, "the faulted turns that do not advise it"),
            "lift of the advised action": "not measured" if self.lift is None else f"{self.lift:.2f} nats",
            "verdicts that are right": _known(self.verdicts_right),
            "wrong turns called wrong": _known(self.faults_found),
            "advice that is right": _known(self.advice_right),
            "turns gated out": f"{self.turns_gated} of {self.turns_distilled}",
            "longest privileged prompt": f"{self.longest_prompt:,} of {self.context_length:,} tokens",
        }


def _no(model: str, why: str) -> Answer:
    return Answer("no", f"Hindsight cannot teach {model} here: {why}.")


def _known(share: float | None) -> str:
    return "the environment does not tell" if share is None else _percent(share)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
