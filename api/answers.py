"""What callers get back: the models that the OpenAPI document shows and that schemathesis holds every answer against.

Answers are built by the routes; nothing is validated on the way out.
"""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from schemas.work_items import Action, Coupling, Priority, Source, Status


class Answer(BaseModel):
    """Base of every answer: camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class FieldError(Answer):
    """One finding: a JSON pointer into the body, or the name of a parameter."""

    pointer: str | None = None
    parameter: str | None = None
    place: str | None = Field(None, alias="in")
    code: str
    message: str


class ProblemBody(Answer):
    """RFC 9457, with the documents' `error` and `message`."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", title="Problem")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    trace_id: str
    error: str
    message: str
    errors: list[FieldError] | None = None
    action: str | None = None
    current_status: Status | None = None
    current_version: int | None = None
    allowed_next_actions: list[Action] | None = None


class ActionAnswer(Answer):
    """The document's reply (S3 7.1.2), with the item's version and cycle."""

    work_item_id: UUID
    old_status: Status
    new_status: Status
    status_changed: bool
    display_status: str
    allowed_next_actions: list[Action]
    version: int
    cycle: int


class WorkItemSummary(Answer):
    """A work item in a list."""

    work_item_id: UUID
    status: Status
    display_status: str
    allowed_next_actions: list[Action]
    version: int
    cycle: int
    coupling: Coupling
    title: str
    request_type: str | None
    activity_area: str | None
    business_group: str | None
    process: str | None
    priority: Priority
    scope: str | None
    due_at: datetime | None
    assignee_id: str | None
    source: Source
    occurred_at: datetime
    last_action_at: datetime
    closed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class LabelView(Answer):
    """A name in Vietnamese and English."""

    vi: str
    en: str


class ControlView(Answer):
    """A control of the process screen at this item: disabled where status or roles allow nothing (WI-9)."""

    key: str
    kind: Literal["option", "button"]
    label: LabelView
    action: Action | None
    target_status: Status | None
    enabled: bool


class WorkItemView(WorkItemSummary):
    """A work item with its texts and the controls of its screen, for the caller's roles."""

    description: str | None
    note: str | None
    follower_ids: list[str]
    created_by: str
    updated_by: str
    controls: list[ControlView]


class WorkItemPage(Answer):
    """One page of a list; `nextCursor` is null on the last one."""

    items: list[WorkItemSummary]
    next_cursor: str | None


class StateChange(Answer):
    """One row of the state history."""

    position: int
    from_status: Status | None
    to_status: Status
    action: Action
    by_user: str
    assignee_id: str | None
    note: str | None
    source: Source
    occurred_at: datetime
    created_at: datetime


class StateHistoryPage(Answer):
    """One page of a work item's state history, oldest first."""

    items: list[StateChange]
    next_cursor: str | None


class CommentView(Answer):
    """A comment."""

    comment_id: UUID
    body: str
    by_user: str
    source: Source
    created_at: datetime


class CommentPage(Answer):
    """One page of a work item's comments, oldest first."""

    items: list[CommentView]
    next_cursor: str | None


class TaxonomyEntry(Answer):
    """One choice of the create screen; a group names its area, a process its group and coupling."""

    code: str
    label: LabelView
    area: str | None = None
    group: str | None = None
    coupling: Coupling | None = None


class StatusView(Answer):
    """A status with its labels and what a person may do next."""

    status: Status
    label: LabelView
    allowed_next_actions: list[Action]


class ControlRule(Answer):
    """A control of the process screen: the action it means, by the item's current status (WI-9)."""

    key: str
    kind: Literal["option", "button"]
    label: LabelView
    actions: dict[Status, Action]
    target_statuses: dict[Status, Status]


class TaxonomyAnswer(Answer):
    """Everything that the create and process screens need to draw themselves."""

    request_types: list[TaxonomyEntry]
    activity_areas: list[TaxonomyEntry]
    business_groups: list[TaxonomyEntry]
    processes: list[TaxonomyEntry]
    scopes: list[TaxonomyEntry]
    priorities: list[TaxonomyEntry]
    statuses: list[StatusView]
    controls: list[ControlRule]


class EditAnswer(Answer):
    """The item's version after an edit of its fields."""

    work_item_id: UUID
    version: int
    changed_fields: list[str]


class RetryAnswer(Answer):
    """What the retry did or ordered."""

    incident_id: UUID
    outcome: str


class TenantView(Answer):
    """The caller's tenant."""

    tenant_id: str
    name: str
    zone: str
    holidays: list[date]
    active: bool
    created_at: datetime


class UserView(Answer):
    """A user of the caller's tenant."""

    user_id: str
    display_name: str
    active: bool
    roles: list[str]
    created_at: datetime
    updated_at: datetime


class UserWritten(Answer):
    """The user that was added or changed."""

    user_id: str


class TeamWritten(Answer):
    """The team that was added or changed."""

    team_id: str


class UserPage(Answer):
    """One page of users."""

    items: list[UserView]
    next_cursor: str | None


class TeamView(Answer):
    """A team of the caller's tenant with its members."""

    team_id: str
    name: str
    active: bool
    member_ids: list[str]
    created_at: datetime


class TeamPage(Answer):
    """One page of teams."""

    items: list[TeamView]
    next_cursor: str | None


class IncidentView(Answer):
    """An incident: what happened, how often, and what mends it."""

    incident_id: UUID
    kind: str
    fingerprint: str
    object_type: str
    object_id: str
    summary: str
    cure: str
    detail: dict[str, object]
    state: Literal["open", "resolved"]
    first_seen: datetime
    last_seen: datetime
    seen_count: int
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class IncidentPage(Answer):
    """One page of incidents, latest sighting first."""

    items: list[IncidentView]
    next_cursor: str | None


class Checks(Answer):
    """What readiness depends on."""

    database: Literal["ok", "failed"]
    keys: Literal["ok", "failed"]


class Health(Answer):
    """A probe's answer; `checks` only in the verbose form."""

    status: Literal["ok", "unavailable"]
    checks: Checks | None = None
