"""Mappings over HTTP (UC-03): what counts, drafts, publications, and the tables that follow.

Mappings belong to the installation: every tenant's reader sees them, and its editor changes them for all. Records are looked
at in `api.path_checks`, and only those of the caller's tenant.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from api import answers
from api.conditions import etag, if_match, require_if_match
from api.door import Door, DoorRequest, json_answer
from api.inputs import Cursor, Limit
from api.mapping_inputs import ClassName, Disabling, DraftPut, From, Publication, To, WithDraft
from api.problems import Problem
from api.views import Position, Row, answer_page, view_of
from domain.cases.mapping.forms import form_of
from domain.cases.mapping.model import Provenance, ResolvedColumn
from domain.cases.mapping.resolve import resolve
from domain.cases.mapping.specs import TableSpec
from domain.cases.mapping_store import commands, load_graph, planning, reads
from domain.cases.mapping_store.commands import Changed, Draft, Editor, Order
from domain.cases.mapping_store.reading import Problem as MappingProblem
from domain.cases.mapping_store.reading import located
from runtime.sql import Connection
from schemas.errors import NotFound, Rejected

_LAST_VERSION = 2**31 - 1


async def list_mappings(request: DoorRequest, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Every case class with the source that counts, by name."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        heads = await reads.list_heads(conn, request.door.classes)
        rest = [head for head in heads if after is None or head.class_name > after[0]]
        rows = [_summary(head) for head in rest[:size]]
        return rows, (rows[-1]["className"],) if len(rest) > size else None

    return await answer_page(request, cursor=cursor, limit=limit, filters={}, read=read, view=dict)


async def get_mapping(request: DoorRequest, class_name: ClassName) -> Response:
    """One class: its words as they count with where they stand, and its draft."""

    async def effect(conn: Connection) -> Response:
        head = await reads.find_head(conn, request.door.classes, class_name)
        words = None if head.definition is None else form_of(head.definition)
        draft = await reads.words_of(conn, request.door.classes, class_name, reads.DRAFT) if head.draft_version else None
        body = {**_summary(head), "definition": words, "draft": draft}
        return json_answer(body, headers={"ETag": etag(head.revision)})

    return await request.in_transaction(effect)


async def put_mapping_draft(request: DoorRequest, class_name: ClassName, body: DraftPut) -> Response:
    """Save the class's draft. Every problem of the graph that would follow is told at once, and then nothing is saved. Needs
    If-Match, but for a class that nobody knows yet."""
    # Without the header only a new class may be meant: 0 is the revision of what is not there.
    expected = if_match(request) if "if-match" in request.headers else 0

    async def effect(conn: Connection) -> Response:
        draft = Draft(class_name, body.definition, body.reason, expected)
        outcome = await commands.save_drafts(conn, request.door.classes, _editor(request), [draft], max_columns=_limit(request))
        if isinstance(outcome, Rejected) and outcome.code == "ConflictState" and "if-match" not in request.headers:
            raise Problem("IfMatchRequired", "The class exists: read it first and send its ETag as If-Match.")
        return _changed(request, outcome, expected, "/definition")

    return await request.in_transaction(effect)


async def publish_mapping(request: DoorRequest, class_name: ClassName, body: Publication) -> Response:
    """Let the draft count: it replaces the class of the file or of the version before. The answer names the tables that need
    a new version."""
    expected = require_if_match(request)

    async def effect(conn: Connection) -> Response:
        order = Order(class_name, expected)
        outcome = await commands.publish(
            conn, request.door.classes, _editor(request), [order], body.reason, max_columns=_limit(request)
        )
        return _changed(request, outcome, expected)

    return await request.in_transaction(effect)


async def disable_mapping(request: DoorRequest, class_name: ClassName, body: Disabling) -> Response:
    """Let a version count no longer: the enabled one before it does, or the file."""
    expected = require_if_match(request)

    async def effect(conn: Connection) -> Response:
        order = Order(class_name, expected)
        outcome = await commands.disable(
            conn, request.door.classes, _editor(request), order, body.reason, body.version, max_columns=_limit(request)
        )
        return _changed(request, outcome if isinstance(outcome, Rejected) else [outcome], expected)

    return await request.in_transaction(effect)


async def list_mapping_versions(
    request: DoorRequest, class_name: ClassName, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """The class's versions in the database, newest first, disabled ones too."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        before = int(after[0]) if after else _LAST_VERSION
        rows = await reads.list_versions(conn, request.door.classes, class_name, before=before, page_size=size + 1)
        return rows[:size], (str(rows[size - 1]["version"]),) if len(rows) > size else None

    return await answer_page(request, cursor=cursor, limit=limit, filters={}, read=read, view=_version_view)


async def diff_mapping(
    request: DoorRequest, class_name: ClassName, old: From = reads.EFFECTIVE, new: To = reads.DRAFT
) -> Response:
    """What differs between two wordings of the class: file, effective, draft, or versions by number."""

    async def effect(conn: Connection) -> Response:
        files = request.door.classes
        left, right = [
            reads.normalised(files, class_name, await reads.words_of(conn, files, class_name, which)) for which in (old, new)
        ]
        return json_answer({"className": class_name, "differences": reads.differences(left, right)})

    return await request.in_transaction(effect)


async def resolve_mapping(request: DoorRequest, class_name: ClassName, draft: WithDraft = False) -> Response:
    """The class's columns with all that it inherits, and who said each (CD-10)."""

    async def effect(conn: Connection) -> Response:
        graph = await graph_of(conn, request.door, class_name, draft=draft)
        resolved, found = resolve(graph, class_name)
        answer = {
            "className": class_name,
            "ancestry": list(resolved.ancestry),
            "columns": [column_view(column) for column in resolved.columns],
            "problems": problem_views(located(found, {})),
        }
        return json_answer(answer)

    return await request.in_transaction(effect)


async def show_ddl(request: DoorRequest, class_name: ClassName, draft: WithDraft = False) -> Response:
    """The tables that the class fills, and the statements of those that its mapping makes new. Nothing is run here."""

    async def effect(conn: Connection) -> Response:
        graph = await graph_of(conn, request.door, class_name, draft=draft)
        specs = planning.fed_tables(graph, class_name)
        return json_answer({"className": class_name, "tables": await table_plans(conn, request.door, specs)})

    return await request.in_transaction(effect)


async def graph_of(conn: Connection, door: Door, class_name: str, *, draft: bool) -> dict[str, Any]:
    """The graph with or without the class's draft. Raises NotFound when it does not know the class."""
    load = reads.load_graph_with_draft(conn, door.classes, class_name) if draft else load_graph(conn, door.classes)
    graph = await load
    if class_name not in graph:
        raise NotFound(f"Mapping {class_name} not found")
    return graph


async def table_plans(conn: Connection, door: Door, specs: Sequence[TableSpec]) -> list[dict[str, Any]]:
    """Each table beside its newest version: what is not built yet comes with its statements."""
    newest = await reads.list_table_versions(conn, [spec.name for spec in specs])
    return [_table_plan(door, spec, *newest.get(spec.name, (0, ""))) for spec in specs]


def _table_plan(door: Door, spec: TableSpec, version: int, built_from: str) -> dict[str, Any]:
    fingerprint = spec.fingerprint()
    unchanged = built_from == fingerprint
    number = version if unchanged else version + 1
    return {
        "name": spec.name,
        "state": "unchanged" if unchanged else "changed" if version else "new",
        "version": number,
        "fingerprint": fingerprint,
        "statements": [] if unchanged or door.statements_of is None else list(door.statements_of(spec, number)),
    }


def _limit(request: DoorRequest) -> int:
    return request.door.settings.mappings.max_columns


def _editor(request: DoorRequest) -> Editor:
    return Editor(request.principal.tenant_id, request.principal.user_id)


def _changed(request: DoorRequest, outcome: Sequence[Changed] | Rejected, expected: int | None, inside: str = "") -> Response:
    """The class after the change, or the refusal; `inside`: where in the request's body the class's words stand."""
    if isinstance(outcome, Rejected):
        return request.refuse(_told(outcome, inside), if_match=expected)
    (changed,) = outcome
    answer = {
        "className": changed.class_name,
        "version": changed.version,
        "state": changed.state,
        "revision": changed.revision,
        "warnings": problem_views(changed.warnings, inside),
        "tables": [asdict(table) for table in changed.tables],
    }
    return json_answer(answer, headers={"ETag": etag(changed.revision)})


def _told(refused: Rejected, inside: str) -> Rejected:
    if refused.code != "MappingRefused":
        return refused
    found: Any = refused.details["errors"]
    errors = [{"pointer": inside + each["pointer"], "code": each["code"], "message": each["message"]} for each in found]
    return Rejected(refused.code, refused.message, {"errors": errors})


def problem_views(problems: Iterable[MappingProblem], inside: str = "") -> list[dict[str, str]]:
    return [{"pointer": inside + each.pointer, "code": each.code, "message": each.message} for each in problems]


def column_view(column: ResolvedColumn) -> dict[str, Any]:
    entry = column.entry
    return {
        "column": column.name,
        "path": entry.json_path,
        "type": entry.type,
        "exposed": entry.exposed,
        "indexed": entry.indexed,
        "sensitivity": entry.sensitivity,
        "provenance": _provenance_view(column.provenance),
    }


def _provenance_view(said: Provenance) -> dict[str, str]:
    return {
        "sourceClass": said.source_class,
        "sourceKind": said.source_kind,
        "sourceModule": said.source_module,
        "sourceLocation": said.source_location,
    }


def _summary(head: reads.Head) -> Mapping[str, Any]:
    said = head.definition
    return {
        "className": head.class_name,
        "parent": said and said.parent,
        "isMixin": said is not None and said.is_mixin,
        "abstract": said is not None and said.abstract,
        "module": said and said.module,
        "sourceKind": said and said.source.source_kind,
        "sourceLocation": said and said.source.source_location,
        "version": head.version,
        "draftVersion": head.draft_version,
        "revision": head.revision,
    }


_version_view = view_of(answers.MappingVersion)
