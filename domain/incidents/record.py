"""How every part says "a person must look at this": one open row per trouble, counted when it is seen again.

`kind` is a short fixed word, `fingerprint` tells causes of one kind apart, the object says what it is about. None of
them, nor `summary`, `cure` and `detail`, holds payload text: incidents are shown to operators of every tenant.
Runs in the caller's transaction; a trouble that rolls its own transaction back is recorded in another one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from runtime.ids import uuid7
from runtime.sql import Connection, load_queries

queries = load_queries(Path(__file__).with_name("incidents.sql"))


@dataclass(frozen=True, slots=True)
class Incident:
    """What happened and what mends it. An empty `tenant_id` belongs to the system or to a message of unknown tenant."""

    tenant_id: str
    kind: str
    fingerprint: str
    summary: str
    object_type: str = ""
    object_id: str = ""
    cure: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, str, str, str, str]:
        """What makes two sightings the same incident."""
        return (self.tenant_id, self.kind, self.fingerprint, self.object_type, self.object_id)


async def open_incidents(conn: Connection, incidents: Sequence[Incident]) -> None:
    """Open each incident, or count it once more where it is open already; of two sightings the later text stays."""
    if not incidents:
        return
    seen: dict[tuple[str, str, str, str, str], tuple[Incident, int]] = {}
    for incident in incidents:
        _, count = seen.get(incident.identity, (incident, 0))
        seen[incident.identity] = (incident, count + 1)
    # In one order for all writers: two batches that meet on two incidents must not wait for each other.
    rows = [seen[identity] for identity in sorted(seen)]
    await queries.upsert_incidents(
        conn,
        incident_ids=[uuid7() for _ in rows],
        tenant_ids=[incident.tenant_id for incident, _ in rows],
        kinds=[incident.kind for incident, _ in rows],
        fingerprints=[incident.fingerprint for incident, _ in rows],
        object_types=[incident.object_type for incident, _ in rows],
        object_ids=[incident.object_id for incident, _ in rows],
        summaries=[incident.summary for incident, _ in rows],
        cures=[incident.cure for incident, _ in rows],
        details=[json.dumps(dict(incident.detail), default=str) for incident, _ in rows],
        counts=[count for _, count in rows],
    )


async def open_incident(
    conn: Connection,
    *,
    tenant_id: str,
    kind: str,
    fingerprint: str,
    summary: str,
    object_type: str = "",
    object_id: str = "",
    cure: str = "",
    detail: Mapping[str, object] | None = None,
) -> UUID:
    """Open one incident or count it once more; the id of the open row."""
    incident = Incident(tenant_id, kind, fingerprint, summary, object_type, object_id, cure, detail or {})
    await open_incidents(conn, [incident])
    found: UUID = await queries.find_open_incident(
        conn, tenant_id=tenant_id, kind=kind, fingerprint=fingerprint, object_type=object_type, object_id=object_id
    )
    return found


async def close_incidents(conn: Connection, over: Sequence[tuple[str, str, str, str]], by: str) -> None:
    """The trouble of these (tenant, kind, object type, object id) ended by itself."""
    if over:
        names = ("tenant_ids", "kinds", "object_types", "object_ids")
        await queries.resolve_of_objects(
            conn, **dict(zip(names, map(list, zip(*sorted(over), strict=True)), strict=True)), resolved_by=by
        )
