"""Recognise that there is no memory left, and say what takes less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hero.errors import short_message

if TYPE_CHECKING:
    from .settings import Settings

LEAST_TOKENS: Final = 512
LEAST_GIB: Final = 0.5
SIGNS: Final = ("out of memory", "ALLOC_FAILED", "DefaultCPUAllocator")
"""What messages of torch and of the libraries below it have in common."""


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that there is no memory left, on a GPU or a processor."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in SIGNS)


def without_advice(error: BaseException) -> str:
    """Returns the message of such an error without what torch advises its own users."""
    return short_message(error).partition(" Of the allocated memory")[0].rstrip(".")


def less_memory(settings: Settings, phase: str) -> str:
    """Returns an option with which a run takes less memory in a phase; "" if there is none."""
    if phase == "update":
        if not settings.gradient_checkpointing:
            return "--gradient-checkpointing"
        fewer = settings.micro_batch_tokens // 2
        return f"--micro-batch-tokens {fewer}" if fewer >= LEAST_TOKENS else ""
    plays = phase in ("rollout", "evaluation") or (phase == "reflection" and settings.reflector == "self")
    here = (plays and not settings.serve) or (phase == "reflection" and settings.reflector == "local")
    if not here or settings.kv_cache_gib < 2 * LEAST_GIB:
        return ""
    return f"--kv-cache-gib {settings.kv_cache_gib / 2:g}"
