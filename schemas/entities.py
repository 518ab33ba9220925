"""EntityChangeEvent (RU-13): what an upstream business system says about one of its entities."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.models import Code, FieldPath, Identifier, Instant, Payload, TenantId


class EntityChangeEvent(Payload):
    """One change of one entity. `tenantId` must equal the envelope's tenant; `eventId` its id."""

    TYPE: ClassVar[str] = "EntityChangeEvent"
    event_id: Identifier
    entity_type: Code
    entity_id: Identifier
    change_type: Literal["CREATE", "UPDATE", "DELETE"]
    old_values: dict[str, Any] | None = None
    new_values: dict[str, Any] | None = None
    changed_fields: Annotated[tuple[FieldPath, ...], Field(max_length=1_000)] = ()
    changed_by: Identifier | None = None
    tenant_id: TenantId
    timestamp: Instant
    source: Literal["API", "IMPORT", "WORKFLOW"] = "API"
