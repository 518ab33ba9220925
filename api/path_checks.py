"""Check Path over HTTP: a path tried on real records of the caller's tenant, in a process that cannot hang this one (CD-14).

Decrypted data is read, so it needs a reason, and the audit row is committed before anything is shown. Sensitive columns'
values stay masked.
"""

import asyncio
from typing import Any

from starlette.responses import Response

from api.door import DoorRequest, json_answer
from api.mapping_inputs import ClassName, PathCheck
from api.mappings import column_view, graph_of, problem_views, table_plans
from api.problems import Problem
from api.transactions import transaction
from domain.cases.check_path import checking
from domain.cases.check_path.checking import Asked, Counted, PathProblem
from domain.cases.check_path.records import Record, Records, open_records, read_records, warm_keys
from domain.cases.mapping.model import Graph, MappingEntry
from domain.cases.mapping_store import load_graph, planning
from domain.cases.mapping_store.reading import located
from runtime.enclosure import Stopped
from schemas.errors import TransientError


async def check_path(request: DoorRequest, class_name: ClassName, body: PathCheck) -> Response:
    """Try a path on a record (the named case's, or the class's newest), and count over the newest 1,000 what it finds. With a
    column the answer shows what mapping it would do. A look may take 300 ms and a bounded memory; then the answer says so."""
    graph, published, records = await _read(request, class_name, body)
    asked = Asked(body.path, body.type, await asyncio.to_thread(planning.sensitive_paths, class_name, graph, published))
    shown = await _shown(request, asked, records.shown)
    counted = await checking.count(
        request.door.enclosure, asked, [r.document for r in records.newest if r.document is not None]
    )
    if isinstance(counted, PathProblem):
        raise _refused(counted)
    answer = {
        "className": class_name,
        "path": body.path,
        "type": body.type,
        "record": shown,
        "statistics": _statistics(records, counted),
        "columns": [column_view(column) for column in planning.columns_of_path(graph, class_name, body.path)],
        "preview": None if body.column is None else await _preview(request, graph, class_name, body.column, body),
    }
    return json_answer(answer)


async def _read(request: DoorRequest, class_name: str, body: PathCheck) -> tuple[Graph, Graph, Records]:
    """The graph with the class's draft and without it, and the records opened and audited."""
    door, tenant_id = request.door, request.principal.tenant_id
    if door.keys is None:
        raise TransientError("checking a path: this process has no keys; ask one that has")
    async with transaction(door.pool, tenant_id) as conn:
        graph = await graph_of(conn, door, class_name, draft=True)
        published = await load_graph(conn, door.classes)
        sealed = await read_records(conn, tenant_id, class_name, body.case_id)
    if body.case_id is not None and sealed.shown is None:
        raise Problem("CaseNotFound", "The class has no such case in this tenant, or it was removed.")
    await warm_keys(door.keys, sealed)
    async with transaction(door.pool, tenant_id) as conn:
        caller, detail = request.caller(), {"path": _without_values(body.path)}
        opened = await open_records(conn, door.keys, caller, class_name, sealed, reason=body.reason, detail=detail)
    return graph, published, opened


def _without_values(path: str) -> str:
    # What a filter compares with may be a person's data; the audit log keeps none.
    return path if "?" not in path else path[: path.index("?")] + "?..."


async def _shown(request: DoorRequest, asked: Asked, record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    found: Any = {"outcome": "unreadable", "count": 0, "values": []}
    if record.document is not None:
        found = await checking.find(request.door.enclosure, asked, record.document)
    if isinstance(found, PathProblem):
        raise _refused(found)
    if isinstance(found, Stopped):
        found = {"outcome": "stopped", "stopped": found.reason, "count": 0, "values": []}
    return {
        "caseId": record.stored.case_id,
        "version": record.stored.version,
        "storedAt": record.stored_at,
        "outcome": found["outcome"],
        "stopped": found.get("stopped"),
        "count": found["count"],
        "values": [_value(value) for value in found["values"]],
    }


def _value(value: dict[str, Any]) -> dict[str, Any]:
    return {
        "jsonType": value["json_type"],
        "value": value["value"],
        "converted": value["converted"],
        "unfit": value["unfit"],
        "masked": value["masked"],
    }


def _statistics(records: Records, counted: Counted) -> dict[str, Any]:
    return {
        "records": counted.tally.records,
        "outcomes": dict(counted.tally.outcomes),
        "unfit": counted.tally.unfit,
        "notOpened": sum(record.document is None for record in records.newest),
        "stopped": counted.stopped,
    }


def _refused(problem: PathProblem) -> Problem:
    pointer = "/type" if problem.position is None else "/path"
    place = "" if problem.position is None else f" at character {problem.position + 1}"
    message = f"{problem.reason}{place}. {problem.advice}".strip()
    found = {"pointer": pointer, "code": "path" if problem.position is not None else "type", "message": message}
    return Problem("PathRefused", "The path or the type cannot be mapped; see errors.", members={"errors": [found]})


async def _preview(request: DoorRequest, graph: Graph, class_name: str, column: str, body: PathCheck) -> dict[str, Any]:
    entry = MappingEntry(column, body.path, body.type, location="the request")
    found = await asyncio.to_thread(planning.preview, graph, class_name, entry, request.door.settings.mappings.max_columns)
    async with transaction(request.door.pool, request.principal.tenant_id) as conn:
        tables = [] if found.errors else await table_plans(conn, request.door, found.specs)
    return {"tables": tables, "problems": problem_views(located(found.errors, {}))}
