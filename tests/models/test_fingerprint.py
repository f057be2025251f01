"""A model is identified by its files, wherever they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hero import registry
from hero.errors import ConfigError
from hero.models.fingerprint import SHIPPED, model_fingerprint
from hero.models.load import load
from tests.tiny_models import save_pretrained


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_copy_has_the_same_hash_and_its_own_path(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = model_fingerprint(str(saved))
    copy = shutil.copytree(saved, saved.parent / "copy")
    for stray in ("README.md", "training_args.bin", ".gitattributes", "pytorch_model.bin", "optimizer.pt"):
        (copy / stray).write_text("not read")
    monkeypatch.chdir(copy.parent)
    assert model_fingerprint("copy") == {"source": "copy", "path": str(copy), "sha256": first["sha256"]}
    assert len(str(first["sha256"])) == 64


@pytest.mark.parametrize(
    "file", ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"]
)
def test_every_file_that_is_read_counts(saved: Path, file: str) -> None:
    before = model_fingerprint(str(saved))
    content = (saved / file).read_bytes()
    (saved / file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert model_fingerprint(str(saved)) != before
    (saved / file).unlink()
    assert model_fingerprint(str(saved)) != before


def test_weights_that_are_pickled_count_where_there_are_no_others(saved: Path) -> None:
    (saved / "model.safetensors").rename(saved / "pytorch_model.bin")
    before = model_fingerprint(str(saved))
    (saved / "pytorch_model.bin").write_bytes(b"")
    assert model_fingerprint(str(saved)) != before


def test_a_file_stands_for_itself(tmp_path: Path) -> None:
    hashes = set()
    for content in (b"a", b"b"):
        (tmp_path / "x.gguf").write_bytes(content)
        identity = model_fingerprint(str(tmp_path / "x.gguf"))
        assert identity.keys() == {"source", "path", "sha256"}
        hashes.add(identity["sha256"])
    assert len(hashes) == 2


def test_registered_models_are_identified_by_name() -> None:
    assert set(SHIPPED) == set(registry.names("hero.models")) - {"hf"}
    webshop, taubench = (model_fingerprint(name) for name in SHIPPED)
    assert webshop.keys() == taubench.keys() == {"source", "sha256"}
    assert webshop["sha256"] != taubench["sha256"]


@pytest.fixture
def snapshot(saved: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the model into the hub's cache as `somebody/model`."""
    repository = saved.parent / "hub" / "models--somebody--model"
    for name in ("huggingface_hub.constants.HF_HUB_CACHE", "transformers.utils.hub.TRANSFORMERS_CACHE"):
        monkeypatch.setattr(name, str(repository.parent), raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    return shutil.copytree(saved, repository / "snapshots" / ("0" * 40))


@pytest.mark.usefixtures("snapshot")
def test_a_model_on_the_hub_is_identified_by_its_commit(saved: Path) -> None:
    expected = {"source": "somebody/model", "revision": "0" * 40, "sha256": model_fingerprint(str(saved))["sha256"]}
    assert model_fingerprint("somebody/model") == expected


def test_a_model_on_the_hub_is_checked_as_any_other(snapshot: Path) -> None:
    assert load("somebody/model").name == "model"
    config = snapshot / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": 1}))
    with pytest.raises(ConfigError, match="'somebody/model': the weights are not those of the configuration"):
        load("somebody/model")


@pytest.mark.parametrize("name", ["somebody/no-such-model", "no such model", "a/b/c"])
def test_a_model_that_is_not_here_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="neither a file or directory"):
        model_fingerprint(name)
