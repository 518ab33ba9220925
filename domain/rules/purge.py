"""What a shredded subject leaves in the log of runs: that there was one, never what it saw."""

from collections.abc import Mapping

from domain.keys.purge import Purger
from runtime.sql import Connection, load_queries

queries = load_queries(__file__, "runs.sql")
PAGE = 500


async def _purge(conn: Connection, tenant: str, subject: str) -> Mapping[str, int]:
    emptied = await queries.empty_runs(conn, tenant_id=tenant, subject_id=subject, most=PAGE)
    return {"public.workflow_execution_logs": emptied}


RUNS = Purger("rule runs", ("public.workflow_execution_logs",), _purge, unguarded=True)
