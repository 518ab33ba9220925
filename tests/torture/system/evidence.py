"""What a failed attack leaves behind: our processes' logs and what the database holds of everything under way."""

import json
import shutil
import tempfile
from pathlib import Path

import asyncpg

from tests.torture.system.world import World

_TABLES = {
    "relay_shards": "select *, cs_now() from relay_shards order by shard",
    "leases": "select *, cs_now() from leases order by name",
    "outbox_events": "select shard, count(*), min(id), max(id), min(created_at), cs_now() from outbox_events group by shard",
    "sequence": "select last_value from outbox_events_id_seq",
    "consumer_offsets": "select * from consumer_offsets order by group_name, topic, partition",
    "waiting_messages": "select *, null as value, null as headers from waiting_messages limit 50",
    "parked_messages": "select *, null as value, null as headers from parked_messages limit 50",
    "incidents": "select * from incidents",
    "behind": """
        select w.tenant_id, w.id, w.event_sequence, b.ce_sequence, w.updated_at from work_items w
        left join projections.work_item_board__v1 b on b.tenant_id = w.tenant_id and b.work_item_id = w.id::text
        where coalesce(b.ce_sequence, 0) < w.event_sequence limit 50""",
    "activity": """
        select pid, usename, state, wait_event, xact_start, query_start, left(query, 200) as query
        from pg_stat_activity where usename like 'cs_%'""",
}


async def keep_evidence(world: World, error: BaseException) -> Path:
    """Copy and write it all into a new folder, whose name is added to the error's notes."""
    folder = Path(tempfile.mkdtemp(prefix="casestream-evidence-"))
    shutil.copytree(world.fleet.folder, folder / "processes")
    for log in world.folder.rglob("*.log"):
        if log.parent != world.fleet.folder:
            shutil.copy(log, folder / log.name)
    try:
        conn = await asyncpg.connect(world.owner_url, timeout=5)
        for name, query in _TABLES.items():
            rows = [dict(row) for row in await conn.fetch(query)]
            (folder / f"{name}.json").write_text(json.dumps(rows, default=str, indent=1))
        await conn.close()
    except (OSError, asyncpg.PostgresError) as trouble:
        (folder / "database.txt").write_text(repr(trouble))
    error.add_note(f"evidence: {folder}")
    return folder
