"""Processes of every role look for the keys database when they start."""

import pytest


@pytest.fixture(autouse=True)
def _keys_beside(keys_database: object) -> None:
    """Each test's database has its keys database."""
