"""The tools that both domains have."""

from __future__ import annotations

import json
from typing import Final

from hero.envs.taubench.database import Database
from hero.envs.taubench.tools import calculate as arithmetic
from hero.envs.taubench.tools.toolbox import Toolbox, require_record

TRANSFER: Final = "transfer_to_human_agents"
"""Name of the tool that ends an episode."""

TOOLS: Final = Toolbox()


@TOOLS.reads
def calculate(db: Database, /, expression: str) -> str:
    """Compute the value of an expression of numbers, + - * / and parentheses."""
    return arithmetic.calculate(expression)


@TOOLS.reads
def get_user_details(db: Database, /, user_id: str) -> str:
    """Get the record of a user."""
    return json.dumps(require_record(db, "users", user_id, "user not found"))


@TOOLS.neither
def think(db: Database, /, thought: str) -> str:
    """Do nothing: a place to write thoughts down."""
    return ""


@TOOLS.neither
def transfer_to_human_agents(db: Database, /, summary: str) -> str:
    """Hand the user over to a person."""
    return "Transfer successful"
