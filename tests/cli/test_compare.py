"""`hero compare`: runs that are started, stopped, gone on with and reported on."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hero.runs.reader import read_rows, read_settings
from tests.cli.conftest import FAST, ROOT, Hero, contents, refused, without_loading
from tests.platforms import NEEDS_POSIX

FAKE = (sys.executable, "-m", "tests.cli.fake_hero")
SMALL = [*FAST[:-2], "--steps", "2", "--seeds", "2", "--jobs", "2", "--out", "c"]
TWO = ["compare", "--learners", "distill,grpo", "--group-size", "2", *SMALL]
RUNS = ["distill-seed0", "distill-seed1", "grpo-seed0", "grpo-seed1"]


@pytest.fixture
def fake(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets each run be one of `fake_hero`."""
    monkeypatch.setattr("hero_cli.compare_runs.HERO", FAKE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(plugins), str(ROOT)]))


@pytest.fixture
def compared(fake: None, hero: Hero, shared: Path, tmp_path: Path) -> Path:
    """Makes a comparison of two learners and two seeds, once, and copies it."""
    if not (shared / "c").exists():
        result = hero(*TWO)
        assert result.exit_code == 0, result.output
        (tmp_path / "c" / "output.txt").write_text(result.stdout)
        shutil.move(tmp_path / "c", shared)
    return shutil.copytree(shared / "c", tmp_path / "c")


def runs_in(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if (entry / "config.json").exists())


def test_every_run_is_an_ordinary_one_and_all_are_reported_on(compared: Path, hero: Hero) -> None:
    assert runs_in(compared) == RUNS
    for name in RUNS:
        settings = read_settings(compared / name)
        assert (settings["learner"], str(settings["seed"])) == tuple(name.split("-seed"))
        assert settings["group_size"] == 2
        assert (settings["reflector"] is None) == (settings["learner"] == "grpo")
        assert (compared / name / "summary.json").exists()
    rows = list(csv.DictReader((compared / "comparison.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 4 * 2 * 2
    for row in rows:
        run = compared / f"{row['cell']}-seed{row['seed']}"
        (stored,) = [
            each for each in read_rows(run, "evals") if (str(each["step"]), each["mode"]) == (row["step"], row["mode"])
        ]
        assert float(row["success"]) == stored["success"]["value"]
        assert int(row["tasks"]) == 3
    markdown = (compared / "comparison.md").read_text("utf-8")
    assert len(re.findall(r"^\| (?:distill|grpo) \|", markdown, re.MULTILINE)) == 9
    assert "difference to distill" in markdown
    for picture in ("curves.png", "budgets.png", "cost.png"):
        assert (compared / picture).read_bytes().startswith(b"\x89PNG")


def test_seeds_come_in_order_and_each_is_told(compared: Path) -> None:
    lines = (compared / "output.txt").read_text().splitlines()
    begun = [line.partition("  ")[0] for line in lines if "  running  step 0 of 2" in line and "success" not in line]
    assert begun == ["distill, seed 0", "grpo, seed 0", "distill, seed 1", "grpo, seed 1"]
    ended = [line.partition("  ")[0] for line in lines if "  finished  step 2 of 2" in line]
    assert sorted(ended) == sorted(begun)


def test_a_finished_comparison_starts_nothing(compared: Path, hero: Hero, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(compared)
    monkeypatch.setattr("hero_cli.compare_runs.HERO", ("false",))
    assert hero(*TWO).exit_code == 0
    assert contents(compared) == before


def test_a_comparison_can_become_longer_and_have_more_cells_and_seeds(compared: Path, hero: Hero) -> None:
    other = ["compare", "--learners", "distill", "--cell", "mild: --learning-rate 1e-5", "--group-size", 2, *SMALL]
    assert hero(*other, "--steps", 3, "--first-seed", 1).exit_code == 0
    assert runs_in(compared) == [*RUNS[:2], "distill-seed2", *RUNS[2:], "mild-seed1", "mild-seed2"]
    steps = {name: len(read_rows(compared / name, "steps")) for name in runs_in(compared)}
    assert [name for name, count in steps.items() if count == 2] == ["distill-seed0", *RUNS[2:]]
    assert [name for name, count in steps.items() if count == 3] == [
        "distill-seed1",
        "distill-seed2",
        *runs_in(compared)[-2:],
    ]
    assert read_settings(compared / "mild-seed2")["learning_rate"] == 1e-5


def test_more_cells_can_be_added_with_other_threads(
    compared: Path, hero: Hero, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    result = hero(*TWO[:-1], compared, "--cell", "mild: --learning-rate 1e-5", "--threads", 2, "--kv-cache-gib", 0.5)
    assert result.exit_code == 0, result.output
    starts = [read_rows(compared / f"mild-seed{seed}", "timings")[0] for seed in (0, 1)]
    assert all("evaluation" in start for start in starts)  # of their own, since the others' may differ by rounding


def test_a_larger_budget_leaves_a_run_that_went_over_it_as_it_is(fake: None, hero: Hero, tmp_path: Path) -> None:
    command = ["compare", "--learners", "distill", *SMALL, "--seeds", 1, "--steps", 9, "--turn-budget"]
    assert hero(*command, 5).exit_code == 0
    turns = read_rows(tmp_path / "c" / "distill-seed0", "steps")[-1]["turns"]
    before = contents(tmp_path / "c" / "distill-seed0")
    assert turns > 5
    assert hero(*command, turns).exit_code == 0
    assert contents(tmp_path / "c" / "distill-seed0") == before
    assert hero(*command, turns + 1).exit_code == 0
    assert read_rows(tmp_path / "c" / "distill-seed0", "steps")[-1]["turns"] > turns


def test_runs_that_exist_are_reported_on(compared: Path, hero: Hero) -> None:
    before = (compared / "comparison.md").read_text("utf-8")
    assert hero("compare", compared).exit_code == 0
    assert (compared / "comparison.md").read_text("utf-8") == before
    chosen = [compared / "grpo-seed1", compared / "distill-seed1"]
    result = hero("compare", *chosen, "--budgets", "3,1_000", "--against", "distill")
    assert result.exit_code == 0, result.output
    assert "difference to distill in points" in result.stdout
    assert re.search(r"^ +3 +1,000 *$", result.stdout, re.MULTILINE)
    assert "Over before 1,000 turns, so that the last evaluation counts from there on: grpo after" in result.stdout
    assert "One seed, so that the interval covers other tasks, but not other seeds: grpo, distill" in result.stdout
    assert "give --out for the tables" in result.stdout


@pytest.mark.parametrize(("kind", "why"), [("fail", "the dice are loaded"), ("death", "exit code 9")])
def test_a_run_that_fails_is_shown_and_goes_on_when_asked_again(
    compared: Path, hero: Hero, monkeypatch: pytest.MonkeyPatch, kind: str, why: str
) -> None:
    other = compared.parent / "other"
    command = [*TWO[:-1], other, "--seeds", 1]
    monkeypatch.setenv("ACCIDENT", f"distill-seed0 2 {kind}")
    result = hero(*command)
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("distill, seed 0 failed: ")]
    assert why in line
    assert str(other / "logs" / "distill-seed0.log") in line
    assert len(read_rows(other / "distill-seed0", "steps")) == 1
    assert (other / "grpo-seed0" / "summary.json").exists()
    assert "Runs that have got to" in result.stdout
    monkeypatch.delenv("ACCIDENT")
    assert hero(*command).exit_code == 0
    for name in RUNS[::2]:
        assert contents(other / name) == contents(compared / name)


@NEEDS_POSIX
def test_ctrl_c_stops_all_after_their_step_and_says_how_to_go_on(
    started: Callable[..., subprocess.Popen[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCIDENT", "distill-seed0 2 interrupt")
    before = f"import os; os.setsid(); import hero_cli.compare_runs; hero_cli.compare_runs.HERO = {FAKE!r}"
    process = started(*TWO, "--steps", 4, "--jobs", 1, before=before)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 130, errors
    assert "stopping after this step; Ctrl-C again stops at once" in output
    stopped, what_there_is = without_loading(errors).splitlines()[:2]
    assert stopped.startswith("stopped; go on with: hero compare --learners distill,grpo")
    assert what_there_is == "what there is so far: hero compare c"
    assert runs_in(tmp_path / "c") == ["distill-seed0"]
    assert len(read_rows(tmp_path / "c" / "distill-seed0", "steps")) == 2
    assert not (tmp_path / "c" / "distill-seed0" / "summary.json").exists()


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ([], ["there is nothing to compare; give --learners"]),
        (["--learners", "distill,grop"], ["cell 'grop'", "did you mean 'grpo'?"]),
        (["--learners", "grpo,grpo"], ["two cells, 'grpo' and 'grpo', would be in grpo-seedN; give one another"]),
        (
            ["--learners", "grpo", "--cell", "GRPO!: --weight-decay 1"],
            ["two cells, 'grpo' and 'GRPO!', would be in grpo-seedN"],
        ),
        (["--cell", "--weight-decay 1"], ["--cell '--weight-decay 1' is not a name, a colon and options"]),
        (["--cell", "a: --klip 1"], ["--cell 'a': No such option: --klip"]),
        (["--cell", "a: --weight-decay x"], ["--cell 'a': Invalid value for '--weight-decay'"]),
        (["--cell", "a: 'x"], ["--cell 'a': No closing quotation"]),
        (["--cell", "a: --eval-tasks 5"], ["--cell 'a': --eval-tasks is the same for all cells; give it outside of"]),
        (["--cell", "a: --learning-rate -1"], ["cell 'a': --learning-rate"]),
        (
            ["--sweep", "learning-rate"],
            ["--sweep 'learning-rate' is not an option, = and values; an ex"],
        ),
        (["--sweep", "learning-rate=,"], ["--sweep 'learning-rate=,' is not an option, = and values"]),
        (["--sweep", "top-k=1\n2"], ["--sweep 'top-k=1\\n2': new-line character seen in unquoted field"]),
        (["--sweep", "klip=1"], ["--sweep 'klip=1': No such option: --klip"]),
        (["--sweep", "seed=1,2"], ["--sweep 'seed=1,2': every cell has the same seeds; give --seeds and --first-seed"]),
        (["--sweep", "env=a,b"], ["--sweep 'env=a,b': --env is the same for all cells; give it outside of --cell"]),
        (["--sweep", "learner=sdpo,grpo"], ["--sweep 'learner=sdpo,grpo': give --learners sdpo,grpo"]),
        (["--sweep", "learner-arg=praise"], ["--sweep 'learner-arg=praise' is not an option, = and values"]),
        (["--sweep", "learner-arg=prais=all"], ["no cell has a use for --learner-arg prais", "did you mean 'praise'?"]),
        (["--learners", "grpo", "--sweep", "learner-arg=clip=1,x"], ["cell 'grpo': grpo (hero.learners): clip = 'x'"]),
        (["--sweep", "learning-rate=1e-4,0.0001"], ["'learning-rate=1e-4,0.0001' has 0.0001 twice"]),
        (["--sweep", "weight-decay=0,0.0"], ["has 0.0 twice; leave one of them out"]),
        (["--sweep", "reflector=local:a-b,local:a/b"], ["two cells, 'distill local:a-b' and 'distill local:a/b',"]),
        (["--sweep", "top-k=1", "--top-k", 2], ["--top-k is swept, and given besides"]),
        (["--sweep", "top-k=1", "--sweep", "top-k=2"], ["--top-k is swept, and given besides"]),
        (["--sweep", "top-k=1,1"], ["--sweep 'top-k=1,1' has 1 twice"]),
        (["--sweep", "learning-rate=-1"], ["cell 'distill': --learning-rate -1.0 is not possible"]),
        (["--learner", "base", "--sweep", "learning-rate=1"], ["no cell has a use for --learning-rate", "not train"]),
        ([".", "--log", "wandb"], ["--log does nothing for runs that exist; leave it out"]),
        ([".", "--sweep", "top-k=1"], ["--sweep does nothing for runs that exist; leave it out"]),
        (["--learners", "grpo", "--seed", 3], ["--seed 3 is not for a comparison; give --seeds and --first-seed"]),
        (["--learners", "grpo", "--reflector", "self"], ["no cell has a use for --reflector", "--learner grpo"]),
        (["--learners", "grpo", "--learner", "distill"], ["no cell has a use for --learner: --learner is given in"]),
        (["--learners", "grpo", "--learner-arg", "size=3"], ["no cell has a use for --learner-arg", "option 'size'"]),
        (["--learners", "grpo", "--against", "base"], ["--against 'base' is not a cell; there are: grpo"]),
        (["--learners", "grpo", "--budgets", "1000,x"], ["--budgets '1000,x': 'x' is not a number of turns"]),
        ([".", "--learners", "grpo"], ["--learners does nothing for runs that exist; leave it out"]),
        ([".", "--first-seed", 0], ["--first-seed does nothing for runs that exist; leave it out"]),
        ([".", "--weight-decay", 1], ["--weight-decay does nothing for runs that exist; leave it out"]),
        (["."], [". neither is a run directory nor holds one"]),
    ],
)
def test_mistakes_are_reported_before_anything_is_written(
    fake: None, hero: Hero, tmp_path: Path, arguments: list[object], messages: list[str]
) -> None:
    refused(hero("compare", *arguments), *messages)
    assert list(tmp_path.iterdir()) == []


def test_runs_with_other_settings_are_refused_by_name(compared: Path, hero: Hero) -> None:
    before = contents(compared)
    refused(
        hero(*TWO, "--temperature", 0.7),
        "distill-seed0 was started with --temperature 0.5, not 0.7; choose another --out, or another name",
    )
    refused(hero(*TWO, "--steps", 1), "distill-seed0: --steps 1, but the run was started with --steps 2")
    assert contents(compared) == before


def test_runs_that_went_on_with_less_memory_are_taken_as_they_are(compared: Path, hero: Hero) -> None:
    before = contents(compared / RUNS[0])
    assert hero(*TWO, "--micro-batch-tokens", 512).exit_code == 0
    assert contents(compared / RUNS[0]) == before


def test_a_comparison_is_not_made_within_a_run(compared: Path, hero: Hero) -> None:
    before = contents(compared)
    refused(hero(*TWO[:-1], compared / RUNS[0]), "is within the run", "give another place")
    assert contents(compared) == before


def test_runs_with_changed_records_are_refused(compared: Path, hero: Hero) -> None:
    file = compared / RUNS[0] / "evals.jsonl"
    file.write_text(file.read_text("utf-8").replace('"task_id":"', '"task_id":"other '), "utf-8")
    refused(hero("compare", compared), f"{RUNS[0]}/evals.jsonl is damaged")


def test_cells_that_start_alike_share_the_evaluation_before_training(fake: None, hero: Hero, tmp_path: Path) -> None:
    cells = ["--cell", "short: --learner distill --max-turns 2"]
    cells += ["--cell", "fast: --learner distill --learning-rate 1e-3"]
    result = hero("compare", "--learners", "distill", *cells, *SMALL, "--jobs", "1")
    assert result.exit_code == 0, result.output
    for seed in (0, 1):
        runs = {name: tmp_path / "c" / f"{name}-seed{seed}" for name in ("distill", "short", "fast")}
        starts = {name: read_rows(run, "timings")[0] for name, run in runs.items()}
        assert [name for name, start in starts.items() if "evaluation" in start] == ["distill", "short"]
        assert starts["fast"]["same_start_as"] == str(runs["distill"])


def test_real_runs_are_compared(
    plugins: Path, hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(plugins), str(ROOT)]))
    result = hero(*TWO, "--model", model, "--steps", 1, "--eval-tasks", 2, "--min-valid-actions", 0, "--jobs", 1)
    assert result.exit_code == 0, result.output
    assert runs_in(tmp_path / "c") == RUNS
    start = [read_rows(tmp_path / "c" / name, "evals")[0]["outcomes"] for name in RUNS]
    assert start[0] == start[2]  # the same model, tasks and random numbers, so that one evaluation serves both
    evaluated = [["evaluation" in row for row in read_rows(tmp_path / "c" / name, "timings")] for name in RUNS]
    assert evaluated == [[True, True], [True, True], [False, True], [False, True]]
    assert "sampled success (%) after environment turns, 95 % intervals" in result.stdout
