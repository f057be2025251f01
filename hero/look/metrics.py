"""The metrics of a run explained: what each one is, and what is good and bad of it.

docs/run-directory.md holds the same table, which a test compares.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Metric(NamedTuple):
    """A number in steps.jsonl or evals.jsonl.

    Attributes:
        path: its place in a row, such as `update.teacher_gap`.
        meaning: what it is, with its unit.
        good: what a healthy run shows.
        bad: what to look at otherwise; "" where nothing is bad about any value.
    """

    path: str
    meaning: str
    good: str
    bad: str = ""


METRICS: Final = (
    Metric("success", "evals.jsonl: share of validation tasks solved, with a 95 % interval", "rises"),
    Metric("score", "evals.jsonl: 100 times the mean reward of the validation episodes", "rises with success"),
    Metric("turns_per_episode", "evals.jsonl: mean number of turns of the validation episodes", "neither 1 nor the "
           "limit", "rises while success does not: it wanders"),
    Metric("valid_actions", "evals.jsonl: share of actions that the environment could act on", "near 100 %",
           "falls: the policy imitates something that is not an action"),
    Metric("rollout.success", "share of the training episodes of the step that were solved", "rises, noisily"),
    Metric("rollout.score", "100 times the mean reward of the training episodes", "rises"),
    Metric("rollout.turns_per_episode", "mean number of turns of the training episodes", "settles"),
    Metric("rollout.valid_actions", "share of valid actions in training", "near 100 %", "alarm `less_valid`"),
    Metric("rollout.action_length", "mean number of characters of an action", "settles", "alarm `shrinking`"),
    Metric("rollout.commonest_action", "share of all actions whose text is the commonest one", "as at the start",
           "alarm `collapse`: one action is repeated"),
    Metric("rollout.cut_off_actions", "number of actions that were cut off at the limit of tokens", "0",
           "many: give more --action-tokens"),
    Metric("rollout.drift_tokens", "tokens of earlier turns that the chat template rewrote", "0",
           "actions are scored after another text than they were sampled after"),
    Metric("rollout.errors", "number of episodes that ended in an error of the environment", "0",
           "look at `error` of these episodes"),
    Metric("reflection.turns_with_finding", "share of the turns that the reflector says something about", "high",
           "near 0: nothing to learn from, alarm `no_findings`"),
    Metric("reflection.episodes_with_finding", "share of the episodes with a finding", "near 100 %"),
    Metric("reflection.problems", "number of episodes whose review failed, such as an answer that is cut off", "0",
           "alarm `no_review`"),
    Metric("reflection.tokens", "tokens that reviewing took, read and written", "what you can pay for"),
    Metric("quality.verdicts_right", "share of verdicts that the hidden state of the environment agrees with",
           "well above one half", "the reflector misleads; try another one with hero reflect"),
    Metric("quality.faults_found", "share of the wrong turns that the reflector calls wrong", "high"),
    Metric("quality.faults_praised", "share of the wrong turns that the reflector calls useful", "low",
           "rises over a run: the reviewer decays with the policy"),
    Metric("quality.advice_right", "share of the advised actions that are right", "high", "alarm `wrong_advice`: it is "
           "followed all the same"),
    Metric("quality.wrong_turns", "wrong turns per episode, by the hidden state", "falls"),
    Metric("quality.unnecessary_turns", "turns per episode that brought nothing, by the rules of the environment",
           "falls"),
    Metric("quality.leak", "share of the words of actions that stand in diagnoses and not in their own prompts", "0",
           "alarm `leak`: it speaks as if it had been told"),
    Metric("examples", "number of turns that the learner takes", "more than 0", "alarm `no_signal`"),
    Metric("update.tokens_with_loss", "number of action tokens that contribute to the loss", "more than 0"),
    Metric("update.loss", "the loss of the update, as its components add up", "says little by itself",
           "a falling loss alone is no sign of learning: see `update.followed`"),
    Metric("update.mismatch", "mean of |log p when sampled - log p recomputed|, in nats: the gap between sampler and "
           "trainer", "1e-6 or less in float32, 1e-2 in bfloat16", "0.1 or more: the weights that played are not those "
           "that are trained"),
    Metric("update.entropy", "mean entropy of the student per token, in nats", "falls slowly", "falls to 0 at once"),
    Metric("update.divergence", "mean divergence of student and teacher per token, unweighted", "falls slowly"),
    Metric("update.teacher_gap", "mean of log p teacher - log p student of the sampled tokens, in nats", "negative, "
           "and nearer to 0 as faults become rare", "0 from the start: hindsight changes nothing"),
    Metric("update.teacher_gap_abs", "mean of the absolute value of that gap", "well above 0 at the start"),
    Metric("update.turns_distilled", "number of turns that are pulled towards the teacher", "most of the examples"),
    Metric("update.turns_too_long", "turns left out, since with hindsight they exceed the context", "0",
           "alarm `too_long`"),
    Metric("update.turns_faulted", "distilled turns whose action is called wrong", "falls as it learns"),
    Metric("update.turns_contradicted", "faulted turns whose advice is the very action that was taken; gated out",
           "0", "alarm `contradicts`"),
    Metric("update.turns_advised", "faulted turns that advise another action", "most of the faulted turns"),
    Metric("update.turns_gated", "turns left out, since the teacher does not follow their finding", "few"),
    Metric("update.followed", "follow rate: share of `update.turns_advised` in which the advised action is the "
           "teacher's likeliest", "near 1", "below 0.3 at the start: hindsight cannot teach this model here (`hero "
           "check`); below 0.2 later: alarm `few_follow`"),
    Metric("update.repeated", "share of the faulted turns, but for contradicted ones, in which the teacher would "
           "repeat the fault", "near 0", "above 0.5 at the start: hindsight cannot teach this model here; above "
           "0.3 later: alarm `repeats`"),
    Metric("update.lift", "median of log p teacher - log p student of the whole advised action, in nats", "above 0",
           "alarm `no_lift`"),
    Metric("update.teacher_tokens", "tokens that the teacher read of actions taken and their prompts", "as few as "
           "possible"),
    Metric("update.teacher_tokens_apart", "tokens that it would have read without shared prefixes", "more than "
           "`update.teacher_tokens`", "alarm `apart`"),
    Metric("update.advice_tokens", "tokens that it read besides, of advised actions", "as few as possible"),
    Metric("update.clip_fraction", "share of the tokens of a policy gradient that are clipped",
           "0, or little in half precision"),
    Metric("update.grad_norm", "norm of the gradient before clipping", "settles", "grows: lower the learning rate"),
    Metric("update.learning_rate", "learning rate of the step", "as set"),
)  # fmt: skip
"""All metrics of a run that are the same for every environment, in the order of their files."""

FILES: Final = (
    ("config.json", "all settings, and what they resolved to: data, model, versions"),
    ("episodes.jsonl", "every training episode with its diagnosis"),
    ("validation.jsonl", "every episode of an evaluation"),
    ("steps.jsonl", "the metrics of every step, and the names of its alarms"),
    ("evals.jsonl", "every evaluation, with the outcome of every task"),
    ("timings.jsonl", "seconds of every phase; equal runs differ in this file alone"),
    ("checkpoints/", "the newest and the best: weights, teacher and optimiser"),
    ("summary.json", "the run in a few numbers, once it is finished"),
    ("curve.png", "success on validation tasks over environment turns"),
)
"""The files of a run directory."""
