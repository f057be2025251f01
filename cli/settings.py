"""The settings of a run, with help, limits and default of each, of which `hero run` makes its options."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, get_type_hints

if TYPE_CHECKING:
    from hero.plan import Plan

WHAT, HOW_LONG, LEARNING, PLAYING, MACHINE = "What", "How long", "Learning", "Playing and evaluating", "Machine"


def setting(
    default: Any,
    help: str,
    *,
    panel: str,
    min: float | None = None,
    above: float | None = None,
    below: float = math.inf,
    shown: str = "",
    needs: tuple[str, str | None] | None = None,
) -> Any:
    """Declares a setting.

    Args:
        help: help of the option, without the default.
        min: smallest possible number.
        above: every possible number is larger.
        below: every possible number is smaller.
        shown: the default in words, for the help; "" for the default itself.
        needs: another setting, and the value (None for any) without which this one does nothing.
    """
    limits = {"min": min, "above": above, "below": below}
    return field(default=default, metadata={"help": help, "panel": panel, "shown": shown, "needs": needs, **limits})


def arguments(help: str, example: str) -> Any:
    """Declares the options of a component, each of which is given as key=value."""
    text = f"{help} as key=value, such as {example}; the value is JSON or else text. Repeat it for several."
    return field(default_factory=dict, metadata={"help": text, "panel": WHAT, "shown": "none", "example": example})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one run, as config.json keeps them.

    None stands for no limit in `steps`, `turn_budget`, `decay_steps` and `top_k`, for all tasks in
    `eval_tasks_between`, for the context of the model in `max_tokens`, for no adapter in `lora`, for no server in
    `serve`, for what the machine has in `device` and `dtype`, until the model is loaded for what it brings in
    `learning_rate` and `action_tokens`, and elsewhere for a setting that the learner has no use
    for.
    """

    env: str = setting(
        "webshop",
        "Environment: a name of hero env list, gym:ID of gymnasium, or module:Class.",
        panel=WHAT,
    )
    env_args: dict[str, Any] = arguments("Option of the environment", "level=hard")
    model: str = setting(
        "tiny",
        "Starting policy: tiny or tiny-taubench, which ship with the package, a directory, hub name or GGUF file, or a "
        "run directory, whose best checkpoint it is.",
        panel=WHAT,
        shown="tiny, or what the environment brings",
    )
    chat_args: dict[str, Any] = arguments("Variable of the model's chat template", "enable_thinking=false")
    learner: str = setting(
        "distill",
        "distill: towards what the policy would have done with hindsight. grpo, gigpo: rewards alone. sdar: both. "
        "feedback, demo, sdpo, hint, openclaw: other hindsight. kl: towards the start. base: no training. Or a sum, "
        "such as grpo+kl:0.04, with weights from start to end of the run in 'distill:1->0+grpo:0->1'.",
        panel=WHAT,
    )
    learner_args: dict[str, Any] = arguments("Option of the learner, in a sum grpo.NAME", "scale_rewards=false")
    reflector: str | None = setting(
        "self",
        "Writes the diagnoses. self: the policy itself. rules: no model. feedback: the next observation as it is. "
        "local:MODEL: another model on this machine. openai:MODEL: one behind an endpoint. shuffled, verdict: "
        "controls, with --reflector-arg of=NAME.",
        panel=WHAT,
        shown="self, or what the learner or the environment brings",
    )
    reflector_args: dict[str, Any] = arguments("Option of the reflector", "max_new_tokens=128")
    teacher: str | None = setting(
        "hindsight", "Writes the privileged prompts; --teacher-weights says whose weights read them.", panel=WHAT
    )
    teacher_args: dict[str, Any] = arguments("Option of the teacher", "show_thoughts=false")

    steps: int | None = setting(
        12, "Optimiser steps.", panel=HOW_LONG, min=0, shown="12, or what the environment brings"
    )
    turn_budget: int | None = setting(
        None,
        "Environment turns after which training begins no further step; methods are compared at equal turns. Without "
        "--steps the only limit.",
        panel=HOW_LONG,
        min=0,
        shown="no limit",
    )
    stop_when_worse: int = setting(
        2,
        "Stop after this many evaluations in a row whose success is far below the best: the 95 % interval of the "
        "difference, paired by task, lies below 0. 0: only warn.",
        panel=HOW_LONG,
        min=0,
    )
    min_valid_actions: float = setting(
        0.05,
        "Share of valid actions before training below which there is nothing to learn from, and the run ends at once.",
        panel=HOW_LONG,
        min=0,
        below=1,
    )
    when_few_follow: Literal["stop", "warn"] = setting(
        "stop",
        "What to do when the teacher, shown the diagnoses, has not followed them for three steps.",
        panel=HOW_LONG,
        needs=("teacher", None),
    )

    episodes: int = setting(64, "Episodes per step.", panel=LEARNING, min=1)
    group_size: int = setting(
        1, "Episodes per task; grpo compares them.", panel=LEARNING, min=1, shown="1, or what the learner brings"
    )
    learning_rate: float | None = setting(
        None,
        "Learning rate of AdamW.",
        panel=LEARNING,
        above=0,
        shown="what the model brings: 2e-4 for tiny, 1e-5 for others; ten times that with --lora",
    )
    warmup_steps: int = setting(0, "Steps over which the learning rate rises linearly.", panel=LEARNING, min=0)
    decay_steps: int | None = setting(
        None,
        "Step at which the learning rate, falling linearly after the warm-up, reaches 0.",
        panel=LEARNING,
        min=1,
        shown="it does not fall",
    )
    weight_decay: float = setting(0.0, "Decoupled weight decay of AdamW.", panel=LEARNING, min=0)
    max_grad_norm: float = setting(1.0, "Norm to which a larger gradient is scaled down.", panel=LEARNING, above=0)
    teacher_weights: Literal["ema", "live", "frozen"] | None = setting(
        "ema",
        "Weights that read the hindsight. ema: a moving average. live: the current ones. frozen: those of the start.",
        panel=LEARNING,
        shown="ema, or what the learner brings",
    )
    turn_gate: Literal["follow", "verdict", "none"] | None = setting(
        "follow",
        "Turns to learn from. follow: of those called wrong only where the teacher follows the diagnosis. verdict: of "
        "those called useful, too. none: all.",
        panel=LEARNING,
    )
    ema_decay: float = setting(
        0.95,
        "Part of the moving average that a step keeps.",
        panel=LEARNING,
        above=0,
        below=1,
        needs=("teacher_weights", "ema"),
    )
    divergence: Literal["reverse_kl", "forward_kl", "jensen_shannon"] | None = setting(
        "reverse_kl", "Divergence between student and teacher, per token.", panel=LEARNING
    )
    beta: float = setting(
        0.5,
        "Weight of the teacher in the Jensen-Shannon divergence.",
        panel=LEARNING,
        above=0,
        below=1,
        needs=("divergence", "jensen_shannon"),
    )
    top_k: int | None = setting(
        None,
        "Likeliest tokens over which the divergence is taken, all others counting as one.",
        panel=LEARNING,
        min=1,
        shown="every token by itself",
        needs=("divergence", None),
    )
    top_k_of: Literal["student", "teacher", "union"] = setting(
        "teacher", "Whose likeliest tokens these are.", panel=LEARNING, needs=("top_k", None)
    )

    lora: int | None = setting(
        None,
        "Rank of a low-rank adapter (LoRA), which alone is trained: less memory, smaller checkpoints. Needs "
        "hero-agents[lora].",
        panel=LEARNING,
        min=1,
        shown="all weights are trained",
    )
    lora_alpha: float = setting(
        32.0,
        "Scale of the adapter; alpha divided by rank multiplies it.",
        panel=LEARNING,
        above=0,
        needs=("lora", None),
    )
    lora_targets: str = setting(
        "all-linear",
        "Layers that it adapts, with commas between their names, such as q_proj,v_proj. all-linear: all linear "
        "layers but the head; experts whose weights are joined in one tensor, as in Qwen3-MoE, are none.",
        panel=LEARNING,
        needs=("lora", None),
    )

    temperature: float = setting(0.5, "Sampling temperature, in training and in the sampled evaluation.", panel=PLAYING)
    max_turns: int = setting(
        10, "Turns after which an episode is cut.", panel=PLAYING, min=1, shown="10, or what the environment brings"
    )
    max_tokens: int | None = setting(
        None,
        "Tokens after which an episode is cut, its prompts and replies together.",
        panel=PLAYING,
        min=1,
        shown="the context of the model",
    )
    action_tokens: int | None = setting(
        None,
        "Tokens after which an action is cut.",
        panel=PLAYING,
        min=1,
        shown="what environment or model bring: 48 for tiny, 256 for others",
    )
    eval_tasks: int = setting(
        200, "Validation tasks at start and end, played once sampled and once greedily.", panel=PLAYING, min=1
    )
    eval_tasks_between: int | None = setting(
        None,
        "How many of them, from the first on, are played in evaluations during training, which only sample.",
        panel=PLAYING,
        min=1,
        shown="all of them",
    )
    eval_every: int = setting(4, "Steps between evaluations; start and end are always evaluated.", panel=PLAYING, min=1)

    save_every: int = setting(
        1,
        "Steps between checkpoints; evaluated steps have one, too. After a crash a run goes on from the newest.",
        panel=MACHINE,
        min=1,
    )
    seed: int = setting(0, "Seed of everything random; equal seeds give equal runs.", panel=MACHINE, min=0)
    threads: int = setting(
        1, "Processor threads; another number rounds differently.", panel=MACHINE, min=1, shown="all cores"
    )
    device: str | None = setting(
        None, "Device of the model, such as cuda:1 or cpu.", panel=MACHINE, shown="a GPU where there is one"
    )
    dtype: Literal["float32", "bfloat16", "float16"] | None = setting(
        None,
        "Precision of the weights; in training those that are trained become float32.",
        panel=MACHINE,
        shown="bfloat16 on a GPU, else float32",
    )
    micro_batch_tokens: int = setting(
        16_384, "Tokens that go through the model at once in an update; for memory and speed.", panel=MACHINE, min=1
    )
    kv_cache_gib: float = setting(
        8.0,
        "GiB for keys and values while episodes are played and reviewed. Less is slower, and changes no result.",
        panel=MACHINE,
        above=0,
        below=2**20,
    )
    serve: str | None = setting(
        None,
        "Address of a vLLM server with the same model, such as http://localhost:8000/v1, that plays and reviews; the "
        "adapter is sent there after every update.",
        panel=MACHINE,
        shown="play in this process",
        needs=("lora", None),
    )
    shard: bool = setting(
        False,
        "Among processes that torchrun started, split weights, gradients and the optimiser (FSDP2).",
        panel=MACHINE,
        shown="each process has all",
    )
    gradient_checkpointing: bool = setting(
        False,
        "Keep only the inputs of layers for the gradient, and compute the rest again: less memory, more time.",
        panel=MACHINE,
        shown="keep all",
    )

    def plan(self) -> Plan:
        """Returns the part that the training loop needs.

        Raises:
            ConfigError: a number is not possible.
        """
        from hero.plan import Plan

        return Plan(**{each.name: getattr(self, each.name) for each in fields(Plan)})

    def record(self) -> dict[str, Any]:
        """Returns the settings as plain JSON; `Settings(**record)` gives back equal ones."""
        return asdict(self)


BROUGHT_BY_MODEL: Final = ("learning_rate", "action_tokens")
"""Settings that are None until the model is loaded, unless they are given."""
AFTER_START: Final = frozenset(
    ("learner", "learner_args", "reflector", "reflector_args", "teacher", "teacher_args",
     "steps", "turn_budget", "stop_when_worse", "min_valid_actions", "when_few_follow", "episodes", "group_size",
     "learning_rate", "warmup_steps", "decay_steps", "weight_decay", "max_grad_norm", "teacher_weights", "turn_gate",
     "ema_decay", "divergence", "beta", "top_k", "top_k_of", "lora_alpha", "lora_targets",
     "eval_tasks_between", "eval_every", "save_every", "micro_batch_tokens", "gradient_checkpointing")
)  # fmt: skip
"""Settings that have no part in the evaluation before training, where an adapter changes nothing yet."""
FIELDS: Final[Mapping[str, Field[Any]]] = {each.name: each for each in fields(Settings)}


@cache
def types() -> dict[str, Any]:
    """Returns the type of each setting."""
    return get_type_hints(Settings)


def option(name: str) -> str:
    """Returns the option of `hero run` that gives a setting, such as `--env-arg` for `env_args`."""
    return "--" + (name.removesuffix("s") if name.endswith("_args") else name).replace("_", "-")
