"""Work items over HTTP: the documents' paths, bodies and error codes on a real database."""

from typing import Any
from uuid import uuid4

import pytest

from api.app import create_app
from tests.integration.api.conftest import ITEMS, Served, settings_for
from tests.integration.api.serving import asgi_client


@pytest.mark.requirement("WI-3", "WI-4", "WI-8")
async def test_a_request_is_created_open_and_then_acted_upon(served: Served) -> None:
    created = await served.create()
    assert (created["oldStatus"], created["newStatus"], created["statusChanged"]) == ("draft", "open", True)
    answer = await served.act(created["workItemId"], "StartWork")
    assert answer.json() == {
        "workItemId": created["workItemId"],
        "oldStatus": "open",
        "newStatus": "in_progress",
        "statusChanged": True,
        "displayStatus": "Đang xử lý",
        "allowedNextActions": [
            "Assign",
            "SetWaitingInternal",
            "SetWaitingCustomer",
            "SetWaitingExternal",
            "Resolve",
            "Cancel",
        ],
        "version": created["version"] + 1,
        "cycle": 0,
    }
    assert answer.headers["etag"] == f'"{created["version"] + 1}"'


@pytest.mark.requirement("WI-4")
async def test_a_saved_draft_stays_a_draft_until_it_is_submitted(served: Served) -> None:
    draft = await served.create({"draft": True})
    assert (draft["newStatus"], draft["allowedNextActions"]) == ("draft", ["Submit", "Cancel", "Reject"])
    assert (await served.act(draft["workItemId"], "Submit")).json()["newStatus"] == "open"


async def test_a_creation_says_where_the_item_is(served: Served) -> None:
    wanted = str(uuid4())
    headers = served.headers(idempotency_key="k1")
    answer = await served.client.post(ITEMS, json={"title": "x", "workItemId": wanted}, headers=headers)
    assert answer.headers["location"] == f"{ITEMS}/{wanted}"
    found = await served.client.get(answer.headers["location"], headers=served.headers(("viewer",)))
    assert found.headers["etag"] == answer.headers["etag"]


@pytest.mark.requirement("RU-8")
async def test_an_item_says_which_entity_it_is_about(served: Served) -> None:
    created = await served.create({"relatedTo": {"entityType": "LEAD", "entityId": "42"}})
    rows = await served.rows("select tenant_id, entity_type, entity_id, work_item_id::text from work_item_relations")
    assert [tuple(row) for row in rows] == [("north", "LEAD", "42", created["workItemId"])]

    half = {"title": "x", "relatedTo": {"entityType": "LEAD"}}
    refused = await served.client.post(ITEMS, json=half, headers=served.headers(idempotency_key=str(uuid4())))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/relatedTo/entityId"


@pytest.mark.requirement("WI-5", "WI-9")
async def test_an_item_is_read_with_the_controls_of_its_screen(served: Served) -> None:
    created = await served.create({"description": "Smoke", "followerIds": ["binh"], "dueAt": "2026-05-01T10:00:00+07:00"})
    found = (await served.client.get(f"{ITEMS}/{created['workItemId']}", headers=served.headers())).json()
    assert (found["title"], found["description"], found["followerIds"]) == ("Printer is on fire", "Smoke", ["binh"])
    assert (found["status"], found["displayStatus"], found["dueAt"]) == ("open", "Mở", "2026-05-01T03:00:00Z")
    controls = {control["key"]: (control["action"], control["enabled"]) for control in found["controls"]}
    assert controls["in_progress"] == ("StartWork", True)
    assert controls["close"] == ("Cancel", True)
    assert controls["pause"] == (None, False)
    seen = (await served.client.get(f"{ITEMS}/{created['workItemId']}", headers=served.headers(("viewer",)))).json()
    assert not any(control["enabled"] for control in seen["controls"])


@pytest.mark.requirement("WI-5")
async def test_history_and_comments_are_read_in_pages(served: Served) -> None:
    item = (await served.create())["workItemId"]
    for action in ("StartWork", "SetWaitingCustomer", "BackToInProgress"):
        assert (await served.act(item, action, note="said by phone")).status_code == 200
    for number in range(3):
        sent = await served.client.post(
            f"{ITEMS}/{item}/comments", json={"body": f"comment {number}"}, headers=served.headers()
        )
        assert sent.status_code == 201
    history = await pages(served, f"{ITEMS}/{item}/state-history?limit=2")
    assert [row["toStatus"] for row in history] == ["draft", "open", "in_progress", "waiting_customer", "in_progress"]
    assert history[3]["note"] == "said by phone"
    assert [row["body"] for row in await pages(served, f"{ITEMS}/{item}/comments?limit=2")] == [
        "comment 0",
        "comment 1",
        "comment 2",
    ]


async def pages(served: Served, path: str) -> list[dict[str, str]]:
    """Every row of a list, following the Link header."""
    rows: list[dict[str, str]] = []
    following: str | None = path
    while following:
        answer = await served.client.get(following, headers=served.headers(("viewer",)))
        assert answer.status_code == 200, answer.text
        rows += answer.json()["items"]
        assert ("next" in answer.links) == (answer.json()["nextCursor"] is not None)
        following = answer.links["next"]["url"] if "next" in answer.links else None
    return rows


async def test_the_list_is_filtered_and_paged_without_gap_or_repetition(served: Served) -> None:
    made = [(await served.create({"process": "IT", "priority": "high" if n % 2 else "low"}))["workItemId"] for n in range(7)]
    listed = await pages(served, f"{ITEMS}?limit=2")
    assert [row["workItemId"] for row in listed] == made[::-1]
    high = await pages(served, f"{ITEMS}?limit=2&priority=high&status=open&process=IT")
    assert [row["workItemId"] for row in high] == made[1::2][::-1]


async def test_a_page_is_never_longer_than_the_server_allows(served: Served) -> None:
    for _ in range(3):
        await served.create()
    short = settings_for(served.database, CASESTREAM_HTTP__PAGE_LIMIT="2")
    async with asgi_client(create_app(short, served.pool, served.world.verifier())) as client:
        page = (await client.get(f"{ITEMS}?limit=100", headers=served.headers())).json()
    assert (len(page["items"]), page["nextCursor"] is None) == (2, False)


async def test_a_cursor_serves_its_own_list_only(served: Served) -> None:
    for _ in range(3):
        await served.create()
    cursor = (await served.client.get(f"{ITEMS}?limit=1", headers=served.headers())).json()["nextCursor"]
    for query in (f"limit=1&status=open&cursor={cursor}", f"cursor={cursor[:-2]}AA", "cursor=x", "cursor=%00"):
        answer = await served.client.get(f"{ITEMS}?{query}", headers=served.headers())
        assert (answer.status_code, answer.json()["error"]) == (400, "InvalidCursor")
    south = await served.client.get(f"{ITEMS}?limit=1&cursor={cursor}", headers=served.headers(tenant="south"))
    assert south.json()["error"] == "InvalidCursor"


@pytest.mark.requirement("WI-9", "WI-8", "trap-61")
async def test_the_screens_get_their_words_and_rules_as_data(served: Served) -> None:
    lists = (await served.client.get(f"{ITEMS}/taxonomy", headers=served.headers(("viewer",)))).json()
    assert {status["status"]: status["label"]["vi"] for status in lists["statuses"]}["waiting_external"] == "Chờ bên thứ ba"
    close = next(control for control in lists["controls"] if control["key"] == "close")
    assert (close["actions"]["resolved"], close["actions"]["open"]) == ("Close", "Cancel")
    assert "closed" not in close["actions"]
    assert [entry["code"] for entry in lists["priorities"]] == ["low", "medium", "high", "critical"]


@pytest.mark.requirement("WI-5")
async def test_fields_are_edited_with_the_version_that_was_seen(served: Served) -> None:
    created = await served.create()
    path = f"{ITEMS}/{created['workItemId']}"
    seen = f'"{created["version"]}"'
    edited = await served.client.patch(path, json={"priority": "high", "note": None}, headers=served.headers(if_match=seen))
    assert (edited.status_code, edited.headers["etag"]) == (200, f'"{created["version"] + 1}"')
    late = await served.client.patch(path, json={"priority": "low"}, headers=served.headers(if_match=seen))
    assert (late.status_code, late.json()["error"]) == (412, "ConflictState")
    assert (late.json()["currentVersion"], late.json()["currentStatus"]) == (created["version"] + 1, "open")
    blind = await served.client.patch(path, json={"priority": "low"}, headers=served.headers())
    assert (blind.status_code, blind.json()["error"]) == (428, "IfMatchRequired")
    any_version = await served.client.patch(path, json={"priority": "low"}, headers=served.headers(if_match="*"))
    assert any_version.status_code == 200
    for tag in ("7", "", '"a", "b"', "W/7"):
        wrong = await served.client.patch(path, json={"priority": "low"}, headers=served.headers(if_match=tag))
        assert (wrong.status_code, wrong.json()["error"]) == (400, "InvalidIfMatch"), tag
    weak = await served.client.patch(path, json={"priority": "low"}, headers=served.headers(if_match=f"W/{seen}"))
    assert weak.status_code == 412
    status = await served.client.patch(path, json={"status": "closed"}, headers=served.headers(if_match="*"))
    assert (status.status_code, status.json()["errors"][0]["pointer"]) == (422, "/status")


@pytest.mark.requirement("trap-56")
async def test_a_stale_caller_is_told_the_current_version(served: Served) -> None:
    created = await served.create()
    item, version = created["workItemId"], created["version"]
    assert (await served.act(item, "StartWork", expectedStatus="open", expectedVersion=version)).status_code == 200
    by_status = await served.act(item, "Resolve", expectedStatus="open")
    by_version = await served.act(item, "Resolve", expectedVersion=version)
    assert [by_status.status_code, by_version.status_code] == [409, 409]
    assert (by_version.json()["currentStatus"], by_version.json()["currentVersion"]) == ("in_progress", version + 1)
    by_tag = await served.act(item, "Resolve", served.headers(("supervisor",), if_match=f'"{version}"'))
    assert (by_tag.status_code, by_tag.json()["error"]) == (412, "ConflictState")
    fresh = await served.act(item, "Resolve", served.headers(("supervisor",), if_match=f'"{version + 1}"'))
    assert fresh.status_code == 200
    both = await served.act(item, "Close", served.headers(("supervisor",), if_match='"9"'), expectedVersion=8)
    assert (both.status_code, both.json()["error"]) == (400, "InvalidIfMatch")


@pytest.mark.parametrize(
    ("action", "body", "status", "code"),
    [
        ("CLOSE", {}, 400, "InvalidAction"),
        ("close", {}, 400, "InvalidAction"),
        ("Create", {}, 400, "InvalidAction"),
        ("Archive", {}, 400, "InvalidAction"),
        ("AutoCloseFromWorkflow", {}, 400, "InvalidAction"),
        ("", {}, 400, "InvalidAction"),
        ("Close", {}, 400, "InvalidTransition"),
        ("Assign", {}, 400, "AssigneeRequired"),
        ("Assign", {"newAssigneeId": None}, 400, "AssigneeRequired"),
        ("Assign", {"newAssigneeId": "nobody"}, 400, "UnknownAssignee"),
        ("Assign", {"newAssigneeId": "chi"}, 400, "InactiveAssignee"),
        ("StartWork", {"occurredAt": "2020-01-01T00:00:00Z"}, 400, "OccurredAtRefused"),
        ("StartWork", {"newAssigneeId": 7}, 422, "ValidationFailed"),
        ("StartWork", {"surprise": 1}, 422, "ValidationFailed"),
        ("StartWork", {"expectedVersion": 2**70}, 422, "ValidationFailed"),
        ("StartWork", {"expectedVersion": "2"}, 422, "ValidationFailed"),
        ("StartWork", {"occurredAt": 0}, 422, "ValidationFailed"),
        ("StartWork", {"occurredAt": "2020-01-01T00:00:00"}, 422, "ValidationFailed"),
        ("StartWork", {"note": "a\x00b"}, 422, "ValidationFailed"),
        ("x" * 50, {}, 400, "InvalidAction"),
    ],
)
@pytest.mark.requirement("trap-46", "trap-47", "trap-48", "WI-3")
async def test_what_an_action_may_not_be(served: Served, action: str, body: dict[str, Any], status: int, code: str) -> None:
    item = (await served.create())["workItemId"]
    answer = await served.act(item, action, **body)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.json()["message"] == answer.json()["detail"]


@pytest.mark.requirement("trap-48", "WI-3")
@pytest.mark.parametrize("action", [None, 7, ["Close"], {"Close": 1}])
async def test_an_action_that_is_no_text_is_an_invalid_action(served: Served, action: object) -> None:
    item = (await served.create())["workItemId"]
    for body in ({"action": action}, {}):
        answer = await served.client.post(f"{ITEMS}/{item}/actions", json=body, headers=served.headers())
        assert (answer.status_code, answer.json()["error"]) == (400, "InvalidAction")


@pytest.mark.requirement("trap-47", "WI-3")
async def test_a_refusal_says_what_is_allowed_instead(served: Served) -> None:
    item = (await served.create())["workItemId"]
    problem = (await served.act(item, "Close")).json()
    assert problem["type"] == "urn:casestream:problem:InvalidTransition"
    assert problem["message"] == "Action Close is not allowed from status open"
    assert problem["allowedNextActions"] == ["Assign", "StartWork", "Cancel", "Reject"]
    assert (problem["status"], problem["currentStatus"], problem["instance"]) == (400, "open", f"{ITEMS}/{item}/actions")


@pytest.mark.requirement("trap-55")
async def test_a_missing_or_malformed_id_is_never_a_server_error(served: Served) -> None:
    missing = await served.act(str(uuid4()), "Close")
    assert (missing.status_code, missing.json()["error"]) == (404, "WorkItemNotFound")
    for path in (f"{ITEMS}/{uuid4()}", f"{ITEMS}/{uuid4()}/comments", f"{ITEMS}/{uuid4()}/state-history"):
        found = await served.client.get(path, headers=served.headers())
        assert (found.status_code, found.json()["error"]) == (404, "WorkItemNotFound")
    for malformed in ("7", "not-a-uuid", "%00", "' or 1=1 --", "..%2f..%2fetc"):
        answer = await served.client.get(f"{ITEMS}/{malformed}", headers=served.headers())
        assert answer.status_code in (404, 422), malformed


@pytest.mark.requirement("WI-3")
async def test_an_action_needs_a_role_that_may_do_it(served: Served) -> None:
    item = (await served.create())["workItemId"]
    answer = await served.act(item, "Reject", served.headers(("agent",)))
    assert (answer.status_code, answer.json()["error"]) == (403, "PermissionDenied")


async def test_an_import_dates_what_happened_elsewhere(served: Served) -> None:
    who = {"roles": ("import",)}
    item = (await served.create({"occurredAt": "2020-01-01T08:00:00Z"}, **who))["workItemId"]
    done = await served.act(item, "StartWork", served.headers(("import",)), occurredAt="2020-01-02T08:00:00Z")
    assert done.status_code == 200
    back = await served.act(item, "Resolve", served.headers(("import",)), occurredAt="2020-01-01T09:00:00Z")
    assert back.json()["error"] == "OccurredAtRefused"
    history = await pages(served, f"{ITEMS}/{item}/state-history")
    assert {row["source"] for row in history} == {"IMPORT"}
    assert history[-1]["occurredAt"] == "2020-01-02T08:00:00Z"


@pytest.mark.requirement("SP-8", "SP-1")
async def test_the_callers_trace_travels_with_the_event(served: Served) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    await served.create(traceparent=f"00-{trace}-b7ad6b7169203331-01")
    rows = await served.rows("select distinct traceparent, tenant_id, created_by from outbox_events")
    assert [(row["traceparent"][3:35], row["tenant_id"], row["created_by"]) for row in rows] == [(trace, "north", "an")]
