"""What the database's own catalogue says about tenants, rights, times and erasure. Every later table joins by itself."""

import datetime

import asyncpg
import pytest

from runtime.sql import load_queries
from schemas import erasure
from tests.integration.database.conftest import Connect

queries = load_queries(__file__, "catalogue.sql")

ROLES = {"cs_api", "cs_worker", "cs_scan", "cs_analyst"}
# Names and checksums of files: no tenant's data, read by all, written by the owner alone.
WITHOUT_SECURITY = {"public.schema_migrations"}
# What lies between PostgreSQL and Kafka, or belongs to no tenant: these do not begin with tenant_id.
TRANSPORT = {
    "public.consumer_groups",
    "public.consumer_offsets",
    "public.ddl_orders",
    "public.leases",
    "public.mapping_definitions",
    "public.mapping_generation",
    "public.outbox_events",
    "public.parked_keys",
    "public.parked_messages",
    "public.projection_lag",
    "public.projection_orders",
    "public.projection_tables",
    "public.projection_versions",
    "public.rebuild_offsets",
    "public.rebuild_slices",
    "public.rebuilds",
    "public.relay_shards",
    "public.schema_migrations",
    "public.skipped_ranges",
    "public.waiting_messages",
}
TEXTUAL = ("text", "character", "json", "bytea", "name", "xml")


async def unsecured(conn: asyncpg.Connection) -> set[str]:
    tables = await queries.list_tables(conn)
    return {table["name"] for table in tables if not (table["enabled"] and table["forced"])} - WITHOUT_SECURITY


async def policies_that_disagree_with_grants(conn: asyncpg.Connection) -> list[str]:
    """A granted verb without a policy shows nothing; a policy without a grant shows that somebody forgot one of them."""
    grants = {(row["name"], row["role"], row["verb"]) for row in await queries.list_grants(conn) if row["role"] in ROLES}
    policies = [(row["name"], row["role"], row["verb"]) for row in await queries.list_policies(conn)]
    found = [
        f"{table}: {role} may {verb} without a policy"
        for table, role, verb in sorted(grants)
        if table not in WITHOUT_SECURITY and not {(table, role, verb), (table, role, "all")} & set(policies)
    ]
    found += [
        f"{table}: {role} has a policy for {verb} without the grant"
        for table, role, verb in policies
        if not any(grant[:2] == (table, role) and verb in ("all", grant[2]) for grant in grants)
    ]
    pairs = [(table, role) for table, role, _ in policies]
    return found + [f"{table}: {role} has several policies" for table, role in set(pairs) if pairs.count((table, role)) > 1]


async def undeclared(conn: asyncpg.Connection) -> list[str]:
    columns = [row for row in await queries.list_columns(conn) if row["is_table"] and row["type"].startswith(TEXTUAL)]
    return [f"{row['name']}.{row['column_name']}" for row in columns if erasure.rule(row["name"], row["column_name"]) is None]


@pytest.mark.requirement("SP-8")
async def test_every_table_has_forced_row_level_security(connect: Connect) -> None:
    conn = await connect("migrate")
    assert await unsecured(conn) == set()
    readers = {(row["name"], row["verb"]) for row in await queries.list_grants(conn) if row["name"] in WITHOUT_SECURITY}
    assert readers <= {(name, "select") for name in WITHOUT_SECURITY}


@pytest.mark.requirement("SP-8")
async def test_a_table_without_security_is_found(connect: Connect) -> None:
    conn = await connect("migrate")
    await conn.execute("create table forgotten (tenant_id text); create table projections.half (tenant_id text)")
    await conn.execute("alter table projections.half enable row level security")
    assert await unsecured(conn) == {"public.forgotten", "projections.half"}


@pytest.mark.requirement("SP-8")
async def test_every_granted_verb_has_a_policy_and_every_policy_a_grant(connect: Connect) -> None:
    assert await policies_that_disagree_with_grants(await connect("migrate")) == []


@pytest.mark.requirement("SP-8")
async def test_a_grant_without_policy_and_a_policy_without_grant_are_found(connect: Connect) -> None:
    conn = await connect("migrate")
    await conn.execute("grant delete on tenants to cs_scan; create policy late on leases to cs_api using (true)")
    await conn.execute("create policy second on users to cs_api using (true)")
    assert await policies_that_disagree_with_grants(conn) == [
        "public.tenants: cs_scan may delete without a policy",
        "public.leases: cs_api has a policy for all without the grant",
        "public.users: cs_api has several policies",
    ]


@pytest.mark.requirement("SP-8")
async def test_nothing_is_open_to_everybody(connect: Connect) -> None:
    conn = await connect("migrate")
    assert [row["policy"] for row in await queries.list_policies(conn) if row["role"] == "public"] == []
    assert [row["policy"] for row in await queries.list_policies(conn) if row["role"] not in ROLES] == []
    assert {row["role"] for row in await queries.list_grants(conn)} <= ROLES
    assert await queries.list_public_functions(conn) == []
    assert not await conn.fetchval("select has_schema_privilege('public', 'public', 'create')")


@pytest.mark.requirement("SP-8")
async def test_no_function_and_no_view_runs_with_its_owners_rights(connect: Connect) -> None:
    conn = await connect("migrate")
    assert await queries.list_definers(conn) == []
    assert [view["name"] for view in await queries.list_views(conn) if not view["invoker"]] == []


@pytest.mark.requirement("SP-8")
async def test_a_definer_function_and_an_owner_view_are_found(connect: Connect) -> None:
    conn = await connect("migrate")
    await conn.execute("create view analytics.leak as select * from tenants")
    await conn.execute("create function meta.leak() returns text language sql security definer return 'x'")
    assert [row["name"] for row in await queries.list_definers(conn)] == ["meta.leak"]
    assert [view["name"] for view in await queries.list_views(conn) if not view["invoker"]] == ["analytics.leak"]
    assert [row["name"] for row in await queries.list_public_functions(conn)] == ["meta.leak"]


@pytest.mark.requirement("SP-8")
async def test_tenant_id_leads_every_key(connect: Connect) -> None:
    conn = await connect("migrate")
    keys = await queries.list_keys(conn)
    assert {row["name"] for row in keys} >= {"public.users", "public.work_items", "projections.work_item_board__v1"}
    assert [dict(row) for row in keys if row["leading"] != "tenant_id" and row["name"] not in TRANSPORT] == []


@pytest.mark.requirement("SP-8")
async def test_every_table_of_a_tenant_names_the_tenant(connect: Connect) -> None:
    conn = await connect("migrate")
    named = {row["name"] for row in await queries.list_columns(conn) if row["column_name"] == "tenant_id"}
    tables = {row["name"] for row in await queries.list_tables(conn)}
    assert tables - named == {
        "public.consumer_groups",
        "public.consumer_offsets",
        "public.ddl_orders",
        "public.leases",
        "public.mapping_definitions",
        "public.mapping_generation",
        "public.projection_lag",
        "public.projection_orders",
        "public.projection_tables",
        "public.projection_versions",
        "public.rebuild_offsets",
        "public.rebuild_slices",
        "public.rebuilds",
        "public.relay_shards",
        "public.schema_migrations",
        "public.skipped_ranges",
    }


@pytest.mark.hole("erasure-catalogue")
async def test_every_column_that_can_hold_text_says_how_it_is_erased(connect: Connect) -> None:
    assert await undeclared(await connect("migrate")) == []


@pytest.mark.hole("erasure-catalogue")
async def test_every_declaration_has_its_column(connect: Connect) -> None:
    columns = await queries.list_columns(await connect("migrate"))
    present = {(erasure.declared_as(row["name"]), row["column_name"]) for row in columns}
    declared = {(table, column) for table, names in erasure.COLUMNS.items() for column in names}
    assert declared - present == set()


@pytest.mark.hole("erasure-catalogue")
async def test_a_new_column_or_table_without_a_rule_is_found(connect: Connect) -> None:
    conn = await connect("migrate")
    await conn.execute("alter table work_items add customer_name varchar(100), add extra jsonb, add tags text[]")
    await conn.execute("create table notes (tenant_id text, raw bytea, at timestamptz, n bigint)")
    assert await undeclared(conn) == [
        "public.notes.tenant_id",
        "public.notes.raw",
        "public.work_items.customer_name",
        "public.work_items.extra",
        "public.work_items.tags",
    ]


@pytest.mark.hole("erasure-catalogue")
async def test_a_projections_version_inherits_its_declaration(connect: Connect) -> None:
    conn = await connect("migrate")
    await conn.execute("select create_table_version('work_item_board', 2)")
    assert await undeclared(conn) == []
    assert await unsecured(conn) == set()
    assert await policies_that_disagree_with_grants(conn) == []


@pytest.mark.requirement("trap-38")
async def test_every_time_has_a_zone(connect: Connect) -> None:
    columns = await queries.list_columns(await connect("migrate"))
    kinds = {row["type"] for row in columns}
    assert "timestamp with time zone" in kinds
    assert not {kind for kind in kinds if "without time zone" in kind}


@pytest.mark.hole("bytea-not-jsonb")
async def test_what_came_from_kafka_is_bytes(connect: Connect) -> None:
    columns = {
        (row["name"], row["column_name"]): row["type"]
        for row in await queries.list_columns(await connect("migrate"))
        if row["name"] in TRANSPORT and row["column_name"] in ("key", "value", "headers", "payload")
    }
    assert len(columns) >= 10
    assert set(columns.values()) == {"bytea"}


@pytest.mark.hole("bytea-not-jsonb")
async def test_a_nul_in_valid_json_can_be_stored_only_as_bytes(connect: Connect) -> None:
    """The negative control: the same JSON is refused by jsonb."""
    conn = await connect("migrate")
    hostile = b'{"a": "\\u0000"}'
    assert await conn.fetchval("select $1::bytea", hostile) == hostile
    with pytest.raises(asyncpg.UntranslatableCharacterError):
        await conn.fetchval("select convert_from($1::bytea, 'UTF8')::jsonb", hostile)


REMEMBER = (
    "insert into {table} (tenant_id, group_name, source, event_id, received_at)"
    " values ('t', 'g', 's', 'e', $1::date + time '12:00') on conflict do nothing returning 1"
)
DAYS = (datetime.date(2026, 1, 1), datetime.date(2026, 1, 2))


@pytest.mark.hole("inbox-not-partitioned")
@pytest.mark.requirement("SP-5")
async def test_a_duplicate_is_known_across_midnight(connect: Connect) -> None:
    conn = await connect("migrate")
    assert await conn.fetchval("select relkind = 'r' from pg_class where oid = 'inbox'::regclass")
    assert [await conn.fetchval(REMEMBER.format(table="inbox"), day) for day in DAYS] == [1, None]


@pytest.mark.hole("inbox-not-partitioned")
async def test_an_inbox_partitioned_by_day_would_forget_at_midnight(connect: Connect) -> None:
    """The negative control: the key of a partitioned table must hold the day, so the same event fits in twice."""
    conn = await connect("migrate")
    await conn.execute("create table daily (like inbox) partition by range (received_at)")
    await conn.execute("alter table daily add primary key (tenant_id, group_name, source, event_id, received_at)")
    for day in DAYS:
        following = day + datetime.timedelta(days=1)
        await conn.execute(f"create table daily_{day:%d} partition of daily for values from ('{day}') to ('{following}')")
    assert [await conn.fetchval(REMEMBER.format(table="daily"), day) for day in DAYS] == [1, 1]


@pytest.mark.requirement("SP-1")
async def test_the_outbox_has_the_documents_columns(connect: Connect) -> None:
    columns = {
        row["column_name"]: row["type"]
        for row in await queries.list_columns(await connect("migrate"))
        if row["name"] == "public.outbox_events"
    }
    documents = {
        "id": "bigint",
        "aggregate": "text",
        "aggregate_id": "text",
        "event_type": "text",
        "occurred_at": "timestamp with time zone",
        "created_at": "timestamp with time zone",
        "created_by": "text",
        "payload": "bytea",
    }
    assert {name: columns.get(name) for name in documents} == documents
    # The transaction's id must exist before the row's id is drawn: defaults are computed in column order.
    assert list(columns)[:2] == ["xid", "id"]


@pytest.mark.requirement("SP-2")
async def test_the_debezium_view_has_debeziums_names_and_types(connect: Connect) -> None:
    conn = await connect("migrate")
    columns = [
        (row["column_name"], row["type"]) for row in await queries.list_columns(conn) if row["name"] == "public.outbox_debezium"
    ]
    assert columns == [
        ("id", "uuid"),
        ("aggregatetype", "character varying(255)"),
        ("aggregateid", "character varying(255)"),
        ("type", "character varying(255)"),
        ("payload", "jsonb"),
    ]
