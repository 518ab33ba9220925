"""Databases with two tenants, a key ring, and senders with a clock that tests set."""

from datetime import UTC, datetime

import pytest

from tests.integration.keys.conftest import keys_pool, pools, ring

__all__ = ["clock", "keys_pool", "pools", "ring"]


class Clock:
    """The time of an attempt: now, until a test moves it."""

    def __init__(self) -> None:
        self.moment: datetime | None = None

    def __call__(self) -> datetime:
        return self.moment or datetime.now(UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()
