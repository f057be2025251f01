"""Reads tasks of tau2-bench: the requirements of its evaluation, or the reason why they cannot be checked here.

The reward is the product of the parts that `reward_basis` names, by default DB and COMMUNICATE. All else in a task does
not count, such as texts to be said without COMMUNICATE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hero.envs.taubench.action import Call
from hero.envs.taubench.data.fields import (
    entries,
    field,
    mapping,
    optional_dict,
    read_call,
    require_shallow,
    strings,
)
from hero.envs.taubench.data.tables import COLUMNS
from hero.envs.taubench.task import ServiceTask, WantedCall
from hero.envs.taubench.tools.domains import TOOLS
from hero.envs.taubench.world import Domain

PARTS: Final = ("known_info", "reason_for_call", "task_instructions", "unknown_info")
"""The parts of an instruction, in the order in which the user gets them."""
BASES: Final = ("DB", "COMMUNICATE", "ACTION", "ENV_ASSERTION", "NL_ASSERTION")
DEFAULT_BASIS: Final = ("DB", "COMMUNICATE")
HARMLESS: Final = {"get_item_details", "get_flight_status"}.union(*TOOLS.values())
"""Names of calls with which the database ends as in tau2: its own tools that only read, and all tools of both domains,
since it ignores those of the other one. Any other name may be a tool of an unknown version."""
KNOWN_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "evaluation_criteria": frozenset(
        ("actions", "communicate_info", "env_assertions", "nl_assertions", "reward_basis")
    ),
    "initial_state": frozenset(("initialization_data", "initialization_actions", "message_history")),
    "an action": frozenset(("action_id", "requestor", "name", "arguments", "info", "compare_args")),
}
"""Keys that are understood in the records that decide about state and reward."""


def read_task(record: Any, domain: Domain, where: str) -> ServiceTask:
    """Reads a record of tasks.json; the task's `refusal` names a part that cannot be played or graded as in tau2.

    Raises:
        DataError: the record is malformed; the message begins with `where`.
    """
    record = mapping(record, where)
    scenario = field(record, "user_scenario", dict, where)
    criteria = optional_dict(record, "evaluation_criteria", where)
    state = optional_dict(record, "initial_state", where)
    actions = [mapping(action, f"{where}: an action") for action in entries(criteria, "actions", where)]
    calls = tuple(read_call(action, "arguments", where) for action in actions)
    outputs = strings(entries(criteria, "communicate_info", where), f"{where}: communicate_info")
    declared = DEFAULT_BASIS if criteria.get("reward_basis") is None else entries(criteria, "reward_basis", where)
    basis = strings(declared if criteria else (), f"{where}: reward_basis")
    # With neither actions nor assertions the original accepts any database.
    is_checked = any(criteria.get(name) is not None for name in ("actions", "env_assertions"))
    wanted = [WantedCall(call, _compared(action, where)) for call, action in zip(calls, actions, strict=True)]
    setup = [_setup_call(entry, where) for entry in entries(state, "initialization_actions", where)]
    data = optional_dict(optional_dict(state, "initialization_data", where), "agent_data", where)
    require_shallow(data, where)
    return ServiceTask(
        id=field(record, "id", str, where),
        instruction=_instruction(scenario, where),
        actions=calls,
        outputs=outputs if "COMMUNICATE" in basis else (),
        compares=is_checked and "DB" in basis,
        wanted=tuple(wanted) if "ACTION" in basis else (),
        data=data,
        setup=tuple(setup),
        refusal=next(_refusals(record, criteria, state, basis, domain, where), ""),
    )


def _refusals(
    record: Mapping[str, Any],
    criteria: Mapping[str, Any],
    state: Mapping[str, Any],
    basis: tuple[str, ...],
    domain: Domain,
    where: str,
) -> Iterator[str]:
    """Yields reasons why a task cannot be played or graded as in tau2."""
    actions = entries(criteria, "actions", where)
    parts = {"evaluation_criteria": [criteria], "initial_state": [state], "an action": actions}
    for name, records in parts.items():
        for unknown in sorted({key for part in records for key in part if part[key]} - KNOWN_KEYS[name]):
            yield f"{name} has {unknown!r}, which is not known"
    yield from (f"{name} are not supported" for name in ("user_tools", "required_documents") if record.get(name))
    yield from (f"reward_basis has {name!r}, which is not known" for name in basis if name not in BASES)
    if "NL_ASSERTION" in basis and criteria.get("nl_assertions"):
        yield "it is graded by nl_assertions, for which a language model would have to be the judge"
    if "ENV_ASSERTION" in basis and criteria.get("env_assertions"):
        yield "it is graded by env_assertions, which are functions of tau2"
    for action in actions:
        if action.get("requestor", "assistant") != "assistant":
            yield "an action is the user's, who has no tools here"
        if action["name"] not in (TOOLS[domain] if "ACTION" in basis else HARMLESS):
            yield f"an action calls {action['name']!r}, which is not here"
    yield from _refused_states(state, domain, where)


def _refused_states(state: Mapping[str, Any], domain: Domain, where: str) -> Iterator[str]:
    """Yields reasons why the initial state of a task cannot be set up."""
    data = optional_dict(state, "initialization_data", where)
    if data.get("user_data"):
        yield "initial_state has user_data, and the user has no data here"
    for table, records in optional_dict(data, "agent_data", where).items():
        if table not in COLUMNS[domain]:
            yield f"initialization_data changes {table!r}, which is not a table here"
        elif not isinstance(records, dict) or not all(isinstance(part, dict) for part in records.values()):
            yield f"initialization_data has something other than records for {table}"
    for entry in entries(state, "initialization_actions", where):
        if entry.get("env_type") != "assistant" or entry.get("func_name") not in TOOLS[domain]:
            yield f"initialization_actions call {entry.get('func_name')!r}, which is not here"
    if state.get("message_history"):
        yield "initial_state has a message_history, and episodes begin with the user's first words here"


def _instruction(scenario: Mapping[str, Any], where: str) -> str:
    """Returns the text for the user: the persona, where there is one, and the instructions."""
    if isinstance(instructions := scenario.get("instructions"), str):
        texts = [instructions]
    else:
        by_part = field(scenario, "instructions", dict, where)
        texts = [by_part.get(part) for part in PARTS]
    parts = (scenario.get("persona"), *texts)
    return "\n".join(strings((part for part in parts if part), where))


def _compared(action: Mapping[str, Any], where: str) -> tuple[str, ...] | None:
    """Returns the arguments of an action that have to be right; None for those that the agent gives."""
    if action.get("compare_args") is None:
        return None
    return strings(entries(action, "compare_args", where), f"{where}: compare_args")


def _setup_call(entry: Any, where: str) -> Call:
    entry = mapping(entry, f"{where}: an initialization action")
    return read_call(
        {"name": entry.get("func_name"), "arguments": optional_dict(entry, "arguments", where)}, "arguments", where
    )
