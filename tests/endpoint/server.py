"""A chat endpoint in this process, and users whose model it is."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from hero.envs.taubench.task import ServiceTask

if TYPE_CHECKING:
    from hero.envs.taubench.users.model import ModelUser


def task(instruction: str) -> ServiceTask:
    return ServiceTask("t", instruction, (), ())


class Endpoint(ThreadingHTTPServer):
    """A chat endpoint that fails with each status of `failures`, then answers with the number of messages it got."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.accepted: list[str | None] = []
        self.failures: list[int] = []
        self.content: Any = None
        self.encoding = ""
        self.over, self.hung_up = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/"


class Handler(BaseHTTPRequestHandler):
    """Handles one request."""

    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/chat/completions"
        if self.server.failures:
            self.send_response(self.server.failures.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.server.requests.append(body)
        self.server.keys.append(self.headers["Authorization"])
        self.server.accepted.append(self.headers["Accept-Encoding"])
        if callable(self.server.content):
            try:
                self.server.content(self)
            except OSError:
                self.server.hung_up.set()
            return
        if isinstance(self.server.content, bytes):
            self.answer(self.server.content)
            return
        answer = self.server.content or {
            "choices": [{"message": {"role": "assistant", "content": f"answer {len(body['messages'])}"}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10},
        }
        self.answer(json.dumps(answer).encode())

    def answer(self, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if self.server.encoding:
            self.send_header("Content-Encoding", self.server.encoding)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def completion(content: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def model_user(endpoint: Endpoint, **rest: Any) -> ModelUser:
    from hero.envs.taubench.users.model import ModelUser  # needs the extra `users`, the rest of this module does not

    return ModelUser(**({"model": "some/model", "url": endpoint.url, "wait": 0.001} | rest))


def silent(handler: Handler) -> None:
    """Sends nothing."""
    handler.server.over.wait(5)


def dripping(handler: Handler) -> None:
    """Sends a byte of the body every now and then."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.over.wait(0.02):
        handler.wfile.write(b" ")


def dripping_headers(handler: Handler) -> None:
    """Sends a byte of the headers every now and then."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not handler.server.over.wait(0.02):
        handler.wfile.write(b"x")


def gone(handler: Handler) -> None:
    """Hangs up."""


def endless(handler: Handler) -> None:
    """Sends a body without end."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.over.is_set():
        handler.wfile.write(b" " * 2**20)
