"""The full counts of the shell: `make torture`. The suite runs each once (test_conformance) or smaller (test_lock_order).

A step that has run in full is skipped; its line is in benchmarks/results.
"""

from typing import Any

import pytest

from tests.e2e.shell.conformance import SUBJECTS, Applied, Subject
from tests.e2e.shell.test_conformance import Bench, crash_at_each_step, failpoints
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.torture.shell.hot_items import storm
from tests.torture.system.record import run_step

pytestmark = [pytest.mark.torture, pytest.mark.timeout(3600)]


@pytest.mark.requirement("SP-4", "SP-6")
@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=str)
async def test_a_member_killed_at_each_step(subject: Subject, database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    """kill -9 at every failpoint of the shell, 20 times each; after each chain every message took effect exactly once."""
    bench = Bench(subject, database, fresh_kafka)

    async def chains(rounds: int) -> dict[str, Any]:
        await bench.setup()
        applied: dict[str, Applied] = {}
        for number in range(1, rounds + 1):
            applied = await crash_at_each_step(bench, number, applied)
        return {"kills": rounds * len(failpoints()), "steps": failpoints(), "keys": len(applied)}

    await run_step(f"shell: kill a member of {subject} at each step", 20, chains, lambda figures: None)


@pytest.mark.requirement("WI-2", "trap-57")
@pytest.mark.hole("lock-order")
async def test_hot_items(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    """50 items, 10,000 actions, half over HTTP and half through two members of the group."""

    def sound(figures: dict[str, Any]) -> None:
        assert figures["accepted"] > figures["actions"] / 100, figures
        assert figures["acknowledged_over_http"] == figures["written_over_http"], figures
        assert figures["written_over_kafka"] + figures["refused_over_kafka"] == figures["sent_over_kafka"], figures
        assert (figures["broken_histories"], figures["broken_numbers"], figures["deadlocks"]) == (0, 0, 0), figures

    await run_step("shell: 10,000 actions on 50 hot items", 10_000, lambda count: storm(database, fresh_kafka, count), sound)
