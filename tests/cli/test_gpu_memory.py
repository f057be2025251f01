"""The most memory of a GPU is told by phase, and nothing where there is none."""

from __future__ import annotations

import pytest
import torch

from hero.distill.memory import GIB
from hero_cli.gpu_memory import GPUMemory
from hero_cli.report import time_table

PEAKS = {"evaluation": 3 * GIB, "rollout": 2 * GIB, "update": 5 * GIB}


def test_each_phase_has_the_peak_since_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [0]
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda device: taken[0])
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda device: taken.__setitem__(0, GIB))
    gpu = GPUMemory(torch.device("cuda:1"))
    for step, phase in enumerate(("evaluation", "rollout", "update", "rollout")):
        gpu.on_phase_begin(step, phase, 1)  # type: ignore[arg-type]
        assert taken[0] == GIB
        taken[0] = PEAKS[phase] - (GIB if step == 3 else 0)
    gpu.end_phase()
    assert gpu.peaks == {"evaluation": 3.0, "rollout": 2.0, "update": 5.0}
    table = time_table([{"step": 1, "rollout": 1.0, "update": 1.0}], gpu.peaks)
    assert [*table.columns[-1].cells] == ["", "2.0 GiB", "", "5.0 GiB", "3.0 GiB"]


def test_without_a_gpu_nothing_is_measured_or_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda device: pytest.fail("there is no GPU"))
    gpu = GPUMemory(torch.device("cpu"))
    gpu.on_phase_begin(1, "rollout", 1)
    gpu.end_phase()
    assert gpu.peaks == {}
    assert [column.header for column in time_table([], {}).columns] == [
        "phase",
        "seconds",
        "share",
        "per training step",
    ]
