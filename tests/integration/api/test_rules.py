"""Rules over HTTP: every verb of RU-14, all problems at once in two languages, versions, trials that write nothing."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.api.conftest import Served

PATH = "/api/v1/workflows"
BIG = {"fieldName": "estimatedValue", "operator": "GREATER_THAN", "value": 50_000, "valueType": "NUMBER"}
TELL = {"actionType": "UPDATE_FIELD", "configuration": {"fieldName": "leadStatus", "value": "HOT"}}


def words(**told: Any) -> dict[str, Any]:
    return {
        "name": "Big leads",
        "triggerType": "ON_UPDATE",
        "entityType": "LEAD",
        "conditions": [BIG],
        "actions": [TELL],
        **told,
    }


class Editing:
    """An editor's requests."""

    def __init__(self, served: Served) -> None:
        self.served = served

    async def send(
        self, method: str, path: str = "", body: Any = None, role: str = "rule-editor", **headers: str
    ) -> httpx.Response:
        return await self.served.client.request(
            method, f"{PATH}{path}", json=body, headers=self.served.headers((role,), **headers)
        )  # fmt: skip

    async def create(self, **told: Any) -> dict[str, Any]:
        answer = await self.send("POST", body={"rule": words(**told)}, idempotency_key=str(uuid4()))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def counts(self) -> list[int]:
        tables = (
            "workflow_execution_logs",
            "effects",
            "timers",
            "workflow_rule_deltas",
            "outbox_events",
            "audit_log",
            "incidents",
        )
        return [(await self.served.rows(f"select count(*) from {table}"))[0][0] for table in tables]


@pytest.fixture
def editing(served: Served) -> Editing:
    return Editing(served)


@pytest.mark.requirement("RU-14", "trap-43")
async def test_a_rule_is_made_read_changed_switched_and_removed(editing: Editing) -> None:
    made = await editing.create()
    path = f"/{made['id']}"
    assert (made["version"], made["isActive"], made["conditionsShown"]) == (1, True, "estimatedValue > 50000")

    unread = await editing.send("PUT", path, {"rule": words()})
    changed = await editing.send("PUT", path, {"rule": words(priority=5), "reason": "urgent"}, if_match='"1"')
    stale = await editing.send("PUT", path, {"rule": words()}, if_match='"1"')
    off = await editing.send("POST", f"{path}/deactivate", {})
    listed = await editing.send("GET", "?isActive=false&entityType=LEAD", role="rule-reader")
    versions = (await editing.send("GET", f"{path}/versions")).json()["items"]
    gone = await editing.send("DELETE", path)

    assert (unread.status_code, changed.status_code, changed.headers["etag"], stale.status_code) == (428, 200, '"2"', 412)
    assert (off.json()["isActive"], off.json()["version"]) == (False, 3)
    assert (listed.json()["total"], listed.json()["page"], listed.json()["size"]) == (1, 1, 20)
    assert [(each["version"], each["reason"]) for each in versions] == [(3, None), (2, "urgent"), (1, None)]
    assert (gone.status_code, (await editing.send("GET", path)).status_code) == (204, 404)
    assert len((await editing.send("GET", f"{path}/versions")).json()["items"]) == 4


@pytest.mark.requirement("trap-12", "trap-33")
async def test_every_problem_is_told_at_once_in_the_language_asked_for_and_nothing_is_saved(editing: Editing) -> None:
    broken = words(
        triggerType="SCHEDULED",
        cronExpression="61 * * * *",
        scheduleTimezone="Mars/Olympus",
        conditions=[{"fieldName": "a..b", "operator": "CONTAINS", "value": 5, "valueType": "NUMBER"}],
        actions=[
            {"actionType": "CALL_WEBHOOK", "configuration": {"url": "https://x.example/", "headers": {"A": "{{env.TOKEN}}"}}}
        ],
    )
    english = await editing.send("POST", body={"rule": broken})
    vietnamese = await editing.send("POST", body={"rule": broken}, accept_language="vi-VN")

    assert english.status_code == 422
    codes = {(each["pointer"], each["code"]) for each in english.json()["errors"]}
    assert {("/cronExpression", "cron"), ("/scheduleTimezone", "zone"), ("/conditions/0/fieldName", "path")} <= codes
    assert ("/actions/0/configuration/headers/A", "template-env") in codes
    assert [each["code"] for each in vietnamese.json()["errors"]] == [each["code"] for each in english.json()["errors"]]
    assert vietnamese.json()["errors"] != english.json()["errors"]
    assert (await editing.send("GET")).json()["total"] == 0


@pytest.mark.requirement("trap-42")
async def test_a_trial_says_what_would_happen_and_nothing_happens(editing: Editing) -> None:
    rule = await editing.create()
    before = await editing.counts()

    stored = await editing.send("POST", "/test", {"ruleId": rule["id"], "change": {"newValues": {"estimatedValue": 75_000}}})
    unsaved = await editing.send("POST", "/test", {"rule": words(), "change": {"newValues": {"estimatedValue": 1}}})
    changes = [{"entityId": str(value), "newValues": {"estimatedValue": value}} for value in (1, 50_001, 99_999)]
    simulated = await editing.send("POST", f"/{rule['id']}/simulate", {"changes": changes})

    assert (stored.json()["fires"], unsaved.json()["fires"]) == (True, False)
    assert stored.json()["actions"][0]["request"]["value"] == "HOT"
    assert "75000" in stored.json()["explanation"][2]
    assert (simulated.json()["lookedAt"], simulated.json()["fires"]) == (3, 2)
    assert [each["entityId"] for each in simulated.json()["examples"]] == ["50001", "99999"]
    assert await editing.counts() == before


async def mark_sensitive(served: Served, *fields: str) -> None:
    body = {"managed": False, "sensitiveFields": list(fields)}
    answer = await served.client.put("/api/v1/entity-types/LEAD", json=body, headers=served.headers(("admin",)))
    assert answer.status_code == 200, answer.text


@pytest.mark.requirement("RU-12", "trap-42")
async def test_no_answer_about_a_rule_shows_the_value_of_a_sensitive_field(editing: Editing) -> None:
    hook = {"url": "https://hooks.example.com/x?of={{phone}}", "bodyTemplate": {"call": "{{phone}}", "was": "{{old.phone}}"}}
    rule = await editing.create(
        conditions=[BIG, {"fieldName": "phone", "operator": "STARTS_WITH", "value": "canary"}],
        actions=[TELL, {"actionType": "CALL_WEBHOOK", "configuration": hook}],
    )
    await mark_sensitive(editing.served, "phone")
    values = {"estimatedValue": 75_000, "phone": "canary-1"}
    change = {"entityId": "7", "oldValues": {"phone": "canary-0"}, "newValues": values}

    tried = await editing.send("POST", "/test", {"ruleId": rule["id"], "change": change})
    simulated = await editing.send("POST", f"/{rule['id']}/simulate", {"changes": [change]})
    explained = await editing.send("POST", f"/{rule['id']}/explain", {"change": change, "version": 1})

    for answer in (tried, simulated, explained):
        assert answer.status_code == 200
        assert "canary" not in answer.text
        assert "75000" in answer.text
    assert tried.json()["fires"] is True
    assert json.loads(tried.json()["actions"][1]["request"]["body"]) == {"call": "***", "was": "***"}


@pytest.mark.requirement("RU-12")
async def test_why_it_did_not_fire_is_answered_with_the_version_of_that_time(editing: Editing) -> None:
    rule = await editing.create()
    await editing.send("PUT", f"/{rule['id']}", {"rule": words(conditions=[])}, if_match='"1"')
    event = {"entityId": "42", "newValues": {"estimatedValue": 40_000}}

    first = await editing.send("POST", f"/{rule['id']}/explain", {"change": event, "version": 1})
    young = await editing.send("POST", f"/{rule['id']}/explain", {"change": {**event, "timestamp": "2020-01-01T00:00:00Z"}})

    assert (first.json()["version"], first.json()["fires"]) == (1, False)
    assert first.json()["trace"]["conditions"][0]["saw"] == 40_000
    assert "conditions were not met" in first.json()["verdict"]
    assert "younger than the event" in young.json()["verdict"]


@pytest.mark.requirement("RU-8")
async def test_the_graph_shows_a_circle(editing: Editing) -> None:
    alone = await editing.create(triggerType="ON_CREATE", name="alone")
    loop = await editing.create(name="loop")

    graph = (await editing.send("GET", f"/{loop['id']}/graph")).json()

    assert graph["circle"] is True
    assert {(edge["source"], edge["target"], edge["way"]) for edge in graph["edges"]} == {
        (alone["id"], loop["id"], "writes"),
        (loop["id"], loop["id"], "writes"),
    }
    assert (await editing.send("GET", f"/{alone['id']}/graph")).json()["circle"] is False


@pytest.mark.requirement("SP-8")
async def test_another_tenant_sees_no_rule(editing: Editing) -> None:
    rule = await editing.create()
    headers = editing.served.headers(("rule-editor",), tenant="south")
    answer = await editing.served.client.get(f"{PATH}/{rule['id']}", headers=headers)
    assert answer.status_code == 404
