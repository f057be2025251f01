"""Where data are looked for, how they are read, and how damaged data are reported."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_cache_path

from hero.envs.taubench.data import locate
from hero.envs.taubench.data.embedded.world import generate
from hero.envs.taubench.env import TauBenchEnv
from hero.errors import ConfigError, DataError
from tests.envs.taubench.files import CANCEL, TABLES, write_checkout, write_tau2
from tests.envs.taubench.recorded import DATA, needs_recordings
from tests.platforms import make_link, make_pipe


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hides the data of the machine."""
    for name in locate.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(locate, "user_cache_path", lambda *args, **kwargs: tmp_path / "cache" / "hero")
    monkeypatch.setattr(locate, "PACKAGE", "no-such-distribution")


def test_a_checkout_is_read_and_never_run(tmp_path: Path) -> None:
    write_checkout(tmp_path)
    env = TauBenchEnv(data=tmp_path, split="test")
    assert (env.env_id, env.num_tasks) == ("taubench/retail/v1/scripted", 1)
    task = env._tasks[0]
    assert task.instruction == "You are Ann Lee. You want to cancel order #W1."
    assert (task.id, task.user_id, task.outputs) == ("test-0", "ann_lee_1", ("12.5",))
    assert [(call.name, call.arguments) for call in task.actions] == [("cancel_pending_order", CANCEL)]
    assert [schema["function"]["name"] for schema in env._world.schemas] == ["cancel_pending_order"]
    assert env.instructions.startswith("# Be kind")
    assert "tau_bench" not in sys.modules


@pytest.mark.parametrize("wheel", [False, True])
def test_the_data_of_tau2_are_read(tmp_path: Path, wheel: bool) -> None:
    write_tau2(tmp_path / "tau2" / "data" if wheel else tmp_path)
    env = TauBenchEnv(data=tmp_path)
    assert re.fullmatch("taubench/retail/tau2-[0-9a-f]{8}/scripted", env.env_id)
    assert env.num_tasks == 1
    task = env._tasks[0]
    assert task.instruction == "You are Ann Lee.\nYou want to cancel order #W1.\nYou are calm."
    assert (task.id, task.outputs) == ("0", ("12.5",))
    assert [(call.name, call.arguments) for call in task.actions] == [("cancel_pending_order", CANCEL)]
    assert len(env._world.schemas) == 16


def test_a_named_directory_goes_before_one_that_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TauBenchEnv().env_id == "taubench/retail/embedded/scripted"
    write_tau2(locate.cache())
    assert TauBenchEnv().env_id.startswith("taubench/retail/tau2-")
    write_tau2(tmp_path / "two")
    monkeypatch.setenv("TAU2_DATA_DIR", str(tmp_path / "two"))
    assert locate.locate(None, "retail") == tmp_path / "two"
    write_checkout(tmp_path / "one")
    monkeypatch.setenv("TAU_BENCH_DIR", str(tmp_path / "one"))
    assert locate.locate(None, "retail") == tmp_path / "one"
    assert locate.locate(tmp_path / "two", "retail") == tmp_path / "two"
    assert TauBenchEnv(data="embedded").env_id == "taubench/retail/embedded/scripted"


def test_an_installed_package_is_found_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "site" / "some_wheel-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-wheel\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(locate, "PACKAGE", "some-wheel")
    assert locate.locate(None, "retail") is None
    (tmp_path / "site" / "tau2").mkdir()
    (tmp_path / "site" / "tau2" / "__init__.py").write_text("raise RuntimeError('imported')")
    write_tau2(tmp_path / "site" / "tau2" / "data")
    assert locate.locate(None, "retail") == tmp_path / "site"
    assert "tau2" not in sys.modules


def test_the_airline_is_not_embedded() -> None:
    with pytest.raises(ConfigError, match="hero data taubench"):
        TauBenchEnv(domain="airline")


def test_a_split_without_tasks_names_those_that_have_some(tmp_path: Path) -> None:
    write_checkout(tmp_path)
    with pytest.raises(ConfigError, match="split 'validation' of v1 retail holds no tasks; there are: test"):
        TauBenchEnv(data=tmp_path, split="validation")


def test_an_empty_directory_is_reported_with_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no retail data"):
        TauBenchEnv(data=tmp_path)


def test_directories_that_cannot_be_looked_into(tmp_path: Path) -> None:
    make_link(tmp_path / "itself", "itself")
    with pytest.raises(DataError, match="holds no retail data"):
        TauBenchEnv(data=tmp_path / "itself")
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        TauBenchEnv(data=tmp_path / ("x" * 300))


def changed(table: str, change: Callable[[dict[str, Any]], None]) -> str:
    """Returns a table after a change, as JSON."""
    tables = json.loads(json.dumps(TABLES))
    change(tables[table])
    return json.dumps(tables[table])


def missing(table: str, key: str, column: str) -> str:
    return changed(table, lambda records: records[key].pop(column))


DAMAGED = [
    ("data/orders.json", "{", r"orders\.json is not JSON"),
    ("data/orders.json", None, r"orders\.json cannot be read"),
    ("data/orders.json", "[]", r"orders\.json: orders must be a dict of at least two records"),
    ("data/orders.json", missing("orders", "#W2", "status"), r"orders\.json: orders '#W2' has no status"),
    ("data/users.json", changed("users", lambda users: users.update(x=5)), r"users\.json: users 'x' must be a dict"),
    (
        "data/users.json",
        changed("users", lambda users: users["ann_lee_2"].update(email=None)),
        r"users\.json: email of users 'ann_lee_2' must not be a NoneType",
    ),
    ("wiki.md", None, "holds no retail data"),
    ("tasks_test.py", None, "holds no tasks"),
    ("tasks_test.py", "TASKS = [", r"tasks_test\.py is not Python"),
    ("tasks_test.py", "TASKS = 5", r"tasks_test\.py: one list of tasks is needed, not 0"),
    ("tasks_test.py", "TASKS = [Task(user_id='a')]", r"tasks_test\.py: task 0: instruction is missing"),
    ("tasks_test.py", "TASKS = [Task(user_id=open('x'))]", r"tasks_test\.py: task 0: malformed node"),
    (
        "tasks_test.py",
        "TASKS = [Task(user_id='a', instruction='', actions=[Action(name='x', kwargs=[])])]",
        r"tasks_test\.py: task 0: kwargs must be a dict, not a list",
    ),
    ("tasks_test.py", f"TASKS = [Task(user_id={'-' * 2500}1)]", r"tasks_test\.py: task 0: maximum recursion depth"),
    ("tasks_test.py", "TASKS = [{[]: 1}]", r"tasks_test\.py: task 0: unhashable type"),
    ("tasks_test.py", "TASKS = [Task(user_id={'a', 'b'})]", r"tasks_test\.py: task 0: Object of type set is not JSON"),
    (
        "tasks_test.py",
        "TASKS = [Task(user_id='a', instruction='', actions=[], outputs='12.5')]",
        r"tasks_test\.py: task 0: outputs must be a list, not a str",
    ),
    ("tools/cancel_pending_order.py", "def get_info(): return f()", r"cancel_pending_order\.py: get_info"),
    ("tools/cancel_pending_order.py", "def get_info(): return {'a', 'b'}", r"cancel_pending_order\.py: get_info"),
    ("data/orders.json", json.dumps(TABLES["orders"]).replace('"1 Elm"', "[" * 700 + "]" * 700), r"orders\.json.*deep"),
]


def with_criteria(**criteria: Any) -> str:
    """Returns a task of tau2 with criteria of its reward."""
    return json.dumps([{"id": "0", "user_scenario": {"instructions": {}}, "evaluation_criteria": criteria}])


ODD: list[tuple[str, str]] = [
    ("[" * 100_000, "is not JSON: "),
    ('{"a": ' * 100_000, "is not JSON: "),
    ('{"a": ' + "9" * 4300 + "}", "a number of 4300 digits is out of range"),
    ('{"a": -' + "9" * 5000 + "}", "a number of 5001 digits is out of range"),
    ('{"a": 1e999}', "the number 1e999 is out of range"),
    ('{"a": NaN}', "the number NaN is out of range"),
    ('{"a": "\xff', "cannot be read: "),
    ("", "is not JSON: "),
]
"""Contents of damaged files of any kind, each with its error message."""


@pytest.mark.parametrize("file", ["db.json", "tasks.json", "split_tasks.json"])
@pytest.mark.parametrize(("content", "message"), ODD)
def test_odd_json_is_refused_by_the_name_of_its_file(tmp_path: Path, file: str, content: str, message: str) -> None:
    (write_tau2(tmp_path) / file).write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=f"{file}.*{message}"):
        TauBenchEnv(data=tmp_path)


@pytest.mark.parametrize("digits", [2000, 4300, 5000])
@pytest.mark.parametrize("file", ["data/orders.json", "tasks_test.py"])
def test_prices_of_thousands_of_digits_are_refused(tmp_path: Path, file: str, digits: int) -> None:
    path = write_checkout(tmp_path) / file
    path.write_text(path.read_text().replace('"order_id": "#W1"', f'"order_id": "#W1", "price": {"9" * digits}'))
    with pytest.raises(DataError, match=f"{path.name}.*(out of range|digits)"):
        TauBenchEnv(data=tmp_path, split="test")


@pytest.mark.parametrize("layout", [write_checkout, write_tau2])
def test_a_byte_order_mark_is_not_part_of_any_file(tmp_path: Path, layout: Callable[[Path], Path]) -> None:
    split = "test" if layout is write_checkout else "train"
    layout(tmp_path / "plain")
    layout(tmp_path / "marked")
    for path in (path for path in (tmp_path / "marked").rglob("*") if path.is_file()):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    plain, marked = (TauBenchEnv(data=tmp_path / name, split=split) for name in ("plain", "marked"))
    assert (marked.instructions, marked._tasks) == (plain.instructions, plain._tasks)
    assert marked._world.snapshot.hash == plain._world.snapshot.hash
    assert "\ufeff" not in marked.instructions


@pytest.mark.parametrize("layout", [write_checkout, write_tau2])
@pytest.mark.parametrize("kind", ["pipe", "folder", "itself", "endless"])
def test_whatever_is_not_a_file_is_refused_without_being_read(
    tmp_path: Path, layout: Callable[[Path], Path], kind: str
) -> None:
    folder = layout(tmp_path)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        path.unlink()
        if kind == "pipe":
            make_pipe(path)
        elif kind == "folder":
            path.mkdir()
        else:
            make_link(path, path if kind == "itself" else "/dev/zero")
        with pytest.raises(DataError, match=f"{path.name}|holds no"):
            TauBenchEnv(data=tmp_path, split="test" if layout is write_checkout else "train")
        path.rmdir() if kind == "folder" else path.unlink()
        path.write_bytes(content)


@pytest.mark.parametrize(("file", "content", "message"), DAMAGED)
def test_damaged_checkouts(tmp_path: Path, file: str, content: str | None, message: str) -> None:
    path = write_checkout(tmp_path) / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(DataError, match=message):
        TauBenchEnv(data=tmp_path, split="test")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("db.json", "{}", r"db\.json must have the tables orders, products, users"),
        ("tasks.json", "{}", r"tasks\.json: a list of tasks is needed"),
        ("tasks.json", '[{"id": "0"}]', r"tasks\.json: task 0: user_scenario is missing"),
        ("split_tasks.json", '{"train": ["9"]}', r"split_tasks\.json: train names task '9', which is not there"),
        (
            "tasks.json",
            '[{"id": "0", "user_scenario": {"instructions": {}}, "evaluation_criteria": {"actions": [{"name": "think",'
            f' "arguments": {{"thought": {"[" * 200 + "]" * 200}}}}}]}}}}]',
            r"tasks\.json: task 0: lists or dicts are nested more than 100",
        ),
        ("split_tasks.json", None, r"split_tasks\.json cannot be read"),
        ("split_tasks.json", "[]", r"split_tasks\.json must be a dict"),
        ("split_tasks.json", '{"train": 5}', r"split_tasks\.json: train must be a list, not a int"),
        ("split_tasks.json", '{"train": [["0"]]}', r"split_tasks\.json: train: a str is needed, not \['0'\]"),
        ("tasks.json", with_criteria(actions=5), r"tasks\.json: task 0: actions must be a list"),
        ("tasks.json", with_criteria(communicate_info="12.5"), r"tasks\.json: task 0: communicate_info must be a list"),
    ],
)
def test_damaged_data_of_tau2(tmp_path: Path, file: str, content: str | None, message: str) -> None:
    path = write_tau2(tmp_path) / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(DataError, match=message):
        TauBenchEnv(data=tmp_path)


@needs_recordings
def test_the_files_of_the_original_are_whole() -> None:
    sizes = {split: TauBenchEnv(data=DATA, split=split).num_tasks for split in ("train", "dev", "test")}
    assert sizes == {"train": 500, "dev": 20, "test": 115}
    airline = TauBenchEnv(data=DATA, domain="airline", split="test")
    assert (airline.num_tasks, len(airline._world.schemas)) == (50, 14)
    assert {schema["function"]["name"] for schema in airline._world.schemas} == set(airline._world.tools)


def test_a_device_in_place_of_a_file_is_not_read(tmp_path: Path) -> None:
    orders = write_checkout(tmp_path) / "data" / "orders.json"
    orders.unlink()
    make_link(orders, "/dev/null")
    with pytest.raises(DataError, match=r"orders\.json cannot be read: it is missing or not a regular file"):
        TauBenchEnv(data=tmp_path, split="test")


@pytest.mark.parametrize("layout", [write_checkout, write_tau2])
def test_the_directory_that_was_found_is_reported_and_can_be_given_as_an_argument(
    tmp_path: Path, layout: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    split = "test" if layout is write_checkout else "train"
    folder = layout(tmp_path / "data")
    monkeypatch.setenv("TAU_BENCH_DIR", str(tmp_path / "data"))
    provenance = TauBenchEnv(split=split).provenance()
    assert provenance["arguments"] == {"data": str(tmp_path / "data")}
    monkeypatch.delenv("TAU_BENCH_DIR")
    assert TauBenchEnv(split=split, **provenance["arguments"]).provenance() == provenance  # type: ignore[arg-type]
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        assert TauBenchEnv(split=split, **provenance["arguments"]).provenance()["data"] != provenance["data"], path  # type: ignore[arg-type]
        path.write_bytes(content)


def test_the_embedded_world_is_reported_by_its_seed() -> None:
    first, other = (TauBenchEnv(world_seed=seed).provenance() for seed in (0, 1))
    assert first["arguments"] == {"data": "embedded"}
    assert first == TauBenchEnv(data="embedded", split="test").provenance()
    assert first["data"] != other["data"]


def test_the_embedded_world_is_the_one_that_results_were_reported_on() -> None:
    assert generate(0).fingerprint == "56b1f1333c29c9155cff06db8400a51133a6a7db5df40265b39c7caa121a8083"


def no_home(*args: object, **kwargs: object) -> Path:
    raise RuntimeError("could not determine the home directory")


@pytest.mark.parametrize("cache", [no_home, lambda *args, **kwargs: Path("~/.cache/hero")])
def test_a_user_without_a_home_has_the_embedded_world(
    monkeypatch: pytest.MonkeyPatch, cache: Callable[..., Path]
) -> None:
    monkeypatch.setattr(locate, "user_cache_path", cache)
    assert TauBenchEnv().num_tasks > 0
    with pytest.raises(ConfigError, match="there is no home directory to keep data in; set XDG_CACHE_HOME"):
        locate.cache()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep caches elsewhere")
def test_downloads_stay_where_earlier_versions_put_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(locate, "user_cache_path", user_cache_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert locate.cache() == tmp_path / "hero" / "taubench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate.cache() == tmp_path / ".cache" / "hero" / "taubench"
