"""The benchmark of TauBench: its agents, and that doing nothing is always reported."""

from __future__ import annotations

import json

import pytest
from typer import Typer
from typer.testing import CliRunner

from benchmarks.taubench import gold, main, nothing, results
from tests.envs.taubench.recorded import DATA, needs_recordings


def test_it_prints_costs_and_both_agents_on_every_split() -> None:
    app = Typer()
    app.command()(main)
    done = CliRunner().invoke(app, ["--trials", "1"], env={"COLUMNS": "150"})
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout.splitlines()[-1])
    assert [(row["split"], row["agent"]) for row in record["results"]] == [
        (split, agent.__name__) for split in ("train", "dev", "test") for agent in (nothing, gold)
    ]
    assert all(row["success"]["value"] == 1.0 for row in record["results"] if row["agent"] == "gold")
    assert all(row["success"]["value"] < 0.2 for row in record["results"] if row["agent"] == "nothing")
    assert record["costs"]["retail"]["times_less"] > 100


@needs_recordings
@pytest.mark.parametrize(("domain", "solved"), [("retail", {"dev": 1, "test": 7}), ("airline", {"test": 19})])
def test_what_doing_nothing_earns_on_the_original(domain: str, solved: dict[str, int]) -> None:
    rows = [row for row in results(domain, DATA, 1) if row["agent"] == "nothing"]  # type: ignore[arg-type]
    assert {row["split"]: row["solved"] for row in rows if row["split"] != "train"} == solved
