"""A model whose weights are split among processes learns, plays, and is saved like one that is whole.

Here a single process has all the parts; tests/cli/test_processes.py has two.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor

from hero.distill.base import Example
from hero.distill.teacher_model import TeacherWeights
from hero.distill.trainer import TorchTrainer
from hero.errors import ConfigError, RunError
from hero.models.language_model import LanguageModel
from hero.models.lora import STUDENT, adapter_state, add_adapter
from hero.models.sharded import whole
from hero.models.sharding import ShardedModels
from hero.processes import ALONE
from hero.types import Message
from tests.distill.doubles import episode
from tests.models.server import serving
from tests.tiny_models import TinyLM, tiny_model

SAMPLED = [tokens for seed in (1, 2) for tokens in episode(tiny_model(), seed)]
EXAMPLES = [
    Example(0, tokens, (Message("user", "look again"), Message("user", "", tokens.prompt_ids)), distillation=1.0)
    for tokens in SAMPLED
]
LORA = pytest.param(4, marks=pytest.mark.skipif(find_spec("peft") is None, reason="needs the extra lora"))
PROMPT = [Message("user", "hello")]


@pytest.fixture(autouse=True, scope="module")
def process_group() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def make_trainer(*, shard: bool, weights: TeacherWeights = "ema", lora: int | None = None) -> TorchTrainer:
    lm = TinyLM()
    if lora:
        add_adapter(lm.model, rank=lora)
    options = {"learning_rate": 1e-2, "ema_decay": 0.8, "micro_batch_tokens": 40}
    return TorchTrainer(lm, teacher_weights=weights, turn_gate="none", shard=shard, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("lora", [None, LORA])
@pytest.mark.parametrize("weights", ["ema", "frozen", "live"])
def test_a_split_model_learns_plays_and_is_saved_like_a_whole_one(
    weights: TeacherWeights, lora: int | None, tmp_path: Path
) -> None:
    split, whole = (make_trainer(shard=shard, weights=weights, lora=lora) for shard in (True, False))
    for step in range(2):
        played = [trainer.policy(temperature=1.0).act([PROMPT] * 2, [3, 4]) for trainer in (split, whole)]
        assert played[0] == played[1]
        assert split.update(EXAMPLES) == pytest.approx(whole.update(EXAMPLES), rel=1e-5)
        for trainer, name in ((split, "split"), (whole, "whole")):
            trainer.save(tmp_path / f"{name}-{step}")
    for file in sorted((tmp_path / "whole-1").glob("*.safetensors")):
        saved, expected = load_file(tmp_path / "split-1" / file.name), load_file(file)
        assert saved.keys() == expected.keys()
        assert all(torch.allclose(weight, expected[name], atol=1e-5) for name, weight in saved.items())
    # Either goes on with what the other wrote.
    resumed = [make_trainer(shard=shard, weights=weights, lora=lora) for shard in (True, False)]
    resumed[0].load(tmp_path / "whole-0")
    resumed[1].load(tmp_path / "split-0")
    for trainer in resumed:
        trainer.update(EXAMPLES)
        trainer.save(path := tmp_path / f"resumed-{trainer._shards is None}")
        for file in sorted((tmp_path / "whole-1").glob("*.safetensors")):
            saved, expected = load_file(path / file.name), load_file(file)
            assert all(torch.allclose(weight, expected[name], atol=1e-5) for name, weight in saved.items())


@pytest.mark.skipif(find_spec("peft") is None or find_spec("httpx") is None, reason="needs the extras lora and users")
def test_a_split_model_that_a_server_plays_for_sends_its_whole_adapter_there_and_stays_split() -> None:
    from hero.models.served import ServedModel

    with serving(TinyLM().model) as server:
        lm = TinyLM()
        add_adapter(lm.model, rank=4)
        served = ServedModel.of(LanguageModel(lm.model, lm.chat, "tiny", max_new_tokens=5), server.url)
        trainer = TorchTrainer(served, learning_rate=1e-2, turn_gate="none", shard=True)
        for version in range(3):
            (action,) = trainer.policy(temperature=1.0).act([PROMPT], [version])
            assert action.tokens is not None
            assert action.tokens.policy_version == version
            state = adapter_state(lm.model, STUDENT)
            assert {type(weight.data) for weight in state.values()} == {DTensor}
            (sent,) = server.adapters.values()
            assert sent.keys() == state.keys()
            assert all(torch.equal(weight, whole(state[name])) for name, weight in sent.items())
            trainer.update(EXAMPLES)


def test_the_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    trainer = make_trainer(shard=True)
    trainer.save(tmp_path / "saved")
    file = tmp_path / "saved" / "model.safetensors"
    weights = load_file(file)
    weights.popitem()
    save_file(weights, file)
    with pytest.raises(RunError, match="these are the weights of another model"):
        trainer.load(tmp_path / "saved")


def test_a_model_without_known_layers_cannot_be_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hero.models.sharding.layers_of", lambda model: [])
    with pytest.raises(ConfigError, match="cannot be split into its layers; leave shard out"):
        ShardedModels([tiny_model()], ALONE)
