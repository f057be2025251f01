"""A model with an adapter trains that alone, and its teacher shares the base: as with a copy of it, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from transformers import PhimoeConfig, PhimoeForCausalLM, PreTrainedModel, Qwen3MoeConfig, Qwen3MoeForCausalLM

from hero.distill import teacher_model
from hero.distill.base import Example
from hero.distill.memory import ModelSize
from hero.distill.teacher_model import TEACHER, CopiedTeacher, TeacherWeights
from hero.distill.trainer import TorchTrainer
from hero.errors import ConfigError, RunError
from hero.models import lora_sampling
from hero.models.lora import (
    STUDENT,
    acting_as,
    adapted_layers,
    adapter_pairs,
    adapter_state,
    add_adapter,
    copy_adapter,
    merge_adapter,
)
from hero.models.lora_sampling import quick_adapters
from hero.models.sampler import TransformersPolicy
from hero.types import Message
from tests.distill.doubles import episode, logprobs
from tests.models.acting import tokens_of
from tests.tiny_models import SHAPE, VOCABULARY, CharacterChat, TinyLM, gpt2, in_float64, mixtral, tiny_model

pytest.importorskip("peft", reason="needs the extra lora")

IDS = torch.tensor([[1, 5, 9, 4]])
SAMPLED = [tokens for seed in (1, 2) for tokens in episode(tiny_model(), seed)]
EXAMPLES = [
    Example(0, tokens, (Message("user", words), Message("user", "", tokens.prompt_ids)), distillation=1.0)
    for tokens, words in zip(SAMPLED, ("look again", "not there", "go on", "stop") * 9, strict=False)
] + [Example(0, tokens, policy_gradient=0.5) for tokens in SAMPLED]


def adapted(lm: TinyLM | None = None, **options: Any) -> TinyLM:
    lm = lm or TinyLM()
    add_adapter(lm.model, **{"rank": 4, "alpha": 8.0, **options})
    return lm


def make_trainer(weights: TeacherWeights = "ema") -> TorchTrainer:
    return TorchTrainer(adapted(), learning_rate=1e-2, teacher_weights=weights, turn_gate="none", ema_decay=0.8)


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        result: Tensor = model(input_ids=IDS).logits
    return result


def student_state(trainer: TorchTrainer) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in adapter_state(trainer.lm.model, STUDENT).items()}


def test_a_new_adapter_changes_nothing_and_is_all_that_is_trained() -> None:
    lm = TinyLM()
    before = logits(lm.model)
    adapted(lm)
    assert torch.equal(logits(lm.model), before)
    trained = {name for name, weight in lm.model.named_parameters() if weight.requires_grad}
    assert trained == {name for name, _ in lm.model.named_parameters() if ".student." in name}
    assert not any("lm_head" in name for name in trained)


def test_an_adapter_is_float32_whatever_its_base_is() -> None:
    lm = TinyLM()
    lm.model.to(torch.bfloat16)
    trainer = TorchTrainer(adapted(lm), learning_rate=1e-2)
    trainer.update(EXAMPLES)
    types = {name: weight.dtype for name, weight in lm.model.named_parameters()}
    assert {kind for name, kind in types.items() if ".student." in name} == {torch.float32}
    assert {kind for name, kind in types.items() if "lora" not in name} == {torch.bfloat16}


def test_equal_seeds_draw_equal_adapters_and_leave_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    models = [TinyLM() for _ in range(3)]
    torch.manual_seed(5)
    adapters = [adapted(lm, seed=seed) for lm, seed in zip(models, (3, 3, 4), strict=True)]
    copy_adapter(adapters[0].model, TEACHER)
    first, second, third = (adapter_state(lm.model, STUDENT) for lm in adapters)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())
    assert not all(torch.equal(weight, third[name]) for name, weight in first.items())


@pytest.mark.parametrize("weights", ["ema", "frozen", "live"])
def test_a_teacher_that_shares_the_base_equals_a_copy_to_the_bit(
    weights: TeacherWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharing = make_trainer(weights)
    if weights != "live":
        monkeypatch.setattr(teacher_model, "is_adapted", lambda model: False)
    copying = make_trainer(weights)
    assert isinstance(copying._teacher, CopiedTeacher) == (weights != "live")
    for _ in range(3):
        metrics = sharing.update(EXAMPLES)
        assert metrics == copying.update(EXAMPLES)
        assert metrics["divergence"] > 0
    ours, theirs = student_state(sharing), student_state(copying)
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def test_the_base_stays_as_it_is_and_the_teacher_follows_the_student() -> None:
    trainer, base = make_trainer(), tiny_model().state_dict()
    model, start = trainer.lm.model, logits(trainer.lm.model)
    for _ in range(2):  # the first step moves one of two factors, since the other is 0
        trainer.update(EXAMPLES)
    for name, weight in model.state_dict().items():
        if "lora" not in name:
            assert torch.equal(weight, base[name.replace(".base_layer", "")])
    assert not any(torch.equal(student, average) for student, average in adapter_pairs(model, TEACHER))
    now = logits(model)
    with acting_as(model, TEACHER):
        teacher = logits(model)
    with acting_as(model, None):
        assert torch.equal(logits(model), start)
    assert (teacher - start).abs().max() > 0
    assert not torch.equal(teacher, now)
    assert torch.equal(logits(model), now)


@pytest.mark.parametrize("name", [TEACHER, None])
def test_the_student_is_back_and_trained_whatever_ends_the_block(name: str | None) -> None:
    model = adapted().model
    copy_adapter(model, TEACHER)
    trained = [key for key, weight in model.named_parameters() if weight.requires_grad]
    with pytest.raises(RuntimeError), acting_as(model, name):
        raise RuntimeError
    assert [key for key, weight in model.named_parameters() if weight.requires_grad] == trained
    assert all(".student." in key for key in trained)


def test_a_checkpoint_holds_the_adapters_alone_and_goes_on_to_the_bit(tmp_path: Path) -> None:
    whole, first, second = make_trainer(), make_trainer(), make_trainer()
    for trainer in (whole, whole, first):
        trainer.update(EXAMPLES)
    first.save(tmp_path / "state")
    for name in ("model.safetensors", "teacher.safetensors"):
        with safe_open(tmp_path / "state" / name, "pt") as file:
            assert all(".lora_" in key and "student" not in key and "teacher" not in key for key in file.keys())  # noqa: SIM118
    second.load(tmp_path / "state")
    second.update(EXAMPLES)
    ours, theirs = student_state(whole), student_state(second)
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())
    assert all(
        torch.equal(mine, other)
        for (_, mine), (_, other) in zip(*(adapter_pairs(t.lm.model, TEACHER) for t in (whole, second)), strict=True)
    )


@pytest.mark.parametrize("options", [{"rank": 2}, {"targets": ("q_proj",)}])
def test_the_state_of_another_adapter_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    make_trainer().save(tmp_path / "state")
    with pytest.raises(RunError, match="these are the weights of another adapter"):
        TorchTrainer(adapted(**options)).load(tmp_path / "state")
    with pytest.raises(RunError):
        TorchTrainer(TinyLM()).load(tmp_path / "state")


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda lm: adapted(lm, targets=("q_proj", "nothing_proj_x")), None),
        (
            lambda lm: adapted(lm, targets=("nothing",)),
            "no linear layer but the head is called .nothing.; there are: .*q_proj",
        ),
        (lambda lm: adapted(lm, targets=()), "an adapter needs the names of layers"),
        (lambda lm: adapted(lm, targets=("norm",)), "but the head is called 'norm'"),
        (lambda lm: adapted(lm, targets=("q_proj", "embed_tokens")), "but the head is called 'embed_tokens'"),
        (lambda lm: adapted(lm, targets=("lm_head",)), "but the head is called 'lm_head'"),
        (lambda lm: adapted(adapted(lm)), "has an adapter already"),
        (lambda lm: adapted(lm, rank=0), "rank 0 and alpha 8.0 is not possible"),
        (lambda lm: adapted(lm, alpha=float("inf")), "alpha inf is not possible"),
    ],
)
def test_an_adapter_that_is_not_possible_is_refused(add: Callable[[TinyLM], object], message: str | None) -> None:
    with pytest.raises(ConfigError, match=message or "but the head is called .nothing_proj_x."):
        add(TinyLM())


def test_only_the_layers_that_are_named_are_adapted() -> None:
    model = adapted(targets=("q_proj", "v_proj")).model
    layers = {name.split(".lora_")[0].rpartition(".")[2] for name, w in model.named_parameters() if w.requires_grad}
    assert layers == {"q_proj", "v_proj"}


def test_a_merged_adapter_leaves_a_plain_model_of_the_same_outputs() -> None:
    trainer = make_trainer()
    model = trainer.lm.model
    for _ in range(2):
        trainer.update(EXAMPLES)
    expected = logits(model)
    merge_adapter(model)
    assert torch.allclose(logits(model), expected, atol=1e-5)
    assert (logits(model) - logits(tiny_model())).abs().max() > 1e-3
    assert [*model.state_dict()] == [*tiny_model().state_dict()]
    assert all(weight.requires_grad for weight in model.parameters())
    adapted(trainer.lm)
    assert torch.allclose(logits(model), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", [STUDENT, TEACHER, None])
def test_for_sampling_an_adapter_is_computed_quickly_and_gives_the_same(name: str | None, dtype: torch.dtype) -> None:
    model = adapted(rank=16).model
    model.to(dtype)
    copy_adapter(model, TEACHER)
    for index, (student, teacher) in enumerate(adapter_pairs(model, TEACHER)):
        torch.manual_seed(index)
        torch.nn.init.normal_(student, std=0.1)
        torch.nn.init.normal_(teacher, std=0.1)
    layer = model.get_submodule("model.layers.0.self_attn.q_proj")
    with torch.no_grad(), acting_as(model, name) if name != STUDENT else nullcontext():
        expected = logits(model)
        with quick_adapters(model):
            assert ("forward" in vars(layer)) == (name is not None)
            quick = logits(model)
        assert torch.equal(logits(model), expected)
    assert torch.allclose(
        quick, expected, rtol=0, atol=(8 if name else 0) * torch.finfo(dtype).eps * expected.abs().max()
    )


def phimoe() -> PreTrainedModel:
    """Makes a model whose routers are linear layers that return more than a tensor."""
    return PhimoeForCausalLM(PhimoeConfig(vocab_size=VOCABULARY, num_local_experts=3, **SHAPE))


@pytest.mark.parametrize("build", [mixtral, phimoe])
def test_of_a_model_with_experts_the_other_linear_layers_are_adapted(build: Callable[[], PreTrainedModel]) -> None:
    """PEFT would adapt the experts, too, in layers within layers, and the routers, which it cannot compute."""
    torch.manual_seed(0)
    model = build()
    model.train(False)
    plain = [*model.state_dict()]
    size = ModelSize.of(model)
    add_adapter(model, rank=4)
    assert {name.rpartition(".")[2] for name, _ in adapted_layers(model)} == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert 4 * size.adapter_parameters == sum(weight.numel() for weight in adapter_state(model, STUDENT).values())
    for student, _ in adapter_pairs(model, STUDENT):
        torch.nn.init.normal_(student, std=0.1)
    expected = logits(model)
    with quick_adapters(model):
        assert torch.allclose(logits(model), expected, atol=1e-5)
    merge_adapter(model)
    assert torch.allclose(logits(model), expected, atol=1e-5)
    assert [*model.state_dict()] == plain


def test_a_name_that_peft_takes_for_experts_is_refused() -> None:
    """It would adapt the experts of the second layer in place of the first layer, or fail."""
    pytest.importorskip("peft.utils.transformers_weight_conversion")
    config = Qwen3MoeConfig(vocab_size=VOCABULARY, num_experts=3, mlp_only_layers=[0], **SHAPE)
    model = Qwen3MoeForCausalLM(config)
    with pytest.raises(ConfigError, match="for experts, which have no adapter here; there are: k_proj, o_proj"):
        add_adapter(model, targets=("gate_proj",))
    add_adapter(model)
    assert not any("mlp" in name for name, _ in adapted_layers(model))


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False")
def test_a_layer_of_another_kind_is_left_to_peft() -> None:
    model = in_float64(gpt2)  # its layers are convolutions, with transposed weights
    add_adapter(model, rank=4)
    for student, _ in adapter_pairs(model, STUDENT):
        torch.nn.init.normal_(student, std=0.1)
    expected = logits(model)
    with quick_adapters(model):
        assert torch.allclose(logits(model), expected, rtol=0, atol=1e-5)


def test_an_adapter_that_cannot_be_prepared_leaves_no_layer_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare, prepared = lora_sampling._forward, list[Any]()

    def failing(layer: Any) -> Any:
        prepared.append(layer)
        if len(prepared) == 3:
            raise MemoryError
        return prepare(layer)

    monkeypatch.setattr(lora_sampling, "_forward", failing)
    model = adapted().model
    with pytest.raises(MemoryError), quick_adapters(model):
        pass
    assert not any("forward" in vars(module) for module in model.modules())


def test_after_sampling_an_error_leaves_the_adapter_in_training() -> None:
    model = adapted().model
    with pytest.raises(RuntimeError), quick_adapters(model):
        raise RuntimeError
    assert not any("forward" in vars(module) for module in model.modules())


def test_a_policy_samples_quickly_with_the_adapter_as_it_is_after_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    from peft.tuners.lora import Linear

    trainer = make_trainer()
    model, chat = trainer.lm.model, CharacterChat()
    for _ in range(2):
        trainer.update(EXAMPLES)
        policy = TransformersPolicy(model, chat, "adapted", temperature=1.0, seed=0, max_new_tokens=6, version=0)
        with monkeypatch.context() as patched:
            patched.setattr(Linear, "forward", lambda *args: pytest.fail("PEFT computes the adapter"))
            (action,) = policy.act([[Message("user", "hello")]])
        prompt, ids = tokens_of(action).prompt_ids, tokens_of(action).action_ids
        assert tokens_of(action).logprobs == pytest.approx(logprobs(model, prompt, ids), abs=1e-6)
