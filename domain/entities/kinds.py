"""Entity types as a tenant has described them: stage and status field, and whether we manage the type."""

from collections.abc import Iterable, Sequence
from typing import Any

from domain.audit import append
from domain.entities.entity import EntityKind, default_kind
from domain.fields.sensitive import Sensitive, sensitive_of
from runtime.sql import Connection, load_queries

queries = load_queries(__file__)

# (tenant, entity type)
KindKey = tuple[str, str]


async def find_kinds(conn: Connection, wanted: Iterable[KindKey]) -> dict[KindKey, EntityKind]:
    """Every wanted type: as described, else as built in."""
    keys = sorted(set(wanted))
    rows = (
        await queries.find_kinds(
            conn, tenant_ids=[tenant for tenant, _ in keys], entity_types=[entity_type for _, entity_type in keys]
        )
        if keys
        else []
    )
    described = {
        (row["tenant_id"], row["entity_type"]): EntityKind(
            row["stage_field"], row["status_field"], row["managed_since"], sensitive_of(row["sensitive_fields"])
        )
        for row in rows
    }
    return {key: described.get(key) or default_kind(key[1]) for key in keys}


async def sensitive_fields(conn: Connection, tenant_id: str, entity_type: str) -> Sensitive:
    """The fields of a type whose values nobody is shown."""
    key = (tenant_id, entity_type)
    return (await find_kinds(conn, [key]))[key].sensitive


async def list_kinds(
    conn: Connection, tenant_id: str, *, after: str | None = None, page_size: int = 100
) -> list[dict[str, Any]]:
    """One page of a tenant's described types by name."""
    return [dict(row) for row in await queries.list_kinds(conn, tenant_id=tenant_id, after=after, page_size=page_size)]


async def put_kind(
    conn: Connection,
    tenant_id: str,
    entity_type: str,
    *,
    managed: bool,
    stage_field: str | None = None,
    status_field: str | None = None,
    sensitive_fields: Sequence[str] | None = None,
    actor: str,
) -> dict[str, Any]:
    """Describe a type; a stage or status field left out is the built-in one, sensitive fields left out stay as they are.

    `sensitive_fields`: paths that can be read. Raises asyncpg.ForeignKeyViolationError for an unknown tenant.
    """
    built_in = default_kind(entity_type)
    row = await queries.put_kind(
        conn,
        tenant_id=tenant_id,
        entity_type=entity_type,
        stage_field=stage_field or built_in.stage_field,
        status_field=status_field or built_in.status_field,
        managed=managed,
        sensitive_fields=None if sensitive_fields is None else list(sensitive_fields),
        updated_by=actor,
    )
    await append(
        conn,
        tenant_id=tenant_id,
        actor=actor,
        action="entity-type.put",
        object_type="entity_type",
        object_id=entity_type,
        detail={
            "managed": managed,
            "stageField": row["stage_field"],
            "statusField": row["status_field"],
            "sensitiveFields": row["sensitive_fields"],
        },
    )
    return dict(row)
