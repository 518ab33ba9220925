"""EntityChangeEvent (RU-13): what a business system says about one of its entities, and the commands to an entity's owner.

The owner of an entity type is its upstream, or this system where the tenant has made the type `managed`. Commands are
idempotent by `commandId`, which stays the same however often one is sent.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from schemas.models import Code, FieldPath, Identifier, Instant, Payload, TenantId, Text, Version

ChangeType = Literal["CREATE", "UPDATE", "DELETE"]
ChangeSource = Literal["API", "IMPORT", "WORKFLOW"]
ShortText = Annotated[Text, Field(min_length=1, max_length=200)]

ACTIVITY = "ACTIVITY"
# Where a person's data lies under: what a shred names when the event names no subject of its own.
SUBJECT_SEPARATOR = "/"


class EntityChangeEvent(Payload):
    """One change of one entity. `tenantId` must equal the envelope's tenant; `eventId` its id.

    `entityVersion` is the upstream's own count of the entity's changes: who sends it sends the whole entity in `newValues`,
    and its events may then come in any order. `subjectId` names the person whom the values are about; without it the
    entity itself (`LEAD/42`) is the subject that a shred erases.
    """

    TYPE: ClassVar[str] = "EntityChangeEvent"
    event_id: Identifier
    entity_type: Code
    entity_id: Identifier
    change_type: ChangeType
    old_values: dict[str, Any] | None = None
    new_values: dict[str, Any] | None = None
    changed_fields: Annotated[tuple[FieldPath, ...], Field(max_length=1_000)] = ()
    changed_by: Identifier | None = None
    tenant_id: TenantId
    timestamp: Instant
    source: ChangeSource = "API"
    entity_version: Version | None = None
    subject_id: Identifier | None = None


class EntityReference(BaseModel):
    """Another entity, by type and id."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)
    entity_type: Code
    entity_id: Identifier


class EntityCommand(Payload):
    """What every command to an entity's owner says."""

    command_id: Identifier
    entity_type: Code
    entity_id: Identifier
    requested_by: Identifier | None = None


class UpdateField(EntityCommand):
    """Set one field to a JSON value; no value clears it. Dots lead into objects: `address.city`."""

    TYPE: ClassVar[str] = "UpdateField"
    field: FieldPath
    value: Any = None


class ChangeStage(EntityCommand):
    """Move the entity to a stage: the value of its type's stage field."""

    TYPE: ClassVar[str] = "ChangeStage"
    stage: ShortText


class ChangeStatus(EntityCommand):
    """Give the entity a status: the value of its type's status field."""

    TYPE: ClassVar[str] = "ChangeStatus"
    status: ShortText


class AddTag(EntityCommand):
    """Put a tag at the end of the list `tags`, unless it is there."""

    TYPE: ClassVar[str] = "AddTag"
    tag: ShortText


class RemoveTag(EntityCommand):
    """Take a tag out of the list `tags`."""

    TYPE: ClassVar[str] = "RemoveTag"
    tag: ShortText


class AssignTo(EntityCommand):
    """Give the entity to a person, whose id goes into `field`."""

    TYPE: ClassVar[str] = "AssignTo"
    assignee_id: Identifier
    field: FieldPath = "assignedTo"


class CreateActivity(EntityCommand):
    """Create an entity of type `entityType` (ACTIVITY), under the id that the sender chose. `relatedTo`: what it is about."""

    TYPE: ClassVar[str] = "CreateActivity"
    subject: Annotated[Text, Field(min_length=1, max_length=500)]
    description: Annotated[Text, Field(max_length=20_000)] | None = None
    activity_type: Code | None = None
    priority: Code | None = None
    due_date: Instant | None = None
    assigned_to: Identifier | None = None
    related_to: EntityReference | None = None


def subject_of(entity_type: str, entity_id: str) -> str:
    """The subject of an entity whose events name none."""
    return f"{entity_type}{SUBJECT_SEPARATOR}{entity_id}"


def reference_in(value: object) -> EntityReference | None:
    """The reference that a value of an entity is; its id may be a whole number there. None: it is none."""
    if not isinstance(value, dict):
        return None
    entity_id = value.get("entityId")
    if isinstance(entity_id, int) and not isinstance(entity_id, bool):
        entity_id = str(entity_id)
    try:
        return EntityReference.model_validate({"entityType": value.get("entityType"), "entityId": entity_id})
    except ValidationError:
        return None


def contradiction(tenant: str, event_id: str, change: EntityChangeEvent) -> str | None:
    """How the change contradicts its envelope's tenant and id, or None. Every group on the topic parks such an event."""
    if change.tenant_id != tenant:
        return "tenantId differs from the envelope's tenant: send each tenant's changes under its own name"
    if change.event_id != event_id:
        return "eventId differs from the envelope's id: send the same id in both"
    return None
