"""Journeys on the real broker, in a process that is killed on the way: to the end, and back again in reverse order."""

from pathlib import Path

import pytest

from schemas.onboarding import Advance, StartInstance
from tests.e2e.onboarding.stage import Stage, open_stage
from tests.e2e.shell.harness import execute
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

FORWARD = ["create-account", "create-wallet", "activate-card", "aml-check"]
BACK = ["UNDO_CARD_ACTIVATION", "UNDO_WALLET_CREATION", "UNDO_ACCOUNT_CREATION"]
CANARY = "canary-7f3a"


@pytest.fixture
async def stage(database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path) -> Stage:
    return await open_stage(database, fresh_kafka, tmp_path)


def _next(instance_id: str) -> Advance:
    return Advance(instance_id=instance_id, action="NEXT", requested_by="ann")


def _start(instance_id: str) -> StartInstance:
    return StartInstance(instance_id=instance_id, flow="card-onboarding", flow_version=1, user_id="ann")


async def told(stage: Stage, instance_id: str) -> list[int]:
    """The numbers of the history: the folded row is at its last."""
    rows = await stage.rows(
        "select sequence_number as number from workflow_event where instance_id = $1 order by 1", instance_id
    )
    return [row["number"] for row in rows]


@pytest.mark.requirement("WF-1", "WF-9", "WF-12", "trap-63")
async def test_one_journey_completes_and_one_is_undone_in_reverse(stage: Stage) -> None:
    async with stage.running():
        await stage.begin("good", name=CANARY)
        await stage.begin("bad", name=CANARY, aml="hit")
        await stage.becomes("good", "COMPLETED")
        await stage.becomes("bad", "COMPENSATED")

        async def all_sent() -> bool:
            return not await stage.rows("select from outbox_events")

        await until(all_sent, what="every event to leave")
    assert await stage.handlers("good") == FORWARD
    assert await stage.handlers("bad") == FORWARD + BACK
    for instance in ("good", "bad"):
        numbers = await told(stage, instance)
        assert numbers == list(range(1, len(numbers) + 1))
    (found,) = await stage.rows(
        "select count(*) as n from (select payload || coalesce(cause, '') as t from workflow_event"
        " union all select folded from onboarding_instance"
        " union all select convert_from(coalesce(request, ''), 'utf8') from effects"
        " union all select convert_from(coalesce(detail, ''), 'utf8') from effects) x where t like $1",
        f"%{CANARY}%",
    )
    assert found["n"] == 0, "what a person says is readable in no column"


@pytest.mark.requirement("WF-1", "WF-8")
async def test_a_killed_process_loses_no_step_and_repeats_calls_only_under_their_id(stage: Stage) -> None:
    async with stage.running(seconds=0.4) as child:
        for number in range(4):
            await stage.begin(f"i-{number}", name="An", **({"aml": "hit"} if number % 2 else {}))
        await until(lambda: len(stage.calls("i-0")) >= 2, what="a second step to begin")
        await stage.kill(child)
    async with stage.running(seconds=0.05):
        for number in range(4):
            await stage.becomes(f"i-{number}", "COMPENSATED" if number % 2 else "COMPLETED")
    for number in range(4):
        steps = await stage.handlers(f"i-{number}")
        assert steps == FORWARD + (BACK if number % 2 else [])
        calls = stage.calls(f"i-{number}")
        assert len(set(calls)) == len(steps), "a call that is made again has the id that it had"
        assert list(dict.fromkeys(handler for handler, _ in calls)) == steps, "no step begins before the one before it is over"


@pytest.mark.requirement("IN-9")
async def test_a_person_decides_a_review_by_his_work_item(stage: Stage) -> None:
    async with stage.running():
        await stage.begin("i-1", "customer-onboarding", document="unreadable")
        await stage.becomes("i-1", "ACTIVE", state="OTP_VERIFIED")
        await stage.order(*[_next("i-1")] * 3)
        await stage.becomes("i-1", "AWAITING_REVIEWS")

        async def made() -> list[str]:
            return [row["id"] for row in await stage.rows("select id::text as id from work_items where status = 'open'")]

        (item,) = await until(made, what="the task in the queue")
        await stage.act_on_item(item, "StartWork", "Resolve", "Close")
        await stage.becomes("i-1", "COMPLETED")
    assert (await _told(stage, "i-1")).count("REVIEW_DECIDED") == 1


@pytest.mark.requirement("IN-10")
async def test_nobody_comes_in_time_and_the_journey_is_cancelled(stage: Stage) -> None:
    async with stage.running():
        await stage.order(_start("i-1"))
        await stage.becomes("i-1", "ACTIVE")
        await execute(
            stage.database,
            "create or replace function cs_now() returns timestamptz language sql stable parallel safe"
            " return statement_timestamp() + interval '25 hours'",
        )
        await stage.becomes("i-1", "CANCELED")
    told = await _told(stage, "i-1")
    assert told.count("SLA_EXPIRED") == 1
    assert "STEP_STARTED" not in told[told.index("SLA_EXPIRED") :]


async def _told(stage: Stage, instance_id: str) -> list[str]:
    """The kinds of what happened to it, in order."""
    query = "select event_type from workflow_event where instance_id = $1 order by sequence_number"
    return [row["event_type"] for row in await stage.rows(query, instance_id)]
