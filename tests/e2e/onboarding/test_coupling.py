"""Work items coupled with the engine, through real topics only (WI-7): S3's tests 15 to 17, and what follows from the rest.

command -> work items -> outbox -> relay -> saga -> outbox -> relay -> onboarding -> outbox -> relay -> work items
"""

from pathlib import Path

import pytest

from schemas.work_items import ApplyAction
from tests.e2e.onboarding.coupled import LOOSE, PLAIN, STRONG, SUPERVISOR, Coupled, play_with_kills
from tests.e2e.onboarding.stage import open_stage
from tests.e2e.shell.harness import execute
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until


@pytest.fixture
async def coupled(database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path) -> Coupled:
    return Coupled(await open_stage(database, fresh_kafka, tmp_path))


@pytest.mark.requirement("WI-4", "WI-6", "WI-7", "trap-51", "trap-52", "trap-53")
@pytest.mark.hole("cycle-guards-reopen")
async def test_a_strong_pair_ends_together_whoever_ends_first(coupled: Coupled) -> None:
    """S3 14.3: 15 the engine ends first, 16 a person closes, 17 the engine's end comes to an item that is closed."""
    async with coupled.stage.running():
        by_engine, by_person = [await coupled.create(STRONG, "StartWork") for _ in range(2)]
        await coupled.stands(by_engine, "REQUESTED")
        await coupled.advance(by_engine, "ISSUE")
        await coupled.stands(by_engine, "ISSUED")
        await coupled.advance(by_engine, "HAND_OVER")
        await coupled.becomes(by_engine, "closed", "COMPLETED")

        await coupled.stands(by_person, "REQUESTED")
        await coupled.act(by_person, "Resolve", "Close")
        await coupled.becomes(by_person, "closed", "COMPLETED")
        await coupled.quiet()
        assert (await coupled.history(by_person))[-1] == ("Close", "KAFKA"), "its own end is told as nothing new"
        assert (await coupled.history(by_engine))[-1] == ("AutoCloseFromWorkflow", "WORKFLOW_ENGINE")
        assert await coupled.stage.handlers(by_person) == [], "nothing was done, and nothing is undone"

        await coupled.act(by_person, "Reopen", source=SUPERVISOR)
        await coupled.becomes(by_person, "in_progress", "ACTIVE", 1, 1)
        await coupled.stands(by_person, "ISSUED")
        late = ApplyAction(work_item_id=by_person, action="AutoCloseFromWorkflow", cycle=0)
        await coupled.stage.ask_of_item(by_person, late, source="casestream")
        # Reopened again while the journey runs: it runs on in the new cycle, and its end is of that cycle.
        await coupled.act(by_person, "Resolve")
        await coupled.act(by_person, "Reopen", source=SUPERVISOR)
        await coupled.becomes(by_person, "in_progress", "ACTIVE", 2, 2)
        await coupled.advance(by_person, "HAND_OVER")
        await coupled.becomes(by_person, "closed", "COMPLETED", 2, 2)
        await coupled.quiet()
    assert await coupled.broken() == []
    for table in ("parked_messages", "incidents"):
        assert await coupled.stage.rows(f"select from {table}") == []
    await execute(coupled.stage.database, "update onboarding_instance set status = 'ACTIVE', ended_at = null")
    assert {row["item"] for row in await coupled.broken()} == {by_engine, by_person}, "the check sees pairs that are apart"


@pytest.mark.requirement("WI-4", "WI-7", "trap-53", "IN-9")
async def test_a_loose_instance_runs_on_a_void_item_ends_its_own_and_plain_items_and_tasks_begin_none(coupled: Coupled) -> None:
    async with coupled.stage.running():
        loose, plain = await coupled.create(LOOSE, "StartWork", "Resolve", "Close"), await coupled.create(PLAIN, "StartWork")
        in_one_breath = await coupled.create(STRONG, "Cancel")
        issued = await coupled.create(STRONG, "StartWork")
        await coupled.stage.begin("journey", "customer-onboarding", document="unreadable")

        await coupled.becomes(in_one_breath, "canceled", "CANCELED")
        await coupled.becomes(loose, "closed", "ACTIVE")
        await coupled.advance(loose, "CLEAR")
        await coupled.becomes(loose, "closed", "COMPLETED")
        await coupled.stands(issued, "REQUESTED")
        await coupled.advance(issued, "ISSUE")
        await coupled.stands(issued, "ISSUED")
        await coupled.act(issued, "Cancel")
        await coupled.becomes(issued, "canceled", "COMPENSATED")
        await coupled.becomes(plain, "in_progress", None)

        await coupled.stage.becomes("journey", "ACTIVE", state="OTP_VERIFIED")
        for _ in range(3):
            await coupled.advance_customer("journey")
        await coupled.stage.becomes("journey", "AWAITING_REVIEWS")
        await until(coupled.tasks, 90, "the task in the queue")
        await coupled.quiet()
    (count,) = await coupled.stage.rows("select count(*) as n from onboarding_instance")
    assert count["n"] == 4, "the journey's review task is an item, and began nothing"
    assert await coupled.broken() == []
    assert await coupled.stage.rows("select from parked_messages") == []


@pytest.mark.requirement("WI-7", "WF-1")
async def test_processes_that_are_killed_leave_no_pair_apart(coupled: Coupled) -> None:
    assert await play_with_kills(coupled.stage, kills=1, items=5) == []
