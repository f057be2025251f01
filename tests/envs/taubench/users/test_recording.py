"""Recorded answers: complete, checked, and enough to play a conversation without its endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hero.endpoint.recording import Recording
from hero.envs.taubench.env import TauBenchEnv
from hero.errors import ConfigError, DataError
from tests.platforms import make_endless, make_link, make_pipe

pytest.importorskip("httpx", reason="needs the extra `users`")
pytest.importorskip("tenacity", reason="needs the extra `users`")

from hero.envs.taubench.users.model import ModelUser
from tests.endpoint.server import Endpoint, model_user, task


def test_a_recording_that_breaks_off_goes_on(endpoint: Endpoint, tmp_path: Path) -> None:
    file = tmp_path / "user.jsonl"
    with model_user(endpoint, recording=Recording(file)) as user:
        answers = [user.open(task("x")), user.reply("Hello"), user.reply("Who are you?")]
    file.write_text(file.read_text()[:-20])
    with model_user(endpoint, recording=Recording(file)) as user:
        assert [user.open(task("x")), user.reply("Hello"), user.reply("Who are you?")] == answers
    assert len(endpoint.requests) == 4, "the answer that was cut off is asked for again, and no other"
    offline = ModelUser(model="some/model", recording=Recording(file), offline=True)
    with offline as user:
        assert [user.open(task("x")), user.reply("Hello"), user.reply("Who are you?")] == answers


def test_recordings_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a recording"):
        Recording(tmp_path)
    (tmp_path / "file").write_bytes(b"\xff")
    with pytest.raises(DataError, match="cannot be read as a recording"):
        Recording(tmp_path / "file")
    (tmp_path / "file").write_text("[" * 100_000)
    with pytest.raises(DataError, match="line 1 is not a recorded answer"):
        Recording(tmp_path / "file")
    with pytest.raises(DataError, match="cannot be written: "):
        Recording(tmp_path / "file" / "below").add("t", {}, "")


def test_after_a_write_that_failed_half_way_the_next_answer_is_kept(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "folder" / "user.jsonl")
    (tmp_path / "folder").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written: "):
        recording.add("t", {"a": 1}, "lost")
    (tmp_path / "folder").unlink()
    (tmp_path / "folder").mkdir()
    recording.path.write_text('{"task": "t", "reque')
    recording.add("t", {"a": 2}, "kept")
    assert Recording(recording.path).find({"a": 2}) == "kept"


def test_no_bit_of_a_recording_changes_unnoticed(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "user.jsonl")
    requests: list[dict[str, Any]] = [{"a": index} for index in range(2)]
    for index, request in enumerate(requests):
        recording.add("t", request, "yno"[index])
    content, refused = recording.path.read_bytes(), 0
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        recording.path.write_bytes(changed)
        try:
            result = [Recording(recording.path).find(request) for request in requests]
        except DataError as error:
            result = [str(error).partition(" line")[0]]
            refused += 1
        assert result in (["y", "n"], [f"{recording.path},"])
    assert refused > 0.95 * 8 * len(content)


def test_a_recording_that_breaks_off_anywhere_keeps_what_is_whole(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "user.jsonl")
    requests: list[dict[str, Any]] = [{"seed": index} for index in range(2)]
    for request in requests:
        recording.add("t", request, "yes")
    content = recording.path.read_bytes()
    for length in range(content.index(b"\n") + 1, len(content)):
        recording.path.write_bytes(content[:length])
        kept = Recording(recording.path)
        assert kept.find(requests[0]) == "yes"
        if kept.find(requests[1]) is None:
            kept.add("t", requests[1], "yes")
        kept.add("t", {}, "more")
        assert [Recording(recording.path).find(request) for request in (*requests, {})] == ["yes", "yes", "more"]


def test_recordings_that_are_not_files_or_have_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "user.jsonl"
    Recording(path).add("t", {}, "yes")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert Recording(path).find({}) == "yes"
    make_pipe(tmp_path / "pipe")
    make_endless(tmp_path / "endless")
    make_link(tmp_path / "itself", "itself")
    for name in ("pipe", "endless", "itself"):
        with pytest.raises(DataError, match=f"{name} cannot be read as a recording"):
            Recording(tmp_path / name)


def test_a_recorded_conversation_needs_no_endpoint(endpoint: Endpoint, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "user.jsonl"
    agent = ["Hello", "Who are you?"]

    def played(user: ModelUser) -> list[Any]:
        with user:
            env = TauBenchEnv(data="embedded", user=user)
            return [env.reset(options={"task": 3}), *map(env.step, agent)]

    first = played(model_user(endpoint, recording=Recording(file)))
    assert len(endpoint.requests) == 3
    offline = ModelUser(model="some/model", recording=Recording(file), offline=True)
    assert played(offline) == first
    assert offline.usage.calls == 0
    assert len(endpoint.requests) == 3
    with (
        ModelUser(model="some/model", recording=Recording(file), offline=True, seed=1) as other,
        pytest.raises(ConfigError, match="nothing was recorded"),
    ):
        played(other)
    file.write_text(file.read_text() + "{}\n")
    with pytest.raises(DataError, match=r"user\.jsonl, line 4"):
        Recording(file)
