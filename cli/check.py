"""`hero check`: find out before training whether hindsight can teach a model in an environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from hero.errors import ConfigError, RunError

from . import build
from .interrupt import unmissable
from .model import load_trainable
from .options import with_settings
from .provenance import today
from .readiness import Readiness
from .resolve import settings_of
from .settings import Settings
from .terminal import console, loading, progress_bars, report_errors

if TYPE_CHECKING:
    from rich.progress import Progress

    from hero.distill.base import Example, Learner
    from hero.envs.base import TextEnv
    from hero.policy import Policy
    from hero.reflect.base import Reflector
    from hero.types import Trajectory

CHECKED: Final = (
    *("env", "env_args", "model", "chat_args", "learner", "learner_args", "reflector", "reflector_args"),
    *("teacher", "teacher_args", "episodes", "group_size", "temperature", "max_turns", "action_tokens"),
    *("seed", "threads", "device", "dtype", "micro_batch_tokens", "kv_cache_gib"),
)
"""Settings of a run that decide what its first step shows."""
DEFAULTS: Final = {"episodes": 32}


@report_errors
@partial(with_settings, names=CHECKED, defaults=DEFAULTS)
def check(
    given: dict[str, Any],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Check whether hindsight can teach a model in an environment.

    Plays a few training episodes, has them reviewed, and measures whether the model, shown the diagnosis of an action,
    takes the advised one. It trains nothing.
    """
    with loading(given.get("model") or given.get("env") or Settings().env) as loaded:
        settings = settings_of(given, DEFAULTS)
        readiness = _measure(settings, loaded)
    answer = readiness.answer(settings.model)
    out = console()
    if as_json:
        out.print(json.dumps(readiness.record() | answer._asdict(), indent=1), markup=False, soft_wrap=True)
        return
    for label, text in readiness.lines().items():
        out.print(f"{label:<27} {text}", markup=False)
    out.print(answer.why, markup=False)


@unmissable()
def _measure(settings: Settings, loaded: Callable[[], float]) -> Readiness:
    """Plays the episodes of the first step of a run with these settings, and measures what it would learn from.

    Args:
        loaded: is called when everything is loaded.

    Raises:
        ConfigError: the learner reads no diagnoses, or whatever a run with these settings would raise.
        RunError: no episode says anything about the policy.
    """
    from hero.distill.learners import group_examples
    from hero.distill.turns import FAULTS
    from hero.metrics import reflection_metrics, rollout_metrics
    from hero.quality import diagnosis_metrics, labels_of
    from hero.reflect.base import check_diagnoses

    if settings.reflector is None:
        raise ConfigError(
            f"--learner {settings.learner} reads no diagnoses, so there is nothing to check; give one that does, such "
            "as distill"
        )
    envs, learner, lm, reflector = _build(settings)
    loaded()
    with build.closing(envs), progress_bars() as bars:
        played = _play(settings, envs, lm.policy(temperature=settings.temperature, version=0), bars)
        bars.add_task("reflecting", total=None)
        diagnoses = check_diagnoses(reflector.reflect(played), played, settings.reflector)
        pairs = list(zip(played, diagnoses, strict=True))
        bars.add_task("scoring", total=None)
        examples = group_examples(learner, pairs)
        metrics = _score(settings, lm, examples)
        quality = diagnosis_metrics((d, labels_of(envs[0].is_right, played, d)) for played, d in pairs)
    findings = [finding for diagnosis in diagnoses for finding in diagnosis.findings]
    prompts = [len(lm.chat.encode(each.teacher)) + len(each.tokens.action_ids) for each in examples if each.teacher]
    rollout = rollout_metrics(played)
    return Readiness(
        episodes=len(played),
        valid_actions=rollout["valid_actions"],
        success=rollout["success"],
        turns_with_finding=reflection_metrics(pairs)["turns_with_finding"],
        turns_called_wrong=sum(finding.verdict in FAULTS for finding in findings),
        turns_distilled=int(metrics["turns_distilled"]),
        turns_too_long=int(metrics["turns_too_long"]),
        turns_faulted=int(metrics["turns_faulted"]),
        turns_advised=int(metrics["turns_advised"]),
        turns_gated=int(metrics["turns_gated"]),
        followed=metrics.get("followed"),
        repeated=metrics.get("repeated"),
        lift=metrics.get("lift"),
        verdicts_right=quality.get("verdicts_right"),
        faults_found=quality.get("faults_found"),
        advice_right=quality.get("advice_right"),
        longest_prompt=max(prompts, default=0),
        context_length=lm.context_length,
    )


def _build(settings: Settings) -> tuple[list[TextEnv], Learner, Any, Reflector]:
    """Returns the environments, the learner, the language model and the reflector of a run with these settings."""
    build.require_train_extra()
    build.check_components(settings)
    build.use_threads(settings.threads)
    envs = build.make_envs(settings.env, "train", settings.episodes, settings.env_args)
    build.load_rules(envs[0])
    learner = build.make_learner(settings)
    lm = load_trainable(settings.model, settings, today())
    return envs, learner, lm, cast("Reflector", build.make_reflector(settings, lm))


def _score(settings: Settings, lm: Any, examples: Sequence[Example]) -> dict[str, float]:
    """Returns the metrics of the first update of a run with these settings, without making it."""
    from hero.distill.batch import UpdateBatch
    from hero.distill.loss import UpdateLoss
    from hero.distill.losses import reverse_kl

    # No trainer: it would make the weights float32, and copy them.
    loss = UpdateLoss(
        student=lm.model,
        teacher=lm.model,
        divergence=reverse_kl,
        micro_batch_tokens=settings.micro_batch_tokens,
    )
    return loss.measure(UpdateBatch.of(examples, lm.chat, lm.context_length))


def _play(settings: Settings, envs: Sequence[TextEnv], policy: Policy, bars: Progress) -> list[Trajectory]:
    """Plays the episodes of the first step of a run.

    Raises:
        RunError: no episode says anything about the policy.
    """
    from hero.evaluate import hopeless
    from hero.outcomes import Outcome
    from hero.plan import Purpose
    from hero.rollout import rollout

    from .progress import episode_bar

    plan = settings.plan()
    played = rollout(
        envs,
        policy,
        plan.sample_tasks(1, envs[0].num_tasks),
        max_turns=plan.max_turns,
        max_tokens=plan.max_tokens,
        seed=plan.seed_for(1, Purpose.SAMPLING),
        on_turn=episode_bar(bars, "playing", settings.episodes, plan.max_turns),
    )
    if why := hopeless(map(Outcome.of, played)):
        raise RunError(why)
    return played
