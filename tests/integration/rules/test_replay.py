"""Old events start nothing, whatever was forgotten meanwhile: a partition's handled offsets are the durable books."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from processors.shell.messages import Poison
from processors.shell.offsets import LostFence
from schemas.entities import EntityChangeEvent
from tests.integration.rules.house import TASK, UPDATE, House
from tests.integration.rules.reading import NoCopies, Reader

VIP = [{"fieldName": "vip", "operator": "EQUALS", "value": True, "valueType": "BOOLEAN"}]


def rule(*actions: Mapping[str, Any], **told: Any) -> dict[str, Any]:
    return {"name": "A rule", "triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": list(actions), **told}


@pytest.mark.requirement("SP-5", "trap-31")
@pytest.mark.hole("replay-after-edit")
async def test_a_replay_after_an_edit_and_a_new_rule_starts_nothing(house: House) -> None:
    edited = await house.rule(UPDATE, conditions=VIP)
    reader = Reader(house)
    for number in range(5):
        reader.publish(f"e{number}", str(number), name="An")
    await reader.read()
    await house.change_rule(edited, rule(UPDATE))
    await house.rule(TASK, name="A new one")

    await reader.move(0)
    await reader.read()
    assert await house.runs() == []

    reader.publish("e5", "5", name="An")
    await reader.read()
    assert len(await house.runs()) == 2


@pytest.mark.requirement("SP-5")
async def test_a_batch_that_is_half_old_starts_only_what_is_new(house: House) -> None:
    reader = Reader(house)
    for number in range(3):
        reader.publish(f"e{number}", str(number), name="An")
    await reader.read()
    await house.rule(UPDATE)
    reader.publish("e3", "3", name="An")
    await reader.move(1)
    await reader.read()

    assert [run["entity_id"] for run in await house.runs()] == ["3"]


@pytest.mark.requirement("SP-6")
async def test_what_a_move_forward_skipped_is_new_when_the_group_comes_back_for_it_once(house: House) -> None:
    await house.rule(UPDATE)
    reader = Reader(house)
    for number in range(6):
        reader.publish(f"e{number}", str(number), name="An")
    await reader.read(2)
    await reader.move(4)
    await reader.read()
    assert sorted(run["entity_id"] for run in await house.runs()) == ["0", "1", "4", "5"]

    await reader.move(0)
    await reader.read()
    assert sorted(run["entity_id"] for run in await house.runs()) == ["0", "1", "2", "3", "4", "5"]

    await house.rule(TASK, name="Another")
    await reader.move(0)
    await reader.read()
    assert len(await house.runs()) == 6


def poison(named: str) -> EntityChangeEvent:
    """It contradicts its envelope as long as that names another tenant."""
    return EntityChangeEvent(
        event_id=named,
        entity_type="LEAD",
        entity_id="42",
        change_type="UPDATE",
        new_values={"name": "An"},
        tenant_id="south",
        timestamp=datetime.now(UTC),
    )


@pytest.mark.requirement("SP-8")
async def test_what_was_parked_when_it_first_came_runs_when_it_is_redriven(house: House) -> None:
    await house.rule(UPDATE)
    reader = Reader(house)
    reader.publish_event(poison("bad"))
    reader.publish("behind", name="An")
    await reader.read()
    assert await house.runs() == []
    # The cause is mended: here the record itself.
    async with house.world.worker() as conn:
        await conn.execute(
            "update parked_messages set value = convert_to(replace(convert_from(value, 'UTF8'), 'south', 'north'), 'UTF8')"
        )

    await reader.move(0)
    await reader.read()
    await reader.redrive()
    assert sorted(run["occurrence"] for run in await house.runs()) == ["event|crm|bad", "event|crm|behind"]
    assert await house.world.look("select from parked_messages") == []


@pytest.mark.requirement("SP-8")
async def test_what_was_done_and_came_again_behind_a_parked_message_stays_done(house: House) -> None:
    reader = Reader(house)
    reader.publish("done", name="An")
    reader.publish_event(poison("bad"))
    await reader.read()
    await house.rule(UPDATE)
    await reader.move(0)
    await reader.read()
    assert [row["replayed"] for row in await house.world.look('select replayed from parked_messages order by "offset"')] == [
        True,
        False,
    ]
    async with house.world.worker() as conn:
        await conn.execute(
            "update parked_messages set value = convert_to(replace(convert_from(value, 'UTF8'), 'south', 'north'), 'UTF8')"
        )

    await reader.redrive()
    assert [run["occurrence"] for run in await house.runs()] == ["event|crm|bad"]


@pytest.mark.requirement("SP-6")
async def test_a_topic_that_was_made_anew_begins_anew(house: House) -> None:
    reader = Reader(house)
    await reader.take(UUID(int=1))
    reader.publish("e0", name="An")
    await reader.read()
    await house.rule(UPDATE)

    reader.records.clear()
    reader.publish("other", name="An")
    await reader.move(0)
    await reader.take(UUID(int=2))
    await reader.read()
    assert [run["occurrence"] for run in await house.runs()] == ["event|crm|other"]


@pytest.mark.requirement("SP-6")
async def test_of_two_members_the_one_that_lost_the_partition_handles_nothing(house: House) -> None:
    await house.rule(UPDATE)
    late, owner = Reader(house), Reader(house)
    late.publish("e0", name="An")
    owner.records = late.records
    await late.take()
    await owner.take()

    with pytest.raises(LostFence):
        await late.read()
    await owner.read()
    assert len(await house.runs()) == 1
    (row,) = await house.world.look("select handled::text as handled from consumer_offsets")
    assert row["handled"] == "{[0,1)}"


@pytest.mark.requirement("SP-6", "SP-7")
async def test_what_waited_for_a_number_runs_when_it_comes_although_it_was_read_twice(house: House) -> None:
    rule_id = await house.rule(UPDATE)
    reader = Reader(house)
    reader.publish("first", sequence=1, name="An")
    reader.publish("third", sequence=3, name="An")
    await reader.read()
    await reader.move(0)
    await reader.read()
    await house.change_rule(rule_id, rule(UPDATE))
    reader.publish("second", sequence=2, name="An")
    await reader.read()

    runs = {run["occurrence"]: run["rule_version"] for run in await house.runs()}
    assert runs == {"event|crm|first": 1, "event|crm|second": 2, "event|crm|third": 2}


@pytest.mark.requirement("SP-5")
async def test_a_batch_that_is_rolled_back_has_handled_nothing(house: House) -> None:
    await house.rule(UPDATE)
    reader = Reader(house)
    reader.publish("e0", name="An")
    reader.publish_event(poison("bad"))
    reader.copies = NoBroker()
    with pytest.raises(ConnectionError):
        await reader.read()
    (row,) = await house.world.look("select handled::text as handled, next from consumer_offsets")
    assert (row["handled"], row["next"]) == ("{}", 0)

    # Another member takes over and does it.
    reader.copies = NoCopies()
    await reader.take()
    await reader.read()
    assert [run["occurrence"] for run in await house.runs()] == ["event|crm|e0"]


class NoBroker(NoCopies):
    """The broker is away when the last step before the commit needs it."""

    async def copy(self, parked: Sequence[Poison]) -> None:
        raise ConnectionError("no broker")
