"""Shares a run among workers of a Ray cluster: `python examples/hero_on_ray.py 32 --model DIR --out /shared/run`.

Ray starts the workers and joins them. What follows their number are options of `hero run`.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import ray
from ray.train import ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from hero.processes import PATIENCE


def train(config: dict[str, Any]) -> None:
    """Does the part of one worker."""
    from hero_cli.main import app

    if code := app(["run", *config["options"]], standalone_mode=False):
        raise RuntimeError(f"hero run ended with exit code {code}")


def main(workers: int, options: list[str]) -> None:
    """Runs `hero run` with these options on this many workers, each with a GPU where the cluster has some."""
    ray.init()
    has_gpus = "GPU" in ray.cluster_resources()
    TorchTrainer(
        train,
        train_loop_config={"options": options},
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=has_gpus),
        torch_config=TorchConfig(
            backend="cpu:gloo,cuda:nccl" if has_gpus else "gloo",
            timeout_s=PATIENCE
            // timedelta(seconds=1),  # Ray's own is half an hour, for which a slow worker may be waited
        ),
    ).fit()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
