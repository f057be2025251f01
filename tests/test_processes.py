"""Processes that share the work of a run: every item is worked on once, and one that dies is noticed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.errors import ConfigError, UnavailableError
from hero.processes import ALONE, Processes, _others_alive

FELLOW = """
import os, sys
from hero.errors import UnavailableError
from hero.processes import Processes
import torch
processes = Processes.join()
total = torch.tensor([1.0 + processes.rank])
processes.sum([total])
print(processes.gather([processes.rank] * processes.rank), total.item(), flush=True)
if not processes.is_first:
    os._exit(9)
try:
    processes.wait()
except UnavailableError as error:
    sys.exit(str(error))
"""


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@given(st.integers(0, 40), st.integers(1, 4), st.integers(1, 7))
def test_each_item_is_in_one_share_and_groups_stay_together(groups: int, group: int, size: int) -> None:
    items = list(range(groups * group))
    parts = [Processes(rank, size).share(items, group=group) for rank in range(size)]
    assert [*chain.from_iterable(parts)] == items
    assert all(len(part) % group == 0 for part in parts)
    assert max(map(len, parts)) - min(map(len, parts)) <= group


def test_a_process_that_is_alone_has_everything_to_do_and_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Processes.join() == ALONE
    assert ALONE.is_first
    assert ALONE.share("abc") == ALONE.gather("abc") == ["a", "b", "c"]
    ALONE.wait()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "2"}, "RANK is None"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'"),
        ({"WORLD_SIZE": "2", "RANK": "1"}, "MASTER_ADDR is None"),
    ],
)
def test_half_an_environment_of_torchrun_is_named(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"{message}; start it with torchrun, or unset WORLD_SIZE"):
        Processes.join()


def test_a_process_without_a_gpu_of_its_own_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for name, value in {"WORLD_SIZE": "3", "RANK": "2", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"process 2 of this machine.* there are 2; start 2"):
        Processes.join()


def test_a_lack_of_memory_is_not_taken_for_another_process_that_ended() -> None:
    with pytest.raises(RuntimeError, match="CUDA out of memory"), _others_alive():
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    with pytest.raises(UnavailableError, match="another process of this run has ended"), _others_alive():
        raise RuntimeError("Connection closed by peer")


def test_processes_exchange_and_notice_that_another_has_died() -> None:
    port = free_port()
    fellows = [
        subprocess.Popen(
            [sys.executable, "-c", FELLOW],
            env=os.environ | {"RANK": rank, "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "012"
    ]
    try:
        outputs = [fellow.communicate(timeout=120) for fellow in fellows]
    finally:
        for fellow in fellows:
            fellow.send_signal(signal.SIGTERM)
    assert {output for output, _ in outputs} == {"[1, 2, 2] 6.0\n"}
    assert [fellow.returncode for fellow in fellows] == [1, 9, 9]
    assert "another process of this run has ended" in outputs[0][1]
