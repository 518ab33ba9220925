"""Work item commands and events (S3, WI-2, WI-4): ids, codes and times only in events, never free text."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.entities import EntityReference
from schemas.models import Code, Count, EventIdentity, Identifier, Instant, Payload, Text, Version

Status = Literal[
    "draft",
    "open",
    "in_progress",
    "waiting_internal",
    "waiting_customer",
    "waiting_external",
    "resolved",
    "closed",
    "canceled",
    "rejected",
    "archived",
]
Action = Literal[
    "Create",
    "Submit",
    "Assign",
    "StartWork",
    "SetWaitingInternal",
    "SetWaitingCustomer",
    "SetWaitingExternal",
    "BackToInProgress",
    "Resolve",
    "Close",
    "Cancel",
    "Reject",
    "Reopen",
    "AutoCloseFromWorkflow",
    "Archive",
]
Source = Literal["CRM_UI", "WORKFLOW_ENGINE", "RULE", "KAFKA", "IMPORT"]
Coupling = Literal["strong", "loose"]
Priority = Literal["low", "medium", "high", "critical"]


class CreateWorkItem(Payload):
    """Create an item: a draft, then Submit unless `draft` (WI-4). `workItemId` is the caller's UUID.

    `relatedTo` is the entity that it is about: actions on the item count as that entity's activity.
    """

    TYPE: ClassVar[str] = "CreateWorkItem"
    work_item_id: Identifier
    title: Annotated[Text, Field(min_length=1, max_length=500)]
    description: Annotated[Text, Field(max_length=20_000)] | None = None
    note: Annotated[Text, Field(max_length=4_000)] | None = None
    request_type: Code | None = None
    activity_area: Code | None = None
    business_group: Code | None = None
    process: Code | None = None
    priority: Priority = "medium"
    scope: Code | None = None
    due_at: Instant | None = None
    assignee_id: Identifier | None = None
    follower_ids: Annotated[tuple[Identifier, ...], Field(max_length=100)] = ()
    draft: bool = False
    occurred_at: Instant | None = None
    requested_by: Identifier | None = None
    related_to: EntityReference | None = None


class ApplyAction(Payload):
    """Move an item through the state machine (WI-3). `action` stays text: an unknown one is refused, not parked."""

    TYPE: ClassVar[str] = "ApplyAction"
    work_item_id: Identifier
    action: Annotated[Text, Field(min_length=1, max_length=100)]
    note: Annotated[Text, Field(max_length=4_000)] | None = None
    new_assignee_id: Identifier | None = None
    expected_status: Annotated[Text, Field(max_length=50)] | None = None
    expected_version: Version | None = None
    cycle: Count | None = None
    occurred_at: Instant | None = None
    requested_by: Identifier | None = None


class _WorkItemEvent(Payload):
    work_item_id: Identifier
    version: Version
    cycle: Count = 0
    changed_by: Identifier
    changed_at: Instant
    source: Source


class WorkItemDraftSaved(_WorkItemEvent):
    """A draft was saved; nobody works on it yet and no workflow starts."""

    TYPE: ClassVar[str] = "WorkItemDraftSaved"
    priority: Priority
    process: Code | None = None
    request_type: Code | None = None
    activity_area: Code | None = None
    business_group: Code | None = None
    scope: Code | None = None
    due_at: Instant | None = None
    assignee_id: Identifier | None = None


class WorkItemCreated(WorkItemDraftSaved):
    """The item was sent (Submit): a workflow instance starts (WI-4). Followed by its WORK_ITEM_STATUS_CHANGED."""

    TYPE: ClassVar[str] = "WORK_ITEM_CREATED"
    coupling: Coupling = "strong"


class WorkItemStatusChanged(_WorkItemEvent):
    """The status moved (WI-2). `notifyWorkflow`: a coupled instance must follow (WI-6). `process`: the item's template."""

    TYPE: ClassVar[str] = "WORK_ITEM_STATUS_CHANGED"
    old_status: Status
    new_status: Status
    action: Action
    notify_workflow: bool = False
    coupling: Coupling = "strong"
    process: Code | None = None


class WorkItemAssigned(_WorkItemEvent):
    """The assignee changed, with or without a status change (trap 45)."""

    TYPE: ClassVar[str] = "WorkItemAssigned"
    old_assignee_id: Identifier | None = None
    new_assignee_id: Identifier | None = None


class WorkItemFieldsChanged(_WorkItemEvent):
    """Fields were edited without a status change (WI-5): names of all, values of the coded ones."""

    TYPE: ClassVar[str] = "WorkItemFieldsChanged"
    changed_fields: Annotated[tuple[Code, ...], Field(max_length=100)]
    priority: Priority | None = None
    due_at: Instant | None = None
    process: Code | None = None
    request_type: Code | None = None
    activity_area: Code | None = None
    business_group: Code | None = None
    scope: Code | None = None


class WorkItemActionRefused(Payload):
    """The answer to a Kafka command that the state machine refused. It carries no sequence: the item did not change."""

    TYPE: ClassVar[str] = "WORK_ITEM_ACTION_REFUSED"
    work_item_id: Identifier
    # As the command's envelope gave them: wider than our own ids.
    command_source: EventIdentity
    command_id: EventIdentity
    # None: a CreateWorkItem, or a name that is no code and might be text about a person.
    action: Code | None = None
    code: Code
    status: Status | None = None
    version: Version | None = None
    allowed_next_actions: Annotated[tuple[Action, ...], Field(max_length=20)] = ()
    refused_at: Instant
