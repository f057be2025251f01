"""The benchmark of TauBench: its agents, the no-op baseline among them."""

from __future__ import annotations

import json

import pytest
from typer import Typer
from typer.testing import CliRunner

from benchmarks.taubench import ROWS, gold, main, nothing, results
from tests.benchmarks.clock import Clock
from tests.envs.taubench.recorded import DATA, needs_recordings


def test_it_prints_costs_and_both_agents_on_every_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.taubench.time", Clock(tick=0.001))
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
    costs = record["costs"]["retail"]
    assert costs.keys() == ROWS.keys() | {"times_less", "times_less_where_wrong"}
    assert (costs["final_ms"], costs["read_us"]) == pytest.approx((1, 1000))  # a tick each
    assert costs["reset_ms"] == pytest.approx(1 / 300)  # a tick in all
    assert costs["times_less"] == pytest.approx((18 + 206) / (1 + 1 / 300))


@needs_recordings
@pytest.mark.parametrize(("domain", "solved"), [("retail", {"dev": 1, "test": 7}), ("airline", {"test": 19})])
def test_the_no_op_baseline_of_the_original(domain: str, solved: dict[str, int]) -> None:
    rows = [row for row in results(domain, DATA, 1) if row["agent"] == "nothing"]  # type: ignore[arg-type]
    assert {row["split"]: row["solved"] for row in rows if row["split"] != "train"} == solved
