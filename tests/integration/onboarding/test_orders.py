"""What the world is told to do: cancelled calls come back at once, tasks ask people, timers end what nobody goes on with."""

import pytest

from domain.onboarding.coupling import look_behind, orders_of
from domain.onboarding.firing import Firing
from domain.timers.commands import fire
from schemas.onboarding import CancelInstance, ReviewDecided, TimerFired
from schemas.work_items import WorkItemStatusChanged
from tests.integration.domain.world import OUTBOX
from tests.integration.onboarding.journeys import ENGINE, Journeys
from tests.integration.onboarding.working import ends_as, working


async def _to_documents(journeys: Journeys, instance_id: str, document: str) -> None:
    """A customer who has done all four things."""
    await journeys.start(instance_id, "customer-onboarding", {"document": document})
    await journeys.act(instance_id)
    async with working(journeys):
        await ends_as(journeys, instance_id, "ACTIVE", state="OTP_VERIFIED")
    for _ in range(3):
        await journeys.act(instance_id)


@pytest.mark.requirement("WF-9")
async def test_a_call_that_nobody_has_claimed_is_cancelled_and_the_instance_ends_at_once(journeys: Journeys) -> None:
    await journeys.start("i-1")
    await journeys.act("i-1")
    await journeys.tell(CancelInstance(instance_id="i-1", reason="changed my mind"))
    assert await journeys.status("i-1") == "CANCELED"
    (effect,) = await journeys.world.look("select state from effects")
    assert effect["state"] == "canceled"
    (attempt,) = await journeys.world.look("select status from step_execution")
    assert attempt["status"] == "FAILED"


@pytest.mark.requirement("IN-9")
async def test_a_machine_that_cannot_read_asks_people_and_their_decision_resumes_the_journey(journeys: Journeys) -> None:
    await _to_documents(journeys, "i-1", "unreadable")
    async with working(journeys):
        await ends_as(journeys, "i-1", "AWAITING_REVIEWS")
        (task,) = await journeys.world.look("select * from onboarding_review_task")
        (made,) = await journeys.world.look("select payload from outbox_events where event_type = 'CreateWorkItem'")
        assert task["work_item_id"] in bytes(made["payload"]).decode()
        assert task["group_name"] == "kyc-reviewers"
        async with journeys.world.worker() as conn:
            behind = await look_behind(conn, journeys.flows, [("north", task["work_item_id"])])
            now = await conn.fetchval("select cs_now()")
        moved = WorkItemStatusChanged(
            work_item_id=task["work_item_id"], version=4, changed_by="cy", changed_at=now, source="CRM_UI",
            old_status="resolved", new_status="closed", action="Close",
        )  # fmt: skip
        (order,) = orders_of(behind["north", task["work_item_id"]], moved, "north", now)
        assert isinstance(order.payload, ReviewDecided)
        assert order.payload.decision == "approve"
        await journeys.tell(order.payload, by="cy", actors=ENGINE)
        await ends_as(journeys, "i-1", "COMPLETED")
    (task,) = await journeys.world.look("select closed from onboarding_review_task")
    assert task["closed"]


@pytest.mark.requirement("IN-10")
async def test_an_expiry_that_is_due_becomes_a_command_which_cancels_the_instance(journeys: Journeys) -> None:
    await journeys.start("i-1")
    await journeys.world.look(
        "update timers set due_at = cs_now() - interval '1 hour' where timer_key like '%/expiry' returning 1"
    )
    async with journeys.world.worker() as conn:
        fired = await fire(conn, Firing(OUTBOX).handlers, "north", 10)
    assert [kind for kind, _ in fired] == ["onboarding"]
    (row,) = await journeys.world.look("select payload from outbox_events where event_type = 'TimerFired'")
    command = TimerFired.model_validate_json(bytes(row["payload"]))
    # Twelve hours early by the instance's own clock: old news, whatever the timer said.
    await journeys.tell(command, by="system:timers", actors=ENGINE)
    assert await journeys.status("i-1") == "ACTIVE"
    await journeys.pass_time("25 hours")
    await journeys.tell(command, by="system:timers", actors=ENGINE)
    assert await journeys.status("i-1") == "CANCELED"
    assert (await journeys.history("i-1"))[-3:] == ["SLA_EXPIRED", "WORKFLOW_ENDED", "INSTANCE_STATUS_CHANGED"]
