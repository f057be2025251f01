"""Measure the memory of a GPU that each phase of a run takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hero.callback import Callback, Phase

if TYPE_CHECKING:
    import torch


class GPUMemory(Callback):
    """Keeps the most memory that tensors on a GPU took at a time, by phase.

    Attributes:
        phase: the current one; "" before the first.
        peaks: in GiB; empty where the device is not a GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.phase = ""
        self.peaks: dict[str, float] = {}
        self._device = device

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        self.end_phase()
        self.phase = phase

    def end_phase(self) -> None:
        """Adds what was taken since the phase began; a phase ends when the next one begins."""
        if self._device.type != "cuda":
            return
        from hero.distill.memory import GIB, take_peak

        peak = take_peak(self._device) / GIB
        if self.phase:
            self.peaks[self.phase] = max(peak, self.peaks.get(self.phase, 0.0))
