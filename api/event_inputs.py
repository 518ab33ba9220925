"""What the publish door takes: RU-13's event, without what the token says; one, or a batch of them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, StrictBool, StringConstraints, Tag

from api.inputs import Input, Moment
from api.problems import BATCH_OF_EVENTS, ONE_EVENT
from domain.entities.accepting import MOST_EVENTS, Offered
from domain.fields.paths import PathRefused, parse_path
from schemas.caller import Caller
from schemas.entities import ChangeType, EntityChangeEvent
from schemas.envelope import MAX_CAUSATION
from schemas.models import Code, FieldPath, Identifier, TenantId, Version


def _readable(path: str) -> str:
    try:
        return parse_path(path).text
    except PathRefused as error:
        raise ValueError(str(error)) from None


ReadablePath = Annotated[FieldPath, AfterValidator(_readable)]
Link = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f,]+$")]


class ChangeOfEntity(Input):
    """One change of one entity. `eventId` is yours and stays the same when the event is sent again."""

    event_id: Identifier
    entity_type: Annotated[Code, Field(examples=["LEAD"])]
    entity_id: Identifier
    change_type: ChangeType
    old_values: dict[str, Any] | None = None
    new_values: dict[str, Any] | None = None
    changed_fields: Annotated[tuple[FieldPath, ...], Field(max_length=1_000)] = ()
    changed_by: Identifier | None = None
    tenant_id: Annotated[TenantId | None, Field(description="The token's tenant, if it stands here at all")] = None
    timestamp: Moment
    source: Literal["API", "IMPORT"] = "API"
    entity_version: Annotated[Version | None, Field(strict=True)] = None
    subject_id: Identifier | None = None
    causation: Annotated[
        tuple[Link, ...],
        Field(max_length=MAX_CAUSATION, description="What caused the change: `ce_causation` of the command, and its id"),
    ] = ()

    def offered(self, caller: Caller) -> Offered:
        """The event as every group will read it."""
        given = self.model_dump(exclude={"causation", "tenant_id", "changed_by"})
        tenant, person = self.tenant_id or caller.tenant_id, self.changed_by or caller.user_id
        return Offered(EntityChangeEvent(**given, tenant_id=tenant, changed_by=person), self.causation)


class BatchOfEvents(Input):
    """Several changes; each gets an answer of its own, and one that is refused stops no other."""

    events: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=MOST_EVENTS)]


def _form(body: object) -> str:
    is_batch = isinstance(body, BatchOfEvents) or (isinstance(body, dict) and "events" in body)
    return BATCH_OF_EVENTS if is_batch else ONE_EVENT


Published = Annotated[
    Annotated[ChangeOfEntity, Tag(ONE_EVENT)] | Annotated[BatchOfEvents, Tag(BATCH_OF_EVENTS)],
    Discriminator(_form),
]


class EntityTypePut(Input):
    """What a tenant decides about an entity type. A managed one is changed by commands only, and its events are ours."""

    managed: StrictBool
    stage_field: Annotated[FieldPath | None, Field(description="Left out: the built-in one")] = None
    status_field: Annotated[FieldPath | None, Field(description="Left out: the built-in one")] = None
    sensitive_fields: Annotated[
        tuple[ReadablePath, ...] | None,
        Field(max_length=200, description="Values that nobody is shown. Left out: as they are", examples=[["email", "phone"]]),
    ] = None
