"""Models as others release them: checked while they are loaded, without running code that comes with them."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hero.chat.template import TemplateChat
from hero.errors import ConfigError
from hero.models.language_model import LanguageModel
from hero.models.load import load
from hero.testing.templates import CHATML, tokenizer
from hero.types import Message
from tests.models.acting import assert_true_logprobs
from tests.tiny_models import save_pretrained

HAS_ALL = version("transformers") >= "5"
"""Whether this release of transformers passes on all that each kind of model below needs."""
PROMPTS = [[Message("user", "ab")], [Message("system", "be brief"), Message("user", "a longer one, ab ab")]]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_pretrained(tmp_path)
    return tmp_path


def change_weights(path: Path, change: Callable[[dict[str, Tensor]], Mapping[str, Tensor]]) -> None:
    weights = change(load_file(path / "model.safetensors"))
    save_file(dict(weights), path / "model.safetensors", metadata={"format": "pt"})


def change_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def acts(lm: LanguageModel) -> None:
    assert_true_logprobs(lm, lm.policy(max_new_tokens=4).act(PROMPTS), roundings=32)


def without(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if part not in name}


MISFITS: dict[str, tuple[Callable[[dict[str, Tensor]], Mapping[str, Tensor]], str]] = {
    "compiled": (lambda weights: {f"_orig_mod.{name}": x for name, x in weights.items()}, "missing .*_orig_mod"),
    "parallel": (lambda weights: {f"module.{name}": x for name, x in weights.items()}, "missing .*unexpected module"),
    "no head": (lambda weights: without(weights, "lm_head"), r"missing lm_head\.weight\."),
    "no embeddings": (lambda weights: without(weights, "embed"), r"missing model\.embed_tokens\.weight\."),
    "no layer": (lambda weights: without(weights, "layers.1."), r"missing model\.layers\.1\..* and 6 more"),
    "no norm": (lambda weights: without(weights, "1.input_layernorm"), r"missing .*layers\.1\.input_layernorm"),
    "another head": (lambda weights: weights | {"v_head.weight": torch.ones(1, 32)}, r"unexpected v_head\.weight"),
    "other shapes": (
        lambda weights: weights | {"model.norm.weight": torch.ones(33)}, r"of another shape model\.norm\.weight"
    ),
    "other names": (
        lambda weights: {name.replace("self_attn", "attention"): x for name, x in weights.items()},
        r"missing .*self_attn.* unexpected .*attention",
    ),
}  # fmt: skip


@pytest.mark.parametrize("misfit", MISFITS)
def test_a_checkpoint_that_is_not_the_whole_model_is_refused_by_the_names(saved: Path, misfit: str) -> None:
    change, named = MISFITS[misfit]
    change_weights(saved, change)
    with pytest.raises(ConfigError, match=f"not those of the configuration: .*{named}"):
        load(str(saved))


def test_a_configuration_of_fewer_layers_is_refused_by_the_names(saved: Path) -> None:
    for layers in (1, 0, -1):
        change_json(saved / "config.json", num_hidden_layers=layers)
        with pytest.raises(ConfigError, match=rf"unexpected model\.layers\.{min(1, max(0, layers))}"):
            load(str(saved))


@pytest.mark.parametrize(
    ("key", "value"), [("num_hidden_layers", 10**6), ("intermediate_size", 10**9), ("vocab_size", 10**10)]
)
def test_what_the_files_cannot_hold_is_refused_before_it_is_allocated(saved: Path, key: str, value: int) -> None:
    change_json(saved / "config.json", **{key: value})
    with pytest.raises(ConfigError, match=f"{value} layers" if "layers" in key else "parameters, but the weights hold"):
        load(str(saved))


@pytest.mark.parametrize("whole", [False, True])
def test_an_adapter_is_refused_with_the_remedy(saved: Path, whole: bool) -> None:
    (saved / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "some/base"}')
    if not whole:
        (saved / "config.json").unlink()
        (saved / "model.safetensors").rename(saved / "adapter_model.safetensors")
    with pytest.raises(ConfigError, match=r"holds an adapter.*merge_and_unload"):
        load(str(saved))


@pytest.mark.parametrize("format", ["safetensors", "bin"])
@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int32, torch.complex64])
def test_weights_that_are_not_real_numbers_are_refused(saved: Path, kind: torch.dtype, format: str) -> None:
    weights = load_file(saved / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"] = weights["model.layers.0.mlp.up_proj.weight"].to(kind)
    if format == "safetensors":
        save_file(weights, saved / "model.safetensors", metadata={"format": "pt"})
    else:
        (saved / "model.safetensors").unlink()
        torch.save(weights, saved / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"weights of the type \S+ in model\.layers\.0\.mlp\.up_proj\.weight, and no"):
        load(str(saved))


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_any_precision_are_read(saved: Path, kind: torch.dtype) -> None:
    change_weights(saved, lambda weights: {name: tensor.to(kind) for name, tensor in weights.items()})
    acts(load(str(saved)))


def test_buffers_that_nobody_reads_are_left_out(saved: Path) -> None:
    buffers = {
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
        "model.layers.0.attention.bias": torch.ones(1, 1, 8, 8, dtype=torch.bool),
        "model.layers.0.attention.masked_bias": torch.tensor(-1e9),
    }
    change_weights(saved, lambda weights: weights | buffers)
    acts(load(str(saved)))


@pytest.mark.parametrize("spelt", [False, True])
def test_a_head_that_is_tied_need_not_be_in_the_file(tmp_path: Path, spelt: bool) -> None:
    save_pretrained(tmp_path, tie_word_embeddings=True)
    if spelt:
        change_weights(tmp_path, lambda weights: weights | {"lm_head.weight": weights["model.embed_tokens.weight"] + 0})
    lm = load(str(tmp_path))
    acts(lm)
    assert lm.model.lm_head.weight is lm.model.model.embed_tokens.weight


@pytest.mark.parametrize("format", ["shards", "pickle", "pickled shards"])
def test_weights_are_read_in_every_format(saved: Path, format: str) -> None:
    expected = load(str(saved)).policy(max_new_tokens=4).act(PROMPTS)
    weights = load_file(saved / "model.safetensors")
    (saved / "model.safetensors").unlink()
    names = sorted(weights)
    halves = {"1": dict.fromkeys(names[:9]), "2": dict.fromkeys(names[9:])} if "shards" in format else {"": weights}
    end = "bin" if "pickle" in format else "safetensors"
    stem = "pytorch_model" if "pickle" in format else "model"
    index = {}
    for shard, half in halves.items():
        name = f"{stem}-{shard}.{end}" if shard else f"{stem}.{end}"
        part = {key: weights[key] for key in half}
        torch.save(part, saved / name) if end == "bin" else save_file(part, saved / name, metadata={"format": "pt"})
        index |= dict.fromkeys(half, name)
    if "shards" in format:
        (saved / f"{stem}.{end}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    assert load(str(saved)).policy(max_new_tokens=4).act(PROMPTS) == expected
    change_json(saved / "config.json", num_hidden_layers=10**6)
    with pytest.raises(ConfigError, match="1000000 layers, but the weights are 21 tensors"):
        load(str(saved))
    if "shards" in format:
        (saved / f"{stem}-2.{end}").unlink()
        with pytest.raises(ConfigError, match=f"{stem}-2.{end}"):
            load(str(saved))


def test_a_directory_without_weights_is_refused(saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"no weights: neither model\.safetensors nor"):
        load(str(saved))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_named(saved: Path, value: float) -> None:
    def change(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        weights["model.layers.1.mlp.up_proj.weight"][3, 5] = value
        return weights

    change_weights(saved, change)
    with pytest.raises(ConfigError, match=r"not finite in model\.layers\.1\.mlp\.up_proj\.weight"):
        load(str(saved))


def test_logits_that_are_not_finite_are_found_at_once(saved: Path) -> None:
    change_weights(saved, lambda weights: weights | {"lm_head.weight": weights["lm_head.weight"] * 1e38})
    with pytest.raises(ConfigError, match="LlamaForCausalLM gives log-probabilities that are not finite"):
        load(str(saved))


def test_a_model_may_rule_tokens_out(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaForCausalLM

    forward = LlamaForCausalLM.forward

    def without_a_token(self: Any, **given: Any) -> Any:
        output = forward(self, **given)
        output.logits[..., 7] = -torch.inf
        return output

    monkeypatch.setattr(LlamaForCausalLM, "forward", without_a_token)
    acts(load(str(saved)))


@pytest.mark.parametrize("more", [-1, 0, 1, 50])
def test_a_tokenizer_makes_no_ids_that_the_model_cannot_embed(tmp_path: Path, more: int) -> None:
    tokens = len(tokenizer(CHATML))
    save_pretrained(tmp_path, vocab_size=tokens + more)
    if more < 0:
        with pytest.raises(ConfigError, match=f"ids up to {tokens - 1}, but the model embeds {tokens - 1} tokens"):
            load(str(tmp_path))
    else:
        acts(load(str(tmp_path)))


CODE = "open({target!r}, 'w').close()\nfrom transformers import LlamaConfig as C, LlamaForCausalLM as M\n"


def test_tokens_that_only_transformers_adds_are_left_out_where_the_model_lacks_them(tmp_path: Path) -> None:
    """Its class for Qwen 2 adds GPT-2's end of text to any vocabulary; a pad token may be in the settings alone."""
    save_pretrained(tmp_path, "qwen2")
    change_json(tmp_path / "tokenizer_config.json", pad_token="[PAD]")
    lm = load(str(tmp_path))
    acts(lm)
    assert max(lm.chat.encode([Message("user", "<|endoftext|>[PAD]")])) < len(tokenizer(CHATML))
    assert lm.chat.stop_ids == TemplateChat(tokenizer(CHATML)).stop_ids


def test_tokens_that_are_added_to_the_files_are_not(saved: Path) -> None:
    larger = copy.deepcopy(tokenizer(CHATML))
    larger.add_tokens(["<new>"])
    larger.save_pretrained(saved)
    with pytest.raises(ConfigError, match="the tokenizer makes ids up to"):
        load(str(saved))


def plant(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts code where transformers would find it, and answers every question with yes.

    Returns:
        The file that exists if the code was run.
    """
    for name in ("planted.py", "custom_generate/generate.py"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(CODE.format(target=str(path / "ran")))
    change_json(path / "config.json", auto_map={"AutoConfig": "planted.C", "AutoModelForCausalLM": "planted.M"})
    change_json(path / "tokenizer_config.json", auto_map={"AutoTokenizer": ["planted.T", None]})
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 9))
    return path / "ran"


def test_code_in_a_model_directory_is_left_alone_where_transformers_has_its_own(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = plant(saved, monkeypatch)
    acts(load(str(saved)))
    assert not ran.exists()


@pytest.mark.parametrize("tokenizer", [True, False])
def test_a_model_that_needs_code_of_its_own_is_refused_with_the_remedy(
    saved: Path, tokenizer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = plant(saved, monkeypatch)
    if tokenizer:
        change_json(saved / "tokenizer_config.json", tokenizer_class="T")
    else:
        change_json(saved / "config.json", model_type="unheard-of", architectures=["M"])
    with pytest.raises(ConfigError, match=r"needs code of its own .*trust_remote_code=True.*LanguageModel"):
        load(str(saved))
    assert not ran.exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
@pytest.mark.parametrize("value", ["kernels-community/flash-attn", "flash_attention_2", "flex_attention"])
def test_the_attention_is_the_librarys_choice_not_the_files(saved: Path, key: str, value: str) -> None:
    change_json(saved / "config.json", **{key: value})
    lm = load(str(saved))
    assert lm.model.config._attn_implementation == "sdpa"
    acts(lm)


KINDS: dict[str, dict[str, Any]] = {
    "gemma2": {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 8},
    "gpt_oss": {"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 8},
    "bloom": {"n_layer": 2, "n_head": 4},
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_position_embeddings": None, "max_seq_len": 256},
    "gpt_neo": {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 8},
    "xglm": {"d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 48},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "falcon": {"alibi": True, "new_decoder_architecture": False},
    "gemma3_text": {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 8, "final_logit_softcapping": 2.0},
    "cohere2": {"head_dim": 8, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
    "olmo2": {},
    "phi3": {"sliding_window": 8},
    "smollm3": {"no_rope_layers": [1, 0]},
    "gpt_neox": {"rotary_pct": 0.25},
    "granitemoehybrid": {
        "layer_types": ["attention", "attention"], "num_local_experts": 0, "shared_intermediate_size": 48,
        "mamba_n_heads": 8, "mamba_d_head": 8, "logits_scaling": 3.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_acts_with_true_logprobs_or_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    """Older releases of transformers ignore some arguments of some kinds; then these are refused."""
    save_pretrained(tmp_path, kind, **KINDS[kind])
    if not HAS_ALL and kind not in ("gemma2", "gpt_oss"):
        with contextlib.suppress(ConfigError):
            acts(load(str(tmp_path)))
        return
    lm = load(str(tmp_path))
    prompts = PROMPTS
    for _ in range(2):
        actions = lm.policy(max_new_tokens=12).act(prompts)
        assert_true_logprobs(lm, actions, roundings=32)
        prompts = [
            [*prompt, action.message(), Message("user", "b")] for prompt, action in zip(prompts, actions, strict=True)
        ]


@pytest.mark.parametrize("output", ["output_router_logits", "output_hidden_states", "return_dict"])
def test_logits_are_all_that_a_model_returns_whatever_its_file_asks_for(tmp_path: Path, output: str) -> None:
    """Files of models that were trained with a loss of their routers ask for that loss."""
    save_pretrained(tmp_path, "mixtral", num_local_experts=2, **{output: output != "return_dict"})
    lm = load(str(tmp_path))
    acts(lm)
    given = lm.model(input_ids=torch.tensor([[5, 6]]))
    assert getattr(given, "router_logits", None) is None
    assert given.hidden_states is None


def test_a_kind_whose_actions_cannot_be_scored_is_refused(tmp_path: Path) -> None:
    """Here transformers takes the head for the decoder."""
    cls_id = {"cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1, "pad_token_id": 0}
    save_pretrained(tmp_path, "modernbert-decoder", **cls_id)
    with pytest.raises(ConfigError, match="a model of the kind ModernBertDecoderForCausalLM cannot act here"):
        load(str(tmp_path))


def test_a_kind_that_makes_logits_of_more_than_states_is_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaForCausalLM

    forward = LlamaForCausalLM.forward

    def by_length(self: Any, **given: Any) -> Any:
        output = forward(self, **given)
        seen = given["input_ids"].shape[1] if given.get("cache") is None else 0
        output.logits[..., 7] += 100 if seen == 1 else 0  # as the scorer calls it
        return output

    monkeypatch.setattr(LlamaForCausalLM, "forward", by_length)
    with pytest.raises(ConfigError, match="computes its logits from more than the states of its decoder"):
        load(str(saved))


def test_a_kind_that_states_no_length_is_refused_by_name(tmp_path: Path) -> None:
    save_pretrained(tmp_path, "bloom", n_layer=2, n_head=4)
    for value in (None, 0, -1, "many"):
        change_json(tmp_path / "config.json", max_position_embeddings=value)
        with pytest.raises(ConfigError, match="does not state how many tokens a BloomForCausalLM can attend to"):
            load(str(tmp_path))


def test_a_model_that_ignores_positions_is_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaForCausalLM

    forward = LlamaForCausalLM.forward

    def deaf(self: Any, position_ids: object = None, **given: Any) -> Any:
        return forward(self, **given)

    monkeypatch.setattr(LlamaForCausalLM, "forward", deaf)
    with pytest.raises(ConfigError, match=r"LlamaForCausalLM gives other log-probabilities in a batch than alone"):
        load(str(saved))


@pytest.mark.parametrize("ids", ["x", [1, None], 2.5, {"a": 1}])
def test_stop_tokens_that_are_not_ids_are_refused(saved: Path, ids: object) -> None:
    change_json(saved / "generation_config.json", eos_token_id=ids)
    with pytest.raises(ConfigError):
        load(str(saved))
