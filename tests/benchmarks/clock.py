"""A clock for benchmarks under test, so that their figures do not depend on the machine."""

from __future__ import annotations

from itertools import count


class Clock:
    """Stands for the module `time`: every reading is later than the one before by the same number of seconds."""

    def __init__(self, tick: float) -> None:
        self._readings = (tick * index for index in count())

    def perf_counter(self) -> float:
        return next(self._readings)

    process_time = perf_counter
