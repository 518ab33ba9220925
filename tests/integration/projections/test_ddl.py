"""DDL from metadata: applied to a throwaway database of the test's own, by the job that applies it everywhere (CD-12)."""

import random
from dataclasses import replace

import asyncpg
import pytest

from domain.cases.mapping.tables import ColumnSpec
from projections import ddl, ddl_orders
from projections.ddl_plan import plan_ddl
from projections.ddl_role import DdlJob
from projections.rebuild.specs import present_table
from projections.versions import create_missing_versions, create_version, find_version, list_versions, set_state
from schemas.errors import ConfigurationError, NotFound
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.database.conftest import Connect, connect
from tests.integration.database.test_catalogue import policies_that_disagree_with_grants, undeclared, unsecured
from tests.integration.projections.tables import ITEMS, NAME, make_version, order_spec, small_spec, switch

__all__ = ["connect"]

REFUSED = asyncpg.InsufficientPrivilegeError
COLUMNS = (
    "select attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum) from pg_attribute "
    "where attrelid = to_regclass($1) and attnum > 0 order by attnum"
)


@pytest.mark.requirement("CD-3", "CD-4", "CD-12", "trap-87", "trap-89")
async def test_a_mapping_becomes_tables_with_its_columns_keys_comments_and_rights(connect: Connect) -> None:
    conn = await connect("migrate")
    assert await make_version(conn, order_spec()) == 1
    columns = {row[0]: tuple(row)[1:] for row in await conn.fetch(COLUMNS, f"projections.{NAME}__v1")}
    assert list(columns)[:5] == ["tenant_id", "case_id", "snapshot_version", "subject_id", "tombstone"]
    assert columns["order_total"][0] == "numeric(12,2)"
    assert columns["created_at"][0] == "timestamp with time zone"
    assert columns["customer_email"][0] == "text", "a blind index is a text"
    assert "$.total" in columns["order_total"][2]
    assert "com.app.OrderCase" in columns["order_total"][2]
    items = {row[0]: tuple(row)[1:] for row in await conn.fetch(COLUMNS, f"projections.{ITEMS}__v1")}
    assert list(items)[:3] == ["tenant_id", "case_id", "position"]
    assert items["quantity"][0] == "integer"
    keys = {
        row[0]: row[1]
        for row in await conn.fetch(
            "select conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint where contype = 'p'"
        )
    }
    assert keys[f"projections.{NAME}__v1"] == "PRIMARY KEY (tenant_id, case_id)"
    assert keys[f"projections.{ITEMS}__v1"] == 'PRIMARY KEY (tenant_id, case_id, "position")'
    assert (await find_version(conn, NAME, 1)).state == "building"


@pytest.mark.requirement("CD-12", "SP-8")
async def test_a_version_of_a_mapping_stands_up_to_the_catalogues_rules(connect: Connect) -> None:
    conn = await connect("migrate")
    before = await undeclared(conn)
    await make_version(conn, order_spec())
    assert not {name for name in await unsecured(conn) if NAME in name}
    assert not [line for line in await policies_that_disagree_with_grants(conn) if NAME in line]
    assert await undeclared(conn) == before


@pytest.mark.requirement("CD-12")
async def test_ordering_or_applying_twice_changes_nothing(connect: Connect) -> None:
    conn = await connect("migrate")
    await create_version(conn, order_spec(), by="test")
    first = await ddl_orders.order(conn, "create", NAME, 1, by="test")
    assert await ddl_orders.order(conn, "create", NAME, 1, by="another") == first
    await ddl_orders.execute_open(conn, development=True)
    before = await conn.fetch(COLUMNS, f"projections.{NAME}__v1")
    assert await ddl_orders.execute_open(conn, development=True) == []
    await ddl_orders.order(conn, "create", NAME, 1, by="test")
    [again] = await ddl_orders.execute_open(conn, development=True)
    assert (again.state, "only a planned one" in again.error) == ("refused", True)
    assert await conn.fetch(COLUMNS, f"projections.{NAME}__v1") == before


@pytest.mark.requirement("CD-12", "trap-87")
async def test_in_production_a_new_mapping_waits_for_the_approval_of_its_hash(connect: Connect) -> None:
    conn = await connect("migrate")
    await create_version(conn, order_spec(), by="test")
    order = await ddl_orders.order(conn, "create", NAME, 1, by="test")
    [waiting] = await ddl_orders.execute_open(conn, development=False)
    assert waiting.state == "waiting"
    assert await conn.fetchval("select to_regclass($1)", f"projections.{NAME}__v1") is None
    with pytest.raises(NotFound):
        await ddl_orders.approve(conn, "0" * 64, by="root")
    row = await ddl_orders.queries.find_order(conn, order_id=order)
    assert row["sha256"] == ddl.digest(ddl.create_statements(order_spec(), 1))
    assert await ddl_orders.approve(conn, row["sha256"], by="root") == [f"{NAME}.v1"]
    [done] = await ddl_orders.execute_open(conn, development=False)
    assert done.state == "executed"
    assert await conn.fetchval("select count(*) from audit_log where action = 'ddl.approved'") == 1

    # The same mapping again, as a rebuild orders it: only the number differs, and nobody need read it twice.
    await create_version(conn, order_spec(), by="test")
    await ddl_orders.order(conn, "create", NAME, 2, by="test")
    assert [one.state for one in await ddl_orders.execute_open(conn, development=False)] == ["executed"]
    changed = replace(order_spec(), columns=(*order_spec().columns, ColumnSpec("extra", "text")))
    await create_version(conn, changed, by="test")
    await ddl_orders.order(conn, "create", NAME, 3, by="test")
    assert [one.state for one in await ddl_orders.execute_open(conn, development=False)] == ["waiting"]


@pytest.mark.requirement("CD-12", "SP-8")
async def test_an_order_carries_no_sql_that_is_ever_run(connect: Connect) -> None:
    """Whoever may write orders (the API's role) and even gets a hash approved makes the owner run nothing of theirs."""
    owner, api = await connect("migrate"), await connect("api")
    await create_version(api, order_spec(), by="intruder")
    hostile = "drop table public.users cascade"
    sha256 = ddl.digest([hostile])
    await api.execute(
        "insert into ddl_orders (order_id, kind, name, version, statement, sha256, requested_by)"
        " values (gen_random_uuid(), 'create', $1, 1, $2, $3, 'intruder')",
        NAME,
        hostile,
        sha256,
    )
    await ddl_orders.approve(owner, sha256, by="somebody who did not look")
    [one] = await ddl_orders.execute_open(owner, development=True)
    assert one.state == "refused"
    assert await owner.fetchval("select to_regclass('public.users') is not null")
    assert await owner.fetchval("select to_regclass($1)", f"projections.{NAME}__v1") is None


@pytest.mark.requirement("CD-12", "SP-8")
@pytest.mark.parametrize("role", ["api", "worker", "scan"])
async def test_a_runtime_role_holds_no_ddl_right_and_cannot_approve(connect: Connect, role: str) -> None:
    owner, conn = await connect("migrate"), await connect(role)  # type: ignore[arg-type]
    await make_version(owner, order_spec())
    for statement in (
        "create table projections.mine ()",
        "create view analytics.mine as select 1",
        f"alter table projections.{NAME}__v1 add column extra text",
        f"drop table projections.{NAME}__v1",
        f"truncate projections.{NAME}__v1",
        f"comment on table projections.{NAME}__v1 is 'x'",
        f"alter table projections.{NAME}__v1 disable row level security",
        "select create_table_version('work_item_board', 9)",
        f"select grant_table_version('projections.{NAME}__v1')",
        "update ddl_orders set state = 'approved', approved_by = 'me'",
        f"insert into ddl_orders select gen_random_uuid(), 'retire', '{NAME}', 1, '', repeat('0', 64), 'approved'",
        "delete from ddl_orders",
        "update projection_tables set serving_version = 1",
        "delete from projection_versions",
    ):
        with pytest.raises(REFUSED):
            await conn.execute(statement)


@pytest.mark.requirement("CD-12", "trap-87")
async def test_a_change_of_the_mapping_is_another_table_and_touches_no_existing_one(connect: Connect) -> None:
    conn = await connect("migrate")
    await make_version(conn, small_spec("amount:text", "note:text"))
    before = await conn.fetch(COLUMNS, "projections.case_plain_small__v1")
    await make_version(conn, small_spec("amount:numeric(12,2)"))
    assert await conn.fetch(COLUMNS, "projections.case_plain_small__v1") == before
    second = {row[0]: row[1] for row in await conn.fetch(COLUMNS, "projections.case_plain_small__v2")}
    assert second["amount"] == "numeric(12,2)"
    assert "note" not in second


@pytest.mark.requirement("CD-12", "trap-87")
async def test_a_reader_who_holds_the_view_puts_the_switch_off_and_never_waits_behind_it(connect: Connect) -> None:
    conn, reader = await connect("migrate"), await connect("superuser")
    await make_version(conn, small_spec("a:text", "b:text"))
    assert (await switch(conn, "case_plain_small", 1)).state == "executed"
    await make_version(conn, small_spec("a:text"))
    async with reader.transaction():
        await reader.execute("select * from analytics.case_plain_small")
        assert (await switch(conn, "case_plain_small", 2)).state == "put off"
    [done] = await ddl_orders.execute_open(conn, development=True)
    assert done.state == "executed"
    assert [row["attname"] for row in await conn.fetch(COLUMNS, "analytics.case_plain_small")][3:] == ["a"]


@pytest.mark.requirement("CD-12")
async def test_a_switch_keeps_the_rights_of_others_and_refuses_where_somebodys_view_stands_on_it(connect: Connect) -> None:
    conn = await connect("migrate")
    await make_version(conn, small_spec("a:text", "b:text"))
    await switch(conn, "case_plain_small", 1)
    await conn.execute("grant select on analytics.case_plain_small to cs_scan")
    await make_version(conn, small_spec("a:text", "b:text", "c:text"))
    assert (await switch(conn, "case_plain_small", 2)).state == "executed"
    await conn.execute("create view analytics.of_somebody as select b from analytics.case_plain_small")
    await make_version(conn, small_spec("a:text"))
    refused = await switch(conn, "case_plain_small", 3)
    assert (refused.state, "analytics.of_somebody" in refused.error) == ("refused", True)
    assert {version.version: version.state for version in await list_versions(conn, "case_plain_small")} == {
        1: "standby",
        2: "serving",
        3: "building",
    }
    await conn.execute("drop view analytics.of_somebody")
    assert (await switch(conn, "case_plain_small", 3)).state == "executed"
    assert await conn.fetchval("select has_table_privilege('cs_scan', 'analytics.case_plain_small', 'select')")
    comment = await conn.fetchval("select obj_description('analytics.case_plain_small'::regclass)")
    assert comment == "Serves version 3"


_RIGHTS = (
    "select relacl::text[] as whole, (select array_agg(attname || attacl::text order by attname) from pg_attribute "
    "where attrelid = c.oid and attacl is not null and not attisdropped) as columns from pg_class c where oid = to_regclass($1)"
)


@pytest.mark.requirement("CD-12")
async def test_a_view_that_is_made_anew_keeps_columns_rights_and_grant_options(connect: Connect) -> None:
    conn = await connect("migrate")
    view = "analytics.case_plain_small"
    await make_version(conn, small_spec("a:text", "b:text"))
    await switch(conn, "case_plain_small", 1)
    await conn.execute(f"grant select on {view} to cs_scan with grant option")
    await conn.execute(f"grant select (a), references (a) on {view} to cs_worker with grant option")
    await conn.execute(f"grant select (case_id) on {view} to public")
    await conn.execute(f"grant update on {view} to cs_worker")
    [before] = await conn.fetch(_RIGHTS, view)
    await make_version(conn, small_spec("a:text"))
    assert (await switch(conn, "case_plain_small", 2)).state == "executed"
    [after] = await conn.fetch(_RIGHTS, view)
    assert sorted(after["whole"]) == sorted(before["whole"])
    assert after["columns"] == before["columns"]


@pytest.mark.requirement("CD-12")
async def test_a_switch_that_would_take_somebodys_right_to_a_column_away_names_it(connect: Connect) -> None:
    conn = await connect("migrate")
    await make_version(conn, small_spec("a:text", "b:text"))
    await switch(conn, "case_plain_small", 1)
    await conn.execute("grant select (b) on analytics.case_plain_small to cs_worker")
    await conn.execute("grant select (b) on analytics.case_plain_small to public")
    await make_version(conn, small_spec("a:text"))
    refused = await switch(conn, "case_plain_small", 2)
    assert refused.state == "refused"
    assert "cs_worker on b, public on b" in refused.error
    assert await conn.fetchval("select has_column_privilege('cs_worker', 'analytics.case_plain_small', 'b', 'select')")
    await conn.execute("revoke select (b) on analytics.case_plain_small from cs_worker, public")
    assert (await switch(conn, "case_plain_small", 2)).state == "executed"


@pytest.mark.requirement("CD-12")
@pytest.mark.parametrize("column", ["", " (a)"])
async def test_a_switch_refuses_where_somebody_handed_a_right_on(connect: Connect, column: str) -> None:
    """Only its giver can give it again, and the owner role is not the giver."""
    conn = await connect("migrate")
    await make_version(conn, small_spec("a:text", "b:text"))
    await switch(conn, "case_plain_small", 1)
    await conn.execute(f"grant select{column} on analytics.case_plain_small to cs_api with grant option")
    giver = await connect("api")
    await giver.execute(f"grant select{column} on analytics.case_plain_small to cs_worker")
    await make_version(conn, small_spec("a:text"))
    refused = await switch(conn, "case_plain_small", 2)
    assert (refused.state, "cs_worker from cs_api" in refused.error) == ("refused", True)


@pytest.mark.requirement("CD-12")
async def test_a_retired_version_goes_with_its_positions_when_its_consumers_have_left(connect: Connect) -> None:
    conn = await connect("migrate")
    await make_version(conn, order_spec())
    group = f"projections.{NAME}.v1"
    await conn.execute("insert into consumer_offsets (group_name, topic, partition, next) values ($1, 't', 0, 5)", group)
    await ddl_orders.order(conn, "retire", NAME, 1, by="test")
    [early] = await ddl_orders.execute_open(conn, development=True)
    assert early.state == "refused", "it still builds"
    assert await set_state(conn, NAME, 1, {"building"}, "retired")
    await ddl_orders.order(conn, "retire", NAME, 1, by="test")
    assert [one.state for one in await ddl_orders.execute_open(conn, development=True)] == ["put off"]
    await conn.execute("update projection_versions set state_since = state_since - interval '10 s'")
    assert [one.state for one in await ddl_orders.execute_open(conn, development=True)] == ["executed"]
    assert await conn.fetchval("select to_regclass($1)", f"projections.{ITEMS}__v1") is None
    assert await conn.fetchval("select count(*) from consumer_offsets where group_name = $1", group) == 0
    assert await create_version(conn, order_spec(), by="test") == 2, "a number is never taken again"


@pytest.mark.requirement("CD-4", "trap-87")
async def test_a_retired_table_on_which_somebodys_view_stands_goes_when_that_view_is_gone(connect: Connect) -> None:
    """Refused for good, the table would stay for ever: a version is retired once."""
    conn = await connect("migrate")
    await make_version(conn, order_spec())
    await conn.execute(f"create view public.theirs as select case_id from projections.{NAME}__v1")
    assert await set_state(conn, NAME, 1, {"building"}, "retired")
    await conn.execute("update projection_versions set state_since = state_since - interval '10 s'")
    await ddl_orders.order(conn, "retire", NAME, 1, by="test")
    [waits] = await ddl_orders.execute_open(conn, development=True)
    assert waits.state == "put off"
    assert "view theirs" in waits.error
    await conn.execute("drop view public.theirs")
    assert [one.state for one in await ddl_orders.execute_open(conn, development=True)] == ["executed"]


@pytest.mark.requirement("CD-13")
async def test_a_trial_is_never_shown_whoever_orders_it(connect: Connect) -> None:
    """Every other tenant would find the table empty: the job that moves the view asks too, not only those who order."""
    conn = await connect("migrate")
    await create_version(conn, order_spec(), by="test", trial_tenant="acme")
    await ddl_orders.order(conn, "create", NAME, 1, by="test")
    assert [one.state for one in await ddl_orders.execute_open(conn, development=True)] == ["executed"]
    refused = await switch(conn, NAME, 1)
    assert (refused.state, "of tenant acme only" in refused.error) == ("refused", True)


@pytest.mark.requirement("CD-4", "trap-87")
async def test_a_first_version_that_cannot_be_shown_stops_no_other_order(database: ClonedDatabase, connect: Connect) -> None:
    """Something of somebody else has the view's name."""
    conn = await connect("migrate")
    await conn.execute(f"create table analytics.{NAME} (theirs text)")
    async with asyncpg.create_pool(database.url("migrate"), min_size=1, max_size=2) as pool:
        job = DdlJob(pool, development=True)
        for _ in range(3):
            await job.round()
    states = {version.name: version.state for version in await list_versions(conn)}
    assert states[NAME] == "building"
    assert states["case_work"] == "serving", "the others are shown"


@pytest.mark.requirement("CD-12", "trap-87")
async def test_a_fingerprint_that_was_approved_approves_no_other_statements(connect: Connect) -> None:
    """Runtime roles may write a version's row: what counts is the text that was looked at, not a column beside it."""
    owner, door = await connect("migrate"), await connect("api")
    await create_version(owner, order_spec(), by="test")
    await ddl_orders.order(owner, "create", NAME, 1, by="test")
    await ddl_orders.approve(owner, await owner.fetchval("select sha256 from ddl_orders"), by="root")
    assert [one.state for one in await ddl_orders.execute_open(owner, development=False)] == ["executed"]
    same = await create_version(door, order_spec(), by="test")
    await ddl_orders.order(door, "create", NAME, same, by="test")
    assert [one.state for one in await ddl_orders.execute_open(owner, development=False)] == ["executed"], (
        "only the number differs"
    )
    other = await create_version(door, small_spec("anything:text", name=NAME), by="test")
    await door.execute("update projection_versions set fingerprint = $1 where version = $2", order_spec().fingerprint(), other)
    await ddl_orders.order(door, "create", NAME, other, by="test")
    assert [one.state for one in await ddl_orders.execute_open(owner, development=False)] == ["waiting"]


@pytest.mark.requirement("CD-4", "SP-6")
async def test_a_built_in_table_joins_the_same_machinery(connect: Connect) -> None:
    conn = await connect("migrate")
    assert [version.label for version in await list_versions(conn, states=["serving"])] == ["work_item_board.v1"]
    assert await make_version(conn, "work_item_board") == 2
    before = await conn.fetch(COLUMNS, "analytics.work_item_board")
    assert (await switch(conn, "work_item_board", 2)).state == "executed"
    assert "work_item_board__v2" in await conn.fetchval("select pg_get_viewdef('analytics.work_item_board'::regclass)")
    assert [tuple(row)[:2] for row in await conn.fetch(COLUMNS, "analytics.work_item_board")] == [
        tuple(row)[:2] for row in before
    ]
    assert (await switch(conn, "work_item_board", 1)).state == "executed", "switching back is as quick"
    assert await set_state(conn, "work_item_board", 2, {"standby"}, "retired")
    assert await create_missing_versions(conn, [("work_item_board", 2)]) == [], "what was retired stays retired"


@pytest.mark.requirement("CD-12")
@pytest.mark.parametrize("development", [True, False])
async def test_first_versions_come_by_themselves_only_in_development(
    connect: Connect, database: ClonedDatabase, development: bool
) -> None:
    conn = await connect("migrate")
    async with asyncpg.create_pool(database.url("migrate"), min_size=1, max_size=2) as pool:
        job = DdlJob(pool, development=development)
        await job.round()
        await job.round()
    states = {version.label: version.state for version in await list_versions(conn)}
    if development:
        assert states[f"{NAME}.v1"] == "serving"
        assert states["case_work.v1"] == "serving"
        assert await conn.fetchval(f"select count(*) from analytics.{NAME}") == 0
    else:
        assert set(states) == {"work_item_board.v1"}


@pytest.mark.requirement("CD-12")
async def test_no_table_is_planned_that_has_more_columns_than_the_setting_allows(
    connect: Connect, database: ClonedDatabase
) -> None:
    conn = await connect("migrate")
    with pytest.raises(ConfigurationError, match="mapped columns"):
        await present_table(conn, NAME, max_columns=3)
    assert await present_table(conn, NAME, max_columns=300) == order_spec()
    async with asyncpg.create_pool(database.url("migrate"), min_size=1, max_size=2) as pool:
        await DdlJob(pool, development=True, max_columns=3).round()
    assert {version.label for version in await list_versions(conn)} == {"work_item_board.v1"}


@pytest.mark.requirement("CD-12", "trap-87")
async def test_a_plan_shows_the_very_statements_that_are_hashed_with_rows_and_locks(connect: Connect) -> None:
    conn = await connect("api")
    plan = await plan_ddl(conn, order_spec())
    assert (plan.version, plan.changes, plan.seconds) == (1, True, None)
    assert plan.sha256 == ddl.digest(ddl.create_statements(order_spec(), 1))
    assert plan.sql.endswith(ddl.text_of(ddl.create_statements(order_spec(), 1)))
    assert "100 ms" in str(plan.locks)
    owner = await connect("migrate")
    await owner.execute(plan.sql)
    assert await owner.fetchval("select to_regclass($1) is not null", f"projections.{ITEMS}__v1"), "it runs as a migration file"
    assert await conn.fetchval("select count(*) from ddl_orders") == 0, "a plan orders nothing"


_ALPHABET = [*"abz_09AZ\"'\\;$-.() \t\n%é中\U0001f600\u202eﬁＡ", "--", "/*", "*/", "; drop table users; --", "x" * 30, "é" * 31]


def fuzzed_names(dice: random.Random, count: int) -> list[str]:
    """Names as a mapping might say them: nearly right ones, hostile ones, long ones, other scripts."""
    return ["".join(dice.choices(_ALPHABET, k=dice.randint(0, 8))) for _ in range(count)]


async def quoted_names_are_themselves(conn: asyncpg.Connection, names: list[str]) -> tuple[int, int]:
    """Each name that `quote` takes is one identifier to PostgreSQL, the same one; every text one literal."""
    taken = refused = 0
    for name in names:
        try:
            statement = await conn.prepare(f"select {ddl.literal(name)} as {ddl.quote(name)}")
        except ValueError:
            refused += 1
            continue
        taken += 1
        [attribute] = statement.get_attributes()
        assert attribute.name == name
        assert await statement.fetchval() == name
    return taken, refused


async def fuzzed_tables_are_as_intended(conn: asyncpg.Connection, dice: random.Random, tables: int, columns: int) -> int:
    """Tables of fuzzed columns: PostgreSQL has exactly the columns that were named, or the spec is refused as a whole."""
    made = 0
    for number in range(tables):
        names = [name.lower() for name in fuzzed_names(dice, columns)]
        spec = small_spec(name=f"case_plain_fuzz{number}")
        good: list[str] = []
        for name in names:
            try:
                ddl.create_statements(
                    replace(spec, columns=(*[ColumnSpec(one, "text") for one in good], ColumnSpec(name, "text"))), 1
                )
            except ValueError:
                continue
            good.append(name)
        before = await conn.fetchval("select count(*) from pg_class where relkind in ('r', 'v')")
        for statement in ddl.create_statements(replace(spec, columns=tuple(ColumnSpec(name, "text") for name in good)), 1):
            await conn.execute(statement)
        assert await conn.fetchval("select count(*) from pg_class where relkind in ('r', 'v')") == before + 1
        found = [row["attname"] for row in await conn.fetch(COLUMNS, f"projections.{spec.name}__v1")]
        assert found[5:] == good
        made += len(good)
    return made


@pytest.mark.requirement("CD-12", "trap-87")
async def test_fuzzed_names_make_only_the_intended_statements_and_no_collision(connect: Connect) -> None:
    conn, dice = await connect("migrate"), random.Random(4)
    taken, refused = await quoted_names_are_themselves(conn, fuzzed_names(dice, 500))
    assert taken > 100
    assert refused > 10
    assert await fuzzed_tables_are_as_intended(conn, dice, 4, 50) > 4
