"""Where no memory is left, a command says so and what takes less; a run goes on with that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hero.distill.trainer import TorchTrainer
from hero.models.sampler import TransformersPolicy
from hero.runs.reader import read_rows, read_settings
from hero_cli.out_of_memory import is_out_of_memory, less_memory
from hero_cli.settings import Settings
from tests.cli.conftest import FAST, Hero, contents, refused

GPU = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.6 GiB of which 1.1 GiB is free. "
    "Of the allocated memory 9 GiB is allocated by PyTorch. If reserved but unallocated memory is large try this."
)
CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Returns a function that has the nth call of a method raise an error."""

    def prepare(kind: type, method: str, error: Exception, nth: int = 1) -> None:
        original, calls = getattr(kind, method), [0]

        def failing(*args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] == nth:
                raise error
            return original(*args, **kwargs)

        monkeypatch.setattr(kind, method, failing)

    return prepare


def test_a_run_without_memory_says_what_takes_less_and_goes_on_with_it(
    finished: Path, hero: Hero, model: str, tmp_path: Path, full: Callable[..., None]
) -> None:
    full(TorchTrainer, "update", GPU, nth=3)
    command = ["run", "--model", model, "--steps", 4, "--out", "run", *FAST]
    refused(
        hero(*command),
        "error: no memory left while learning: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total "
        "capacity of 23.6 GiB of which 1.1 GiB is free; --gradient-checkpointing takes less",
        "go on with: hero run --resume --out run --gradient-checkpointing",
    )
    less = ["--gradient-checkpointing", "--micro-batch-tokens", 512, "--kv-cache-gib", 0.5]
    result = hero("run", "--resume", "--out", "run", *less)
    assert result.exit_code == 0, result.output
    assert read_settings(tmp_path / "run") == read_settings(finished) | {
        "gradient_checkpointing": True, "micro_batch_tokens": 512, "kv_cache_gib": 0.5,
    }  # fmt: skip
    now, whole = (read_rows(run, "steps") for run in (tmp_path / "run", finished))
    assert [row["update"]["loss"] for row in now] == pytest.approx([row["update"]["loss"] for row in whole], rel=1e-4)
    before = contents(tmp_path / "run")
    again = hero("run", "--resume", "--out", "run", "--kv-cache-gib", 2)  # it is finished, and took what it took
    assert (again.exit_code, contents(tmp_path / "run")) == (0, before)


def test_while_playing_keys_and_values_take_less(hero: Hero, model: str, full: Callable[..., None]) -> None:
    full(TransformersPolicy, "act", CPU)
    refused(
        hero("run", "--model", model, "--steps", 1, "--out", "a run", *FAST),
        "no memory left while evaluating: [enforce fail at alloc_cpu.cpp:124]",
        "go on with: hero run --resume --out 'a run' --kv-cache-gib 4",
    )


def test_where_nothing_takes_less_it_says_what_else(hero: Hero, model: str, full: Callable[..., None]) -> None:
    assert hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST).exit_code == 0
    full(TorchTrainer, "load", MemoryError())
    refused(
        hero("run", "--resume", "--out", "run", "--steps", 2),
        "no memory left while loading: no message; go on where there is more, or start a run of a smaller model",
    )


@pytest.mark.parametrize(
    "text",
    ["CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED in cublasCreate", "MPS backend out of memory"],
)
def test_a_lack_of_memory_is_recognised_whatever_says_so(text: str) -> None:
    assert is_out_of_memory(RuntimeError(text))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


def test_what_cannot_be_given_on_resume_is_refused(hero: Hero, finished: Path) -> None:
    refused(hero("run", "--resume", "--out", finished, "--micro-batch-tokens", 0), "--micro-batch-tokens 0")


def test_any_command_says_so_without_a_traceback(finished: Path, hero: Hero, full: Callable[..., None]) -> None:
    full(TransformersPolicy, "act", GPU)
    refused(hero("eval", finished, "--tasks", 2), "no memory left: CUDA out of memory", "a device that has more")


def test_another_error_stays_a_bug(hero: Hero, model: str, full: Callable[..., None]) -> None:
    full(TorchTrainer, "update", RuntimeError("a bug"))
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST)
    assert isinstance(result.exception, RuntimeError)


def test_every_remedy_takes_less_than_the_one_before() -> None:
    assert less_memory(Settings(), "rollout") == "--kv-cache-gib 4"
    assert less_memory(Settings(kv_cache_gib=1.0), "reflection") == "--kv-cache-gib 0.5"
    assert less_memory(Settings(kv_cache_gib=0.9), "rollout") == ""
    assert less_memory(Settings(reflector="rules"), "reflection") == less_memory(Settings(), "") == ""
    for settings in (Settings(reflector="local"), Settings(reflector="local", serve="http://localhost", lora=8)):
        assert less_memory(settings, "reflection") == "--kv-cache-gib 4"
    assert less_memory(Settings(serve="http://localhost", lora=8), "reflection") == ""
    assert less_memory(Settings(serve="http://localhost", lora=8), "rollout") == ""
    assert less_memory(Settings(), "update") == "--gradient-checkpointing"
    assert less_memory(Settings(gradient_checkpointing=True), "update") == "--micro-batch-tokens 8192"
    assert less_memory(Settings(gradient_checkpointing=True, micro_batch_tokens=512), "update") == ""
