"""On a GPU: the same ids, the same gradient, the same run again. `make test-gpu` runs these.

All other tests hide the GPUs, since they expect the CPU's rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from typer.testing import CliRunner

from hero.distill.base import Example
from hero.distill.trainer import TorchTrainer
from hero.models.lora import add_adapter
from hero.runs.reader import latest_checkpoint, read_rows
from hero.types import Message, Tokens
from hero_cli.main import app
from tests.distill.doubles import episode
from tests.models.acting import ask, tokens_of
from tests.tiny_models import TinyLM, every_kind, in_float64, random_model, tiny_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU, and make test-gpu, which shows it")
LORA = pytest.param(4, marks=pytest.mark.skipif(find_spec("peft") is None, reason="needs the extra lora"))
EXAMPLES = [
    Example(0, tokens, (Message("user", "look again"), Message("user", "", tokens.prompt_ids)), distillation=1.0)
    for seed in (1, 2)
    for tokens in episode(tiny_model(), seed)
]
RUN = [
    "--episodes", "6", "--eval-tasks", "2", "--eval-every", "2", "--max-turns", "3", "--reflector", "rules",
    "--turn-gate", "none", "--threads", "1",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _full_precision() -> Iterator[None]:
    """Turns TF32 off, which loading a model turns on."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def hero(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def on(device: str, build: Any, lora: int | None = None) -> TinyLM:
    lm = TinyLM(in_float64(build).to(torch.float32))  # type: ignore[arg-type]
    if lora:
        add_adapter(lm.model, rank=lora)
    lm.model.to(device)
    return lm


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_it_samples_the_ids_that_the_cpu_samples(temperature: float) -> None:
    prompts = [ask("hello"), ask("a longer prompt than the others " * 3), ask("hi")]

    def act(device: str) -> list[Any]:
        lm = random_model()
        lm.model.to(device)
        policy = lm.policy(temperature=temperature, seed=3)
        return [tokens_of(action) for _ in range(2) for action in policy.act(prompts, [1, 2, 3])]

    for here, there in zip(act("cuda"), act("cpu"), strict=True):
        assert here.action_ids == there.action_ids
        assert here.logprobs == pytest.approx(there.logprobs, abs=1e-4)


@every_kind
@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_an_update_is_that_of_the_cpu_whatever_the_model(build: Any, gradient_checkpointing: bool) -> None:
    def updated(device: str) -> tuple[dict[str, float], list[Tensor]]:
        lm = on(device, build)
        trainer = TorchTrainer(lm, learning_rate=1e-3, turn_gate="none", gradient_checkpointing=gradient_checkpointing)
        metrics = dict(trainer.update(EXAMPLES))
        return metrics, [weight.grad.cpu() for weight in lm.model.parameters() if weight.grad is not None]

    (here, gradient), (there, expected) = updated("cuda"), updated("cpu")
    assert here == pytest.approx(there, rel=1e-3, abs=1e-5)
    norm = torch.stack([each.norm() for each in expected]).norm()
    assert len(gradient) == len(expected)
    for mine, theirs in zip(gradient, expected, strict=True):
        assert (mine - theirs).norm() <= 1e-3 * norm


def test_an_update_in_float32_keeps_no_weights_of_pairs_of_tokens() -> None:
    length = 8192
    lm = TinyLM(tiny_model(context=length).to("cuda", torch.float32))
    trainer = TorchTrainer(lm, turn_gate="none", teacher_weights="live")
    torch.cuda.reset_peak_memory_stats()
    trainer.update([Example(0, Tokens((1,) * (length - 1), (2,), (-1.0,)), cross_entropy=1.0)])
    assert torch.cuda.max_memory_allocated() < 4 * length**2  # bytes of one head's


@pytest.mark.parametrize("lora", [None, LORA])
def test_a_split_model_learns_like_a_whole_one(lora: int | None) -> None:
    dist.init_process_group("cpu:gloo,cuda:nccl", store=dist.HashStore(), rank=0, world_size=1)
    try:
        options: dict[str, Any] = {"learning_rate": 1e-2, "turn_gate": "none"}
        split, whole = (TorchTrainer(on("cuda", tiny_model, lora), shard=shard, **options) for shard in (True, False))
        for _ in range(3):
            assert split.update(EXAMPLES) == pytest.approx(whole.update(EXAMPLES), rel=1e-4, abs=1e-6)
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("lora", [[], pytest.param(["--lora", "4"], marks=LORA.marks)])
def test_a_run_in_bfloat16_can_be_repeated_and_resumed_and_says_what_it_took(lora: list[str], tmp_path: Path) -> None:
    command = ["run", "--model", "tiny", "--device", "cuda", *lora, *RUN]
    whole, again, parts = (tmp_path / name for name in ("whole", "again", "parts"))
    assert "GPU memory" in hero(*command, "--steps", 4, "--out", whole)
    hero(*command, "--steps", 4, "--out", again)
    hero(*command, "--steps", 2, "--out", parts)
    hero("run", "--resume", "--out", parts, "--steps", 4)
    rows = read_rows(whole, "steps")
    assert all(row["update"]["mismatch"] < 0.05 for row in rows)
    for other in (again, parts):
        assert read_rows(other, "episodes") == read_rows(whole, "episodes")
        assert read_rows(other, "steps") == rows
    hero("eval", whole, "--checkpoint", "newest", "--tasks", 2)
    assert latest_checkpoint(whole) is not None


def test_a_model_is_put_there_in_bfloat16_unless_told_otherwise() -> None:
    from hero.models.load import placement

    assert placement(None, None) == (torch.device("cuda"), torch.bfloat16)
    assert placement("cpu", None) == (torch.device("cpu"), torch.float32)
    assert placement("cuda", "float32")[1] == torch.float32
