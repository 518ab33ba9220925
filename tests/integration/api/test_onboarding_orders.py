"""What operators order of journeys: who may, what is recorded of it, and retries of many with an honest answer for each."""

import asyncio

import pytest

from api.transactions import transaction
from domain.onboarding.definitions import import_flow, released_flows
from schemas.onboarding import StartInstance
from tests.integration.api.conftest import Served
from tests.integration.api.onboarding_scenes import ADMIN, CANARY, card, failed, failed_back, ordered, seen, told
from tests.integration.api.test_onboarding import working
from tests.waiting import until

CAUSE = {"kind": "step-failed", "fingerprint": "card-onboarding|create-account"}
BULK = f"{ADMIN}/incidents/retry"


@pytest.mark.requirement("WF-15")
async def test_a_cancel_is_recorded_with_its_reason_sealed_and_its_author_audited(served: Served) -> None:
    await card(served, "i-1")
    status, body = await ordered(served, f"{ADMIN}/i-1/cancel", {"reason": f"{CANARY} called"})
    assert (status, body["status"], body["changed"]) == (200, "CANCELED", True)
    (row,) = await served.rows("select version from onboarding_instance")
    assert body["version"] == row["version"]
    again = await ordered(served, f"{ADMIN}/i-1/cancel", {"reason": "again"})
    assert (again[0], again[1]["changed"]) == (200, False)
    rows = await served.rows("select actor, reason, detail::text as detail from audit_log where action = 'onboarding.cancel'")
    assert [(row["actor"], row["reason"]) for row in rows] == [("oper", None)]
    (event,) = await served.rows("select * from workflow_event where event_type = 'CANCEL_REQUESTED'")
    assert (event["data"] is not None, f'"event": {event["sequence_number"]}' in rows[0]["detail"]) == (True, True)
    assert CANARY not in event["payload"] + rows[0]["detail"]


@pytest.mark.requirement("WF-15", "IN-12")
async def test_a_reason_is_opened_again_for_who_says_why_and_for_nobody_once_the_person_is_erased(served: Served) -> None:
    await card(served, "i-1", user="ann")
    await ordered(served, f"{ADMIN}/i-1/cancel", {"reason": f"{CANARY} called"})
    (event,) = await served.rows("select sequence_number from workflow_event where event_type = 'CANCEL_REQUESTED'")
    path = f"{ADMIN}/i-1/reasons/{event['sequence_number']}"
    asking = served.headers(("operator",), user="oper", access_reason="complaint 7")
    answer = await served.client.get(path, headers=asking)
    assert (answer.status_code, answer.json()["by"], answer.json()["reason"]) == (200, "oper", f"{CANARY} called")
    (read,) = await served.rows("select actor, reason from audit_log where action = 'onboarding.read-reason'")
    assert (read["actor"], read["reason"]) == ("oper", "complaint 7")
    assert (await served.client.get(path, headers=served.headers(("operator",)))).json()["error"] == "ReasonRequired"
    assert (await served.client.get(f"{ADMIN}/i-1/reasons/1", headers=asking)).json()["error"] == "ReasonNotFound"
    await served.rows(
        "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)"
        " values ('north', 'ann', gen_random_uuid(), now(), 'op', 'r')"
    )
    erased = await served.client.get(path, headers=asking)
    assert (erased.status_code, erased.json()["error"]) == (410, "SubjectErased")


@pytest.mark.requirement("WF-15")
async def test_an_order_that_does_not_fit_is_refused_with_what_would(served: Served) -> None:
    await card(served, "i-1")
    status, body = await ordered(served, f"{ADMIN}/i-1/retry", {"reason": "x"})
    assert (status, body["error"], body["allowedOperations"]) == (400, "InvalidTransition", ["cancel"])
    stale = await ordered(served, f"{ADMIN}/i-1/cancel", {"reason": "x", "expectedVersion": 1})
    assert (stale[0], stale[1]["error"]) == (409, "ConflictState")
    assert (await ordered(served, f"{ADMIN}/i-1/cancel", {"reason": "x"}, if_match='"1"'))[0] == 412
    assert (await ordered(served, f"{ADMIN}/i-1/cancel", {}))[0] == 422
    for role in ("customer", "agent", "viewer", "nonsense"):
        assert (await ordered(served, f"{ADMIN}/i-1/cancel", {"reason": "x"}, role))[0] == 403
    assert (await ordered(served, f"{ADMIN}/i-1/retry", {"reason": "x"}, "supervisor"))[0] == 403


@pytest.mark.requirement("WF-9", "trap-69")
async def test_a_compensation_that_failed_is_retried_edited_under_four_eyes_or_marked_done(served: Served) -> None:
    await failed_back(served, "i-1")
    path = f"{ADMIN}/i-1/compensation"
    status, body = await ordered(served, f"{path}/input", {"reason": "x", "data": {"account": CANARY}})
    assert (status, body["status"]) == (200, "COMPENSATION_FAILED")
    shown = await seen(served, "/i-1")
    assert "approve-input" in shown["allowedOperations"]
    proposal = {"proposal": shown["proposal"]["proposal"]}
    own = await ordered(served, f"{path}/input/approve", proposal)
    assert (own[0], own[1]["error"]) == (403, "FourEyes")
    status, body = await ordered(served, f"{path}/input/approve", proposal, user="second")
    assert (status, body["status"]) == (200, "COMPENSATING")
    await failed_back(served, "i-2")
    status, body = await ordered(served, f"{ADMIN}/i-2/compensation/mark-done", {"reason": "closed by hand"})
    assert (status, body["status"]) == (200, "COMPENSATED")
    audited = await served.rows("select action from audit_log where object_id in ('i-1', 'i-2') order by at, audit_id")
    assert {row["action"] for row in audited} == {
        "onboarding.cancel", "onboarding.propose-input", "onboarding.approve-input", "onboarding.mark-compensated"
    }  # fmt: skip
    assert CANARY not in str(await served.rows("select payload, cause from workflow_event"))


@pytest.mark.requirement("WF-15")
async def test_incidents_of_one_cause_are_retried_while_the_worker_runs_and_each_says_what_became_of_it(
    served: Served,
) -> None:
    for number in range(4):
        await card(served, f"i-{number}")
        await failed(served, f"i-{number}")
    # One whose row does not fold must not keep the others from their retry; of another nobody knows any more.
    await served.rows("update onboarding_instance set folded = '{}' where instance_id = 'i-1'")
    await served.rows("update incidents set object_id = 'gone' where object_id = 'i-2'")
    listed = (await seen(served, f"/incidents?kind={CAUSE['kind']}&fingerprint=card-onboarding%7Ccreate-account"))["items"]
    assert [item["instanceId"] for item in listed] == ["gone", "i-0", "i-1", "i-3"]
    async with working(served):
        first, second = await asyncio.gather(*(ordered(served, BULK, {**CAUSE, "reason": "mended"}) for _ in range(2)))
        found = {(one["instanceId"], one["result"], one["code"]) for _, body in (first, second) for one in body["results"]}
        assert {("i-1", "failed", "InternalError"), ("gone", "refused", "InstanceNotFound")} <= found
        # Each once, by whichever of the two was first.
        retried = [one["instanceId"] for _, body in (first, second) for one in body["results"] if one["result"] == "retried"]
        assert sorted(retried) == ["i-0", "i-3"]

        async def over() -> bool:
            rows = await served.rows("select from onboarding_instance where status = 'COMPLETED'")
            return len(rows) == 2

        await until(over, what="both went on to their end")
    assert {row["object_id"] for row in await served.rows("select object_id from incidents where state = 'open'")} == {
        "gone", "i-1"
    }  # fmt: skip
    rows = await served.rows("select object_id from audit_log where action = 'onboarding.retry'")
    assert sorted(row["object_id"] for row in rows) == ["i-0", "i-3"]


@pytest.mark.requirement("WF-15")
async def test_a_bulk_retry_takes_no_more_than_its_limit_and_no_other_tenants(served: Served) -> None:
    for number in range(3):
        await card(served, f"i-{number}")
        await failed(served, f"i-{number}")
    foreign = await ordered(served, BULK, {**CAUSE, "reason": "x"}, tenant="south")
    assert (foreign[0], foreign[1]["results"]) == (200, [])
    status, body = await ordered(served, BULK, {**CAUSE, "reason": "x", "limit": 2})
    assert (status, body["retried"], body["more"]) == (200, 2, True)
    assert (await ordered(served, BULK, {**CAUSE, "reason": "x", "limit": 101}))[0] == 422
    listed = await seen(served, "/incidents?state=resolved")
    assert {item["instanceId"] for item in listed["items"]} == {"i-0", "i-1"}
    page = await seen(served, "/incidents?limit=1")
    assert ([item["instanceId"] for item in page["items"]], page["nextCursor"]) == (["i-2"], None)
    # The door of all incidents knows the kind too.
    one = await ordered(served, f"/api/v1/incidents/{page['items'][0]['incidentId']}/retry", {})
    assert (one[0], "tries again" in one[1]["outcome"]) == (200, True)
    half = await served.client.get(f"{ADMIN}/incidents?kind=step-failed", headers=served.headers(("operator",)))
    assert half.status_code == 422


@pytest.mark.requirement("IN-13")
async def test_instances_are_moved_to_another_version_page_by_page_after_a_dry_run(served: Served) -> None:
    for name in ("i-1", "i-2"):
        await told(served, StartInstance(instance_id=name, flow="card-onboarding", flow_version=1, user_id="ann"))
    released = next(flow for key, flow in released_flows().items() if key.flow == "card-onboarding")
    async with transaction(served.app.state.door.pool, "north") as conn:
        await import_flow(conn, "north", released.model_copy(update={"version": 2}), "an")
    body = {"flow": "card-onboarding", "fromVersion": 1, "toVersion": 2, "reason": CANARY, "limit": 1}
    status, dry = await ordered(served, f"{ADMIN}/migrations", body)
    assert (status, dry["dryRun"], dry["fits"], dry["moved"], dry["next"]) == (200, True, 1, 0, "i-1")
    assert {fit["verdict"] for fit in dry["plan"]} == {"fits", "passed"}
    status, first = await ordered(served, f"{ADMIN}/migrations", {**body, "dryRun": False})
    assert (status, first["moved"], first["results"][0]["instanceId"]) == (200, 1, "i-1")
    status, rest = await ordered(served, f"{ADMIN}/migrations", {**body, "dryRun": False, "after": first["next"]})
    assert (rest["moved"], rest["next"]) == (1, None)
    assert (await ordered(served, f"{ADMIN}/migrations", body, "viewer"))[0] == 403
    assert (await ordered(served, f"{ADMIN}/migrations", {**body, "toVersion": 7}))[0] == 422
