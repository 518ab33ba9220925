"""What callers may send: bodies and parameters. Unknown fields are refused, so that a typing error is no silent loss.

Tenant, user and source never stand in a body: they come from the token.
"""

import re
from datetime import date
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import available_timezones

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from domain.work_items.transitions import Role
from schemas.cases import BusinessKey, CaseState, ClassName
from schemas.models import Code, Identifier, Instant, Text
from schemas.work_items import Priority

_ZONES = frozenset(available_timezones())
_LARGEST_VERSION = 2**63 - 1


# pydantic would also take numbers, and texts that look like numbers, as seconds since 1970.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _as_text(value: object) -> object:
    if not isinstance(value, str) or not _DAY.match(value):
        raise PydanticCustomError("rfc3339", "Input should be a text as in RFC 3339, like 2026-04-30T09:00:00+07:00")
    return value


Moment = Annotated[Instant, BeforeValidator(_as_text)]
Day = Annotated[date, BeforeValidator(_as_text)]


class Input(BaseModel):
    """Base of every body: camelCase on the wire, nothing unknown."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class AboutEntity(Input):
    """The entity that something is about, by type and id."""

    entity_type: Annotated[Code, Field(examples=["LEAD"])]
    entity_id: Identifier


class NewWorkItem(Input):
    """The create screen (S3 12.1). `draft` saves without sending; `workItemId` may be chosen by the caller. Actions on an
    item that names an entity in `relatedTo` count as that entity's activity."""

    work_item_id: UUID | None = None
    title: Annotated[Text, Field(min_length=1, max_length=500)]
    description: Annotated[Text, Field(max_length=20_000)] | None = None
    note: Annotated[Text, Field(max_length=4_000)] | None = None
    request_type: Code | None = None
    activity_area: Code | None = None
    business_group: Code | None = None
    process: Code | None = None
    priority: Priority = "medium"
    scope: Code | None = None
    due_at: Moment | None = None
    assignee_id: Identifier | None = None
    follower_ids: Annotated[tuple[Identifier, ...], Field(max_length=100)] = ()
    related_to: AboutEntity | None = None
    draft: StrictBool = False
    occurred_at: Moment | None = None


class ActionRequest(Input):
    """The document's request (S3 7.1.1), with the caller's view of the item and, for imports, the time it happened."""

    action: Annotated[Text, Field(min_length=1, max_length=100, examples=["SetWaitingCustomer"])]
    note: Annotated[Text, Field(max_length=4_000)] | None = None
    new_assignee_id: Identifier | None = None
    expected_status: Annotated[Text, Field(max_length=50)] | None = None
    expected_version: Annotated[StrictInt, Field(ge=1, le=_LARGEST_VERSION)] | None = None
    occurred_at: Moment | None = None


class NewSnapshot(Input):
    """A persist point (UC-01): every variable of the case as it is now, and what the class tree asks for."""

    class_name: Annotated[ClassName, Field(examples=["com.app.OrderCase"])]
    subject_id: Identifier
    variables: dict[str, Any]
    business_key: BusinessKey | None = None
    state: CaseState | None = None
    process_instance_id: Identifier | None = None
    process_definition_id: Identifier | None = None
    parent_instance_id: Identifier | None = None
    expected_version: Annotated[StrictInt, Field(ge=0, le=_LARGEST_VERSION)] | None = None


def _hide_default(schema: dict[str, object]) -> None:
    # Absent means "as it is"; the model's default is never used.
    schema.pop("default", None)


_UNCHANGED = {"json_schema_extra": _hide_default}


class FieldChanges(Input):
    """Fields to change without the state machine (WI-5): absent stays, null clears."""

    title: Annotated[Text, Field(min_length=1, max_length=500, **_UNCHANGED)] = "-"
    description: Annotated[Text, Field(max_length=20_000)] | None = None
    note: Annotated[Text, Field(max_length=4_000)] | None = None
    request_type: Code | None = None
    activity_area: Code | None = None
    business_group: Code | None = None
    process: Code | None = None
    priority: Annotated[Priority, Field(**_UNCHANGED)] = "medium"
    scope: Code | None = None
    due_at: Moment | None = None
    assignee_id: Identifier | None = None
    follower_ids: Annotated[tuple[Identifier, ...], Field(max_length=100, **_UNCHANGED)] = ()

    def given(self) -> dict[str, object]:
        """The fields that stand in the body."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class NewComment(Input):
    """A comment on a work item."""

    body: Annotated[Text, Field(min_length=1, max_length=20_000)]


class Resolution(Input):
    """Why an incident is closed."""

    resolution: Annotated[Text, Field(min_length=1, max_length=1_000)]


def _zone(name: str) -> str:
    if name not in _ZONES:
        raise ValueError("not a time zone of the IANA database")
    return name


class TenantPut(Input):
    """A tenant: its zone and holidays count for due dates and timers."""

    name: Annotated[Text, Field(min_length=1, max_length=200)]
    zone: Annotated[str, Field(max_length=100, examples=["Asia/Ho_Chi_Minh"]), AfterValidator(_zone)] = "UTC"
    holidays: Annotated[tuple[Day, ...], Field(max_length=1000)] = ()


class UserPut(Input):
    """A user, and what he may do."""

    display_name: Annotated[Text, Field(min_length=1, max_length=200)]
    roles: Annotated[tuple[Role, ...], Field(max_length=20)] = ()
    active: StrictBool | None = None


class TeamPut(Input):
    """A team; the listed members are added."""

    name: Annotated[Text, Field(min_length=1, max_length=200)]
    member_ids: Annotated[tuple[Identifier, ...], Field(max_length=1000)] = ()
    active: StrictBool | None = None


_NAME = r"^[^\x00-\x1f\x7f|]+$"
WorkItemId = Annotated[UUID, Path(description="Id of the work item")]
CaseId = Annotated[str, Path(min_length=1, max_length=200, pattern=_NAME, description="Id of the case")]
IncidentId = Annotated[UUID, Path(description="Id of the incident")]
UserId = Annotated[str, Path(min_length=1, max_length=200, pattern=_NAME, description="Id of the user")]
TeamId = Annotated[str, Path(min_length=1, max_length=200, pattern=_NAME, description="Id of the team")]
Limit = Annotated[int, Query(ge=1, le=200, description="Rows per page; the server may give fewer")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`nextCursor` of the page before")]
