"""An optimiser step moves the weights by each component, keeps the teacher weights as named, and resumes to the bit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import CTRLConfig, CTRLLMHeadModel

from hero.distill.base import Example, Trainer
from hero.distill.learners import GRPO
from hero.distill.trainer import Divergence, TorchTrainer
from hero.errors import ConfigError, RunError
from hero.types import Action, Diagnosis, Finding, Group, Message, Stop, Tokens, Trajectory, Turn, Verdict
from tests.distill.doubles import episode, logprobs
from tests.tiny_models import VOCABULARY, TinyLM, random_model, tiny_model

RATE = 1e-3


def make_trainer(lm: TinyLM | None = None, /, **options: Any) -> TorchTrainer:
    return TorchTrainer(lm or TinyLM(), **{"learning_rate": RATE, **options})


def weights(trainer: TorchTrainer) -> list[Tensor]:
    """Returns a copy of all weights."""
    return [weight.detach().clone() for weight in trainer.lm.model.parameters()]


def distilled(sampled: Sequence[Tokens], words: str = "look again") -> list[Example]:
    return [
        Example(0, tokens, (Message("user", words), Message("user", "", tokens.prompt_ids)), distillation=1.0)
        for tokens in sampled
    ]


def imitated(sampled: Sequence[Tokens]) -> list[Example]:
    return [Example(0, tokens, cross_entropy=1.0) for tokens in sampled]


def likelihood(trainer: TorchTrainer, tokens: Tokens) -> float:
    return sum(logprobs(trainer.lm.model, tokens.prompt_ids, tokens.action_ids))


SAMPLED = episode(tiny_model(), 1)


def test_its_policies_have_the_number_of_updates_as_their_version() -> None:
    lm = TinyLM()
    trainer: Trainer = make_trainer(lm)
    trainer.policy(temperature=0.7)
    trainer.update(imitated(SAMPLED))
    trainer.update([])
    trainer.policy(temperature=0.0)
    assert lm.asked == [(0.7, 0), (0.0, 1)]


def test_cross_entropy_raises_the_likelihood() -> None:
    trainer = make_trainer()
    before = [likelihood(trainer, tokens) for tokens in SAMPLED]
    trainer.update(imitated(SAMPLED))
    assert all(likelihood(trainer, tokens) > then for tokens, then in zip(SAMPLED, before, strict=True))


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 2.0])
def test_the_first_update_recomputes_what_a_policy_sampled(temperature: float) -> None:
    lm = random_model()
    actions = lm.policy(temperature=temperature, max_new_tokens=6).act([[Message("user", "a" * n)] for n in range(9)])
    sampled = [action.tokens for action in actions if action.tokens]
    report = TorchTrainer(lm).update([Example(n, tokens, policy_gradient=n - 3.5) for n, tokens in enumerate(sampled)])
    assert report["mismatch"] < 1e-5
    assert report["clip_fraction"] == 0


def test_policy_gradient_follows_the_sign_of_the_advantage() -> None:
    good, bad = episode(tiny_model(), 2, turns=1)[0], episode(tiny_model(), 3, turns=1)[0]
    trainer = make_trainer()
    before = likelihood(trainer, good), likelihood(trainer, bad)
    trainer.update([Example(0, good, policy_gradient=1.0), Example(1, bad, policy_gradient=-1.0)])
    assert likelihood(trainer, good) > before[0]
    assert likelihood(trainer, bad) < before[1]


@pytest.mark.parametrize("divergence", ["forward_kl", "reverse_kl", "jensen_shannon"])
def test_distillation_brings_the_student_to_a_frozen_teacher(divergence: Divergence) -> None:
    trainer = make_trainer(divergence=divergence, teacher_weights="frozen")
    rows = [trainer.update(distilled(SAMPLED)) for _ in range(15)]
    values = [row["divergence"] for row in rows]
    assert values[0] > 0.05
    assert values[-1] < values[0] / 2
    assert values[1] < values[0]


def test_the_divergence_is_the_one_that_was_asked_for() -> None:
    kinds: tuple[Divergence, ...] = ("forward_kl", "reverse_kl", "jensen_shannon")
    values = {kind: make_trainer(divergence=kind).update(distilled(SAMPLED))["divergence"] for kind in kinds}
    assert len(set(values.values())) == 3
    assert values["jensen_shannon"] < 0.6932  # log 2, the bound
    tilted = make_trainer(divergence="jensen_shannon", beta=0.1).update(distilled(SAMPLED))["divergence"]
    assert tilted < 0.3251  # the entropy of (0.1, 0.9)
    assert tilted != values["jensen_shannon"]


def test_the_likeliest_ids_bring_the_divergence_up_to_the_whole() -> None:
    whole = make_trainer().update(distilled(SAMPLED))["divergence"]
    for of in ("student", "teacher", "union"):
        few, more, every = (
            make_trainer(top_k=k, top_k_of=of).update(distilled(SAMPLED))["divergence"] for k in (2, 16, VOCABULARY)
        )
        assert few < more < whole
        assert every == pytest.approx(whole, abs=1e-6)


def test_turns_that_are_too_long_with_hindsight_are_left_out_and_counted() -> None:
    short = distilled(SAMPLED)
    long = distilled(SAMPLED[:1], words="x" * 128)
    alone, both = make_trainer(), make_trainer()
    expected = alone.update(short)
    report = both.update([*long, *short])
    assert (expected["turns_too_long"], report["turns_too_long"]) == (0, 1)
    assert report["turns_distilled"] == len(short)
    torch.testing.assert_close(weights(both), weights(alone))
    nothing = dict.fromkeys(
        (
            "tokens_with_loss",
            "turns_distilled",
            "turns_faulted",
            "turns_contradicted",
            "turns_advised",
            "turns_gated",
            "loss",
        ),
        0,
    )
    assert make_trainer().update(long) == nothing | {"turns_too_long": 1}
    size = len(SAMPLED[0].prompt_ids + SAMPLED[0].action_ids)
    for words, fits in ((128 - size, True), (129 - size, False)):
        row = make_trainer().update(distilled(SAMPLED[:1], words="x" * words))
        assert row["turns_too_long"] == 1 - fits
        assert row["turns_distilled"] == fits
    imitating = [replace(long[0], cross_entropy=1.0)]
    assert make_trainer().update(imitating)["cross_entropy"] > 0


def test_where_rewards_are_equal_grpo_leaves_every_weight_alone_and_distillation_does_not() -> None:
    turns = tuple(Turn((Message("user", "go"),), Action("", tokens), "", 0.0) for tokens in SAMPLED)
    group = Group(tuple(Trajectory("env", "task", 0, turns, Stop.TERMINATED) for _ in range(4)))
    trainer = make_trainer()
    before = weights(trainer)
    row = trainer.update(GRPO().examples(group, [Diagnosis("none")] * 4))
    assert set(row.values()) == {0}
    turns = {f"turns_{name}" for name in ("distilled", "too_long", "faulted", "contradicted", "advised", "gated")}
    assert set(row) == {"tokens_with_loss", "loss"} | turns
    row = trainer.update([Example(0, tokens, policy_gradient=0.0) for tokens in SAMPLED])
    assert row["tokens_with_loss"] == trainer.updates == 0
    torch.testing.assert_close(weights(trainer), before, rtol=0, atol=0)
    row = trainer.update(distilled(SAMPLED))
    assert row["grad_norm"] > 1e-3
    assert row["tokens_with_loss"] == sum(len(tokens.action_ids) for tokens in SAMPLED)
    assert all((now != then).any() for now, then in zip(weights(trainer), before, strict=True))


def test_a_teacher_that_repeats_every_fault_teaches_nothing_and_no_step_is_taken() -> None:
    prompt = Message("user", "", ids=SAMPLED[0].prompt_ids)
    with torch.no_grad():
        logits = tiny_model()(input_ids=torch.tensor([[*prompt.ids, *map(ord, "  ")]])).logits[0, -1]
    fault = int(logits.argmax())
    assert fault != 1  # the id that ends the advice A
    tokens = Tokens(prompt.ids, (fault,), (-1.0,))
    findings = [Finding(0, Verdict.FAILED, advice="A"), Finding(0, Verdict.UNNECESSARY, "why", "A")]
    faulted = [
        Example(0, tokens, (prompt, Message("user", "  ")), distillation=1.0, finding=finding) for finding in findings
    ]
    trainer = make_trainer(TinyLM(tiny_model()), teacher_weights="ema", warmup_steps=4, weight_decay=0.1)
    trainer.update(imitated(SAMPLED))
    with torch.no_grad():  # the planted teacher: whatever was learned, it repeats the fault
        for weight, start in zip(trainer._teacher.model.parameters(), tiny_model().parameters(), strict=True):
            weight.copy_(start)
    before, average, moments = weights(trainer), teacher_of(trainer), deepcopy(trainer._optimizer.state_dict())
    row = trainer.update(faulted)
    assert (row["turns_gated"], row["turns_faulted"], row["repeated"], row["followed"]) == (2, 2, 1, 0)
    assert row["tokens_with_loss"] == row["loss"] == 0
    assert "learning_rate" not in row
    torch.testing.assert_close(weights(trainer), before, rtol=0, atol=0)
    torch.testing.assert_close(teacher_of(trainer), average, rtol=0, atol=0)
    torch.testing.assert_close(trainer._optimizer.state_dict(), moments, rtol=0, atol=0)
    assert trainer.updates == 1
    assert trainer.update([*faulted, *imitated(SAMPLED)])["tokens_with_loss"] == sum(
        len(tokens.action_ids) for tokens in SAMPLED
    )
    assert trainer.updates == 2
    every = make_trainer(turn_gate="none").update(faulted)
    assert every["tokens_with_loss"] == 1  # both are about the same token
    assert every["learning_rate"] == RATE


def test_gated_turns_count_in_the_mean() -> None:
    plain = distilled(SAMPLED)
    tokens = replace(SAMPLED[0], action_ids=(1,), logprobs=(-1.0,))
    same = replace(plain[0], tokens=tokens, finding=Finding(0, Verdict.FAILED, advice="A"))  # advises what was done
    alone, beside = make_trainer().update(plain), make_trainer().update([*plain, same])
    assert (beside["turns_gated"], beside["turns_distilled"]) == (1, 4)
    count = sum(len(tokens.action_ids) for tokens in SAMPLED)
    assert beside["loss"] == pytest.approx(alone["loss"] * count / (count + 1))


def test_advantages_of_0_give_a_gradient_of_exactly_0_beside_other_components() -> None:
    alone, beside = make_trainer(), make_trainer()
    alone.update(distilled(SAMPLED))
    beside.update(distilled(SAMPLED) + [Example(0, tokens, policy_gradient=0.0) for tokens in SAMPLED])
    torch.testing.assert_close(weights(beside), weights(alone), rtol=0, atol=0)


def test_mismatch_is_small_at_first_and_grows_once_the_weights_have_moved() -> None:
    trainer = make_trainer()
    first, second = (trainer.update(imitated(SAMPLED))["mismatch"] for _ in range(2))
    assert first < 1e-6 < 1e-3 < second


def test_an_ema_teacher_averages_after_each_step() -> None:
    trainer = make_trainer(teacher_weights="ema", ema_decay=0.8)
    average = weights(trainer)
    for _ in range(3):
        trainer.update(imitated(SAMPLED))
        average = [0.8 * old + 0.2 * new for old, new in zip(average, weights(trainer), strict=True)]
    torch.testing.assert_close(teacher_of(trainer), average)


def test_a_frozen_teacher_stays_and_a_live_one_is_the_student() -> None:
    frozen, live = make_trainer(teacher_weights="frozen"), make_trainer(teacher_weights="live")
    start = weights(frozen)
    for trainer in (frozen, live):
        trainer.update(imitated(SAMPLED))
    torch.testing.assert_close(teacher_of(frozen), start, rtol=0, atol=0)
    torch.testing.assert_close(teacher_of(live), weights(live), rtol=0, atol=0)
    assert (weights(live)[0] != start[0]).any()


def teacher_of(trainer: TorchTrainer) -> list[Tensor]:
    """Returns the weights that a checkpoint saves as the teacher's."""
    return [weight.detach() for weight in trainer._loss.teacher.parameters()]


def test_a_live_teacher_on_the_student_s_own_prompt_gives_no_gradient() -> None:
    own = [Example(0, t, (Message("user", "", t.prompt_ids),), distillation=1.0) for t in SAMPLED]
    trainer = make_trainer(teacher_weights="live")
    row = trainer.update(own)
    assert row["divergence"] == pytest.approx(0, abs=1e-9)
    assert row["teacher_gap_abs"] == pytest.approx(0, abs=1e-6)
    assert row["grad_norm"] < 1e-6


def test_large_gradients_are_scaled_to_the_norm() -> None:
    # AdamW forgets the scale of a gradient, but its first moment remembers: (1 - 0.9) times the clipped gradient.
    trainer = make_trainer(max_grad_norm=0.5)
    row = trainer.update([Example(0, t, cross_entropy=100.0) for t in SAMPLED])
    assert row["grad_norm"] > 5
    moments = [state["exp_avg"].flatten() for state in trainer._optimizer.state.values()]
    assert torch.cat(moments).norm().item() == pytest.approx(0.1 * 0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "factors"),
    [
        ({}, [1, 1, 1]),
        ({"warmup_steps": 4}, [0.25, 0.5, 0.75, 1, 1]),
        ({"decay_steps": 4}, [1, 0.75, 0.5, 0.25]),
        ({"warmup_steps": 2, "decay_steps": 6}, [0.5, 1, 1, 0.75, 0.5, 0.25]),
    ],
)
def test_the_learning_rate_rises_and_falls_linearly(options: dict[str, int], factors: list[float]) -> None:
    trainer = make_trainer(**options)
    rates = []
    for _ in factors:
        before = weights(trainer)
        rates.append(trainer.update(imitated(SAMPLED[:1]))["learning_rate"])
        moved = max((now - then).abs().max().item() for now, then in zip(weights(trainer), before, strict=True))
        assert 0 < moved <= 1.01 * rates[-1] * 2  # a step of AdamW is about the rate
        trainer.update([])  # counts for nothing
    assert rates == pytest.approx([RATE * factor for factor in factors])


def test_an_update_after_the_last_is_refused() -> None:
    trainer = make_trainer(decay_steps=1)
    trainer.update(imitated(SAMPLED))
    with pytest.raises(ConfigError, match="all of decay_steps = 1 are taken"):
        trainer.update(imitated(SAMPLED))


def test_weight_decay_draws_weights_to_0() -> None:
    plain, decayed = make_trainer(), make_trainer(weight_decay=0.5)
    start = weights(plain)
    for trainer in (plain, decayed):
        trainer.update(imitated(SAMPLED))
    for began, free, drawn in zip(start, weights(plain), weights(decayed), strict=True):
        torch.testing.assert_close(drawn, free - RATE * 0.5 * began)


@pytest.mark.parametrize("teacher", ["ema", "live", "frozen"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, teacher: str, tied: bool) -> None:
    options = {"teacher_weights": teacher, "warmup_steps": 3, "decay_steps": 9, "ema_decay": 0.7}
    batches = [distilled(episode(tiny_model(), seed)) + imitated(SAMPLED) for seed in range(4)]
    whole = make_trainer(TinyLM(tiny_model(tied=tied)), **options)
    rows = [whole.update(batch) for batch in batches]
    first = make_trainer(TinyLM(tiny_model(tied=tied)), **options)
    for batch in batches[:2]:
        first.update(batch)
    first.save(tmp_path / "state")
    second = make_trainer(TinyLM(tiny_model(seed=7, tied=tied)), **options)
    second.load(tmp_path / "state")
    assert second.updates == 2
    resumed = [second.update(batch) for batch in batches[2:]]
    assert json.dumps(resumed) == json.dumps(rows[2:])
    torch.testing.assert_close(weights(second), weights(whole), rtol=0, atol=0)
    torch.testing.assert_close(teacher_of(second), teacher_of(whole), rtol=0, atol=0)


def test_a_state_is_written_once_and_read_only_where_it_fits(tmp_path: Path) -> None:
    path = tmp_path / "state"
    make_trainer().save(path)
    with pytest.raises(FileExistsError):
        make_trainer().save(path)
    with pytest.raises(RunError, match="teacher = 'ema'; go on with that, not with 'live'"):
        make_trainer(teacher_weights="live").load(path)
    with pytest.raises(RunError, match="model = 'tiny-random'; go on with that, not with 'other'"):
        make_trainer(TinyLM(name="other")).load(path)
    with pytest.raises(RunError, match="nowhere"):
        make_trainer().load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["trainer.pt", "model.safetensors", "teacher.safetensors"])
def test_a_state_with_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "state"
    make_trainer().save(path)
    (path / name).write_bytes((path / name).read_bytes()[:100])
    with pytest.raises(RunError, match=r"does not hold a state of a trainer.*restore it from a copy"):
        make_trainer().load(path)


@pytest.mark.parametrize("state", [[], {}, None, {"model": "tiny-random", "teacher": "ema"}, "updates"])
def test_a_state_of_another_shape_is_refused(tmp_path: Path, state: object) -> None:
    path = tmp_path / "state"
    make_trainer().save(path)
    if state == "updates":
        state = torch.load(path / "trainer.pt", weights_only=True) | {"updates": "3"}
    torch.save(state, path / "trainer.pt")
    with pytest.raises(RunError, match="does not hold a state of a trainer"):
        make_trainer().load(path)


def test_an_empty_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    make_trainer().save(path)
    (path / "trainer.pt").write_bytes(b"")
    with pytest.raises(RunError, match="does not hold a state of a trainer"):
        make_trainer().load(path)


def test_a_disk_that_is_full_is_an_error_of_the_system(tmp_path: Path) -> None:
    """Past a limit on the size of files, every writer fails as on a full disk."""
    pytest.importorskip("resource", reason="Windows knows no limit on the size of files")
    code = f"""
        import resource, signal
        from pathlib import Path
        from tests.distill.test_trainer import SAMPLED, imitated, make_trainer
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        trainer = make_trainer()
        trainer.update(imitated(SAMPLED))
        for limit in (1000, {{}}):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                trainer.save(Path({str(tmp_path)!r}) / str(limit))
            except OSError as error:
                print("refused", error)
    """
    whole = make_trainer()
    whole.update(imitated(SAMPLED))
    whole.save(tmp_path / "whole")
    sizes = {file.name: file.stat().st_size for file in (tmp_path / "whole").iterdir()}
    between = max(sizes["model.safetensors"], sizes["teacher.safetensors"]) + 100
    assert between < sizes["trainer.pt"]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code.format(between))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("refused") == 2


def test_half_precision_becomes_float32_so_that_small_steps_count() -> None:
    model = tiny_model()
    model.bfloat16()
    trainer = make_trainer(TinyLM(model), learning_rate=1e-6)
    before = weights(trainer)
    trainer.update(imitated(SAMPLED))
    assert all(weight.dtype == torch.float32 for weight in before)
    assert all((now != then).any() for now, then in zip(weights(trainer), before, strict=True))


def test_only_weights_that_require_a_gradient_are_trained() -> None:
    model = tiny_model()
    model.requires_grad_(False)
    with pytest.raises(ConfigError, match="trained weights = none"):
        make_trainer(TinyLM(model))
    model.lm_head.requires_grad_(True)
    trainer = make_trainer(TinyLM(model))
    before = weights(trainer)
    trainer.update(imitated(SAMPLED))
    changed = [(now != then).any().item() for now, then in zip(weights(trainer), before, strict=True)]
    assert changed == [weight.requires_grad for weight in model.parameters()]


def test_dropout_is_off() -> None:
    model = tiny_model()
    model.config.attention_dropout = 0.5
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    model.train()
    assert make_trainer(TinyLM(model)).update(imitated(SAMPLED))["mismatch"] < 1e-6


def test_a_gradient_that_is_not_finite_leaves_every_weight_alone() -> None:
    trainer = make_trainer()
    before = weights(trainer)
    tokens = Tokens(SAMPLED[0].prompt_ids, SAMPLED[0].action_ids, (-1e4,) * len(SAMPLED[0].action_ids))
    with pytest.raises(ConfigError, match="gradient of update 1 has norm"):
        trainer.update([Example(0, tokens, policy_gradient=-1.0)])
    torch.testing.assert_close(weights(trainer), before, rtol=0, atol=0)
    assert trainer.updates == 0


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 9e15, "weight_decay": 1.0},
        {"learning_rate": 1e15},
        {"weight_decay": 1e300},
        {"weight_decay": 1e40},
    ],
    ids=str,
)
def test_a_step_that_makes_weights_unusable_is_an_error(options: dict[str, float]) -> None:
    trainer = make_trainer(TinyLM(tiny_model().float()), **options)
    with pytest.raises(ConfigError, match=r"update 1 made weights as large as .* give a learning_rate below"):
        trainer.update(imitated(SAMPLED))
    assert trainer.updates == 0


def test_a_teacher_of_nan_logits_leaves_every_weight_alone() -> None:
    trainer = make_trainer(teacher_weights="frozen")
    before = weights(trainer)
    with torch.no_grad():
        next(trainer._teacher.model.parameters())[0] = float("nan")
    review = (Message("user", "", ids=(0,)), Message("user", "", ids=SAMPLED[0].prompt_ids))
    with pytest.raises(ConfigError, match=r"norm nan \(loss nan\).*look for logits"):
        trainer.update([Example(0, SAMPLED[0], review, distillation=1.0)])
    torch.testing.assert_close(weights(trainer), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 1e38),
        ("learning_rate", float("nan")),
        ("weight_decay", float("inf")),
        ("divergence", "kl"),
        ("teacher_weights", "student"),
        ("beta", 0.0),
        ("beta", 1.0),
        ("ema_decay", 1.0),
        ("ema_decay", 0.0),
        ("learning_rate", 0.0),
        ("warmup_steps", -1),
        ("decay_steps", 0),
        ("weight_decay", -0.1),
        ("max_grad_norm", 0.0),
        ("micro_batch_tokens", 0),
        ("top_k", 0),
        ("top_k", VOCABULARY + 1),
        ("top_k_of", "both"),
        ("turn_gate", "all"),
    ],
)
def test_arguments_out_of_range_are_named(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} = {re.escape(str(value))} is not possible; give "):
        make_trainer(**{name: value})


def test_recomputing_layers_changes_no_weight() -> None:
    trainers = [make_trainer(gradient_checkpointing=recompute) for recompute in (False, True)]
    for _ in range(2):
        first, second = (trainer.update(distilled(SAMPLED)) for trainer in trainers)
        assert first == second
    assert all(torch.equal(mine, other) for mine, other in zip(*map(weights, trainers), strict=True))


def test_a_model_that_cannot_recompute_its_layers_is_refused_before_anything_is_played() -> None:
    torch.manual_seed(0)
    model = CTRLLMHeadModel(CTRLConfig(vocab_size=VOCABULARY, n_embd=32, n_layer=1, n_head=2, dff=48))
    make_trainer(TinyLM(model))
    with pytest.raises(
        ConfigError, match="a CTRLLMHeadModel cannot recompute its layers; leave gradient_checkpointing"
    ):
        make_trainer(TinyLM(model), gradient_checkpointing=True)
