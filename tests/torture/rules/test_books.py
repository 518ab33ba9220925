"""The exactly-once books of rules in full: `make torture`. The suite runs them short (tests/e2e/rules/test_books.py)."""

from typing import Any

import pytest

from tests.torture.rules.books.play import books, sound, stage
from tests.torture.system.record import run_step, scaled

pytestmark = [pytest.mark.torture, pytest.mark.timeout(2 * 3600)]
KILLS = 20


@pytest.mark.requirement("RU-7", "RU-9", "RU-12", "SP-5", "trap-28", "trap-29", "trap-31")
async def test_books() -> None:
    """100,000 events, each told one to five times, 20 kills of rules, effects and timers; then the past once more."""

    async def run(count: int) -> dict[str, Any]:
        async with stage(count) as play:
            return await books(play, scaled(KILLS), deadline=3600)

    await run_step("rules: exactly-once books", 100_000, run, sound)
