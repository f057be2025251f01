"""Where a model is put, and in which precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hero.errors import ConfigError
from hero.models.load import load, placement
from tests.models.acting import ask
from tests.tiny_models import random_model, save_pretrained


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_without_a_gpu_a_model_is_on_the_cpu_in_float32_unless_told_otherwise() -> None:
    cpu = torch.device("cpu")
    assert placement(None, None) == (cpu, torch.float32)
    assert placement("cpu", "bfloat16") == (cpu, torch.bfloat16)
    with pytest.raises(ConfigError, match="there is no device 'cuda' here"):
        placement("cuda", None)


def test_a_device_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match="there is no device 'gpu' here"):
        placement("gpu", None)


@pytest.mark.parametrize("kind", ["transformers", "tiny"])
def test_a_model_has_the_precision_that_was_asked_for_and_acts(kind: str, tmp_path: Path) -> None:
    if kind == "tiny":
        random_model(context=256).save(tmp_path)
    else:
        save_pretrained(tmp_path)
    lm = load(str(tmp_path), dtype="bfloat16")
    assert {weight.dtype for weight in lm.model.parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in load(str(tmp_path)).model.parameters()} == {torch.float32}
    assert lm.policy(max_new_tokens=4).act([ask("hello")])[0].tokens
