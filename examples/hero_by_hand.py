"""HERO from top to bottom: a policy plays, its mistakes are explained to it, and it learns from the explanations.

    python examples/hero_by_hand.py

trains the small policy that ships with the package, in about two minutes on one core. Every part can be replaced:
the environment, the model, the reflector, the learner. `hero run` is this loop with a run directory around it.
"""

from __future__ import annotations

import random

from hero.distill.learners import Distillation, group_examples
from hero.distill.teacher import HindsightTeacher
from hero.distill.trainer import TorchTrainer
from hero.envs.webshop.env import WebShopEnv
from hero.evaluate import Evaluation, evaluate
from hero.models import tiny
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout


def main(steps: int = 8, episodes: int = 64, eval_tasks: int = 100, max_turns: int = 10) -> list[Evaluation]:
    """Trains for some steps; returns the evaluations before and after."""
    rng = random.Random(0)
    envs = [WebShopEnv(split="train") for _ in range(episodes)]  # find the product that was asked for, and buy it
    eval_envs = [WebShopEnv(split="validation") for _ in range(eval_tasks)]
    trainer = TorchTrainer(tiny.load(), learning_rate=2e-4)  # owns the student's weights, and the teacher's
    reflector = RulesReflector()  # or ModelReflector(policy, own_ids=True): the student itself, as in the paper
    learner = Distillation(HindsightTeacher())

    def validate() -> Evaluation:
        policy, tasks = trainer.policy(temperature=0.5), [Task(index, seed=index) for index in range(eval_tasks)]
        evaluation = evaluate(eval_envs, policy, tasks, max_turns=max_turns)
        success = evaluation.success
        print(f"validation: {success.value:.0%} success (95 % interval {success.low:.0%} to {success.high:.0%})")
        return evaluation

    evaluations = [validate()]
    for step in range(steps):
        # Rollout: the student plays. A trajectory keeps what it was shown, the ids that it sampled, and the rewards.
        tasks = [Task(rng.randrange(envs[0].num_tasks), seed=step) for _ in range(episodes)]
        trajectories = rollout(envs, trainer.policy(temperature=0.5), tasks, max_turns=max_turns, seed=step)

        # Reflection: with the whole episode in view, a verdict on each turn, its cause, and a better action.
        diagnoses = reflector.reflect(trajectories)

        # Self-teacher: for each diagnosed turn an example with the teacher's prompt, which is the student's prompt
        # followed by the next observation, the diagnosis and the final reward.
        examples = group_examples(learner, list(zip(trajectories, diagnoses, strict=True)))

        # Distillation: the teacher scores the tokens of the student's own actions, and one optimiser step moves the
        # student's distributions towards the teacher's on these tokens, and on no others.
        metrics = trainer.update(examples)
        successes = sum(trajectory.success for trajectory in trajectories)
        loss = metrics["loss"]
        print(f"step {step + 1}: {successes}/{episodes} successes, {len(examples)} examples, loss {loss:.3f}")
    return [*evaluations, validate()]


if __name__ == "__main__":
    main()
