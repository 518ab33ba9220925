"""Reviews by persons (IN-9): a group's queue, who may take what, and decisions that resume the journey once."""

import asyncio
import uuid

import pytest

from tests.integration.api.conftest import Served
from tests.integration.api.onboarding_scenes import ADMIN, CANARY, GROUP, REVIEWS, join, make_item, ordered, reviewed, seen


async def _does(served: Served, item: str, what: str, user: str, *roles: str, **body: object) -> tuple[int, str]:
    status, answer = await ordered(served, f"{REVIEWS}/{item}/{what}", body, *(roles or ("agent",)), user=user)
    return status, answer.get("error") or answer.get("status") or str(answer.get("assigneeId"))


async def _queue(served: Served, user: str, *roles: str, query: str = "") -> tuple[int, list[str]]:
    answer = await served.client.get(REVIEWS + query, headers=served.headers(roles or ("agent",), user=user))
    return answer.status_code, [item["instanceId"] for item in answer.json().get("items", ())]


@pytest.mark.requirement("IN-9")
async def test_a_task_is_claimed_released_reassigned_by_members_of_its_group_only(served: Served) -> None:
    await join(served, "an", "binh")
    item = await reviewed(served, "i-1")
    assert await _does(served, item, "claim", "dung") == (403, "NotInGroup")
    assert await _does(served, item, "claim", "an") == (200, "an")
    assert await _does(served, item, "claim", "an") == (200, "an")
    assert await _does(served, item, "claim", "binh") == (409, "ReviewTaken")
    assert await _does(served, item, "release", "binh") == (409, "ReviewTaken")
    assert await _does(served, item, "approve", "binh") == (409, "ReviewTaken")
    assert await _does(served, item, "reassign", "an", assigneeId="dung") == (403, "NotInGroup")
    assert await _does(served, item, "reassign", "an", assigneeId="binh") == (200, "binh")
    assert await _does(served, item, "release", "binh") == (200, "None")
    assert await _does(served, item, "claim", "an") == (200, "an")
    assert await _does(served, item, "reassign", "chief", "supervisor", assigneeId="binh") == (200, "binh")
    assert await _does(served, item, "claim", "an", "viewer") == (403, "PermissionDenied")
    assert await _does(served, item, "claim", "an", "customer") == (403, "PermissionDenied")


@pytest.mark.requirement("IN-9")
async def test_of_two_who_claim_at_once_one_gets_the_task(served: Served) -> None:
    await join(served, "an", "binh")
    item = await reviewed(served, "i-1")
    got = await asyncio.gather(_does(served, item, "claim", "an"), _does(served, item, "claim", "binh"))
    assert sorted(status for status, _ in got) == [200, 409], got


@pytest.mark.requirement("IN-9")
async def test_a_decision_with_edited_fields_resumes_the_journey_once(served: Served) -> None:
    await join(served, "an", "binh")
    item = await reviewed(served, "i-1")
    await _does(served, item, "claim", "an")
    fields = {"fullName": CANARY}
    assert await _does(served, item, "approve", "an", fields={"amount": 1}) == (422, "FieldNotEditable")
    assert await _does(served, item, "approve", "an", fields=fields, reason=CANARY) == (200, "ACTIVE")
    assert (await seen(served, "/i-1"))["currentState"] == "AML_PENDING"
    assert await _does(served, item, "reject", "an", reason="x") == (409, "ReviewClosed")
    assert await _does(served, item, "claim", "binh") == (409, "ReviewClosed")
    events = await served.rows("select payload, cause, data from workflow_event where event_type = 'REVIEW_DECIDED'")
    assert ([row["data"] is not None for row in events], CANARY in str(events[0]["payload"])) == ([True], False)
    (row,) = await served.rows("select actor, detail::text as detail from audit_log where action = 'onboarding.review'")
    assert (row["actor"], '"fullName"' in row["detail"], CANARY in row["detail"]) == ("an", True, False)
    # The engine closes the item of whoever works on it.
    sent = await served.rows("select payload from outbox_events where event_type = 'ApplyAction'")
    assert "AutoCloseFromWorkflow" in bytes(sent[0]["payload"]).decode()
    assert (await ordered(served, "/admin/replay/i-1", {}))[1]["sound"]


@pytest.mark.requirement("IN-9", "IN-12")
async def test_a_reviewer_reads_the_fields_that_he_may_edit_and_no_others_and_is_recorded(served: Served) -> None:
    await join(served, "an")
    item = await reviewed(served, "i-1", data={"fullName": "Ann", "phone": CANARY})
    asking = served.headers(user="an", access_reason="task")
    answer = await served.client.get(f"{REVIEWS}/{item}/fields", headers=asking)
    assert (answer.status_code, answer.json()) == (200, {"fields": {"fullName": "Ann", "idNumber": None}})
    (row,) = await served.rows("select actor, reason from audit_log where action = 'onboarding.read-fields'")
    assert (row["actor"], row["reason"]) == ("an", "task")
    assert (await served.client.get(f"{REVIEWS}/{item}/fields", headers=served.headers(user="an"))).status_code == 400
    other = await served.client.get(f"{REVIEWS}/{item}/fields", headers=served.headers(user="dung", access_reason="x"))
    assert (other.status_code, other.json()["error"]) == (403, "NotInGroup")
    await _does(served, item, "approve", "an")
    assert (await served.client.get(f"{REVIEWS}/{item}/fields", headers=asking)).json()["error"] == "ReviewClosed"


@pytest.mark.requirement("IN-9")
async def test_a_no_needs_a_reason_and_a_return_goes_where_the_definition_says(served: Served) -> None:
    await join(served, "an")
    item = await reviewed(served, "i-1")
    assert await _does(served, item, "reject", "an") == (422, "ValidationFailed")
    assert await _does(served, item, "return", "an", reason="blurred") == (200, "ACTIVE")
    assert (await seen(served, "/i-1"))["currentState"] == "PROFILE_COMPLETED"
    other = await reviewed(served, "i-2")
    assert await _does(served, other, "reject", "chief", "supervisor", reason="forged") == (200, "REJECTED")


@pytest.mark.requirement("IN-9", "IN-14")
async def test_nobody_reviews_his_own_journey_and_a_foreign_task_does_not_exist(served: Served) -> None:
    await join(served, "an", "binh")
    item = await reviewed(served, "i-1", user="an")
    assert await _does(served, item, "claim", "an", "agent", "customer") == (403, "PermissionDenied")
    assert await _does(served, item, "approve", "an", "admin") == (403, "PermissionDenied")
    assert await _does(served, item, "reassign", "chief", "supervisor", assigneeId="an") == (403, "NotInGroup")
    for other in (str(uuid.uuid4()), (await served.create())["workItemId"]):
        assert await _does(served, other, "approve", "binh") == (404, "ReviewNotFound")
    foreign = await ordered(served, f"{REVIEWS}/{item}/approve", {}, "admin", tenant="south", user="x")
    assert (foreign[0], foreign[1]["error"]) == (404, "ReviewNotFound")
    # A withdrawn task is nobody's to decide.
    await ordered(served, f"{ADMIN}/i-1/cancel", {"reason": "x"})
    assert await _does(served, item, "approve", "binh") == (409, "ReviewClosed")


@pytest.mark.requirement("IN-9")
async def test_a_queue_is_a_groups_oldest_first_and_needs_no_work_item_yet(served: Served) -> None:
    await join(served, "an")
    items = [await reviewed(served, f"i-{number}", item=False) for number in range(3)]
    assert await _queue(served, "an") == (200, ["i-0", "i-1", "i-2"])
    assert await _queue(served, "dung") == (200, [])
    assert await _queue(served, "dung", query=f"?group={GROUP}") == (403, [])
    assert await _queue(served, "chief", "supervisor", query=f"?group={GROUP}&limit=2") == (200, ["i-0", "i-1"])
    page = (await served.client.get(f"{REVIEWS}?limit=2", headers=served.headers(user="an"))).json()
    assert await _queue(served, "an", query=f"?limit=2&cursor={page['nextCursor']}") == (200, ["i-2"])
    assert await _does(served, items[0], "claim", "an") == (409, "ReviewNotReady")
    await make_item(served, items[0])
    assert await _does(served, items[0], "claim", "an") == (200, "an")
    # A decision waits for no work item: the engine withdraws what comes too late.
    assert await _does(served, items[1], "approve", "an") == (200, "ACTIVE")
    assert await _queue(served, "an") == (200, ["i-0", "i-2"])
