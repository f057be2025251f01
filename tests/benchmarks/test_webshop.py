"""The benchmark of WebShop: its catalogue resembles the original's, and every figure is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from benchmarks import webshop_baselines, webshop_faults
from benchmarks.webshop import __main__ as webshop
from benchmarks.webshop.catalogue import NAMES, write
from benchmarks.webshop.measure import PHASES, Stopwatch, main
from hero.envs.webshop.catalogue.disk_index import open_index, write_index
from tests.benchmarks.clock import Clock
from tests.envs.webshop import files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalogue")
    advanced: list[int] = []
    write(path, 500, advanced.append)
    assert sum(advanced) == 500
    write_index(path, lambda *_: None)
    return path


def test_equal_arguments_give_equal_files_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    for seed, same in ((0, True), (1, False)):
        write(tmp_path, 500, lambda _: None, seed)
        assert {file.name for file in tmp_path.iterdir()} == set(NAMES)
        assert ((folder / NAMES[0]).read_bytes() == (tmp_path / NAMES[0]).read_bytes()) is same


def test_products_are_like_those_of_the_original(folder: Path) -> None:
    index = open_index(folder)
    assert index is not None
    assert len(index.products) == 500
    assert 80 < index.index._postings.counts.sum() / 500 < 130  # 107.6 terms
    assert 0.3 < len(index.goals.synthetic) / 500 < 0.5  # 0.415 of the products have a synthetic instruction
    assert 5 < len(index.goals.order) / len(index.goals.synthetic) < 40  # and 16.7 combinations of options
    assert len(index.goals.human) == 5  # 13 in 1,000
    ranges = sum(len(item.prices) == 2 for item in index.products.values())
    assert 0.05 < ranges / 500 < 0.15  # 0.093


def test_a_measurement_gives_every_figure(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.webshop.measure.time", Clock(tick=0.25))
    main(folder, steps=200)
    figures = json.loads(capsys.readouterr().out)
    assert figures["products"] == 500
    assert figures["steps_per_cpu_s"] == figures["resets_per_cpu_s"] == 4  # a tick each
    assert figures["further_mb"] < 1
    assert sum(figures["phases_percent"].values()) == pytest.approx(100, abs=1)
    assert all(figures["phases_percent"][phase] > 0 for phase in PHASES)


def test_phases_do_not_count_what_is_within_them() -> None:
    watch = Stopwatch()

    def wait(seconds: float) -> None:
        watch._since -= seconds  # as if they had passed

    inner = watch.timed("search", lambda: wait(5))
    page = watch.timed("page", lambda: (wait(1), inner(), wait(2)))
    page()  # outside of a step
    watch.timed("rest", lambda: (wait(3), page()))()
    assert {phase: round(watch.seconds[phase]) for phase in PHASES if watch.seconds[phase]} == {
        "search": 5,
        "page": 3,
        "rest": 3,
    }


@pytest.mark.parametrize("benchmark", [webshop.main, webshop_baselines.main, webshop_faults.main])
@pytest.mark.parametrize(("items", "message"), [(None, "cannot be read: No such file"), ([{"asin": 5}], "'asin'")])
def test_wrong_data_are_reported_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    benchmark: Any,
    items: Any,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)  # the generated files are kept there
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=":")
    data = tmp_path / "data"
    if items is not None:
        data.mkdir()
        files.write(data, files.FILES | {"items_shuffle_1000.json": items})
    app = Typer()
    app.command()(benchmark)
    done = CliRunner().invoke(app, ["--data", str(data)])
    errors = (done.stderr + capfd.readouterr().err).strip()  # the second is of processes of its own
    assert (done.exit_code, errors.count("error: "), message in errors, "Traceback" in errors) == (2, 1, True, False)


def test_links_are_to_the_files_of_one_directory(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        files.write(tmp_path / name, files.FILES)
    (tmp_path / "other" / "items_shuffle_1000.json").rename(tmp_path / "other" / "items_shuffle.json")
    for name in ("one", "other"):
        links = webshop.linked(tmp_path / "links", tmp_path / name)
        assert {link.readlink().parent for link in links.iterdir()} == {tmp_path / name}
