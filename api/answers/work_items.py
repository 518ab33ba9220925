"""Answers about work items and the screens that show them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from api.answers.building_blocks import Answer, LabelView
from schemas.work_items import Action, Coupling, Priority, Source, Status


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


class EditAnswer(Answer):
    """The item's version after an edit of its fields."""

    work_item_id: UUID
    version: int
    changed_fields: list[str]


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
