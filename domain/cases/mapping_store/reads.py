"""What editors see of mappings: classes with their source, versions, words of a version, differences, resolved columns.

Reads only. Rows are plain dicts; a class that neither a file nor a row knows is NotFound.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.cases.mapping.forms import form_of
from domain.cases.mapping.model import ClassDefinition, Graph
from domain.cases.mapping_store.graph import load_graph, module_of, queries
from domain.cases.mapping_store.reading import read_body
from runtime.sql import Connection
from schemas.errors import NotFound

FILE, EFFECTIVE, DRAFT = "file", "effective", "draft"


@dataclass(frozen=True, slots=True)
class Head:
    """A class at a glance. `version`: the enabled one, None while the file counts; `definition` None: only a draft yet."""

    class_name: str
    revision: int
    version: int | None
    draft_version: int | None
    definition: ClassDefinition | None


async def list_heads(conn: Connection, files: Graph) -> list[Head]:
    """Every class by name."""
    graph = await load_graph(conn, files)
    rows = {row["class_name"]: row for row in await queries.list_changes(conn)}
    return [_head(name, rows.get(name), graph.get(name)) for name in sorted(graph.keys() | rows.keys())]


async def find_head(conn: Connection, files: Graph, class_name: str) -> Head:
    """One class. Raises NotFound."""
    rows = await queries.count_changes(conn, class_names=[class_name])
    graph = await load_graph(conn, files)
    if class_name not in graph and not rows:
        raise NotFound(f"Mapping {class_name} not found")
    return _head(class_name, rows[0] if rows else None, graph.get(class_name))


async def list_versions(
    conn: Connection, files: Graph, class_name: str, *, before: int, page_size: int
) -> list[dict[str, Any]]:
    """A class's versions in the database, newest first. Raises NotFound for a class that nobody knows."""
    await find_head(conn, files, class_name)
    rows = await queries.list_versions(conn, class_name=class_name, before=before, page_size=page_size)
    return [dict(row) for row in rows]


async def words_of(conn: Connection, files: Graph, class_name: str, which: str) -> dict[str, Any]:
    """A class in the files' words: of the `file`, as it is `effective`, of the `draft`, or of a version by its number.

    Raises NotFound.
    """
    found = await _words_of(conn, files, class_name, which)
    if found is None:
        raise NotFound(
            f"Mapping {class_name} has no {which}" if not which.isdigit() else f"Mapping {class_name} has no version {which}"
        )
    return found


async def _words_of(conn: Connection, files: Graph, class_name: str, which: str) -> dict[str, Any] | None:
    if which == FILE:
        return form_of(files[class_name]) if class_name in files else None
    if which == EFFECTIVE:
        graph = await load_graph(conn, files)
        return form_of(graph[class_name]) if class_name in graph else None
    if which == DRAFT:
        rows = await queries.list_drafts(conn, class_names=[class_name])
        return _object(rows[0]["body"]) if rows else None
    row = await queries.find_version(conn, class_name=class_name, version=int(which))
    return _object(row["body"]) if row else None


async def load_graph_with_draft(conn: Connection, files: Graph, class_name: str) -> dict[str, ClassDefinition]:
    """The graph as it would be with this class's draft, if it has one."""
    graph = await load_graph(conn, files)
    for row in await queries.list_drafts(conn, class_names=[class_name]):
        definition, _ = read_body(_object(row["body"]), row["version"], module_of(files, class_name))
        if definition is not None:
            graph[class_name] = definition
    return graph


async def list_table_versions(conn: Connection, names: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Table name -> its newest version and the fingerprint of what that was built from."""
    rows = await queries.list_table_versions(conn, names=list(names))
    return {row["name"]: (row["version"], row["fingerprint"]) for row in rows}


def normalised(files: Graph, class_name: str, words: Mapping[str, Any]) -> Mapping[str, Any]:
    """The words without what is default, and with the module that they belong to: two wordings that mean the same are equal."""
    definition, problems = read_body(words, 0, module_of(files, class_name))
    return words if definition is None or problems else form_of(definition)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs between two wordings of a class: words of the class, then mappings by column. Pure.

    Each: `column` (None for a word of the class), `word`, `old`, `new`; a mapping that only one side has differs as a whole.
    """
    found = [
        {"column": None, "word": word, "old": old.get(word), "new": new.get(word)}
        for word in sorted((old.keys() | new.keys()) - {"mappings", "className"})
        if old.get(word) != new.get(word)
    ]
    before, after = _by_column(old), _by_column(new)
    for column in sorted(before.keys() | after.keys()):
        left, right = before.get(column), after.get(column)
        if left is None or right is None:
            found.append({"column": column, "word": None, "old": left, "new": right})
            continue
        found += [
            {"column": column, "word": word, "old": left.get(word), "new": right.get(word)}
            for word in sorted((left.keys() | right.keys()) - {"plainColumn"})
            if left.get(word) != right.get(word)
        ]
    return found


def _by_column(words: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(line["plainColumn"]).casefold(): line for line in words.get("mappings", [])}


def _head(name: str, row: Any, definition: ClassDefinition | None) -> Head:
    changes = row["changes"] if row else 0
    return Head(
        name,
        changes + 1,
        row["enabled_version"] if row else None,
        row["draft_version"] if row else None,
        definition,
    )


def _object(text: str) -> dict[str, Any]:
    words: dict[str, Any] = json.loads(text)
    return words
