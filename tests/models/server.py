"""A small vLLM in this process: completions of token ids, and adapters that are loaded and unloaded at run time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from hero.models.lora import STUDENT, add_adapter, load_adapter_state


class Server(ThreadingHTTPServer):
    """Serves a model; `processed` is whether log-probabilities are those at the temperature."""

    daemon_threads = True

    def __init__(self, model: Any) -> None:
        self.model, self.processed, self.deaf = model, True, False
        self.adapters: dict[str, dict[str, torch.Tensor]] = {}
        self.loaded: list[str] = []
        self.down_after: int | None = None
        self.asked = 0
        self.lock = Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def load(self, name: str, path: Path) -> None:
        config = json.loads((path / "adapter_config.json").read_bytes())
        if not hasattr(self.model, "peft_config"):
            add_adapter(self.model, rank=config["r"], alpha=config["lora_alpha"], targets=config["target_modules"])
        weights = load_file(path / "adapter_model.safetensors")
        self.adapters[name] = {key.removeprefix("base_model.model."): value for key, value in weights.items()}
        self.loaded.append(name)

    @torch.no_grad()
    def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Samples from the model, with the adapter that is named."""
        if not self.deaf:
            load_adapter_state(self.model, STUDENT, self.adapters[request["model"]])
        ids, sampled, logprobs = list(request["prompt"]), list[int](), list[float]()
        rng = np.random.default_rng(request.get("seed"))
        temperature = request["temperature"] or 1.0
        while len(sampled) < request["max_tokens"]:
            logits = self.model(input_ids=torch.tensor([ids + sampled])).logits[0, -1].double()
            probabilities = (logits / temperature).softmax(-1).numpy()
            token = int(
                probabilities.argmax() if request["temperature"] == 0 else rng.choice(len(logits), p=probabilities)
            )
            shown = (logits / temperature if self.processed else logits).log_softmax(-1)
            sampled.append(token)
            logprobs.append(shown[token].item())
            if token in request["stop_token_ids"]:
                break
        ended = sampled[-1] in request["stop_token_ids"]
        return {
            "choices": [
                {
                    "token_ids": sampled,
                    "prompt_token_ids": ids,
                    "logprobs": {"token_logprobs": logprobs},
                    "finish_reason": "stop" if ended else "length",
                }
            ]
        }


@contextmanager
def serving(model: Any) -> Iterator[Server]:
    """Serves a model in a thread during the block."""
    with Server(model) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    """Handles one request."""

    server: Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked += 1
            if self.server.down_after is not None and self.server.asked > self.server.down_after:
                self.answer(b"", 503)
            elif self.path == "/v1/load_lora_adapter":
                self.server.load(request["lora_name"], Path(request["lora_path"]))
                self.answer(b"Success: adapter added.")
            elif self.path == "/v1/unload_lora_adapter":
                del self.server.adapters[request["lora_name"]]
                self.answer(b"Success: adapter removed.")
            elif request["model"] not in self.server.adapters:
                self.answer(json.dumps({"error": f"no model {request['model']}"}).encode(), 404)
            else:
                self.answer(json.dumps(self.server.complete(request)).encode())

    def answer(self, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass
