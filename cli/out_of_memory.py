"""Recognise that a device has no memory left, and say what would take less."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from hero.errors import short_message

if TYPE_CHECKING:
    from .settings import Settings

MEMORY: Final = ("gradient_checkpointing", "kv_cache_gib", "micro_batch_tokens")
"""Settings that change the memory of a run and, up to rounding, no result; a run that is resumed may change them."""
LEAST_TOKENS: Final = 512


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether torch could not get memory, on a GPU or a processor."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def describe(error: BaseException) -> str:
    """Returns what torch says of it, without its advice to its own users."""
    return short_message(error).partition(" Of the allocated memory")[0].rstrip(".")


def less_memory(settings: Settings, phase: str) -> str:
    """Returns an option that has a run take less memory in a phase; "" where there is none left."""
    if phase != "update":
        return f"--kv-cache-gib {settings.kv_cache_gib / 2:g}"
    if not settings.gradient_checkpointing:
        return "--gradient-checkpointing"
    fewer = settings.micro_batch_tokens // 2
    return f"--micro-batch-tokens {fewer}" if fewer >= LEAST_TOKENS else ""
