"""Rules that time starts, on a real database whose clock a test may set."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.directory.entries import TenantEntry
from domain.directory.people import put_tenants
from domain.entities.store import pack_values
from domain.rules.schedules import PAGE, Schedules
from domain.timers.commands import fire
from tests.integration.domain.world import World
from tests.integration.rules.house import OUTBOX, TASK, House, event, order

DAILY = {"triggerType": "SCHEDULED", "cronExpression": "0 8 * * *", "scheduleTimezone": "Asia/Ho_Chi_Minh"}
ARMED = "select kind, due_at from timers where state = 'armed' order by kind, due_at"
CONTACTED = [{"fieldName": "leadStatus", "operator": "EQUALS", "value": "CONTACTED"}]


async def set_clock(world: World, at: datetime) -> None:
    await world.look(
        f"create or replace function cs_now() returns timestamptz language sql stable parallel safe"
        f" return timestamptz '{at.isoformat()}' + (statement_timestamp() - timestamptz '{datetime.now(UTC).isoformat()}')"
    )


async def lead(world: World, lead_id: str, /, **values: Any) -> None:
    await world.look(
        "insert into entity_state (tenant_id, entity_type, entity_id, entity_values, removed, event_sequence, subject_id,"
        " created_at, changed_at) values ('north', 'LEAD', $1, $2, false, 0, 'LEAD/' || $1, '2026-01-01', '2026-01-01')",
        lead_id, pack_values(values))  # fmt: skip


async def move_to(house: House, zone: str) -> None:
    async with house.world.worker() as conn:
        await put_tenants(conn, [TenantEntry(tenant_id="north", name="North", zone=zone)], actor="operator")


async def fire_due(house: House, rounds: int = 1) -> None:
    handlers = Schedules(OUTBOX, house.rules).handlers
    for _ in range(rounds):
        async with house.world.worker() as conn:
            await fire(conn, handlers, "north", 100)


async def orders(house: House) -> list[Mapping[str, Any]]:
    return [json.loads(row["payload"]) for row in await house.sent("StartRule")]


@pytest.mark.requirement("RU-2", "RU-15", "trap-24")
async def test_a_schedule_orders_its_rule_for_each_entity_that_meets_it_and_waits_for_the_next_day(house: House) -> None:
    await set_clock(house.world, datetime(2026, 12, 1, 0, 30, tzinfo=UTC))
    await lead(house.world, "1", leadStatus="CONTACTED", name="An")
    await lead(house.world, "2", leadStatus="NEW")
    rule = await house.rule(TASK, conditions=CONTACTED, **DAILY)

    await fire_due(house)
    assert await orders(house) == []
    await set_clock(house.world, datetime(2026, 12, 1, 1, 0, 5, tzinfo=UTC))
    await fire_due(house, 3)

    (told,) = await orders(house)
    assert (told["entityId"], told["occurrence"], told["ruleId"]) == ("1", "cron|2026-12-01T01:00:00+00:00", rule)
    (timer,) = await house.world.look("select due_at, state from timers")
    assert (timer["due_at"], timer["state"]) == (datetime(2026, 12, 2, 1, tzinfo=UTC), "armed")
    again = order(rule, told["occurrence"], "1", **told["newValues"])
    await house.meet(again, again)
    assert [run["trigger_type"] for run in await house.runs()] == ["SCHEDULED"]


@pytest.mark.requirement("trap-24")
async def test_missed_instants_fire_once_by_default_and_all_where_that_is_wanted(house: House) -> None:
    await set_clock(house.world, datetime(2026, 12, 1, 0, 30, tzinfo=UTC))
    await lead(house.world, "1", leadStatus="CONTACTED")
    await house.rule(TASK, name="last", **DAILY)
    await house.rule(TASK, name="all", catchUp="all", **DAILY)
    await set_clock(house.world, datetime(2026, 12, 4, 12, tzinfo=UTC))
    await fire_due(house, 8)

    days = sorted(told["occurrence"][5:15] for told in await orders(house))
    assert days == ["2026-12-01", "2026-12-02", "2026-12-03", "2026-12-04", "2026-12-04"]


@pytest.mark.requirement("SP-7", "trap-24")
async def test_many_entities_are_read_page_by_page_and_each_is_ordered_once(house: House) -> None:
    await set_clock(house.world, datetime(2026, 12, 1, 0, 30, tzinfo=UTC))
    await house.world.look(
        "insert into entity_state (tenant_id, entity_type, entity_id, entity_values, removed, event_sequence, subject_id,"
        " created_at, changed_at) select 'north', 'LEAD', 'L' || n, '{}', false, 0, 'LEAD/L' || n, '2026-01-01', '2026-01-01'"
        " from generate_series(1, $1::int) n", 2 * PAGE + 7)  # fmt: skip
    await house.rule(TASK, **DAILY)
    await set_clock(house.world, datetime(2026, 12, 1, 1, 1, tzinfo=UTC))
    await fire_due(house, 6)

    told = [one["entityId"] for one in await orders(house)]
    assert len(told) == len(set(told)) == 2 * PAGE + 7


@pytest.mark.requirement("trap-43")
async def test_a_rule_that_is_switched_off_or_changed_leaves_no_old_timer_behind(house: House) -> None:
    await set_clock(house.world, datetime(2026, 12, 1, 0, 30, tzinfo=UTC))
    rule = await house.rule(TASK, **DAILY)
    later = {"name": "A rule", "entityType": "LEAD", "actions": [TASK], **DAILY, "cronExpression": "0 20 * * *"}
    await house.change_rule(rule, later)

    (timer,) = await house.world.look("select due_at, entry from timers where state = 'armed'")
    assert (timer["due_at"], timer["entry"]) == (datetime(2026, 12, 1, 13, tzinfo=UTC), 2)
    await house.change_rule(rule, {"name": "A rule", "entityType": "LEAD", "actions": [TASK], "triggerType": "ON_UPDATE"})
    assert await house.world.look("select 1 from timers where state = 'armed'") == []


@pytest.mark.requirement("RU-2", "trap-24")
async def test_a_date_field_arms_moves_and_disarms_and_fires_with_the_values_of_that_time(house: House) -> None:
    await set_clock(house.world, datetime(2026, 12, 1, 3, tzinfo=UTC))
    rule = await house.rule(
        TASK, triggerType="ON_DATE_FIELD", dateField="renewsOn", offset={"amount": -2, "unit": "DAYS"}, timeOfDay="09:00",
        scheduleTimezone="Asia/Ho_Chi_Minh")  # fmt: skip
    await fire_due(house)
    at = datetime(2026, 12, 1, 3, tzinfo=UTC)

    await house.meet(event("e1", sent_at=at, renewsOn="2026-12-10"))
    (first,) = await house.world.look("select due_at from timers where kind = 'rule-date' and state = 'armed'")
    await house.meet(event("e2", sent_at=at + timedelta(seconds=1), old={"renewsOn": "2026-12-10"}, renewsOn="2026-12-20"))
    (second,) = await house.world.look("select due_at from timers where kind = 'rule-date' and state = 'armed'")
    assert (first["due_at"], second["due_at"]) == (
        datetime(2026, 12, 8, 2, tzinfo=UTC),
        datetime(2026, 12, 18, 2, tzinfo=UTC),
    )

    await lead(house.world, "42", renewsOn="2026-12-20", name="An")
    await set_clock(house.world, datetime(2026, 12, 18, 2, 0, 1, tzinfo=UTC))
    await fire_due(house)
    (told,) = await orders(house)
    assert (told["occurrence"], told["ruleId"]) == ("date|2026-12-18T02:00:00+00:00", rule)
    assert told["newValues"]["name"] == "An"


async def test_a_date_that_goes_away_takes_its_timer_with_it(house: House) -> None:
    await set_clock(house.world, datetime(2026, 12, 1, 3, tzinfo=UTC))
    await house.rule(TASK, triggerType="ON_DATE_FIELD", dateField="renewsOn")
    at = datetime(2026, 12, 1, 3, tzinfo=UTC)
    await house.meet(
        event("e1", sent_at=at, renewsOn="2026-12-10"), event("e2", sent_at=at + timedelta(seconds=1), renewsOn=None)
    )
    assert await house.world.look("select 1 from timers where kind = 'rule-date' and state = 'armed'") == []


async def test_an_event_that_is_read_again_takes_no_date_away_that_a_later_one_gave(house: House) -> None:
    await house.rule(TASK, triggerType="ON_DATE_FIELD", dateField="followUpAt")
    now = datetime.now(UTC)
    date = (now + timedelta(days=30)).replace(microsecond=0)
    life = [
        event("e1", sent_at=now, followUpAt=None),
        event("e2", sent_at=now + timedelta(milliseconds=1), old={"followUpAt": None}, followUpAt=date.isoformat()),
    ]
    for one in life:
        await house.meet(one)

    for one in life:
        # The inbox is empty and the group stands at its first offset: each in a batch of its own.
        await house.meet(one)
        armed = await house.world.look("select due_at from timers where kind = 'rule-date' and state = 'armed'")
        assert armed == [{"due_at": date}]


@pytest.mark.requirement("trap-24")
async def test_entities_that_were_there_before_the_rule_get_their_timers_too(house: House) -> None:
    await set_clock(house.world, datetime(2026, 12, 1, 3, tzinfo=UTC))
    await lead(house.world, "1", renewsOn="2026-12-10")
    await lead(house.world, "2", renewsOn="2026-11-10")
    await lead(house.world, "3", name="An")
    await house.rule(TASK, triggerType="ON_DATE_FIELD", dateField="renewsOn")
    await fire_due(house)

    rows = await house.world.look(
        "select command->>'entityId' as entity from timers where kind = 'rule-date' and state = 'armed'"
    )
    assert [row["entity"] for row in rows] == ["1"]


async def test_a_tenant_that_moves_takes_its_dates_and_schedules_to_its_new_zone(house: House) -> None:
    await set_clock(house.world, datetime(2026, 12, 1, 3, tzinfo=UTC))
    await lead(house.world, "1", renewsOn="2026-12-10")
    await move_to(house, "UTC")
    await house.rule(TASK, name="a date", triggerType="ON_DATE_FIELD", dateField="renewsOn", timeOfDay="09:00")
    await house.rule(TASK, name="nightly", **{**DAILY, "scheduleTimezone": None})
    await house.rule(TASK, name="in a zone of its own", **DAILY)
    await fire_due(house, 2)
    before = await house.world.look(ARMED)
    assert [(row["kind"], row["due_at"].isoformat()[5:16]) for row in before] == [
        ("rule-date", "12-10T09:00"), ("rule-schedule", "12-01T08:00"), ("rule-schedule", "12-02T01:00")]  # fmt: skip

    await move_to(house, "UTC")
    assert await house.world.look("select from timers where kind = 'tenant-calendar'") == [], "nothing has changed"
    await move_to(house, "Asia/Ho_Chi_Minh")
    await fire_due(house, 3)

    after = await house.world.look(ARMED)
    assert [(row["kind"], row["due_at"].isoformat()[5:16]) for row in after] == [
        ("rule-date", "12-10T02:00"), ("rule-schedule", "12-02T01:00"), ("rule-schedule", "12-02T01:00")]  # fmt: skip
    assert await orders(house) == []


async def test_a_schedule_under_way_ends_as_it_began_when_its_tenant_moves(house: House) -> None:
    await set_clock(house.world, datetime(2026, 12, 1, 0, 30, tzinfo=UTC))
    await move_to(house, "Asia/Ho_Chi_Minh")
    for number in range(PAGE + 1):
        await lead(house.world, f"{number:04}", leadStatus="CONTACTED")
    await house.rule(TASK, **{**DAILY, "scheduleTimezone": None})
    await set_clock(house.world, datetime(2026, 12, 1, 1, 0, 5, tzinfo=UTC))
    await fire_due(house)
    await move_to(house, "UTC")
    async with house.world.worker() as other:
        await other.execute("select from timers where kind = 'rule-schedule' for update")
        await fire_due(house)
    assert await house.world.look("select from timers where state = 'armed' and kind = 'tenant-calendar'") != [], "it waits"
    await fire_due(house, 3)

    told = await orders(house)
    assert len({one["entityId"] for one in told}) == len(told) == PAGE + 1
    assert {one["occurrence"] for one in told} == {"cron|2026-12-01T01:00:00+00:00"}
    (timer,) = await house.world.look(ARMED)
    assert timer["due_at"] == datetime(2026, 12, 1, 8, tzinfo=UTC)


async def test_an_edit_that_leaves_the_schedule_alone_loses_no_entity(house: House) -> None:
    await set_clock(house.world, datetime(2026, 12, 1, 0, 30, tzinfo=UTC))
    await lead(house.world, "1", leadStatus="CONTACTED")
    rule = await house.rule(TASK, **DAILY)
    await set_clock(house.world, datetime(2026, 12, 1, 1, 0, 5, tzinfo=UTC))
    renamed = {"name": "Another name", "entityType": "LEAD", "actions": [TASK], **DAILY}
    await house.change_rule(rule, renamed)
    await fire_due(house, 2)

    assert [told["occurrence"] for told in await orders(house)] == ["cron|2026-12-01T01:00:00+00:00"]


async def test_an_edit_of_the_offset_moves_the_timers_that_are_armed(house: House) -> None:
    await set_clock(house.world, datetime(2026, 12, 1, 3, tzinfo=UTC))
    words = {"triggerType": "ON_DATE_FIELD", "dateField": "renewsOn"}
    rule = await house.rule(TASK, **words)
    await lead(house.world, "42", renewsOn="2026-12-10")
    await house.meet(event("e1", sent_at=datetime(2026, 12, 1, 3, tzinfo=UTC), renewsOn="2026-12-10"))
    earlier = {"name": "A rule", "entityType": "LEAD", "actions": [TASK], **words, "offset": {"amount": -3}}
    await house.change_rule(rule, earlier)
    await fire_due(house)

    (timer,) = await house.world.look("select due_at from timers where kind = 'rule-date' and state = 'armed'")
    assert timer["due_at"] == datetime(2026, 12, 7, tzinfo=UTC)


@pytest.mark.parametrize("written", ["0001-01-01", "9999-12-31", "0001-01-01T00:00:00Z"])
async def test_a_date_at_the_end_of_time_is_no_date(house: House, written: str) -> None:
    for amount in (-7, 7):
        await house.rule(
            TASK, triggerType="ON_DATE_FIELD", dateField="renewsOn", scheduleTimezone="Asia/Ho_Chi_Minh",
            offset={"amount": amount})  # fmt: skip
    await house.meet(event("e1", renewsOn=written))
    rows = await house.world.look("select due_at from timers where kind = 'rule-date' and due_at < '9999-01-01'")
    assert rows == []
