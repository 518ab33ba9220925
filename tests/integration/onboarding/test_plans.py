"""No page of operators reads the whole table, in a database that was never analyzed as in one that was.

Rows that a plan reads, found or thrown away, tell that on any machine. Beside the tenant there is one with as many rows.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import asyncpg
import pytest

from domain.onboarding import overview, reads, review_tasks, troubles
from schemas.caller import Caller
from tests.infrastructure.databases import ClonedDatabase

TABLES = ("onboarding_instance", "workflow_event", "step_execution", "incidents", "onboarding_review_task")
INSTANCES, EVENTS = 2_000, 3_000
# A page is 20 rows; of nine statuses each may be looked at that far.
MOST = 20 * 9 + 40

FILL = f"""
insert into tenants (tenant_id, name) values ('north', 'North'), ('south', 'South');
insert into users (tenant_id, user_id, display_name) values ('north', 'an', 'An');
insert into teams (tenant_id, team_id, name) values ('north', 'desk', 'Desk');
insert into team_members (tenant_id, team_id, user_id) values ('north', 'desk', 'an');
insert into flw_int_def (tenant_id, flow, version, definition, created_by)
select t, 'card', 1, '{{}}', 'test' from unnest(array['north', 'south']) t;
insert into onboarding_instance (tenant_id, instance_id, flow, flow_version, user_id, status, current_state, version, folded,
                                 started_at, ended_at)
select t, 'i-' || n, 'card', 1, 'user-' || n, case when n % 50 = 0 then 'ACTIVE' else 'COMPLETED' end, 'S', 1, '{{}}',
       now() - n * interval '10 minutes', case when n % 50 = 0 then null else now() - n * interval '10 minutes' end
from unnest(array['north', 'south']) t, generate_series(1, {INSTANCES}) n;
insert into workflow_event (tenant_id, instance_id, sequence_number, event_type, payload, created_at)
select 'north', 'i-1', n, case when n % 1000 = 0 then 'RECOVERY' else 'STATE_ENTERED' end, '{{}}', now() - n * interval '1 hour'
from generate_series(1, {EVENTS}) n;
insert into step_execution (tenant_id, instance_id, step, attempt, state, action, handler, status, started_at)
select 'north', 'i-1', n, 1, 'S', 'NEXT', 'work', 'COMPLETED', now() from generate_series(1, {EVENTS}) n;
insert into incidents (tenant_id, incident_id, kind, fingerprint, object_type, object_id, summary, state, first_seen, last_seen)
select t, gen_random_uuid(), case when n % 100 = 0 then 'step-failed' else 'other' end, 'f' || n % 10,
       case when n % 100 = 0 then 'onboarding' else 'thing' end, 'i-' || n, 's', 'open', now() - n * interval '1 hour',
       now() - n * interval '1 hour'
from unnest(array['north', 'south']) t, generate_series(1, {INSTANCES}) n;
insert into onboarding_review_task (tenant_id, work_item_id, instance_id, task, group_name, closed)
select t, '00000000-0000-7000-8000-' || lpad(n::text, 12, '0'), 'i-' || n, 1,
       case when n % 10 = 0 then 'desk' else 'other' end, n % 100 <> 0
from unnest(array['north', 'south']) t, generate_series(1, {INSTANCES}) n;
"""


class Explaining:
    """A connection that counts the rows which each statement reads, as it goes."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn, self.rows = conn, 0.0

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        await self._explain(query, args)
        return list(await self._conn.fetch(query, *args))

    async def fetchrow(self, query: str, *args: Any) -> Any:
        await self._explain(query, args)
        return await self._conn.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        await self._explain(query, args)
        return await self._conn.fetchval(query, *args)

    async def _explain(self, query: str, args: Sequence[Any]) -> None:
        plan = json.loads(await self._conn.fetchval(f"explain (analyze, format json) {query}", *args))
        self.rows += _read(plan[0]["Plan"])


def _read(node: Mapping[str, Any]) -> float:
    """Rows of tables that a plan looked at."""
    inner = sum(_read(child) for child in node.get("Plans", ()))
    if not node["Node Type"].endswith("Scan") or "Relation Name" not in node:
        return inner
    removed = sum(node.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Index Recheck"))
    return inner + (node["Actual Rows"] + removed) * node["Actual Loops"]


AN = Caller("north", "an", frozenset({"agent"}), "CRM_UI")
TASK = "00000000-0000-7000-8000-000000000001"
PAGES: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "status": lambda conn: reads.get_instance(conn, "north", "i-7"),
    "first page": lambda conn: reads.list_instances(conn, "north", size=20),
    "page of a status": lambda conn: reads.list_instances(conn, "north", status="COMPLETED", skipped=40, size=20),
    "page of a user": lambda conn: reads.list_instances(conn, "north", user_id="user-7", size=20),
    "attempts": lambda conn: reads.list_attempts(conn, "north", "i-1", most=100),
    "timeline": lambda conn: reads.timeline(conn, "north", "i-1", after=1_500, size=100),
    "timeline backwards": lambda conn: reads.timeline(conn, "north", "i-1", after=1_500, size=100, newest=True),
    "dashboard": lambda conn: overview.dashboard(conn, "north", most=100),
    "incidents": lambda conn: troubles.list_incidents(conn, "north", size=20),
    "incidents of a cause": lambda conn: troubles.list_alike(conn, "north", kind="step-failed", fingerprint="f0", size=20),
    "incidents of an instance": lambda conn: troubles.list_open_of(conn, "north", "i-100"),
    "own queues": lambda conn: review_tasks.list_queue(conn, AN, group=None, size=20),
    "queue": lambda conn: review_tasks.list_queue(conn, AN, group="desk", size=20),
    "review": lambda conn: review_tasks.find_task(conn, "north", TASK, "an"),
}


@pytest.mark.parametrize("analyzed", [False, True], ids=["never analyzed", "analyzed"])
@pytest.mark.requirement("WF-15")
async def test_no_page_reads_the_whole_table(database: ClonedDatabase, analyzed: bool) -> None:
    await _fill(database, analyzed)
    read = {}
    for name, page in PAGES.items():
        conn = await _door(database)
        await page(conn)
        read[name] = conn.rows
    assert {name: rows for name, rows in read.items() if rows > MOST} == {}
    assert MOST < INSTANCES / 8


async def test_a_page_by_offset_alone_would_read_the_whole_table(database: ClonedDatabase) -> None:
    await _fill(database, analyzed=True)
    conn = await _door(database)
    await conn.fetch("select * from onboarding_instance where tenant_id = $1 order by started_at desc limit 20", "north")
    assert conn.rows >= INSTANCES


@pytest.mark.requirement("WF-8", "WF-15")
async def test_the_documents_queries_over_all_histories_use_the_index_of_rare_events(database: ClonedDatabase) -> None:
    await _fill(database, analyzed=True)
    for kind in ("RECOVERY", "SAGA_COMPENSATION", "VERSION_MARKER"):
        conn = await _door(database)
        await conn.fetch(f"SELECT * FROM workflow_event \nWHERE event_type = '{kind}';".rstrip(";"))
        assert conn.rows <= EVENTS / 1_000, kind


async def _fill(database: ClonedDatabase, analyzed: bool) -> None:
    owner = await asyncpg.connect(database.url("superuser"))
    for table in TABLES:
        # Autovacuum would bring the statistics, sooner or later.
        await owner.execute(f"alter table {table} set (autovacuum_enabled = false)")
    await owner.execute(FILL)
    if analyzed:
        await owner.execute(f"analyze {', '.join(TABLES)}")
    await owner.close()


async def _door(database: ClonedDatabase) -> Explaining:
    conn = await asyncpg.connect(database.url("api"))
    await conn.execute("select set_config('app.tenant', 'north', false)")
    return Explaining(conn)
