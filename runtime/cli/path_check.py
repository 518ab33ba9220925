"""`casestream mapping check-path`: a path tried on real records of one tenant, in a process that cannot hang this one.

Runs as cs_worker. Decrypted data is read, so it needs a reason and leaves a row in the audit log.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import asyncpg
import typer

from domain.cases.check_path import checking
from domain.cases.check_path.checking import CHILD, Asked, Counted, PathProblem
from domain.cases.check_path.records import Records, open_records, read_records, warm_keys
from domain.cases.mapping.model import Graph, MappingEntry
from domain.cases.mapping_store import load_graph, planning, reads, released_files
from projections.ddl import create_statements, text_of
from runtime.cli import operating, output
from runtime.enclosure import Enclosure, Stopped
from runtime.keys.ring import open_key_ring
from runtime.postgres import tenants_transaction
from runtime.settings import Settings
from schemas.caller import Caller
from schemas.errors import NotFound, Rejected


def check_path(
    class_name: Annotated[str, typer.Argument(metavar="CLASS", help="The class, such as com.app.OrderCase.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="JSONPath, such as '$.items[0].sku'.")],
    tenant: Annotated[str, typer.Option(help="Whose records are read.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log.")],
    column_type: Annotated[str | None, typer.Option("--type", help="The column's type, such as 'numeric(12,2)'.")] = None,
    case: Annotated[str | None, typer.Option(help="The case to look at; without, the class's newest.")] = None,
    column: Annotated[str | None, typer.Option(help="Also show the tables with the path mapped to this column.")] = None,
) -> None:
    """Try a path on real records: value, conversion, provenance, what the newest 1,000 have. Sensitive values are masked."""

    async def work(settings: Settings, pool: asyncpg.Pool) -> Mapping[str, Any]:
        graph, published, records = await _read(settings, pool, class_name, case, path, tenant, reason)
        enclosure = Enclosure(CHILD)
        try:
            asked = Asked(path, column_type, planning.sensitive_paths(class_name, graph, published))
            said = await _ask(enclosure, asked, records)
        finally:
            await enclosure.close()
        mapped = [f"{each.name} by {each.provenance}" for each in planning.columns_of_path(graph, class_name, path)]
        preview = (
            _preview(graph, class_name, MappingEntry(column, path, column_type), settings.mappings.max_columns)
            if column
            else {}
        )
        return {"class": class_name, "path": path, **said, "columns": mapped, **preview}

    output.show_record(operating.run(work))


async def _read(
    settings: Settings, pool: asyncpg.Pool, class_name: str, case: str | None, path: str, tenant: str, reason: str
) -> tuple[Graph, Graph, Records]:
    """The graph with the class's draft and without it, and the records opened and audited."""
    caller = Caller(tenant, operating.actor(), frozenset(), "CRM_UI")
    async with open_key_ring(settings, wait=False) as keys:
        async with tenants_transaction(pool, [tenant]) as conn:
            graph = await reads.load_graph_with_draft(conn, released_files(), class_name)
            published = await load_graph(conn, released_files())
            if class_name not in graph:
                raise NotFound(f"there is no class {class_name}; there are {', '.join(sorted(graph))}")
            sealed = await read_records(conn, tenant, class_name, case)
        if case is not None and sealed.shown is None:
            raise NotFound(f"{class_name} has no case {case} in tenant {tenant}, or it was removed")
        await warm_keys(keys, sealed)
        async with tenants_transaction(pool, [tenant]) as conn:
            # Only up to a filter: what that compares with may be a person's data.
            detail = {"path": path.partition("?")[0]}
            opened = await open_records(conn, keys, caller, class_name, sealed, reason=reason, detail=detail)
        return graph, published, opened


async def _ask(enclosure: Enclosure, asked: Asked, records: Records) -> dict[str, Any]:
    documents = [record.document for record in records.newest if record.document is not None]
    counted = await checking.count(enclosure, asked, documents)
    if isinstance(counted, PathProblem):
        raise operating.refuse(Rejected("PathRefused", f"{counted.reason}. {counted.advice}".strip()))
    return {**await _shown(enclosure, asked, records), **_counted(counted, len(records.newest) - len(documents))}


async def _shown(enclosure: Enclosure, asked: Asked, records: Records) -> dict[str, Any]:
    if records.shown is None:
        return {"case": None, "found": "no record"}
    found: Any = "the record cannot be opened"
    if records.shown.document is not None:
        found = await checking.find(enclosure, asked, records.shown.document)
    if isinstance(found, Stopped):
        found = f"stopped: {found.reason}"
    elif isinstance(found, dict):
        # The columns of a terminal are few: what says nothing is left out.
        values = [{name: value for name, value in each.items() if value not in (None, False)} for each in found["values"]]
        found = {"outcome": found["outcome"], "count": found["count"], "values": values}
    return {"case": records.shown.stored.case_id, "found": found}


def _counted(counted: Counted, not_opened: int) -> dict[str, Any]:
    stopped = {"stopped": counted.stopped} if counted.stopped else {}
    outcomes = dict(counted.tally.outcomes)
    return {
        "records": counted.tally.records,
        "outcomes": outcomes,
        "unfit": counted.tally.unfit,
        "not_opened": not_opened,
        **stopped,
    }


def _preview(graph: Graph, class_name: str, entry: MappingEntry, max_columns: int) -> dict[str, Any]:
    preview = planning.preview(graph, class_name, entry, max_columns)
    if preview.errors:
        return {"problems": [problem.message for problem in preview.errors]}
    return {"ddl": {spec.name: text_of(create_statements(spec, 1)) for spec in preview.specs}}
