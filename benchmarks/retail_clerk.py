"""A clerk for the retail desk of the original's data, who knows the right calls and is careless about two things.

Nothing in an episode says which of a customer's orders are meant, or what in them is to change, to a clerk that reads
them as a program; so this one looks the task up, as `benchmarks.taubench.gold` does, and asks, looks up and proposes as
the rules of the desk want it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hero.envs.taubench.action import Call, parse_call
from hero.envs.taubench.env import TauBenchEnv
from hero.envs.taubench.rules.read import confirmation
from hero.envs.taubench.tools.domains import writes
from hero.types import Message

WHO: Final = "May I have your full name and your zip code?"
MORE: Final = "Is there anything else I can help you with?"


@dataclass(frozen=True)
class Clerk:
    """Serves the customers of one environment.

    Attributes:
        env: the environment whose current task is served.
        rng: decides when to err.
        bare: probability of leaving out the # of an order's id, which is then not found.
        no_question: probability of changing something without asking for a yes.
    """

    env: TauBenchEnv
    rng: random.Random
    bare: float = 0.0
    no_question: float = 0.0

    def __call__(self, messages: Sequence[Message]) -> str:
        """Returns the next action of a conversation whose earlier ones were this clerk's."""
        done = [message.content for message in messages if message.role == "assistant"]
        left = list(self.plan())
        for action in done:
            if action in left:  # even if it failed: some of the original's right calls do
                del left[: left.index(action) + 1]
        right = left[0] if left else MORE
        tried = right.replace("#", "")
        if right != tried and parse_call(right) and tried not in done and self.rng.random() < self.bare:
            return tried
        if right.endswith("(yes/no)?") and self.rng.random() < self.no_question:
            return left[1]
        return right

    def plan(self) -> Iterator[str]:
        """Yields the right actions of the task, in order."""
        task, users = self.env._task, self.env._world.snapshot.tables["users"]
        user = users[task.user_id]
        yield WHO
        named = {"first_name": user["name"]["first_name"], "last_name": user["name"]["last_name"]}
        yield Call("find_user_id_by_name_zip", named | {"zip": user["address"]["zip"]}).text()
        changes = [call for call in task.actions if writes(call.name)]
        for order in dict.fromkeys(call.arguments["order_id"] for call in changes if "order_id" in call.arguments):
            yield Call("get_order_details", {"order_id": order}).text()
        for call in changes:
            yield confirmation(call)
            yield call.text()
        if task.outputs:
            yield " ; ".join(task.outputs)
