"""Measure the memory of a GPU that each phase of a run takes."""

from __future__ import annotations

from typing import Final

from hero.callback import Callback, Phase

GIB: Final = 2**30


class GPUMemory(Callback):
    """Keeps the most memory that tensors on the current GPU took at a time, by phase.

    Attributes:
        peaks: in GiB; empty where the device is not a GPU.
    """

    def __init__(self, device_type: str) -> None:
        self.peaks: dict[str, float] = {}
        self._measures = device_type == "cuda"
        self._phase = ""

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        self.end_phase()
        self._phase = phase

    def end_phase(self) -> None:
        """Adds what was taken since the phase began; a phase ends when the next one begins."""
        if not self._measures:
            return
        import torch

        if self._phase:
            peak = torch.cuda.max_memory_allocated() / GIB
            self.peaks[self._phase] = max(peak, self.peaks.get(self._phase, 0.0))
        torch.cuda.reset_peak_memory_stats()
