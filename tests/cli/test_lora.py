"""`hero run --lora`: a run that trains an adapter alone is resumed, evaluated and taken as a model like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hero.distill.memory import MemoryEstimate, estimate_memory
from hero.runs.reader import read_rows
from hero_cli.model import ModelChoice, load_checkpoint
from tests.cli.conftest import FAST, Hero, contents, refused

pytest.importorskip("peft", reason="needs the extra lora")
LORA = ["--lora", 4, "--lora-targets", "q_proj, v_proj", "--learning-rate", 0.05]


@pytest.fixture
def adapted(hero: Hero, model: str, tmp_path: Path) -> Path:
    """Makes a finished run of four steps that trains an adapter."""
    result = hero("run", "--model", model, "--steps", 4, "--out", "adapted", *LORA, *FAST)
    assert result.exit_code == 0, result.output
    return tmp_path / "adapted"


def test_a_run_with_an_adapter_saves_little_and_goes_on_as_if_it_had_not_stopped(
    adapted: Path, finished: Path, hero: Hero, model: str, tmp_path: Path
) -> None:
    def size(run: Path) -> int:
        return sum(file.stat().st_size for file in run.rglob("*.safetensors"))

    assert 0 < size(adapted) < size(finished) / 5
    assert hero("run", "--model", model, "--steps", 2, "--out", "short", *LORA, *FAST).exit_code == 0
    result = hero("run", "--resume", "--out", "short", "--steps", 4)
    assert result.exit_code == 0, result.output
    for name in ("steps", "episodes"):
        assert read_rows(tmp_path / "short", name) == read_rows(adapted, name)
    (mine,), (theirs,) = ([*run.rglob("step-*4*/**/model.safetensors")][:1] for run in (tmp_path / "short", adapted))
    assert mine.read_bytes() == theirs.read_bytes()


def test_it_is_evaluated_and_taken_as_a_model_with_its_adapter(adapted: Path, hero: Hero) -> None:
    before = contents(adapted)
    evaluated = hero("eval", adapted, "--checkpoint", "newest", "--tasks", 3)
    assert evaluated.exit_code == 0, evaluated.output
    for more in ([], LORA):
        out = f"next{len(more)}"
        result = hero("run", "--model", adapted, "--steps", 0, "--out", out, *more, *FAST)
        assert result.exit_code == 0, result.output
    assert contents(adapted) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lora", 0], "--lora"),
        (["--lora-alpha", 8], "--lora-alpha 8.0 does nothing without --lora N"),
        (["--lora", 4, "--lora-targets", "q_prj"], "no linear layer but the head is called 'q_prj'; there are: "),
        (["--lora", 4, "--lora-alpha", 0], "--lora-alpha 0.0 is not possible; give more than 0"),
    ],
)
def test_mistakes_are_named(arguments: list[object], message: str, hero: Hero, model: str) -> None:
    refused(hero("run", "--model", model, "--steps", 1, "--out", "run", *arguments, *FAST), message)


def test_without_peft_the_error_says_what_to_install(hero: Hero, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hero.models.lora.find_spec", lambda name: None)
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", "--lora", 4, *FAST)
    refused(result, "pip install 'hero-agents[lora]'")


@pytest.mark.parametrize(
    ("options", "share", "message", "code"),
    [
        ([], -0.01, "take a smaller model, or another device", 2),
        (["--micro-batch-tokens", 999_999_999], 0.9, "--gradient-checkpointing would fit", 0),
        (["--micro-batch-tokens", 999_999_999], 0.001, "--gradient-checkpointing --lora=16 --micro-batch-tokens=", 0),
        (["--micro-batch-tokens", 999_999_999], 1.0, "", 0),
    ],
)
def test_a_run_that_will_not_fit_says_what_would(
    options: list[object],
    share: float,
    message: str,
    code: int,
    hero: Hero,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The share is that of the memory for activations, besides what is always needed, that the device has."""
    estimates: list[MemoryEstimate] = []

    def estimated(*arguments: Any, **limits: Any) -> MemoryEstimate:
        estimates.append(estimate_memory(*arguments, **limits))
        return estimates[-1]

    def available(device: object) -> int:
        return round(estimates[0].always + share * estimates[0].activations)

    monkeypatch.setattr("hero.distill.memory.estimate_memory", estimated)
    monkeypatch.setattr("hero.distill.memory.device_memory", available)
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *options, *FAST)
    assert result.exit_code == code, result.output
    output = " ".join(result.output.split())
    assert ("training takes about" in output) == bool(message)
    assert ("training takes up to" in output) != bool(message)
    assert message in output


def test_the_base_keeps_its_precision_and_evaluation_has_it_too(hero: Hero, model: str, tmp_path: Path) -> None:
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", "--dtype", "bfloat16", *LORA, *FAST)
    assert result.exit_code == 0, result.output
    lm = load_checkpoint(ModelChoice("run"))[0]
    types = {name: weight.dtype for name, weight in lm.model.named_parameters()}
    assert {kind for name, kind in types.items() if "lora" not in name} == {torch.bfloat16}
    assert {kind for name, kind in types.items() if "lora" in name} == {torch.float32}
    refused(hero("run", "--model", model, "--device", "gpu", "--out", "other", *FAST), "there is no device 'gpu' here")
