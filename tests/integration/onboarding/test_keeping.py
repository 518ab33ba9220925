"""What is kept and for whom: sealed words, pinned definitions, histories that can be decided again, and S2's own queries."""

import asyncio

import pytest

from domain.onboarding.definitions import import_flow, list_flows
from domain.onboarding.flow import FlowKey
from domain.onboarding.replaying import gather, judge
from schemas.errors import ConcurrencyConflict, Rejected
from schemas.onboarding import Advance, CancelInstance, StartInstance
from tests.integration.onboarding.journeys import Journeys
from tests.integration.onboarding.working import ends_as, working

CANARY = "canary-0815"


async def _readable(journeys: Journeys) -> list[str]:
    """Every column of onboarding and of its calls in which the canary can be read."""
    columns = await journeys.world.look(
        "select table_name as t, column_name as c from information_schema.columns where table_schema = 'public'"
        " and table_name in"
        " ('onboarding_instance', 'workflow_event', 'step_execution', 'state_snapshot', 'flw_case', 'effects', 'outbox_events',"
        " 'timers', 'incidents')"
    )
    found = []
    for row in columns:
        (hit,) = await journeys.world.look(
            f"select exists (select from {row['t']} where {row['c']}::text like '%{CANARY}%') as hit"
        )
        if hit["hit"]:
            found.append(f"{row['t']}.{row['c']}")
    return found


@pytest.mark.requirement("WF-1")
async def test_what_a_person_says_is_readable_in_no_column_and_reaches_the_handlers(journeys: Journeys) -> None:
    seen: list[object] = []

    async def look(call: object) -> dict[str, str]:
        seen.append(call.case.get("name"))  # type: ignore[attr-defined]
        return {"account": f"{CANARY}-made"}

    journeys.handlers["create-account"] = look
    await journeys.start("i-1", data={"name": CANARY})
    await journeys.act("i-1", data={"colour": CANARY})
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")
    assert seen == [CANARY]
    assert await _readable(journeys) == []
    (case,) = await journeys.world.look("select version, case_data is not null as kept from flw_case")
    assert (case["version"] > 2, case["kept"]) == (True, True)


@pytest.mark.requirement("WF-1", "WF-3")
async def test_why_somebody_cancelled_is_readable_in_no_column_and_is_decided_again_all_the_same(journeys: Journeys) -> None:
    await journeys.start("i-1")
    await journeys.tell(CancelInstance(instance_id="i-1", reason=f"{CANARY} has called"))
    assert await _readable(journeys) == []
    (told,) = await journeys.world.look(
        "select data is not null as kept from workflow_event where event_type = 'CANCEL_REQUESTED'"
    )
    assert told["kept"]
    async with journeys.world.api() as conn:
        assert judge(await gather(conn, journeys.flows, "north", "i-1")).sound


@pytest.mark.requirement("WF-1")
async def test_of_an_erased_person_nothing_more_is_kept_and_nothing_begins(journeys: Journeys) -> None:
    await journeys.start("i-1", data={"name": "Ann"})
    await journeys.world.look(
        "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)"
        " values ('north', 'ann', gen_random_uuid(), now(), 'op', 'r') returning 1"
    )
    await journeys.act("i-1", data={"name": "Ann again"})
    rows = await journeys.world.look(
        "select data from workflow_event where event_type = 'ACTION_ACCEPTED' and data is not null"
    )
    assert rows == []
    refused = (await journeys.start("i-2")).outcome
    assert isinstance(refused, Rejected)
    assert refused.code == "SubjectErased"


@pytest.mark.requirement("WF-3", "trap-71")
async def test_stored_histories_are_decided_again_and_a_changed_one_is_found(journeys: Journeys) -> None:
    await journeys.start("i-1", data={"aml": "hit"})
    await journeys.act("i-1")
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPENSATED")
    async with journeys.world.api() as conn:
        sound = judge(await gather(conn, journeys.flows, "north", "i-1"))
    assert sound.sound
    assert sound.replayed.events == (await journeys.row("i-1"))["version"]
    pool = await journeys.world.pool("superuser")
    await pool.execute("alter table workflow_event disable trigger workflow_event_append_only")
    await pool.execute(
        "update workflow_event set payload = replace(payload, 'create-wallet', 'purse') where event_type = 'STEP_STARTED'"
    )
    async with journeys.world.api() as conn:
        changed = judge(await gather(conn, journeys.flows, "north", "i-1"))
    assert changed.replayed.divergence is not None
    assert changed.replayed.divergence.field == "handler"


@pytest.mark.requirement("IN-13")
async def test_a_version_is_pinned_by_its_first_instance_and_cannot_be_given_other_words(journeys: Journeys) -> None:
    await journeys.start("i-1")
    key = FlowKey("card-onboarding", 1)
    definition = (await _flow_of(journeys, key)).definition
    other = definition.model_copy(update={"title": "Another"})
    async with journeys.world.api() as conn:
        assert await import_flow(conn, "north", definition, "op") == "unchanged"
        assert await import_flow(conn, "north", other, "op") == "differs"
        assert await import_flow(conn, "north", other.model_copy(update={"version": 2}), "op") == "imported"
        listed = [(one.version, one.origin) for one in await list_flows(conn, "north") if one.flow == "card-onboarding"]
    assert listed == [(2, "tenant"), (1, "release")]
    moves = await journeys.world.look("select * from onboarding_transition where flow_version = 'v1' and handler is not null")
    assert {move["compensation_action"] for move in moves} >= {"UNDO_ACCOUNT_CREATION", "UNDO_WALLET_CREATION"}


async def _flow_of(journeys: Journeys, key: FlowKey):  # type: ignore[no-untyped-def]
    async with journeys.world.api() as conn:
        return (await journeys.flows.read(conn, [("north", key)]))["north", key]


@pytest.mark.requirement("WF-6")
async def test_of_two_starts_of_one_id_one_wins_and_the_other_is_told_to_come_again(journeys: Journeys) -> None:
    command = StartInstance(instance_id="i-1", flow="card-onboarding", flow_version=1, user_id="ann")
    ended = await asyncio.gather(*(journeys.tell(command) for _ in range(4)), return_exceptions=True)
    assert all(not isinstance(one, BaseException) or isinstance(one, ConcurrencyConflict) for one in ended), ended
    assert (await journeys.history("i-1")).count("WORKFLOW_STARTED") == 1


@pytest.mark.requirement("IN-8", "WF-6")
async def test_of_many_at_once_each_decision_meets_what_the_one_before_it_left(journeys: Journeys) -> None:
    await journeys.start("i-1")
    acted = await asyncio.gather(
        *(journeys.tell(Advance(instance_id="i-1", action="NEXT", expected_version=3)) for _ in range(3)),
        journeys.tell(CancelInstance(instance_id="i-1", reason="no more", expected_version=3)),
    )
    accepted = [ruling for rulings in acted for ruling in rulings if not isinstance(ruling.outcome, Rejected)]
    assert len(accepted) == 1
    numbers = await journeys.world.look("select sequence_number from workflow_event order by 1")
    assert [row["sequence_number"] for row in numbers] == list(range(1, len(numbers) + 1))
