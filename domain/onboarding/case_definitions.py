"""Case definitions (flw_case_def): what may be said in a journey, and what of it a front end sees. Of the release, and rows.

A row is pinned with the flow that names it and wins over a file of the same version, so a journey is checked by the schema that
it began with, whatever a later release says. Nothing is fetched that a schema refers to, and patterns run in linear time.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jsonschema_rs

from domain.lined_yaml import read_lined
from runtime.sql import Connection, load_queries
from schemas.errors import ConfigurationError
from schemas.flows import FlowDefinition

queries = load_queries(Path(__file__).with_name("case_definitions.sql"))

DIRECTORY = Path(__file__).resolve().parents[2] / "definitions" / "case_definitions"
START = "start"
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.:-]*)\.v([1-9][0-9]{0,8})")
_MEMBERS = frozenset({"name", "version", "schema"})


class CaseKey(NamedTuple):
    """Which version of which case definition."""

    name: str
    version: int

    @classmethod
    def of(cls, named: str | None) -> "CaseKey | None":
        """As flows name it: `customer.v1`. None: no such name."""
        found = _NAME.fullmatch(named or "")
        return cls(found[1], int(found[2])) if found else None


@dataclass(frozen=True)
class CaseDefinition:
    """One version, whose schema is sound."""

    key: CaseKey
    schema: Mapping[str, Any] = field(repr=False)
    _validators: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def parts(self) -> frozenset[str]:
        """What transitions may name as `dataSchema`."""
        return frozenset(self.schema.get("$defs", {}))

    def validator(self, part: str | None) -> Any:
        """Of a part, or of the whole case. Raises KeyError for a part that is not there."""
        if part is not None and part not in self.parts:
            raise KeyError(part)
        found = self._validators.get(part or "")
        if found is None:
            schema = self.schema if part is None else {"$ref": f"#/$defs/{part}", "$defs": self.schema["$defs"]}
            found = self._validators[part or ""] = compile_schema(schema)
        return found


def compile_schema(schema: Mapping[str, Any]) -> Any:
    """Raises ValueError: it is no JSON Schema, or refers to something outside. Its words never repeat a value."""
    return jsonschema_rs.Draft202012Validator(
        dict(schema),
        validate_formats=True,
        mask="The value",
        pattern_options=jsonschema_rs.RegexOptions(),
        retriever=_nothing_outside,
    )


def read_document(document: Any) -> CaseDefinition:
    """A definition as somebody wrote it. Raises ValueError with what is wrong."""
    if not isinstance(document, dict) or document.keys() != _MEMBERS:
        raise ValueError("a case definition says name, version and schema, and nothing else")
    key = CaseKey.of(f"{document['name']}.v{document['version']}")
    if key is None:
        raise ValueError("name has letters, digits and _ . : -, version is a number from 1 on")
    if not isinstance(document["schema"], dict):
        raise ValueError("schema is a JSON Schema, an object")
    definition = CaseDefinition(key, document["schema"])
    for part in (None, *sorted(definition.parts)):
        try:
            definition.validator(part)
        except ValueError as error:
            raise ValueError(f"{part or 'schema'}: {str(error).splitlines()[0]}") from error
    return definition


def read_file(path: Path) -> CaseDefinition:
    """A YAML file. Raises ConfigurationError."""
    page = read_lined(path.read_text(encoding="utf-8"))
    if page.faults:
        raise ConfigurationError([f"{path.name}:{fault.line}: {fault.kind}" for fault in page.faults])
    try:
        return read_document(page.content)
    except ValueError as error:
        raise ConfigurationError([f"{path.name}: {error}"]) from error


@lru_cache(maxsize=1)
def released_cases() -> Mapping[CaseKey, CaseDefinition]:
    """The definitions that this release brings. Raises ConfigurationError for a file that is none."""
    found = [read_file(path) for path in sorted(DIRECTORY.glob("*.yaml"))]
    return {definition.key: definition for definition in found}


async def find_case_definition(conn: Connection, tenant_id: str, flow: FlowDefinition) -> CaseDefinition | None:
    """What a flow's journeys are checked by: the pinned row, else the release's. None: the flow names none that there is."""
    key = CaseKey.of(flow.case_definition)
    if key is None:
        return None
    text = await queries.find_case_definition(conn, tenant_id=tenant_id, name=key.name, version=key.version)
    return released_cases().get(key) if text is None else _compiled(key, text)


async def pin_case_definitions(conn: Connection, wanted: Collection[tuple[str, FlowDefinition]], by: str) -> None:
    """Write the released definitions that these flows (tenant, flow) name, where no row has that version yet."""
    keys = {(tenant, key) for tenant, flow in wanted if (key := CaseKey.of(flow.case_definition)) in released_cases()}
    rows = [(tenant, released_cases()[key]) for tenant, key in sorted(keys) if key is not None]
    if rows:
        await _insert(conn, rows, by)


async def import_case_definition(
    conn: Connection, tenant_id: str, definition: CaseDefinition, by: str
) -> Literal["imported", "unchanged", "differs"]:
    """Pin a definition of a tenant's own; a version that is there, in a row or in the release, keeps its words."""
    key = definition.key
    text = await queries.find_case_definition(conn, tenant_id=tenant_id, name=key.name, version=key.version)
    known = released_cases().get(key) if text is None else _compiled(key, text)
    if known is not None and known.schema != definition.schema:
        return "differs"
    return "imported" if await _insert(conn, [(tenant_id, definition)], by) else "unchanged"


async def _insert(conn: Connection, rows: list[tuple[str, CaseDefinition]], by: str) -> int:
    made: int = await queries.insert_case_definitions(
        conn,
        tenant_ids=[tenant for tenant, _ in rows],
        names=[one.key.name for _, one in rows],
        versions=[one.key.version for _, one in rows],
        schemas=[json.dumps(one.schema, ensure_ascii=False) for _, one in rows],
        by=by,
    )
    return made


@lru_cache(maxsize=256)
def _compiled(key: CaseKey, text: str) -> CaseDefinition:
    return CaseDefinition(key, json.loads(text))


def _nothing_outside(uri: str) -> Any:
    raise ValueError("a schema refers to its own parts only")
