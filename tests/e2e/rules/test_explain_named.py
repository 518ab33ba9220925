"""Why did it not fire? Asked with nothing but the event's id; the event is found in its topic, on the real broker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.app import create_app
from domain.rules.commands import Saved, Wish, create_rule
from domain.rules.followed_rules import FollowedRules
from domain.rules.sought import TOPIC, Sought, Told, told_by
from processors.rules import Rules
from runtime.postgres import open_pool
from runtime.settings import Settings
from runtime.topic_search import Bounds, search
from schemas.entities import EntityChangeEvent
from schemas.envelope import CloudEvent
from tests.e2e.shell.harness import event, execute, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.api.serving import asgi_client
from tests.integration.domain.world import World as People
from tests.integration.domain.world import caller
from tests.integration.rules.house import OUTBOX, UPDATE, WIRING
from tests.unit.api.tokens import World, token
from tests.waiting import until

TENANT = "acme"
BIG = {"fieldName": "value", "operator": "GREATER_THAN", "value": 50, "valueType": "NUMBER"}
RULE = {"name": "Big", "triggerType": "ON_UPDATE", "entityType": "LEAD", "conditions": [BIG], "actions": [UPDATE]}


def changed(event_id: str, value: int, tenant: str = TENANT, entity_type: str = "LEAD", **told: Any) -> CloudEvent:
    payload = EntityChangeEvent(
        event_id=event_id,
        entity_type=entity_type,
        entity_id="42",
        tenant_id=tenant,
        change_type="UPDATE",
        new_values={"value": value, "phone": "canary"},
        # The clock of the upstream is wrong: what counts is when the event was sent.
        timestamp=datetime(2020, 1, 1, tzinfo=UTC),
        **told,
    )
    made = event(payload, tenant, id=event_id, source="crm")
    return replace(made, subject="42", partitionkey=f"{tenant}|{entity_type}|42")


@dataclass
class Asking:
    """A reader of rules at the HTTP door."""

    client: httpx.AsyncClient
    rule: str

    async def __call__(self, reason: str | None = "a customer asks", **body: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token(roles=['rule-reader'], tenant=TENANT, sub='an')}"}
        if reason is not None:
            headers["access-reason"] = reason
        return await self.client.post(f"/api/v1/workflows/{self.rule}/explain", json=body, headers=headers)


@asynccontextmanager
async def asking(settings: Settings, rule: str) -> AsyncIterator[Asking]:
    pool = await open_pool(settings, "api", size=4, min_size=0, reset=False)
    try:
        async with asgi_client(create_app(settings, pool, World().verifier())) as client:
            yield Asking(client, rule)
    finally:
        await pool.close()


async def with_rule(database: ClonedDatabase) -> str:
    await execute(database, f"insert into tenants (tenant_id, name) values ('{TENANT}', 'Acme'), ('other', 'Other')")
    people = People(database)
    try:
        async with people.api(TENANT) as conn:
            saved = await create_rule(conn, caller("rule-editor", tenant_id=TENANT), RULE, Wish(), most=10)
    finally:
        await people.close()
    assert isinstance(saved, Saved)
    return saved.rule.id


@pytest.mark.requirement("RU-12", "SP-8")
async def test_an_event_is_explained_by_its_id_and_nobody_elses_is(
    database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    settings = settings_for(database, fresh_kafka)
    door = Rules(OUTBOX, WIRING, FollowedRules())
    await fresh_kafka.create_topics([*door.group.topics, *(f"{name}.{door.group.name}.dlt" for name in door.group.topics)], 4)
    rule = await with_rule(database)
    await produce(
        fresh_kafka,
        TOPIC,
        [
            changed("small", 40),
            changed("large", 75),
            changed("foreign", 75, "other"),
            changed("deal", 75, entity_type="OPPORTUNITY"),
            changed("erased", 75, subject_id="gone"),
        ],
    )
    async with member(settings, door):
        await until(lambda: rows(database, "select from workflow_execution_logs having count(*) = 2"), what="the runs")
    await execute(
        database,
        "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)"
        f" values ('{TENANT}', 'gone', gen_random_uuid(), now(), 'an', 'asked')",
    )

    async with asking(settings, rule) as ask:
        small, large = await ask(eventId="small"), await ask(eventId="large", entityId="42", source="crm")
        for event_id in ("foreign", "deal", "none"):
            answer = await ask(eventId=event_id)
            assert (answer.status_code, answer.json()["error"]) == (404, "EventNotFound")
            assert (answer.json()["complete"], answer.json()["lookedAt"]) == (True, 5)
        far = datetime.now(UTC) - timedelta(days=1)
        assert (await ask(eventId="small", at=far.isoformat())).json()["lookedAt"] == 0
        assert (await ask(eventId="small", entityId="43")).status_code == 404
        assert (await ask(eventId="erased")).status_code == 410
        assert (await ask(None, eventId="small")).json()["error"] == "ReasonRequired"
        run = await ask(None, runId=large.json()["runId"])

    assert small.status_code == large.status_code == run.status_code == 200, (small.text, large.text, run.text)
    assert (small.json()["fires"], small.json()["runId"]) == (False, None)
    assert small.json()["trace"]["conditions"][0]["saw"] == 40
    assert "conditions were not met" in small.json()["verdict"]
    assert (large.json()["fires"], large.json()["entityId"]) == (True, "42")
    assert large.json()["verdict"] == run.json()["verdict"] == "It fired: there is a run of this event."
    assert run.json()["explanation"] == large.json()["explanation"]
    assert "canary" not in small.text + large.text
    read = await rows(database, "select reason, object_id, detail from audit_log where action = 'rule.event-read'")
    assert {(row["reason"], row["object_id"]) for row in read} == {("a customer asks", rule)}
    assert len(read) == 8


@pytest.mark.requirement("RU-12")
async def test_a_search_reads_backwards_and_ends_at_its_bound(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    settings = settings_for(database, fresh_kafka)
    await fresh_kafka.create_topics([TOPIC], 2)
    await produce(fresh_kafka, TOPIC, [changed(f"e{number}", number) for number in range(5_000)])
    sought = Sought(TENANT, "LEAD", "e0")

    async def look(event_id: str, **bounds: Any) -> tuple[bool, int, bool]:
        wanted = replace(sought, event_id=event_id)

        def accept(record: Any) -> Told | None:
            return told_by(record.value, record.headers, record.timestamp, wanted)

        found = await search(settings, TOPIC, accept, Bounds(**{"most_records": 100_000, "most_seconds": 30.0, **bounds}))
        return found.found is not None, found.looked_at, found.complete

    assert await look("e4999") == (True, 2_000, True)
    assert await look("e0", key=b"acme|LEAD|42") == (True, 5_000, True)
    assert await look("e0", most_records=2_000) == (False, 2_000, False)
    assert await look("e0", until=datetime.now(UTC) - timedelta(hours=1)) == (False, 0, True)
    assert await look("none") == (False, 5_000, True)
