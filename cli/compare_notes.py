"""Notes on the tables of a comparison: what a reader of them must know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hero.comparison.cells import LIMITS, Cell, method_names
from hero.comparison.success import Success


def notes(cells: Sequence[Cell], at: Mapping[int, Success], against: str) -> list[str]:
    """Returns the notes, in sentences.

    Args:
        at: success by budget.
        against: name of the cell to which the differences are taken.
    """
    return [
        *_tasks(at),
        *_methods(cells),
        *_not_there(cells, at),
        *_over_early(cells, max(at)),
        *_over_budget(cells, at),
        *_one_seed(cells, at),
        *_unpaired(cells, at, against),
        *_other_lengths(cells),
        *_costs_so_far(cells),
    ]


def _tasks(at: Mapping[int, Success]) -> Iterator[str]:
    counts = {turns: len(success.tasks) for turns, success in at.items()}
    texts = [f"{count} at {turns:,} turns" for turns, count in counts.items()]
    yield "Validation tasks: " + (", ".join(texts) if len(set(counts.values())) > 1 else str(counts[max(at)]))


def _methods(cells: Sequence[Cell]) -> Iterator[str]:
    methods = method_names([cell.runs[0].settings for cell in cells])
    yield from (f"{cell.name}: {method}" for cell, method in zip(cells, methods, strict=True) if cell.name != method)


def _not_there(cells: Sequence[Cell], at: Mapping[int, Success]) -> Iterator[str]:
    for turns, success in at.items():
        there = {cell.name: len(success.seeds.get(cell.name, ())) for cell in cells}
        if few := [
            f"{cell.name} {there[cell.name]} of {len(cell.runs)}" for cell in cells if there[cell.name] < len(cell.runs)
        ]:
            yield f"Runs that have got to {turns:,} turns: {', '.join(few)}"


def _over_early(cells: Sequence[Cell], turns: int) -> Iterator[str]:
    """Names runs that were over before a budget, by their seeds where others of the cell got there or go on."""
    texts: list[str] = []
    for cell in cells:
        early = {run.seed: run.curve.end for run in cell.runs if run.curve.finished and run.curve.end < turns}
        if early and len(early) == len(cell.runs):
            first, last = min(early.values()), max(early.values())
            texts.append(f"{cell.name} after {first:,}" + (f" to {last:,}" if first < last else ""))
        else:
            texts += [f"seed {seed} of {cell.name} after {end:,}" for seed, end in early.items()]
    if texts:
        yield f"Over before {turns:,} turns, so that the last evaluation counts from there on: {', '.join(texts)}"


def _over_budget(cells: Sequence[Cell], at: Mapping[int, Success]) -> Iterator[str]:
    for turns in at:
        over = {cell.name: max(run.curve.over(turns) for run in cell.runs) for cell in cells}
        if texts := [f"{name} {more:,}" for name, more in over.items() if more]:
            yield f"A last step counts as a whole, though it goes over {turns:,} turns, by at most: {', '.join(texts)}"


def _one_seed(cells: Sequence[Cell], at: Mapping[int, Success]) -> Iterator[str]:
    """Names cells whose intervals are over one seed, with the budgets unless they are all."""
    texts = []
    for cell in cells:
        budgets = [turns for turns, success in at.items() if len(success.seeds.get(cell.name, ())) == 1]
        if budgets:
            texts.append(cell.name if len(budgets) == len(at) else f"{cell.name} at {_listed(budgets)}")
    if texts:
        yield f"One seed, so that the interval covers other tasks, but not other seeds: {', '.join(texts)}"


def _unpaired(cells: Sequence[Cell], at: Mapping[int, Success], against: str) -> Iterator[str]:
    """Says over how many seeds differences are where one of the two cells has more, with the budgets."""
    budgets: dict[str, list[int]] = {}
    for turns, success in at.items():
        texts = []
        for cell in cells:
            counts = [len(success.seeds.get(name, ())) for name in (cell.name, against)]
            shared = len(success.shared_seeds(cell.name, against))
            if all(counts) and shared < max(counts):
                texts.append(f"{cell.name} {shared}")
        if texts:
            budgets.setdefault(", ".join(texts), []).append(turns)
    for text, turns_of_text in budgets.items():
        yield f"Seeds that a cell shares with {against} at {_listed(turns_of_text)} turns, for the difference: {text}"


def _other_lengths(cells: Sequence[Cell]) -> Iterator[str]:
    """Names cells that are being made longer run by run."""
    limits = {cell.name: {tuple(map(run.settings.get, LIMITS)) for run in cell.runs} for cell in cells}
    if names := [name for name, different in limits.items() if len(different) > 1]:
        yield f"Only some runs have gone on to larger limits, so that costs differ by it: {', '.join(names)}"


def _costs_so_far(cells: Sequence[Cell]) -> Iterator[str]:
    if names := [cell.name for cell in cells if not any(run.curve.finished for run in cell.runs)]:
        yield f"No run is finished, so that its cost is that so far: {', '.join(names)}"


def _listed(budgets: Sequence[int]) -> str:
    return " and ".join(f"{turns:,}" for turns in budgets)
