"""Cells of a comparison: runs whose settings differ in the seed alone."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hero.comparison.runs import RunRecord
from hero.errors import RunError
from hero.runs.reader import MEMORY_SETTINGS

IGNORED: Final = ("seed", "threads", *MEMORY_SETTINGS)
"""Settings in which runs of one cell may differ: random numbers, and what is for memory and speed."""
LIMITS: Final = ("steps", "turn_budget")
"""Settings in which those of one name may differ, too, while a comparison is made longer run by run."""


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
    Runs of one such name in one directory are one cell also where some have gone on to larger limits than others, and
    runs of equal settings with other such names are two, if they have a seed in common.

    Raises:
        RunError: two runs have equal settings, seed included, and their directories do not tell them apart.
    """
    methods: dict[str, list[RunRecord]] = {}
    for run in runs:
        methods.setdefault(_key(run.settings), []).append(run)
    groups = _join_extended([part for group in methods.values() for part in _split_by_stem(group)])
    stems = [{_stem(run) for run in group} for group in groups]
    names = [stem for each in stems if len(each) == 1 for stem in each if stem]
    if len(set(names)) < len(groups):  # so that directories tell nothing apart
        groups = list(methods.values())
        names = method_names([group[0].settings for group in groups])
    return [
        Cell(name, tuple(sorted(group, key=lambda run: run.seed))) for name, group in zip(names, groups, strict=True)
    ]


def _split_by_stem(group: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Returns runs of equal settings by the names of their directories where two of them have the same seed."""
    if _has_each_seed_once(group) or not all(map(_stem, group)):
        return [list(group)]
    parts: dict[str, list[RunRecord]] = {}
    for run in group:
        parts.setdefault(_stem(run), []).append(run)
    return list(parts.values())


def _join_extended(groups: Sequence[list[RunRecord]]) -> list[list[RunRecord]]:
    """Joins groups in one directory, of one name and with other seeds, that differ in the limits of a run alone."""
    joined: list[list[RunRecord]] = []
    first: dict[tuple[frozenset[tuple[Path, str]], str], list[RunRecord]] = {}
    for group in groups:
        places = frozenset((run.path.parent, _stem(run)) for run in group)
        earlier = first.setdefault((places, _key(group[0].settings, LIMITS)), group)
        is_named = len(places) == 1 and bool(_stem(group[0]))
        if earlier is not group and is_named and _has_each_seed_once([*earlier, *group]):
            earlier += group
        else:
            joined.append(group)
    return joined


def _has_each_seed_once(runs: Sequence[RunRecord]) -> bool:
    return len({run.seed for run in runs}) == len(runs)


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


def _key(settings: Mapping[str, Any], besides: Collection[str] = ()) -> str:
    """Returns the settings of a method as text, which can be looked up."""
    return json.dumps(_method(settings, besides), sort_keys=True)


def _method(settings: Mapping[str, Any], besides: Collection[str] = ()) -> dict[str, Any]:
    """Returns the settings but for those that are `IGNORED`, or among `besides`."""
    return {name: value for name, value in settings.items() if name not in (*IGNORED, *besides)}


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
