"""Take an environment: WebShop in a loop of your own, or in any framework that takes a gymnasium environment.

`hero.envs` needs gymnasium and no torch. Observations and actions are strings; any string is a legal action, and one
that cannot be read costs a turn.
"""

from __future__ import annotations

import gymnasium

import hero.envs


def buy_the_first_result(page: str, actions: list[str]) -> str:
    """Stands for your agent: searches for the words of the instruction, opens the first result, and buys it."""
    if "search[...]" in actions:
        return f"search[{page.split(' [SEP] ')[2]}]"
    if "click[buy now]" in actions:
        return "click[buy now]"
    return next(action for action in actions if action not in ("click[back to search]", "click[next >]"))


def main(episodes: int = 20) -> float:
    """Plays some validation tasks; returns the mean reward."""
    hero.envs.register()
    env = gymnasium.make("hero/WebShop-v0", split="validation")
    total = 0.0
    for task in range(episodes):
        page, info = env.reset(seed=task, options={"task": task})
        terminated = truncated = False
        while not (terminated or truncated):
            action = buy_the_first_result(page, info["available_actions"])
            page, reward, terminated, truncated, info = env.step(action)
            total += float(reward)
    print(f"mean reward of {episodes} episodes: {total / episodes:.2f}")
    return total / episodes


if __name__ == "__main__":
    main()
