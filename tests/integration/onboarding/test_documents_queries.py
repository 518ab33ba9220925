"""The SQL that S2 prints under "Database Queries" and "Monitor Recovery Rate", letter by letter."""

import re
from pathlib import Path

import pytest

from schemas.onboarding import CancelInstance, RecordVersion, Recover
from tests.integration.onboarding.journeys import ENGINE, Journeys
from tests.integration.onboarding.working import ends_as, working

PRINTED = Path(__file__).with_name("documents_queries.sql").read_text()
QUERIES = dict(re.findall(r"-- (.+)\n((?:.+\n?)+?)(?=\n|\Z)", PRINTED))


@pytest.mark.requirement("WF-2", "WF-8", "WF-15")
async def test_the_documents_queries_run_as_they_are_printed(journeys: Journeys) -> None:
    await journeys.start("your-id", data={"aml": "hit"})
    await journeys.act("your-id")
    await journeys.tell(RecordVersion(instance_id="your-id", change_id="email", lowest=1, highest=2), actors=ENGINE)
    await journeys.tell(*[Recover(instance_id="your-id", cause="lease-expired") for _ in range(11)], actors=ENGINE)
    await journeys.start("other")
    async with working(journeys):
        await ends_as(journeys, "your-id", "COMPENSATED")
    found = {name: await _rows(journeys, query) for name, query in QUERIES.items()}
    assert {name: len(rows) for name, rows in found.items() if name != "Compensation events"} == {
        "Active workflows": 1,
        "Event history for an instance": (await journeys.row("your-id"))["version"],
        "Recovery events": 11,
        "Version markers": 1,
        "Alert if > 10 recoveries/hour": 1,
    }
    assert [row["count"] for row in found["Alert if > 10 recoveries/hour"]] == [11]
    assert len(found["Compensation events"]) >= 4
    numbers = [row["sequence_number"] for row in found["Event history for an instance"]]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.requirement("WF-8", "SP-8")
async def test_ten_recoveries_are_no_alert_and_another_tenant_sees_nothing(journeys: Journeys) -> None:
    await journeys.start("your-id")
    await journeys.act("your-id")
    await journeys.tell(*[Recover(instance_id="your-id", cause="lease-expired") for _ in range(10)], actors=ENGINE)
    assert await _rows(journeys, QUERIES["Alert if > 10 recoveries/hour"]) == []
    await journeys.tell(CancelInstance(instance_id="your-id", reason="x"))
    assert {name: len(await _rows(journeys, query, "south")) for name, query in QUERIES.items()} == dict.fromkeys(QUERIES, 0)


async def _rows(journeys: Journeys, query: str, tenant: str = "north") -> list[dict[str, object]]:
    async with journeys.world.api(tenant) as conn:
        return [dict(row) for row in await conn.fetch(query)]
