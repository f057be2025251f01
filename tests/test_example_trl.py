"""Hindsight inside TRL: its loss is the one that the gaps between teacher and student make, token by token.

It runs where TRL is installed: `make test-examples`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tiny_models import save_pretrained

pytest.importorskip("trl", reason="TRL is not installed; make test-examples installs it")


@pytest.mark.filterwarnings("default")  # theirs
def test_the_loss_of_trl_is_the_mean_gap_of_the_sampled_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from examples import hindsight_in_trl

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    save_pretrained(tmp_path / "model", max_position_embeddings=4096)
    played = []
    play = hindsight_in_trl.play

    def watched(prompts: object, trainer: object) -> dict[str, list[list[float]]]:
        played.append(play(prompts, trainer))  # type: ignore[arg-type]
        played[-1]["gaps"] = trainer.gaps  # type: ignore[attr-defined]
        return {name: rows for name, rows in played[-1].items() if name != "gaps"}

    monkeypatch.setattr(hindsight_in_trl, "play", watched)
    trainer = hindsight_in_trl.main(str(tmp_path / "model"), tmp_path / "out", steps=2, level="easy")
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert len(losses) == len(played) == 2
    for loss, step in zip(losses, played, strict=True):
        gaps, masks = (torch.tensor([value for row in step[name] for value in row]) for name in ("gaps", "env_mask"))
        assert (gaps[masks == 0] == 0).all()
        assert gaps.abs().sum() > 0
        assert loss == pytest.approx(-(gaps.sum() / masks.sum()).item(), abs=1e-4)
        for ids, logprobs, mask in zip(step["completion_ids"], step["logprobs"], step["env_mask"], strict=True):
            assert len(ids) == len(logprobs) == len(mask)
            assert all((logprob != 0) <= bit for logprob, bit in zip(logprobs, mask, strict=True))
