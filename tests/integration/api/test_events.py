"""The publish door over HTTP, and a tenant's entity types."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.routes import ROUTES
from clients.events import EventPublisher
from runtime.cli.publish_events import read_events
from schemas.envelope import from_kafka
from schemas.errors import ConfigurationError
from schemas.headers import unpack_headers
from tests.integration.api.conftest import Served
from tests.integration.api.serving import Listening
from tests.unit.api.tokens import token

EVENTS, TYPES = "/api/v1/events", "/api/v1/entity-types"
PUBLISHER = ("entity-publisher",)


def change(event_id: str = "e-1", **fields: Any) -> dict[str, Any]:
    given = {"entityType": "LEAD", "entityId": "42", "changeType": "CREATE", "timestamp": "2026-03-01T09:00:00+07:00"}
    return {"eventId": event_id, "newValues": {"name": "An"}, **given, **fields}


async def publish(served: Served, body: Mapping[str, Any], **who: Any) -> httpx.Response:
    return await served.client.post(EVENTS, json=body, headers=served.headers(**{"roles": PUBLISHER, **who}))


async def outbox(served: Served) -> list[Any]:
    return await served.rows("select * from outbox_events order by id")


@pytest.mark.requirement("RU-13", "trap-37", "trap-38")
async def test_one_event_is_published_once_with_its_own_identity(served: Served) -> None:
    first = await publish(served, change(causation=["rule-1", "c-1"], tenantId="north"))
    again = await publish(served, change(causation=["rule-1", "c-1"], tenantId="north"))
    assert [answer.json()["items"][0]["status"] for answer in (first, again)] == ["accepted", "duplicate"]
    (row,) = await outbox(served)
    event = from_kafka(row["payload"], unpack_headers(row["headers"]))
    assert (event.id, event.source, event.tenant, event.sequence) == ("e-1", "events:an", "north", None)
    assert event.causation == ("rule-1", "c-1")
    assert (row["topic"], bytes(row["key"])) == ("crm.entity.events", b"north|LEAD|42")
    assert b'"timestamp":"2026-03-01T02:00:00Z"' in row["payload"]


async def test_the_same_id_belongs_to_one_caller_and_one_event(served: Served) -> None:
    await publish(served, change())
    other = await publish(served, change(newValues={"name": "Bo"}))
    assert (other.status_code, other.json()["error"]) == (409, "EventIdReused")
    assert (await publish(served, change(newValues={"name": "Bo"}), user="binh")).json()["accepted"] == 1
    assert (await publish(served, change(), tenant="south")).json()["accepted"] == 1


@pytest.mark.requirement("RU-1", "RU-13")
async def test_a_batch_answers_for_each_item(served: Served) -> None:
    await served.client.put(f"{TYPES}/DEAL", json={"managed": True}, headers=served.headers(("admin",)))
    items: list[Any] = [
        change("a"),
        change("a"),
        change("a", entityId="43"),
        change("b", changeType="MOVED", surprise=1),
        change("c", tenantId="south"),
        change("d", entityType="DEAL"),
        change("f", newValues={"text": "x" * 910_000}),
        change("g", entityType="NEVER_SEEN"),
        change("h", newValues=None),
        change("i", source="WORKFLOW"),
    ]
    answer = await publish(served, {"events": items})
    assert answer.status_code == 200
    found = [(item["eventId"], item["status"], item.get("problem", {}).get("error")) for item in answer.json()["items"]]
    assert found == [
        ("a", "accepted", None),
        ("a", "duplicate", None),
        ("a", "refused", "EventIdReused"),
        ("b", "refused", "ValidationFailed"),
        ("c", "refused", "TenantMismatch"),
        ("d", "refused", "ManagedEntityType"),
        ("f", "refused", "EventTooLarge"),
        ("g", "accepted", None),
        ("h", "accepted", None),
        ("i", "refused", "ValidationFailed"),
    ]
    wrong = answer.json()["items"][3]["problem"]["errors"]
    assert {item["pointer"] for item in wrong} == {"/changeType", "/surprise"}
    assert [row["aggregate"] for row in await outbox(served)] == ["LEAD", "NEVER_SEEN", "LEAD"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"events": []}, 422, "ValidationFailed"),
        ({"events": [{}] * 501}, 422, "ValidationFailed"),
        ({"events": [{}], "more": 1}, 422, "ValidationFailed"),
        ({}, 422, "ValidationFailed"),
        (change(tenantId="south"), 403, "TenantMismatch"),
        (change(timestamp="2026-03-01T09:00:00"), 422, "ValidationFailed"),
        (change(entityVersion=0), 422, "ValidationFailed"),
        (change(causation=["a,b"]), 422, "ValidationFailed"),
    ],
)
async def test_what_the_door_refuses(served: Served, body: dict[str, Any], status: int, code: str) -> None:
    answer = await publish(served, body)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert not await outbox(served)


async def test_a_wrong_field_is_named_by_its_place_in_the_body(served: Served) -> None:
    answer = await publish(served, change(changeType="MOVED"))
    assert [item["pointer"] for item in answer.json()["errors"]] == ["/changeType"]


async def test_a_tenant_that_nobody_imported_and_a_caller_without_role_publish_nothing(served: Served) -> None:
    assert (await publish(served, change(), tenant="nowhere")).json()["error"] == "UnknownTenant"
    assert (await publish(served, change(), roles=("agent",))).status_code == 403


async def test_an_erased_subject_is_refused(served: Served) -> None:
    await served.rows(
        "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)"
        " values ('north', 'LEAD/42', gen_random_uuid(), now(), 'an', 'asked')"
    )
    assert (await publish(served, change())).json()["error"] == "SubjectErased"


async def test_callers_at_once_take_an_event_once_and_keep_each_entitys_order(served: Served) -> None:
    events = [change(f"e-{number}", entityId=str(number % 5)) for number in range(40)]
    answers = await asyncio.gather(*(publish(served, {"events": events}) for _ in range(6)))
    assert sum(answer.json()["accepted"] for answer in answers) == 40
    assert sum(answer.json()["duplicates"] for answer in answers) == 200
    assert len(await outbox(served)) == 40


async def test_an_admin_describes_entity_types(served: Served) -> None:
    admin = served.headers(("admin",))
    put = await served.client.put(f"{TYPES}/LEAD", json={"managed": True, "stageField": "phase"}, headers=admin)
    assert {name: put.json()[name] for name in ("managed", "stageField", "statusField")} == {
        "managed": True,
        "stageField": "phase",
        "statusField": "leadStatus",
    }
    again = await served.client.put(f"{TYPES}/LEAD", json={"managed": True}, headers=admin)
    assert again.json()["managedSince"] == put.json()["managedSince"], "it is managed since it first was"
    listed = await served.client.get(TYPES, headers=served.headers(("viewer",)))
    assert [(row["entityType"], row["managed"]) for row in listed.json()["items"]] == [("LEAD", True)]
    assert (await served.client.get(TYPES, headers=served.headers(tenant="south"))).json()["items"] == []
    back = await served.client.put(f"{TYPES}/LEAD", json={"managed": False}, headers=admin)
    assert (back.json()["managed"], back.json()["managedSince"]) == (False, None)


async def test_sensitive_fields_stay_until_somebody_names_others(served: Served) -> None:
    async def put(**body: object) -> httpx.Response:
        told = {"managed": False, **body}
        return await served.client.put(f"{TYPES}/LEAD", json=told, headers=served.headers(("admin",)))

    assert (await put()).json()["sensitiveFields"] == []
    marked = await put(sensitiveFields=["email", "address.city"])
    assert marked.json()["sensitiveFields"] == (await put()).json()["sensitiveFields"] == ["email", "address.city"]
    refused = await put(sensitiveFields=["email", "a..b"])
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/sensitiveFields/1")
    assert (await put(sensitiveFields=[])).json()["sensitiveFields"] == []


async def test_a_file_is_published_at_a_rate_and_once(served: Served, listening: Listening, tmp_path: Path) -> None:
    file = tmp_path / "changes.jsonl"
    lines = [change(f"e-{number}", tenantId=("north", "south")[number > 9]) for number in range(12)]
    file.write_bytes(b"\n".join(httpx.Response(200, json=line).content for line in lines))
    tokens = {tenant: token(roles=["import"], tenant=tenant, sub="an") for tenant in ("north", "south")}
    for accepted in (12, 0):
        sent: list[int] = []
        publisher = EventPublisher(f"http://127.0.0.1:{listening.port}", tokens, rate=200)
        await publisher.publish(read_events(file), sent.append)
        assert (publisher.tally.accepted, publisher.tally.duplicates, sum(sent)) == (accepted, 12 - accepted, 12)


def test_a_file_with_a_bad_line_is_not_published(tmp_path: Path) -> None:
    file = tmp_path / "changes.jsonl"
    file.write_text('{"tenantId": "north"}\n[]\nnot json\n')
    with pytest.raises(ConfigurationError, match="line 2"):
        read_events(file)


def test_the_door_has_the_documents_address() -> None:
    assert (("POST", EVENTS)) in {(route.method, route.path) for route in ROUTES}
