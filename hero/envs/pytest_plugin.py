"""A plugin for pytest, loaded wherever this package is installed: each point of the contract as a test of its own.

def test_it_keeps_the_contract(contract_point):
    contract_point.check(MyEnv)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that has a parameter `contract_point` once per point of the contract."""
    if "contract_point" in metafunc.fixturenames:
        from hero.envs.contract import CONTRACT

        metafunc.parametrize("contract_point", CONTRACT, ids=[point.name for point in CONTRACT])
