"""Changes and commands on a real database: states, numbers, decided commands, incidents, erasure, activity."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from domain.entities import batch
from domain.entities.batch import Message
from domain.entities.candidates import candidates
from domain.entities.purge import purge_entities
from domain.entities.store import unpack_values
from domain.work_items.commands import create_work_item
from schemas.entities import AddTag, CreateActivity, EntityReference, UpdateField
from schemas.errors import ConcurrencyConflict, PermanentError
from schemas.work_items import CreateWorkItem
from tests.integration.domain.world import OUTBOX, World, caller
from tests.integration.entities.steps import apply, manage, message
from tests.unit.domain.entities.changes import ENGINE, change

LEAD = {"entity_type": "LEAD", "entity_id": "42"}
RECENT = datetime.now(UTC) - timedelta(hours=1)
LONG_AGO = datetime.now(UTC) - timedelta(days=30)


async def states(world: World) -> dict[str, object]:
    found = await world.look("select entity_id, entity_values, removed from entity_state order by entity_id")
    return {row["entity_id"]: None if row["removed"] else unpack_values(row["entity_values"]) for row in found}


@pytest.mark.requirement("RU-13")
async def test_a_batch_folds_to_the_newest_values(world: World) -> None:
    await apply(
        world,
        message(change("CREATE", {"name": "An\x00", "stage": "NEW"})),
        message(change("UPDATE", {"stage": "WON"})),
        message(change("CREATE", {"x": 1}, entity_id="43")),
        message(change("DELETE", entity_id="43")),
    )
    assert await states(world) == {"42": {"name": "An\x00", "stage": "WON"}, "43": None}
    assert not await world.look("select from outbox_events")


async def test_commands_to_unmanaged_types_are_left_alone(world: World) -> None:
    await apply(world, message(change("CREATE", {"a": 1})), message(AddTag(command_id="c", **LEAD, tag="hot"), OUTBOX.source))
    assert await states(world) == {"42": {"a": 1}}
    assert not await world.look("select from entity_commands")


@pytest.mark.requirement("RU-13", "trap-37")
async def test_a_command_is_applied_once_however_often_it_comes(world: World) -> None:
    await apply(world, message(change("CREATE", {"a": 1})))
    await manage(world, "LEAD")
    command = message(UpdateField(command_id="c-1", **LEAD, field="a", value=2), OUTBOX.source)
    later = message(UpdateField(command_id="c-2", **LEAD, field="a", value=3), OUTBOX.source)
    await apply(world, command, command, later)
    await apply(world, command, later)
    assert await states(world) == {"42": {"a": 3}}
    told = await world.look("select sequence, convert_from(key, 'UTF8') as key, topic from outbox_events order by id")
    assert [(row["sequence"], row["key"], row["topic"]) for row in told] == [
        (1, "north|LEAD|42", "crm.entity.events"),
        (2, "north|LEAD|42", "crm.entity.events"),
    ]


async def test_a_command_from_before_the_type_was_managed_was_for_its_upstream(world: World) -> None:
    await apply(world, message(change("CREATE", {"a": 1})))
    await manage(world, "LEAD")
    old = message(AddTag(command_id="c", **LEAD, tag="hot"), OUTBOX.source, sent_at=LONG_AGO)
    await apply(world, old)
    assert await states(world) == {"42": {"a": 1}}


async def test_a_refusal_is_remembered_and_shown(world: World) -> None:
    await manage(world, "LEAD")
    command = message(AddTag(command_id="c", **LEAD, tag="hot"), OUTBOX.source)
    await apply(world, command)
    await apply(world, command)
    (incident,) = await world.look("select kind, object_id, seen_count from incidents")
    assert (incident["kind"], incident["object_id"], incident["seen_count"]) == ("entity-command-refused", "LEAD", 1)
    (decided,) = await world.look("select outcome from entity_commands")
    assert decided["outcome"] == "EntityNotFound"


async def test_a_change_that_no_record_could_carry_is_refused(world: World) -> None:
    await apply(world, message(change("CREATE", {"a": "x" * 600_000})))
    await manage(world, "LEAD")
    await apply(world, message(AddTag(command_id="c", **LEAD, tag="hot"), OUTBOX.source))
    (decided,) = await world.look("select outcome from entity_commands")
    assert decided["outcome"] == "EventTooLarge"


async def test_a_stranger_cannot_write_a_managed_type(world: World) -> None:
    await manage(world, "LEAD")
    await apply(world, message(change("CREATE", {"a": 1})))
    assert await states(world) == {}
    (incident,) = await world.look("select kind from incidents")
    assert incident["kind"] == "entity-foreign-writer"


async def test_our_own_events_come_back_as_no_news(world: World) -> None:
    await manage(world, "ACTIVITY")
    about = EntityReference(entity_type="LEAD", entity_id="42")
    create = CreateActivity(command_id="c", entity_type="ACTIVITY", entity_id="a-1", subject="Call", related_to=about)
    (ruling,) = await apply(world, message(create, OUTBOX.source))
    assert ruling.event is not None
    before = await world.look("select revision from entity_state")
    await apply(world, message(ruling.event, OUTBOX.source))
    assert await world.look("select revision from entity_state") == before
    assert len(await world.look("select from entity_activities where entity_type = 'LEAD' and entity_id = '42'")) == 1


async def test_an_unknown_tenant_and_too_large_values_are_parked(world: World) -> None:
    async with world.worker("nowhere") as conn:
        stray = Message(change("CREATE", tenant_id="nowhere"), replace(ENGINE, tenant_id="nowhere"), "crm", False, None)
        found = await batch.load(conn, [stray])
        with pytest.raises(PermanentError, match="tenant"):
            batch.decide(found[stray.key], stray, RECENT)
    with pytest.raises(PermanentError, match="bytes"):
        await apply(world, message(change("CREATE", {"a": "x" * 5_000_000})))


async def test_two_members_that_make_the_same_entity_do_it_once(world: World) -> None:
    both = asyncio.gather(
        *(apply(world, message(change("CREATE", {"from": name}))) for name in "ab"),
        return_exceptions=True,
    )
    lost = [result for result in await both if isinstance(result, BaseException)]
    assert all(isinstance(error, ConcurrencyConflict) for error in lost)
    assert len(await states(world)) == 1


async def test_an_erased_subject_is_written_no_more(world: World) -> None:
    await apply(
        world, message(change("CREATE", {"a": 1})), message(change("CREATE", {"b": 1}, entity_id="7", subject_id="p-1"))
    )
    await world.look(
        "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)"
        " values ('north', 'LEAD/42', gen_random_uuid(), now(), 'an', 'asked'),"
        " ('north', 'p-1', gen_random_uuid(), now(), 'an', 'asked')"
    )
    async with world.worker() as conn:
        assert await purge_entities(conn, "north", "LEAD/42") == {"public.entity_state": 1}
        assert await purge_entities(conn, "north", "p-1") == {"public.entity_state": 1}
        assert await purge_entities(conn, "north", "p-1") == {"public.entity_state": 0}
    again = [message(change("UPDATE", {"a": 2})), message(change("UPDATE", {"b": 2}, entity_id="7", subject_id="p-1"))]
    await apply(world, *again)
    assert await states(world) == {}


async def test_candidates_are_those_about_which_nothing_was_done(world: World) -> None:
    about = {"relatedTo": {"entityType": "LEAD", "entityId": "2"}}
    await apply(
        world,
        *(message(change("CREATE", {"n": n}, entity_id=str(n), timestamp=LONG_AGO)) for n in range(1, 6)),
        message(change("UPDATE", {"n": 0}, entity_id="1", timestamp=RECENT)),
        message(change("CREATE", about, entity_type="ACTIVITY", entity_id="a", timestamp=RECENT)),
        message(change("DELETE", entity_id="5")),
        message(change("CREATE", {"n": 6}, entity_id="6", timestamp=RECENT)),
    )
    async with world.api() as conn:
        task = CreateWorkItem(
            work_item_id="5b8b4de3-5f52-4b6a-9c71-1d9f5e8f5f11",
            title="Call",
            related_to=EntityReference(entity_type="LEAD", entity_id="3"),
        )
        await create_work_item(conn, OUTBOX, caller(), task)
    async with world.worker() as conn:
        page = await candidates(conn, "north", "LEAD", 7)
        assert [entity.entity_id for entity in page.entities] == ["1", "4"], "its own update is no activity; 6 is too young"
        first = await candidates(conn, "north", "LEAD", 7, "", 2)
        assert ([entity.entity_id for entity in first.entities], first.next) == (["1"], "2")
        rest = await candidates(conn, "north", "LEAD", None, "2", 10)
        assert ([entity.values["n"] for entity in rest.entities], rest.next) == ([3, 4, 6], None)


async def test_a_page_of_candidates_ends_before_it_is_too_large_and_goes_on_behind(world: World) -> None:
    sizes = {"1": 10, "2": 3_000, "3": 10, "4": 10, "5": 10}
    for entity_id, size in sizes.items():
        await apply(world, message(change("CREATE", {"text": "x" * size}, entity_id=entity_id)))
    async with world.worker() as conn:
        pages, after = [], ""
        while True:
            page = await candidates(conn, "north", "LEAD", None, after, 2, most_bytes=1_000)
            pages.append([entity.entity_id for entity in page.entities])
            if page.next is None:
                break
            after = page.next
    assert pages == [["1", "2"], ["3", "4"], ["5"]]
    async with world.worker() as conn:
        alone = await candidates(conn, "north", "LEAD", None, "1", 10, most_bytes=1_000)
        assert ([entity.entity_id for entity in alone.entities], alone.next) == (["2"], "2")
        rest = await candidates(conn, "north", "LEAD", None, "2", 3, most_bytes=1_000)
        assert ([entity.entity_id for entity in rest.entities], rest.next) == (["3", "4", "5"], "5")
        assert (await candidates(conn, "north", "LEAD", None, "5", 3)).next is None


async def test_a_tenant_sees_its_own_entities_only(world: World) -> None:
    await apply(world, message(change("CREATE", {"a": 1})))
    async with world.worker("south") as conn:
        assert not await conn.fetch("select from entity_state")
    async with world.api("north") as conn:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute("update entity_state set removed = true")
