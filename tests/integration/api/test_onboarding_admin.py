"""What operators of onboarding see (WF-15): counts, pages, details, lanes, graph, replay, and nothing of other tenants."""

from typing import Any

import pytest

from api import onboarding_admin
from schemas.onboarding import Recover
from tests.integration.api.conftest import Served
from tests.integration.api.onboarding_scenes import ADMIN, CANARY, card, failed, failed_back, ordered, reviewed, seen, told


@pytest.mark.requirement("WF-15")
async def test_the_dashboard_counts_by_tenant_flow_state_and_hour(served: Served) -> None:
    await card(served, "i-1")
    await card(served, "i-2")
    await failed(served, "i-2")
    await card(served, "i-3")
    await told(served, Recover(instance_id="i-3", cause="lease-expired"))
    await card(served, "i-4")
    await ordered(served, f"{ADMIN}/i-4/cancel", {"reason": CANARY})
    shown = await seen(served, "/dashboard")
    assert shown["tenants"] == [{"tenantId": "north", "live": 3, "endedLastDay": 1}]
    assert shown["statuses"] == [{"status": "ACTIVE", "count": 2}, {"status": "INCIDENT", "count": 1}]
    assert shown["flows"] == [{"flow": "card-onboarding", "flowVersion": 1, "count": 3}]
    assert shown["states"] == [{"flow": "card-onboarding", "state": "ACCOUNT_PENDING", "count": 3}]
    assert shown["ended"] == [{"flow": "card-onboarding", "status": "CANCELED", "count": 1}]
    assert shown["openIncidents"] == [{"kind": "step-failed", "fingerprint": "card-onboarding|create-account", "count": 1}]
    assert [shown[name] for name in ("recoveriesLastHour", "incidentsLastHour", "recoveryAlert", "complete")] == [
        1, 1, False, True
    ]  # fmt: skip
    assert sum(hour["recoveries"] for hour in shown["hours"]) == sum(hour["incidents"] for hour in shown["hours"]) == 1
    foreign = await seen(served, "/dashboard", tenant="south")
    assert foreign["tenants"] == [{"tenantId": "south", "live": 0, "endedLastDay": 0}]
    assert foreign["hours"] == foreign["openIncidents"] == []


@pytest.mark.requirement("WF-15")
async def test_the_list_is_paged_as_the_document_says_and_no_page_is_too_large(served: Served) -> None:
    for number in range(5):
        await card(served, f"i-{number}", user="ann" if number % 2 else "bea")
    await failed(served, "i-4")
    shown = await seen(served, "?status=ACTIVE&page=0&size=20")
    assert ({item["instanceId"] for item in shown["items"]}, shown["page"], shown["size"], shown["more"]) == (
        {"i-0", "i-1", "i-2", "i-3"}, 0, 20, False
    )  # fmt: skip
    pages = [await seen(served, f"?page={page}&size=2") for page in range(3)]
    assert [item["instanceId"] for page in pages for item in page["items"]] == ["i-4", "i-3", "i-2", "i-1", "i-0"]
    assert [page["more"] for page in pages] == [True, True, False]
    assert [item["instanceId"] for item in (await seen(served, "?userId=bea&status=INCIDENT"))["items"]] == ["i-4"]
    assert (await seen(served, "", tenant="south"))["items"] == []
    for wrong in ("?page=-1&size=1000000", "?page=-1", "?size=0", "?size=201", "?page=10000&size=200", "?status=FLYING"):
        answer = await served.client.get(f"{ADMIN}{wrong}", headers=served.headers(("operator",)))
        assert (answer.status_code, answer.json()["error"]) == (422, "ValidationFailed"), wrong


@pytest.mark.requirement("WF-15")
async def test_details_say_where_it_stands_what_is_wrong_and_what_can_be_ordered(served: Served) -> None:
    await failed_back(served, "i-1")
    shown = await seen(served, "/i-1")
    assert (shown["status"], shown["allowedOperations"]) == (
        "COMPENSATION_FAILED", ["retry", "mark-compensated", "propose-input"]
    )  # fmt: skip
    assert shown["toUndo"] == ["UNDO_ACCOUNT_CREATION"]
    assert [attempt["handler"] for attempt in shown["attempts"]] == [
        "create-account", "create-wallet", "UNDO_ACCOUNT_CREATION"
    ]  # fmt: skip
    assert (shown["step"]["undoes"], shown["step"]["status"]) == (1, "stalled")
    assert [incident["kind"] for incident in shown["incidents"]] == ["compensation-failed"]
    item = await reviewed(served, "i-2")
    review = (await seen(served, "/i-2"))["review"]
    assert (review["workItemId"], review["group"], review["editable"]) == (item, "kyc-reviewers", ["fullName", "idNumber"])


@pytest.mark.requirement("WF-15", "WF-2")
async def test_a_timeline_has_lanes_pages_both_ways_and_no_word_of_a_person(served: Served) -> None:
    await failed_back(served, "i-1")
    (row,) = await served.rows("select version from onboarding_instance")
    entries: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await seen(served, f"/i-1/timeline?limit=4{cursor and '&cursor=' + cursor}")
        entries, cursor = entries + page["items"], page["nextCursor"]
    assert [entry["number"] for entry in entries] == list(range(1, row["version"] + 1))
    lanes = {entry["type"]: entry["lane"] for entry in entries}
    assert (lanes["STEP_COMPLETED"], lanes["CANCEL_REQUESTED"], lanes["SAGA_COMPENSATION"]) == (
        "effect", "user", "compensation"
    )  # fmt: skip
    assert {entry["lane"] for entry in entries} >= {"user", "system", "effect", "compensation"}
    latest = await seen(served, "/i-1/timeline?order=newest&limit=3")
    assert [entry["number"] for entry in latest["items"]] == [row["version"] - n for n in range(3)]
    other = await served.client.get(
        f"{ADMIN}/i-1/timeline?cursor={latest['nextCursor']}", headers=served.headers(("operator",))
    )
    assert other.json()["error"] == "InvalidCursor"
    assert CANARY not in str(entries)


@pytest.mark.requirement("WF-15")
async def test_a_definition_is_a_graph_as_data_mermaid_or_picture(served: Served) -> None:
    shown = await seen(served, "/definition/v1")
    assert (shown["flow"], shown["version"]) == ("customer-onboarding", 1)
    assert {name: shown["nodes"][0][name] for name in ("name", "initial", "end")} == {
        "name": "PHONE_ENTERED",
        "initial": True,
        "end": None,
    }
    assert any(edge["source"] == "AML_CLEARED" and "UNDO_ACCOUNT_CREATION" in edge["label"] for edge in shown["edges"])
    headers = served.headers(("operator",))
    for form, kind, begin in (("svg", "image/svg+xml", "<svg"), ("mermaid", "text/plain", "stateDiagram")):
        answer = await served.client.get(f"{ADMIN}/definition/v1?flow=card-onboarding&format={form}", headers=headers)
        assert (answer.headers["content-type"].partition(";")[0], answer.text[: len(begin)]) == (kind, begin)
    unknown = await served.client.get(f"{ADMIN}/definition/v9", headers=headers)
    assert (unknown.status_code, unknown.json()["error"]) == (404, "FlowNotFound")
    assert (await served.client.get(f"{ADMIN}/definition/one", headers=headers)).status_code == 422


@pytest.mark.requirement("WF-3", "trap-71")
async def test_a_replay_is_sound_or_names_the_first_divergence_and_is_audited(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await failed_back(served, "i-1")
    status, found = await ordered(served, "/admin/replay/i-1", {})
    assert (status, found["sound"], found["status"], found["rowDiffers"]) == (200, True, "COMPENSATION_FAILED", False)
    audited = await served.rows("select actor, object_id from audit_log where action = 'onboarding.replay'")
    assert [tuple(row) for row in audited] == [("oper", "i-1")]
    await served.rows("alter table workflow_event disable trigger workflow_event_append_only")
    await served.rows("update workflow_event set payload = replace(payload, 'create-wallet', 'purse')")
    status, found = await ordered(served, "/admin/replay/i-1", {})
    assert (status, found["sound"], found["divergence"]["field"]) == (200, False, "handler")
    monkeypatch.setattr(onboarding_admin, "LONGEST_REPLAY", 3)
    assert (await ordered(served, "/admin/replay/i-1", {}))[1]["error"] == "HistoryTooLong"


@pytest.mark.requirement("WF-15", "SP-8")
async def test_another_tenants_instance_and_one_that_is_nobodys_do_not_exist(served: Served) -> None:
    await card(served, "i-1")
    for instance, tenant in (("i-1", "south"), ("nobodys", "north"), ("x" * 200, "north")):
        headers = served.headers(("operator",), tenant=tenant)
        for path in (f"{ADMIN}/{instance}", f"{ADMIN}/{instance}/timeline"):
            assert (await served.client.get(path, headers=headers)).status_code == 404
        for path in ("cancel", "retry", "compensation/mark-done"):
            status, body = await ordered(served, f"{ADMIN}/{instance}/{path}", {"reason": "x"}, tenant=tenant)
            assert (status, body["error"]) == (404, "InstanceNotFound"), path
        assert (await ordered(served, f"/admin/replay/{instance}", {}, tenant=tenant))[0] == 404
    assert (await served.rows("select count(*) as n from audit_log"))[0]["n"] == 0
