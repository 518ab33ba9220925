"""Persist points: what a journey knows of its case becomes versions of a case, with it or not at all."""

import json
from typing import Any

import pytest

from domain.cases.commands import Document, read_case, store_snapshot, system_caller
from domain.cases.followed_classes import FollowedClasses
from domain.cases.mapping_store import released_files
from domain.onboarding import batch
from domain.onboarding.calls import call_id
from domain.onboarding.replaying import gather, judge
from domain.onboarding.troubles import list_alike, retry_all, retry_handlers
from schemas.caller import Caller
from schemas.cases import StoreSnapshot
from schemas.onboarding import Advance, StepSucceeded
from tests.integration.domain.world import OUTBOX
from tests.integration.onboarding.journeys import Journeys
from tests.integration.onboarding.working import ends_as, working

CANARY = "canary-4711"
READER = Caller("north", "rita", frozenset({"case-reader-sensitive"}), "CRM_UI")
OPERATOR = Caller("north", "olga", frozenset({"operator"}), "CRM_UI")


async def _versions(journeys: Journeys, instance_id: str = "i-1") -> list[dict[str, Any]]:
    """Every version of the case of an instance, opened."""
    found = []
    for row in await journeys.world.look(
        "select version, class_name from sys_case_data_store where case_id = $1 order by version", instance_id
    ):
        async with journeys.world.api() as conn:
            read = await read_case(conn, journeys.ring, READER, instance_id, version=row["version"], reason="a test")
        assert isinstance(read, Document), read
        found.append(json.loads(read.text))
    return found


async def _stored(journeys: Journeys) -> int:
    (row,) = await journeys.world.look("select count(*) as n from sys_case_data_store")
    return int(row["n"])


async def _incidents(journeys: Journeys) -> list[tuple[str, str]]:
    rows = await journeys.world.look("select kind, state from incidents order by first_seen")
    return [(row["kind"], row["state"]) for row in rows]


def _without_classes(journeys: Journeys) -> None:
    """As before a release brought the class, or after it was disabled."""
    released = released_files()
    journeys.classes = FollowedClasses({name: one for name, one in released.items() if name != "com.app.CardOnboarding"})


@pytest.mark.requirement("IN-3", "CD-2", "WF-1")
async def test_each_persist_point_is_a_version_of_the_case_with_all_that_was_said_until_then(journeys: Journeys) -> None:
    await journeys.start("i-1", data={"fullName": CANARY})
    await journeys.act("i-1", data={"phone": "0900"})
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")

    versions = await _versions(journeys)
    assert [(one["onboarding"]["state"], one["state"]) for one in versions] == [
        ("ACCOUNT_CREATED", "Active"), ("CARD_ACTIVATED", "Active"), ("COMPLETED", "Completed")]  # fmt: skip
    first, last = versions[0], versions[-1]
    assert (first["fullName"], first["phone"], first["className"]) == (CANARY, "0900", "com.app.CardOnboarding")
    assert (first["caseInstanceId"], first["lastUpdateUserId"]) == ("i-1", "system:onboarding")
    assert "create-account" in first
    assert "activate-card" not in first
    assert "activate-card" in last
    events = await journeys.world.look("select event_type from outbox_events where topic = 'case.snapshots.v1'")
    assert [row["event_type"] for row in events] == ["CaseSnapshotStored"] * 3
    assert await _incidents(journeys) == []
    async with journeys.world.api() as conn:
        assert judge(await gather(conn, journeys.flows, "north", "i-1")).sound
    assert await _stored(journeys) == 3, "a replay stores nothing"


@pytest.mark.requirement("IN-3")
async def test_a_point_is_stored_with_its_decision_or_not_at_all(journeys: Journeys) -> None:
    await journeys.start("i-1", data={"fullName": CANARY})
    command = Advance(instance_id="i-1", action="NEXT", expected_version=None)
    await journeys.tell(command)
    row = (await journeys.world.look("select step, attempt, handler from step_execution"))[0]
    assert row["handler"] == "create-account"

    async def succeed(*, commit: bool) -> None:
        async with journeys.world.worker() as conn:
            message = batch.engine_message("north", _succeeded(), "the outcome")
            states = await batch.load(conn, journeys.engine, [message])
            now = await conn.fetchval("select cs_now()")
            await batch.save(conn, journeys.engine, [batch.decide(states[message.key], message, now)], now)
            assert await conn.fetchval("select count(*) from sys_case_data_store") == 1
            if not commit:
                raise _Killed

    with pytest.raises(_Killed):
        await succeed(commit=False)
    assert (await _stored(journeys), (await journeys.row("i-1"))["current_state"]) == (0, "ACCOUNT_PENDING")
    await succeed(commit=True)
    for _ in range(4):
        await succeed(commit=True)
    assert await _stored(journeys) == 1
    assert (await journeys.row("i-1"))["current_state"] == "ACCOUNT_CREATED"


@pytest.mark.requirement("IN-3", "WF-15")
async def test_what_cannot_be_stored_is_an_incident_and_stored_when_its_cause_is_mended(journeys: Journeys) -> None:
    known = journeys.classes
    _without_classes(journeys)
    for instance_id in ("i-1", "i-2"):
        await journeys.start(instance_id, data={"fullName": CANARY})
        await journeys.act(instance_id)
    async with working(journeys):
        for instance_id in ("i-1", "i-2"):
            await ends_as(journeys, instance_id, "COMPLETED")
    assert await _incidents(journeys) == [("case-not-persisted", "open")] * 2
    async with journeys.world.api() as conn:
        cause = "card-onboarding|com.app.CardOnboarding|UnknownCaseClass"
        alike = await list_alike(conn, "north", kind="case-not-persisted", fingerprint=cause)
    assert [(row["instance_id"], row["seen_count"]) for row in alike] == [("i-1", 3), ("i-2", 3)]
    assert CANARY not in str(alike)

    async def within(order: Any) -> Any:
        async with journeys.world.api() as conn:
            return await order(conn)

    refused = await retry_all(alike, within, journeys.engine, OPERATOR, "is it mended?")
    assert [(one.result, one.code) for one in refused] == [("refused", "UnknownCaseClass")] * 2
    journeys.classes = known
    retried = await retry_all(alike[:1], within, journeys.engine, OPERATOR, "the class is published")
    assert [one.result for one in retried] == ["retried"]
    async with journeys.world.api() as conn:
        said = await retry_handlers(journeys.engine)["case-not-persisted"](conn, {**alike[1], "object_id": "i-2"}, "olga")
    assert said == "instance i-2 has stored its case"
    assert await _incidents(journeys) == [("case-not-persisted", "resolved")] * 2
    for instance_id in ("i-1", "i-2"):
        (only,) = await _versions(journeys, instance_id)
        assert (only["onboarding"]["state"], only["fullName"]) == ("COMPLETED", CANARY)


@pytest.mark.requirement("IN-3", "WF-1")
async def test_of_a_person_who_is_erased_in_the_middle_nothing_more_is_stored_and_nobody_need_know(journeys: Journeys) -> None:
    await journeys.start("i-1", data={"fullName": CANARY})
    await journeys.act("i-1")

    async def erase(call: object) -> None:
        await journeys.world.look(
            "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)"
            " values ('north', 'ann', gen_random_uuid(), now(), 'op', 'r') on conflict do nothing returning 1"
        )

    journeys.handlers["create-wallet"] = erase
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")
    assert await _stored(journeys) == 1, "the point before"
    assert await _incidents(journeys) == []


@pytest.mark.requirement("IN-3")
async def test_a_case_of_another_class_under_the_journeys_id_is_left_alone(journeys: Journeys) -> None:
    other = StoreSnapshot(case_id="i-1", class_name="com.app.OrderCase", subject_id="ann", variables="{}")
    async with journeys.world.api() as conn:
        known = await journeys.classes.read(conn)
        await store_snapshot(conn, OUTBOX, journeys.ring, system_caller("north", "shop"), other, known)
    await journeys.start("i-1", data={"fullName": CANARY})
    await journeys.act("i-1")
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")
    assert await _stored(journeys) == 1
    (trouble,) = await journeys.world.look("select fingerprint, cure from incidents where state = 'open'")
    assert trouble["fingerprint"].endswith("|CaseClassFixed")


def _succeeded() -> StepSucceeded:
    return StepSucceeded(instance_id="i-1", step="1", attempt=1, effect_id=str(call_id("north", "i-1", 1, 1)))


class _Killed(Exception):
    """The process died before its commit."""
