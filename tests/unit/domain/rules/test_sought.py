"""Which record is the event that somebody names, and which only looks like it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.rules.sought import Sought, not_found, told_by
from schemas.entities import EntityChangeEvent
from schemas.envelope import CloudEvent, to_headers

AT = 1_767_600_000_000
SOUGHT = Sought("acme", "LEAD", "e1")


def record(tenant: str = "acme", **told: Any) -> CloudEvent:
    named = {"event_id": "e1", "entity_type": "LEAD", "entity_id": "42", "change_type": "UPDATE", "new_values": {"value": 7}}
    payload = EntityChangeEvent.model_validate(
        {**named, "tenant_id": tenant, "timestamp": datetime(2026, 1, 5, tzinfo=UTC), **told}
    )
    return CloudEvent(
        id=str(payload.event_id), source="crm", type=payload.TYPE, tenant=tenant, subject="42", time=None,
        data=payload.to_json(), dataschema=payload.dataschema(), partitionkey=f"{tenant}|LEAD|42", sequence=None,
    )  # fmt: skip


def test_the_event_comes_with_its_chain_its_source_and_the_time_it_was_sent() -> None:
    event = replace(record(), causation=("rule:r",))
    told = told_by(event.data, to_headers(event), AT, SOUGHT)
    assert told is not None
    assert (told.source, told.subject_id, told.sent_at) == ("crm", "LEAD/42", datetime(2026, 1, 5, 8, tzinfo=UTC))
    assert (told.change.new, told.change.causation, told.change.event_id) == ({"value": 7}, ("rule:r", "e1"), "e1")


def test_a_structured_event_is_found_too() -> None:
    event = record()
    body = {
        "specversion": "1.0", "id": "e1", "source": "crm", "type": event.type, "tenant": "acme",
        "data": json.loads(event.data or b""),
    }  # fmt: skip
    headers = [("content-type", b"application/cloudevents+json")]
    assert told_by(json.dumps(body).encode(), headers, AT, SOUGHT) is not None


@pytest.mark.parametrize(
    "event",
    [
        record("other"),
        record(entity_type="OPPORTUNITY"),
        record(event_id="e2"),
        replace(record(), data=b"{"),
        replace(record(), data=record("other").data),
        replace(record(), type="UpdateField"),
    ],
    ids=["tenant", "type", "id", "no-json", "tenant-inside", "no-change"],
)
def test_what_only_looks_like_it_is_passed_over(event: CloudEvent) -> None:
    assert told_by(event.data, to_headers(event), AT, SOUGHT) is None


def test_what_the_asker_knows_must_fit() -> None:
    event = record()
    assert told_by(event.data, to_headers(event), AT, replace(SOUGHT, source="erp")) is None
    assert told_by(event.data, to_headers(event), AT, replace(SOUGHT, entity_id="43")) is None
    assert told_by(event.data, to_headers(event), AT, replace(SOUGHT, source="crm", entity_id="42")) is not None
    assert told_by(event.data, [("ce_id", None)], AT, SOUGHT) is None


def test_not_found_says_whether_the_search_came_to_its_end() -> None:
    ended, cut = not_found(SOUGHT, 5, complete=True), not_found(SOUGHT, 5, complete=False)
    assert (ended.details, cut.details) == ({"lookedAt": 5, "complete": True}, {"lookedAt": 5, "complete": False})
    assert "entityId" in cut.message
