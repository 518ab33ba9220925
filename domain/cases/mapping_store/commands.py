"""Changing mappings in the database: save drafts, publish them, disable a version. Each judges the whole graph first.

Nothing is saved while anything in the graph that would follow is an error: the caller gets every problem at once, each with
its place, and the old mapping stays. Writers come one after another (the generation's row lock), so nobody is judged by a
graph that is changing. A publication says which tables follow from other mappings now; that these need new versions is what
`projections.versions` makes of it, and nothing else is emitted. Runs in the caller's transaction; every change is audited.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from domain.audit import append
from domain.cases.mapping.model import ClassDefinition, Graph
from domain.cases.mapping.tables import MAX_COLUMNS
from domain.cases.mapping_store.graph import load_graph, module_of, queries
from domain.cases.mapping_store.judging import TableChange, changed_tables, judge
from domain.cases.mapping_store.reading import Problem, read_body
from runtime.sql import Connection
from schemas.errors import NotFound, Rejected

MOST_PROBLEMS = 200


@dataclass(frozen=True, slots=True)
class Editor:
    """Who changes mappings. They belong to the installation: what counts for all tenants is recorded where all may read it,
    under '', and in the editor's tenant like everything else that the editor does."""

    tenant_id: str
    actor: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A class's words to keep as its draft. `expected` is the revision that the editor saw: 0 for "there must be none", None
    for "whatever it is"."""

    class_name: str
    body: Mapping[str, Any]
    reason: str = ""
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A class whose draft is to be published."""

    class_name: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """A class after the change: the version that was touched, the class's revision, warnings, and tables that follow."""

    class_name: str
    version: int
    state: str
    revision: int
    warnings: list[Problem] = field(default_factory=list)
    tables: list[TableChange] = field(default_factory=list)


@dataclass(slots=True)
class _Heads:
    """What the database has of some classes, under the lock."""

    files: Graph
    rows: dict[str, Any]

    def revision(self, name: str) -> int:
        """0: nobody knows the class; 1: only a file does; one more for each change in the database."""
        changes = self.rows[name]["changes"] if name in self.rows else 0
        return changes + 1 if changes or name in self.files else 0

    def draft(self, name: str) -> int | None:
        return self.rows[name]["draft_version"] if name in self.rows else None

    def enabled(self, name: str) -> int | None:
        return self.rows[name]["enabled_version"] if name in self.rows else None

    def next_version(self, name: str) -> int:
        return self.draft(name) or (self.rows[name]["last_version"] + 1 if name in self.rows else 1)

    def stale(self, name: str, expected: int | None) -> Rejected | None:
        """A refusal when the editor saw another state of the class than it has."""
        if expected is None or expected == self.revision(name):
            return None
        text = f"Mapping {name} has changed since it was read: read it again and repeat"
        return Rejected("ConflictState", text, {"className": name, "version": self.revision(name)})


async def save_drafts(
    conn: Connection, files: Graph, editor: Editor, drafts: Sequence[Draft], *, max_columns: int = MAX_COLUMNS
) -> list[Changed] | Rejected:
    """Keep these as the drafts of their classes, judged together with all that is published."""
    names = [draft.class_name for draft in drafts]
    heads = await _lock(conn, files, names)
    for draft in drafts:
        if refusal := heads.stale(draft.class_name, draft.expected):
            return refusal
    versions = {name: heads.next_version(name) for name in names}
    definitions, problems = _read(drafts, versions, files)
    errors, warnings = await _judge({**await load_graph(conn, files), **definitions}, definitions, max_columns)
    if problems or errors:
        return refused(problems + errors)
    await _write(conn, editor, heads, drafts, versions)
    for draft in drafts:
        await _audit(
            conn, editor, "mapping.draft-saved", draft.class_name, draft.reason, {"version": versions[draft.class_name]}
        )
    return [
        Changed(name, versions[name], "draft", max(heads.revision(name), 1) + 1, [w for w in warnings if w.class_name == name])
        for name in names
    ]


async def publish(
    conn: Connection, files: Graph, editor: Editor, orders: Sequence[Order], reason: str, *, max_columns: int = MAX_COLUMNS
) -> list[Changed] | Rejected:
    """The drafts of these classes count from the commit on, all or none of them."""
    names = [order.class_name for order in orders]
    heads = await _lock(conn, files, names)
    for order in orders:
        if refusal := _unpublishable(heads, order):
            return refusal
    rows = await queries.list_drafts(conn, class_names=names)
    versions = {row["class_name"]: row["version"] for row in rows}
    drafts = [Draft(row["class_name"], json.loads(row["body"])) for row in rows]
    definitions, problems = _read(drafts, versions, files)
    before = await load_graph(conn, files)
    after = {**before, **definitions}
    errors, warnings = await _judge(after, definitions, max_columns)
    if problems or errors:
        return refused(problems + errors)
    await queries.enable_drafts(conn, class_names=names, actor=editor.actor, reason=reason)
    tables = await _changed(conn, before, after)
    for name in names:
        await _audit_for_all(conn, editor, "mapping.published", name, reason, _detail(versions[name], tables))
    return [Changed(name, versions[name], "enabled", heads.revision(name) + 1, warnings, tables) for name in names]


async def disable(
    conn: Connection,
    files: Graph,
    editor: Editor,
    order: Order,
    reason: str,
    version: int | None = None,
    *,
    max_columns: int = MAX_COLUMNS,
) -> Changed | Rejected:
    """The version (or the one that counts) no longer does; the older enabled one counts again, or the file, or nothing."""
    name = order.class_name
    heads = await _lock(conn, files, [name])
    if heads.revision(name) == 0:
        raise NotFound(f"Mapping {name} not found")
    if refusal := heads.stale(name, order.expected):
        return refusal
    wanted = version or heads.enabled(name) or 0
    row = await queries.find_version(conn, class_name=name, version=wanted)
    if not row or row["state"] != "enabled":
        return Rejected("NotEnabled", f"Mapping {name} has no enabled version {version or ''}".rstrip(), {"className": name})
    before, after = await load_graph(conn, files), await load_graph(conn, files, without=(name, wanted))
    errors, warnings = await _judge(after, {}, max_columns)
    if errors:
        return refused(errors)
    await queries.disable_version(conn, class_name=name, version=wanted, actor=editor.actor, reason=reason)
    tables = await _changed(conn, before, after)
    await _audit_for_all(conn, editor, "mapping.disabled", name, reason, _detail(wanted, tables))
    return Changed(name, wanted, "disabled", heads.revision(name) + 1, warnings, tables)


def refused(errors: Sequence[Problem]) -> Rejected:
    """Every problem at once, those of the bodies that were sent first."""
    ordered = sorted(errors, key=lambda problem: problem.pointer == "")
    found = [
        {"className": each.class_name, "pointer": each.pointer, "code": each.code, "message": each.message}
        for each in ordered[:MOST_PROBLEMS]
    ]
    text = f"Nothing was changed: {len(errors)} problem(s), see errors"
    return Rejected("MappingRefused", text, {"errors": found})


async def _lock(conn: Connection, files: Graph, names: Sequence[str]) -> _Heads:
    await queries.lock_generation(conn)
    rows = await queries.count_changes(conn, class_names=list(names))
    return _Heads(files, {row["class_name"]: row for row in rows})


def _unpublishable(heads: _Heads, order: Order) -> Rejected | None:
    name = order.class_name
    if heads.revision(name) == 0:
        raise NotFound(f"Mapping {name} not found")
    if refusal := heads.stale(name, order.expected):
        return refusal
    if heads.draft(name) is None:
        return Rejected("NoDraft", f"Mapping {name} has no draft: save one first", {"className": name})
    return None


def _read(
    drafts: Sequence[Draft], versions: Mapping[str, int], files: Graph
) -> tuple[dict[str, ClassDefinition], list[Problem]]:
    definitions, problems = {}, []
    for draft in drafts:
        name = draft.class_name
        definition, wrong = read_body(draft.body, versions[name], module_of(files, name))
        problems += wrong
        if definition is not None and definition.class_name != name:
            problems.append(Problem(name, "/className", "form", f"expected {name}, the class of the address"))
        elif definition is not None:
            definitions[name] = definition
    return definitions, problems


async def _judge(graph: Graph, judged: Graph, max_columns: int) -> tuple[list[Problem], list[Problem]]:
    # A thousand classes take the better part of a second, in which the server must go on answering others.
    return await asyncio.to_thread(judge, graph, judged, max_columns)


async def _changed(conn: Connection, before: Graph, after: Graph) -> list[TableChange]:
    await queries.raise_generation(conn)
    return await asyncio.to_thread(changed_tables, before, after)


async def _write(conn: Connection, editor: Editor, heads: _Heads, drafts: Sequence[Draft], versions: Mapping[str, int]) -> None:
    new = [draft for draft in drafts if heads.draft(draft.class_name) is None]
    await queries.insert_drafts(
        conn, author=editor.actor, versions=[versions[draft.class_name] for draft in new], **_columns(new)
    )
    await queries.update_drafts(conn, author=editor.actor, **_columns([draft for draft in drafts if draft not in new]))


def _columns(drafts: Sequence[Draft]) -> dict[str, list[str]]:
    return {
        "class_names": [draft.class_name for draft in drafts],
        "bodies": [json.dumps(dict(draft.body)) for draft in drafts],
        "reasons": [draft.reason for draft in drafts],
    }


def _detail(version: int, tables: Sequence[TableChange]) -> dict[str, object]:
    return {"version": version, "tables": [asdict(table) for table in tables]}


async def _audit_for_all(
    conn: Connection, editor: Editor, action: str, class_name: str, reason: str, detail: Mapping[str, object]
) -> None:
    """Other tenants learn what was changed and by which user, not whose user it is."""
    for tenant_id in dict.fromkeys((editor.tenant_id, "")):
        await _audit(conn, replace(editor, tenant_id=tenant_id), action, class_name, reason, detail)


async def _audit(
    conn: Connection, editor: Editor, action: str, class_name: str, reason: str, detail: Mapping[str, object]
) -> None:
    await append(
        conn,
        tenant_id=editor.tenant_id,
        actor=editor.actor,
        action=action,
        object_type="case_class",
        object_id=class_name,
        reason=reason or None,
        detail=detail,
    )
