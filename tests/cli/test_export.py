"""`hero export`: what a run trained is written whole, once, and read by other programs and by `hero` itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from hero.errors import ConfigError
from tests.cli.conftest import FAST, Hero, contents, refused

PLAYING = ["--env", "guess", "--tasks", 3]


def test_a_run_is_exported_and_evaluated_as_the_run_itself(finished: Path, hero: Hero, tmp_path: Path) -> None:
    before = contents(finished)
    result = hero("export", finished, "out/model")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"model of {finished} (best checkpoint, step ")
    assert result.stdout.endswith("written to out/model\n")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["model"]
    run, exported = (hero("eval", model, *PLAYING).stdout.splitlines()[1:] for model in (finished, "out/model"))
    assert run == exported
    assert contents(finished) == before


def test_either_checkpoint_is_exported(finished: Path, hero: Hero, tmp_path: Path) -> None:
    for which in ("best", "newest"):
        assert hero("export", finished, which, "--checkpoint", which).exit_code == 0
    files = sorted(finished.rglob("model.safetensors"))
    kept = [load_file(file)["model.norm.weight"] for file in files]
    for which in ("best", "newest"):
        weight = AutoModelForCausalLM.from_pretrained(tmp_path / which).model.norm.weight
        assert any(torch.equal(weight, other) for other in kept)


def test_a_shipped_model_is_exported(hero: Hero, tmp_path: Path) -> None:
    assert hero("export", "tiny", "shop").exit_code == 0
    assert {file.name for file in (tmp_path / "shop").iterdir()} >= {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # PEFT 0.21 reads it
def test_an_adapter_is_exported_alone_or_merged(hero: Hero, model: str, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="needs the extra lora")
    options = ["--lora", 4, "--learning-rate", 0.05]
    assert hero("run", "--model", model, "--steps", 2, "--out", "run", *options, *FAST).exit_code == 0
    alone = hero("export", "run", "adapter", "--checkpoint", "newest")
    assert alone.stdout == "adapter of run (newest checkpoint, step 2) written to adapter\n"
    merged = hero("export", "run", "merged", "--checkpoint", "newest", "--merge")
    assert merged.stdout == "model of run (newest checkpoint, step 2) written to merged\n"
    assert hero("export", model, "base").exit_code == 0
    base, whole = (AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in ("base", "merged"))
    ids = torch.tensor([[1, 5, 9]])
    start = base(input_ids=ids).logits
    adapted = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")(input_ids=ids).logits
    assert torch.allclose(whole(input_ids=ids).logits, adapted, atol=1e-4)
    assert (adapted - start).abs().max() > 1e-3


def test_an_adapter_on_another_run_is_exported_merged(finished: Path, hero: Hero) -> None:
    pytest.importorskip("peft", reason="needs the extra lora")
    assert hero("run", "--model", finished, "--steps", 1, "--out", "run", "--lora", 4, *FAST).exit_code == 0
    refused(hero("export", "run", "out"), "the base of run is another run, which PEFT cannot load; give --merge")
    assert hero("export", "run", "out", "--merge").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny", "full"], "full exists already; give a directory that does not"),
        (["tiny", "file"], "file exists already"),
        (["tiny", "out", "--merge"], "--merge does nothing with tiny, which has no adapter"),
        (["tiny", "out", "--checkpoint", "best"], "--checkpoint best does nothing with tiny, which is not a run"),
        (["tinny", "out"], "there is no model 'tinny'; did you mean 'tiny'?"),
        (["tiny", "file/out"], "file/out cannot be written"),
    ],
)
def test_mistakes_are_named_and_leave_nothing(arguments: list[str], message: str, hero: Hero, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "file").touch()
    refused(hero("export", *arguments), message)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "full"]


def test_an_export_that_fails_leaves_nothing(hero: Hero, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(lm: object, path: Path) -> None:
        (path / "half").touch()
        raise ConfigError("the disk is full")

    monkeypatch.setattr("hero.models.export.export_model", fail)
    refused(hero("export", "tiny", "out"), "the disk is full")
    assert [*tmp_path.iterdir()] == []
