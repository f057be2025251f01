"""Cells of a comparison: runs whose settings differ in the seed alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hero.comparison.runs import RunRecord
from hero.errors import RunError
from hero.runs.reader import MEMORY_SETTINGS

IGNORED: Final = ("seed", "threads", *MEMORY_SETTINGS)
"""Settings in which runs of one cell may differ: random numbers, and what is for memory and speed."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Runs of one method, each with a seed of its own.

    Raises:
        RunError: two runs have the same seed.
    """

    name: str
    runs: tuple[RunRecord, ...]

    def __post_init__(self) -> None:
        paths = {run.seed: run.path for run in self.runs}
        for run in self.runs:
            if paths[run.seed] != run.path:
                raise RunError(
                    f"{run.path} and {paths[run.seed]} are runs of {self.name} with the same seed {run.seed}; name one "
                    "of them"
                )


def group_by_method(runs: Iterable[RunRecord]) -> list[Cell]:
    """Returns runs as cells, in the order of the first run of each.

    Where directories are named as those of `hero compare`, NAME-seedN, that is the name; otherwise what differs is.

    Raises:
        RunError: two runs have equal settings, seed included.
    """
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(json.dumps(_method(run.settings), sort_keys=True), []).append(run)
    stems = [{_stem(run) for run in group} for group in groups.values()]
    names = [stem for each in stems if len(each) == 1 for stem in each if stem]
    if len(set(names)) < len(groups):
        names = method_names([group[0].settings for group in groups.values()])
    return [
        Cell(name, tuple(sorted(group, key=lambda run: run.seed)))
        for name, group in zip(names, groups.values(), strict=True)
    ]


def method_names(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns a short name for each of several settings: the learner, and what differs between those with that learner.

    Names differ where the settings do, but for those that are `IGNORED`.
    """
    flat = [dict(_flatten(_method(each))) for each in settings]
    names = []
    for each in flat:
        peers = [other for other in flat if other["learner"] == each["learner"]]
        own = [f"{key}={value}" for key, value in each.items() if any(peer.get(key) != value for peer in peers)]
        names.append(" ".join([each["learner"], *own]))
    return names


def _stem(run: RunRecord) -> str:
    """Returns NAME where the directory of a run is NAME-seedN, N its seed; "" otherwise."""
    stem, seed, rest = run.path.name.rpartition(f"-seed{run.seed}")
    return stem if seed and not rest else ""


def _method(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in IGNORED}


def _flatten(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields every setting by name as text; an option of a component by the setting's name and its own."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", _text(item)) for key, item in value.items())
        else:
            yield name, _text(value)


def _text(value: Any) -> str:
    """Returns JSON, or a string as it is where it could not be mistaken for other JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value)
