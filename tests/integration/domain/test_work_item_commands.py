"""The commands on a real database, one item at a time: rows, history, events, and what the database itself refuses."""

from datetime import timedelta

import asyncpg
import pytest

from domain.work_items import commands, reads, store
from domain.work_items.decisions import Unchanged, result_of
from domain.work_items.editing import Edited
from schemas.errors import NotFound
from tests.integration.domain.world import OUTBOX, World, act, caller, code_of, create, decided, engine, new_id


async def _new(world: World, *actions: str, **fields: object) -> str:
    """An item that went through these actions."""
    work_item_id = new_id()
    async with world.api() as conn:
        decided(await commands.create_work_item(conn, OUTBOX, caller(), create(work_item_id, **fields)))
        for action in actions:
            assignee = "bo" if action == "Assign" else None
            decided(await commands.apply_action(conn, OUTBOX, engine(), act(work_item_id, action, new_assignee_id=assignee)))
    return work_item_id


@pytest.mark.requirement("WI-2", "WI-4", "SP-1", "trap-37", "trap-59")
@pytest.mark.hole("sequence-per-event")
async def test_a_sent_item_is_one_row_two_history_rows_and_two_events(world: World) -> None:
    item = await _new(world, follower_ids=("bo", 'c"y\\', "đạt"), process="aml-watch", note="call back")
    assert await world.history(item) == [(1, None, "draft", "Create"), (2, "draft", "open", "Submit")]
    assert await world.events(item) == [(1, "WORK_ITEM_CREATED"), (2, "WORK_ITEM_STATUS_CHANGED")]
    row = await world.item(item)
    assert (row["status"], row["version"], row["coupling"], row["note"]) == ("open", 2, "loose", "call back")
    assert row["follower_ids"] == ["bo", 'c"y\\', "đạt"]
    keys = await world.look("select distinct convert_from(key, 'UTF8') as key, topic from outbox_events")
    assert keys == [{"key": f"north|work_item|{item}", "topic": "work-items.events.v1"}]


@pytest.mark.requirement("WI-2", "WI-3", "trap-45")
async def test_an_action_writes_status_assignee_history_and_events_together(world: World) -> None:
    item = await _new(world)
    async with world.api() as conn:
        outcome = decided(
            await commands.apply_action(conn, OUTBOX, caller(), act(item, "Assign", new_assignee_id="bo", note="please"))
        )
    assert result_of(outcome).new_status == "in_progress"
    row = await world.item(item)
    assert (row["status"], row["assignee_id"], row["version"], row["updated_by"]) == ("in_progress", "bo", 3, "an")
    assert (await world.events(item))[2:] == [(3, "WORK_ITEM_STATUS_CHANGED"), (4, "WorkItemAssigned")]
    (last,) = await world.look(
        "select by_user, note, source, assignee_id from work_item_state_history where work_item_id = $1::uuid and position = 3",
        item,
    )
    assert last == {"by_user": "an", "note": "please", "source": "CRM_UI", "assignee_id": "bo"}


async def test_a_click_without_assignee_keeps_its_plans(world: World) -> None:
    item = await _new(world, "StartWork")
    async with world.api() as conn:
        for n in range(12):
            action = "BackToInProgress" if n % 2 else "SetWaitingCustomer"
            decided(await commands.apply_action(conn, OUTBOX, caller(), act(item, action)))
        kept = await conn.fetch("select statement, generic_plans, custom_plans from pg_prepared_statements")
    plans = {row["statement"]: (row["generic_plans"], row["custom_plans"]) for row in kept}
    # PostgreSQL makes five plans of its own for a statement before it decides whether one will do.
    for name in ("lock_work_item", "update_work_item"):
        generic, custom = plans[store.queries.sql_of(name)]
        assert generic > 0, f"{name} was planned anew {custom} times"


@pytest.mark.requirement("trap-45", "trap-57")
async def test_a_double_click_on_assign_has_one_effect(world: World) -> None:
    item = await _new(world)
    for _ in range(2):
        async with world.api() as conn:
            outcome = await commands.apply_action(conn, OUTBOX, caller(), act(item, "Assign", new_assignee_id="bo"))
    assert isinstance(outcome, Unchanged)
    assert len(await world.history(item)) == 3
    assert len(await world.events(item)) == 4


@pytest.mark.requirement("WI-2", "trap-55", "trap-58")
async def test_what_fails_later_in_the_transaction_leaves_nothing(world: World) -> None:
    item = new_id()

    async def create_and_fail() -> None:
        async with world.api() as conn:
            decided(await commands.create_work_item(conn, OUTBOX, caller(), create(item)))
            raise RuntimeError("before the commit")

    with pytest.raises(RuntimeError, match="before the commit"):
        await create_and_fail()
    assert await world.events(item) == []
    assert await world.history(item) == []


@pytest.mark.requirement("WI-1", "trap-46", "trap-47", "trap-55", "trap-56")
async def test_a_refusal_changes_nothing(world: World) -> None:
    item = await _new(world)
    given: list[tuple[str, dict[str, object], str]] = [
        ("Close", {}, "InvalidTransition"),
        ("CLOSE", {}, "InvalidAction"),
        ("Archive", {}, "InvalidAction"),
        ("Assign", {}, "AssigneeRequired"),
        ("Assign", {"new_assignee_id": "nobody"}, "UnknownAssignee"),
        ("Assign", {"new_assignee_id": "gone"}, "InactiveAssignee"),
        ("StartWork", {"expected_status": "draft"}, "ConflictState"),
        ("StartWork", {"expected_version": 1}, "ConflictState"),
    ]
    for action, fields, code in given:
        async with world.api() as conn:
            assert code_of(await commands.apply_action(conn, OUTBOX, caller(), act(item, action, **fields))) == code
    assert (await world.item(item))["version"] == 2
    assert len(await world.events(item)) == 2


@pytest.mark.requirement("SP-8", "trap-55")
async def test_a_foreign_tenants_item_is_not_found(world: World) -> None:
    item = await _new(world)
    foreign = caller(tenant_id="south")
    async with world.api("south") as conn:
        assert code_of(await commands.apply_action(conn, OUTBOX, foreign, act(item, "StartWork"))) == "WorkItemNotFound"
        assert code_of(await commands.add_comment(conn, foreign, item, "hello")) == "WorkItemNotFound"
        assert code_of(await commands.edit_fields(conn, OUTBOX, foreign, item, {"scope": "x"})) == "WorkItemNotFound"
        for read in (reads.get_work_item, reads.list_history, reads.list_comments):
            with pytest.raises(NotFound):
                await read(conn, "south", item)
        # Even a query that asks for the foreign tenant by name finds nothing.
        with pytest.raises(NotFound):
            await reads.get_work_item(conn, "north", item)
    assert (await world.item(item))["version"] == 2


async def test_a_malformed_id_is_no_item(world: World) -> None:
    async with world.api() as conn:
        for name in ("nonsense", "5b8b4de3-5f52-4b6a-9c71", "'; drop table work_items", "1" * 200):
            assert code_of(await commands.apply_action(conn, OUTBOX, caller(), act(name, "Close"))) == "WorkItemNotFound"
            assert code_of(await commands.create_work_item(conn, OUTBOX, caller(), create(name))) == "InvalidWorkItemId"
            with pytest.raises(NotFound):
                await reads.get_work_item(conn, "north", name)


async def test_an_id_is_one_id_in_every_spelling(world: World) -> None:
    item = await _new(world)
    async with world.api() as conn:
        decided(await commands.apply_action(conn, OUTBOX, caller(), act(item.upper(), "StartWork")))
        assert code_of(await commands.create_work_item(conn, OUTBOX, caller(), create(item.upper()))) == "ConflictState"
    assert len(await world.events(item)) == 3


@pytest.mark.requirement("WI-4")
async def test_an_unknown_or_inactive_tenant_gets_no_item(world: World) -> None:
    await world.look("update tenants set active = false where tenant_id = 'south'")
    for tenant in ("south", "nowhere"):
        async with world.api(tenant) as conn:
            outcome = await commands.create_work_item(conn, OUTBOX, caller(tenant_id=tenant), create(new_id()))
            assert code_of(outcome) == "UnknownTenant"


@pytest.mark.requirement("trap-45", "trap-50", "trap-60")
async def test_closed_at_through_close_reopen_cancel_and_archive(world: World) -> None:
    item = await _new(world, "Assign", "Resolve", "Close")
    assert (await world.item(item))["closed_at"] is not None
    async with world.api() as conn:
        decided(await commands.apply_action(conn, OUTBOX, caller(), act(item, "Reopen")))
    row = await world.item(item)
    assert (row["closed_at"], row["cycle"], row["assignee_id"]) == (None, 1, "bo")
    async with world.api() as conn:
        decided(await commands.apply_action(conn, OUTBOX, caller(), act(item, "Cancel")))
        decided(await commands.apply_action(conn, OUTBOX, engine(), act(item, "Archive")))
    row = await world.item(item)
    assert row["status"] == "archived"
    assert row["closed_at"] == row["last_action_at"] or row["closed_at"] < row["last_action_at"]


@pytest.mark.requirement("trap-49")
async def test_an_engines_end_before_work_began_is_refused_with_an_incident(world: World) -> None:
    item = await _new(world)
    for _ in range(2):
        async with world.api() as conn:
            assert (
                code_of(await commands.apply_action(conn, OUTBOX, engine(), act(item, "AutoCloseFromWorkflow")))
                == "InvalidTransition"
            )
    (incident,) = await world.look("select kind, object_id, seen_count, state from incidents")
    assert incident == {"kind": "autoclose-refused", "object_id": item, "seen_count": 2, "state": "open"}


@pytest.mark.requirement("trap-38", "trap-60")
async def test_an_import_dates_history_and_the_database_keeps_its_own_clock(world: World) -> None:
    item, importer = new_id(), caller("import", source="IMPORT")
    (now,) = [row["now"] for row in await world.look("select cs_now() as now")]
    then = now - timedelta(days=3650)
    async with world.api() as conn:
        decided(await commands.create_work_item(conn, OUTBOX, importer, create(item, occurred_at=then)))
        decided(await commands.apply_action(conn, OUTBOX, importer, act(item, "StartWork", occurred_at=then + timedelta(1))))
        late = act(item, "Resolve", occurred_at=then)
        assert code_of(await commands.apply_action(conn, OUTBOX, importer, late)) == "OccurredAtRefused"
    rows = await world.look("select occurred_at, created_at, source from work_item_state_history order by position")
    assert [row["occurred_at"] for row in rows] == [then, then, then + timedelta(1)]
    assert all(row["created_at"] >= now and row["source"] == "IMPORT" for row in rows)
    assert (await world.item(item))["created_at"] >= now


@pytest.mark.requirement("WI-5")
async def test_fields_change_without_the_state_machine(world: World) -> None:
    item = await _new(world, "Assign", priority="low", scope="internal")
    async with world.api() as conn:
        changes = {"title": "New title", "scope": None, "priority": "low", "assignee_id": "cy", "follower_ids": ("bo",)}
        edited = await commands.edit_fields(conn, OUTBOX, caller(), item, changes, expected_version=3)
        assert isinstance(edited, Edited)
        assert (
            code_of(await commands.edit_fields(conn, OUTBOX, caller(), item, {"title": "x"}, expected_version=3))
            == "ConflictState"
        )
    row = await world.item(item)
    assert (row["title"], row["scope"], row["priority"], row["assignee_id"]) == ("New title", None, "low", "cy")
    assert (row["version"], row["history_length"], row["follower_ids"]) == (4, 3, ["bo"])
    assert (await world.events(item))[4:] == [(5, "WorkItemFieldsChanged"), (6, "WorkItemAssigned")]
    assert len(await world.history(item)) == 3


@pytest.mark.requirement("WI-5")
async def test_reads_of_one_item_page_by_page(world: World) -> None:
    item = await _new(world, "Assign", "Resolve")
    async with world.api() as conn:
        for body in ("one", "two", "three"):
            await commands.add_comment(conn, caller(), item, body)
    async with world.api() as conn:
        first = await reads.list_comments(conn, "north", item, page_size=2)
        second = await reads.list_comments(conn, "north", item, after=first.next, page_size=2)
        assert [row["body"] for row in first.rows + second.rows] == ["one", "two", "three"]
        assert second.next is None
        page = await reads.list_history(conn, "north", item, page_size=3)
        rest = await reads.list_history(conn, "north", item, after=page.next, page_size=3)
        assert [row["to_status"] for row in page.rows + rest.rows] == ["draft", "open", "in_progress", "resolved"]
        assert (await reads.get_work_item(conn, "north", item))["status"] == "resolved"


@pytest.mark.requirement("WI-5")
async def test_lists_filter_and_page_without_repeating_or_losing_a_row(world: World) -> None:
    made = [await _new(world, *(["Assign"] if n % 2 else []), process="general" if n % 3 else "aml-watch") for n in range(9)]
    async with world.api() as conn:
        narrowed = {
            reads.Filter(): set(made),
            reads.Filter(status="open"): set(made[::2]),
            reads.Filter(assignee_id="bo"): set(made[1::2]),
            reads.Filter(process="aml-watch"): set(made[::3]),
            reads.Filter(status="open", process="aml-watch"): set(made[::6]),
            reads.Filter(assignee_id="nobody"): set(),
        }
        for wanted, expected in narrowed.items():
            found: list[str] = []
            after = None
            while True:
                page = await reads.list_work_items(conn, "north", wanted, after=after, page_size=2)
                found += [row["id"] for row in page.rows]
                after = page.next
                if after is None:
                    break
            assert set(found) == expected
            assert found == sorted(found, reverse=True)


class TestInvariants:
    """What the database refuses whatever the code does."""

    @pytest.mark.requirement("WI-1", "trap-60")
    async def test_a_row_that_breaks_a_rule_is_refused(self, world: World) -> None:
        item = await _new(world)
        changes = ["status = 'paused'", "status = 'closed'", "closed_at = cs_now()", "assignee_id = 'nobody'", "version = 1"]
        for change in [*changes, "priority = 'urgent'", "event_sequence = 0", "cycle = -1"]:
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await world.look(f"update work_items set {change} where id = $1::uuid", item)

    @pytest.mark.requirement("trap-60")
    async def test_history_is_append_only_for_both_doors(self, world: World) -> None:
        await _new(world)
        for statement in ("update work_item_state_history set note = null", "delete from work_item_state_history"):
            for door in (world.api, world.worker):
                async with door() as conn:
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await conn.execute(statement)

    @pytest.mark.requirement("SP-8")
    async def test_no_door_sees_or_writes_another_tenants_rows(self, world: World) -> None:
        item = await _new(world)
        async with world.api() as conn:
            await commands.add_comment(conn, caller(), item, "hello")
        await world.look(
            "insert into work_item_instances (tenant_id, work_item_id, instance_id, status, cycle) "
            "values ('north', $1::uuid, 'i-1', 'running', 0)",
            item,
        )
        async with world.api("north") as own, world.api("south") as foreign, world.worker("south") as worker:
            for table in ("work_items", "work_item_state_history", "work_item_comments", "work_item_instances"):
                assert await own.fetchval(f"select count(*) from {table}") > 0
                assert await foreign.fetchval(f"select count(*) from {table}") == 0
                assert await worker.fetchval(f"select count(*) from {table}") == 0
            insert = "insert into work_item_comments (tenant_id, work_item_id, comment_id, body, by_user, source) values "
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await foreign.execute(insert + "('north', $1::uuid, $1::uuid, 'x', 'an', 'CRM_UI')", item)

    @pytest.mark.requirement("trap-38")
    async def test_no_column_of_any_table_has_a_time_without_a_zone(self, world: World) -> None:
        found = await world.look(
            "select table_schema, table_name, column_name from information_schema.columns "
            "where table_schema not in ('pg_catalog', 'information_schema') "
            "and data_type in ('timestamp without time zone', 'time without time zone')"
        )
        assert found == []
