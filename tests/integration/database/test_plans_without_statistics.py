"""Look-ups by key stay look-ups in a database that was never analyzed: a first load must not wait for autovacuum.

Without statistics the planner believes that one row of a tenant or a group matches, reads every row, and compares each of
them with each key: 5 s for 1,000 keys beside 40,000 rows. Rows that a plan throws away tell that apart, on any machine.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg
import pytest

from domain.cases.store import queries as cases
from domain.effects.claiming import reading
from domain.effects.operating import queries as operating
from domain.effects.store import queries as effects
from domain.timers.commands import queries as timers
from domain.work_items.store import queries as work_items
from processors.shell.offsets import queries as shell
from projections.cases.writing import Writer
from projections.rebuild.comparing import sample_statement
from projections.rebuild.shapes import shape_of_spec
from projections.rebuild.whole import queries as rebuild
from projections.rebuild.whole import rows_statement
from projections.work_item_board import WorkItemBoard
from runtime.postgres import KEY_LOOKUPS
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.database.conftest import Connect
from tests.integration.projections.tables import ITEMS, NAME, make_version, order_spec

ROWS, KEYS = 4000, 200


class LookUp(NamedTuple):
    """A statement, its parameters in order (a pair is an array: value, type), and what fills its table. `%` is a row's number.

    `parent` fills the row that this one stands on.
    """

    sql: str
    parameters: Sequence[str | tuple[str, str]]
    table: str
    row: str
    parent: str = ""


TENANTS, TOPICS, PARTITIONS, OFFSETS = ("acme", "text"), ("t", "text"), ("0", "int"), ("%", "bigint")
KEYS_OF, GROUP = (r"\x6b%", "bytea"), "'g'"
ID = "00000000-0000-7000-8000-00000000%"
UPDATED_AT = "2026-01-05T08:00:00Z"

LOOK_UPS = {
    "numbers": LookUp(
        shell.sql_of("find_sequences"),
        (TENANTS, ("s", "text"), TOPICS, ("a%", "text"), GROUP),
        "applied_sequences",
        "(tenant_id, group_name, source, topic, aggregate, sequence) values ('acme', 'g', 's', 't', 'a%', 1)",
    ),
    "identities": LookUp(
        shell.sql_of("find_seen_identities"),
        (TENANTS, ("s", "text"), ("e%", "text"), GROUP),
        "inbox",
        "(tenant_id, group_name, source, event_id) values ('acme', 'g', 's', 'e%')",
    ),
    "marked keys": LookUp(
        shell.sql_of("find_marked_keys"),
        (GROUP, TOPICS, PARTITIONS, KEYS_OF),
        "parked_keys",
        r"(group_name, topic, partition, key, tenant_id) values ('g', 't', 0, '\x6b%', 'acme')",
    ),
    "redriven messages": LookUp(
        shell.sql_of("delete_parked"),
        (TOPICS, PARTITIONS, OFFSETS, GROUP),
        "parked_messages",
        '(group_name, topic, partition, "offset", tenant_id, key, value, headers, timestamp, reason, fingerprint, error)'
        " values ('g', 't', 0, %, 'acme', '', '', '', 0, 'error', 'f', 'e')",
    ),
    "rows of the board": LookUp(
        WorkItemBoard(1).queries.sql_of("lock_rows"),
        (TENANTS, ("%", "text")),
        "projections.work_item_board__v1",
        "(tenant_id, work_item_id, status, status_since, last_change_at, version, ce_source, ce_sequence)"
        f" values ('acme', '%', 'open', '{UPDATED_AT}', '{UPDATED_AT}', 1, 's', 1)",
    ),
    "work items": LookUp(
        work_items.sql_of("lock_work_items"),
        (TENANTS, (ID, "uuid"), ("u1", "text")),
        "work_items",
        "(tenant_id, id, status, version, event_sequence, history_length, coupling, title, priority, source, occurred_at,"
        f" last_action_at, created_by, updated_by) values ('acme', '{ID}', 'open', 1, 1, 1, 'loose', 'a', 'low', 'KAFKA',"
        f" '{UPDATED_AT}', '{UPDATED_AT}', 'u1', 'u1')",
    ),
}

HEAD = (
    "insert into cases (tenant_id, case_id, class_name, subject_id, version, created_at, created_by, updated_at, updated_by)"
    f" values ('acme', '%', 'C', 's%', 1, '{UPDATED_AT}', 'u1', '{UPDATED_AT}', 'u1')"
)
STORED = (
    "(tenant_id, case_id, version, class_name, subject_id, snapshot, stored_at, stored_by, source)"
    f" values ('acme', '%', 1, 'C', 's%', 'x', '{UPDATED_AT}', 'u1', 'test')"
)
CASES = ("%", "text")
CASE_TABLE, CHILD_TABLE = f"projections.{NAME}__v1", f"projections.{ITEMS}__v1"
CASE_ROW = "(tenant_id, case_id, snapshot_version, subject_id) values ('acme', '%', 1, 's%')"
CHILD_ROW = "(tenant_id, case_id, position) values ('acme', '%', 0)"

# They run in doors, in scans and in comparisons too, where the planner is left as it is.
CASE_LOOK_UPS: dict[str, Callable[[], LookUp]] = {
    "heads to lock": lambda: LookUp(cases.sql_of("lock_cases"), (TENANTS, CASES), "cases", HEAD.partition("cases ")[2]),
    "subjects of cases": lambda: LookUp(cases.sql_of("find_subjects"), (TENANTS, CASES), "cases", HEAD.partition("cases ")[2]),
    "stored versions": lambda: LookUp(
        rebuild.sql_of("find_stored"), (TENANTS, CASES, ("1", "bigint")), "sys_case_data_store", STORED, HEAD
    ),
    "classes of cases": lambda: LookUp(rebuild.sql_of("find_classes"), (TENANTS, CASES), "cases", HEAD.partition("cases ")[2]),
    "versions of rows": lambda: LookUp(Writer(order_spec(), 1)._versions, (TENANTS, CASES), CASE_TABLE, CASE_ROW),
    "child rows to replace": lambda: LookUp(Writer(order_spec(), 1)._clear[ITEMS], (TENANTS, CASES), CHILD_TABLE, CHILD_ROW),
    "rows to verify": lambda: LookUp(rows_statement(f"{NAME}__v1"), (TENANTS, CASES), CASE_TABLE, CASE_ROW),
    "child rows to verify": lambda: LookUp(rows_statement(f"{ITEMS}__v1"), (TENANTS, CASES), CHILD_TABLE, CHILD_ROW),
    "rows that differ": lambda: LookUp(
        sample_statement(shape_of_spec(order_spec(), 1), ["order_total"]), (TENANTS, CASES), CASE_TABLE, CASE_ROW
    ),
}
OWNERS, OWNER_KINDS, KEYS_IN_ORDER, EFFECTS = ("o%", "text"), ("run", "text"), ("k%", "text"), (ID, "uuid")


def _effect(state: str) -> str:
    position, ended = ("1", "null") if state in ("due", "leased") else ("null", "now()")
    return (
        "(tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, endpoint, order_key, position, state,"
        f" due_at, finished_at) values ('acme', '{ID}', 'run', 'o%', 1, '', 'webhook', 'e', 'k%', {position}, '{state}', now(),"
        f" {ended})"
    )


EFFECT_LOOK_UPS = {
    "requests of claimed effects": LookUp(
        reading.sql_of("load_requests"), (TENANTS, EFFECTS, ("0", "bigint")), "effects", _effect("leased")
    ),
    "effects to finish": LookUp(
        effects.sql_of("finish_effects"),
        (
            TENANTS,
            EFFECTS,
            ("0", "bigint"),
            ("succeeded", "text"),
            ("c", "text"),
            ("f", "text"),
            ("x", "bytea"),
            ("f", "boolean"),
        ),
        "effects",
        _effect("leased"),
    ),
    "heads of lines": LookUp(effects.sql_of("hand_over"), (TENANTS, KEYS_IN_ORDER), "effects", _effect("due")),
    "internal kinds of owners": LookUp(
        effects.sql_of("take_internal"), (TENANTS, OWNER_KINDS, OWNERS, ("task", "text")), "effects", _effect("due")
    ),
    "keys of owners": LookUp(effects.sql_of("list_keys_of_owners"), (TENANTS, OWNER_KINDS, OWNERS), "effects", _effect("due")),
    "effects to find, by id": LookUp(
        effects.sql_of("find_due"), (TENANTS, OWNER_KINDS, OWNERS, ("delay", "text")), "effects", _effect("succeeded")
    ),
    "unfinished ones of owners": LookUp(
        effects.sql_of("find_unfinished"), (TENANTS, OWNER_KINDS, OWNERS, "'assign'"), "effects", _effect("succeeded")
    ),
    "calls behind outcomes": LookUp(
        effects.sql_of("take_next"),
        (TENANTS, OWNER_KINDS, OWNERS, ("step", "text"), str(KEYS), "'w'", "6"),
        "effects",
        _effect("due"),
    ),
    "effects to retry": LookUp(operating.sql_of("retry_effects"), (TENANTS, EFFECTS), "effects", _effect("failed")),
    "timers to disarm": LookUp(
        timers.sql_of("disarm_timers"),
        (TENANTS, ("k%", "text"), ("7", "bigint")),
        "timers",
        "(tenant_id, timer_key, kind, due_at) values ('acme', 'k%', 'note', now())",
    ),
}
PLANNERS = {"key look-ups": KEY_LOOKUPS, "its own": {}, "generic": {"plan_cache_mode": "force_generic_plan"}}


@pytest.mark.parametrize("look_up", LOOK_UPS.values(), ids=LOOK_UPS)
@pytest.mark.hole("look-ups-start-from-the-keys")
async def test_a_look_up_reads_its_keys_only(look_up: LookUp, connect: Connect, database: ClonedDatabase) -> None:
    await _fill(await connect("superuser"), look_up)
    assert await _wasted(await _worker(database), look_up.sql, look_up.parameters) <= KEYS


@pytest.mark.parametrize("make", CASE_LOOK_UPS.values(), ids=CASE_LOOK_UPS)
@pytest.mark.hole("look-ups-start-from-the-keys")
async def test_a_look_up_of_cases_reads_its_keys_only(
    make: Callable[[], LookUp], connect: Connect, database: ClonedDatabase
) -> None:
    look_up = make()
    if look_up.table.startswith("projections."):
        await make_version(await connect("migrate"), order_spec())
    await _fill(await connect("superuser"), look_up)
    wasted = {
        name: await _wasted(await _worker(database, planner), look_up.sql, look_up.parameters)
        for name, planner in PLANNERS.items()
    }
    assert all(rows <= KEYS for rows in wasted.values()), wasted


@pytest.mark.parametrize("look_up", EFFECT_LOOK_UPS.values(), ids=EFFECT_LOOK_UPS)
@pytest.mark.hole("look-ups-start-from-the-keys")
async def test_a_look_up_of_effects_reads_its_keys_only(look_up: LookUp, connect: Connect, database: ClonedDatabase) -> None:
    """Neither with the planner of doors and workers nor with a generic plan; what a plan writes is rolled back."""
    await _fill(await connect("superuser"), look_up)
    wasted = {}
    for name, planner in PLANNERS.items():
        conn = await _worker(database, planner)
        await conn.execute("begin")
        wasted[name] = await _wasted(conn, look_up.sql, look_up.parameters)
    # The rows of a batch may be compared with each other, but never with the table.
    assert all(rows <= KEYS * KEYS for rows in wasted.values()), wasted
    assert KEYS * KEYS < KEYS * ROWS / 10


@pytest.mark.parametrize("look_up", EFFECT_LOOK_UPS.values(), ids=EFFECT_LOOK_UPS)
@pytest.mark.hole("look-ups-start-from-the-keys")
async def test_a_plan_that_was_made_for_an_empty_table_reads_its_keys_only_when_it_has_grown(
    look_up: LookUp, connect: Connect, database: ClonedDatabase
) -> None:
    """A worker keeps its plans: those of its first second serve until autovacuum has looked at what it wrote meanwhile."""
    owner, conn = await connect("superuser"), await _worker(database)
    await _alone(owner, look_up)
    await conn.execute(f"prepare look_up as {look_up.sql}")
    await conn.execute(f"execute look_up({_values(look_up.parameters)})")
    await _rows(owner, look_up)
    await conn.execute("begin")
    assert await _thrown_away_by(conn, look_up.parameters) <= KEYS * KEYS
    await conn.close()


async def test_the_plain_form_reads_the_whole_table(connect: Connect, database: ClonedDatabase) -> None:
    look_up = LOOK_UPS["numbers"]
    await _fill(await connect("superuser"), look_up)
    plain = (
        "select sequence from applied_sequences where group_name = $5 and (tenant_id, source, topic, aggregate) in "
        "(select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]))"
    )
    assert await _wasted(await _worker(database), plain, look_up.parameters) > ROWS


async def _fill(owner: asyncpg.Connection, look_up: LookUp) -> None:
    await _alone(owner, look_up)
    await _rows(owner, look_up)


async def _alone(owner: asyncpg.Connection, look_up: LookUp) -> None:
    await owner.execute("insert into tenants (tenant_id, name) values ('acme', 'Acme')")
    # Autovacuum would bring the statistics, sooner or later.
    await owner.execute(f"alter table {look_up.table} set (autovacuum_enabled = false)")


async def _rows(owner: asyncpg.Connection, look_up: LookUp) -> None:
    async with owner.transaction():
        for number in range(1000, 1000 + ROWS):
            if look_up.parent:
                await owner.execute(look_up.parent.replace("%", str(number)))
            await owner.execute(f"insert into {look_up.table} " + look_up.row.replace("%", str(number)))


async def _worker(database: ClonedDatabase, planner: Mapping[str, str] = KEY_LOOKUPS) -> asyncpg.Connection:
    conn = await asyncpg.connect(database.url("worker"), server_settings=dict(planner))
    await conn.execute("select set_config('app.tenants', '{acme}', false)")
    return conn


async def _wasted(conn: asyncpg.Connection, sql: str, parameters: Sequence[str | tuple[str, str]]) -> float:
    """Rows that the generic plan of `sql` read and threw away."""
    await conn.execute(f"prepare look_up as {sql}")
    wasted = await _thrown_away_by(conn, parameters)
    await conn.close()
    return wasted


async def _thrown_away_by(conn: asyncpg.Connection, parameters: Sequence[str | tuple[str, str]]) -> float:
    plan = json.loads(await conn.fetchval(f"explain (analyze, format json) execute look_up({_values(parameters)})"))
    return _thrown_away(plan[0]["Plan"])


def _values(parameters: Sequence[str | tuple[str, str]]) -> str:
    return ", ".join(text if isinstance(text, str) else _array(*text) for text in parameters)


def _array(value: str, kind: str) -> str:
    values = ",".join(value.replace("%", str(number)) for number in range(1000, 1000 + KEYS))
    return f"string_to_array('{values}', ',')::{kind}[]"


def _thrown_away(node: Mapping[str, Any]) -> float:
    removed = sum(node.get(f"Rows Removed by {what}", 0) * node["Actual Loops"] for what in ("Filter", "Join Filter"))
    return float(removed) + sum(_thrown_away(child) for child in node.get("Plans", ()))
