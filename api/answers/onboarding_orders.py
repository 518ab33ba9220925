"""Answers to operators' orders about journeys, and about review tasks (IN-9)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from api.answers.building_blocks import Answer
from domain.onboarding.flows.migrating import Verdict
from domain.onboarding.migrating import Result as Moving
from domain.onboarding.troubles import Kind, Result
from schemas.workflow_events import Status


class InstanceOperated(Answer):
    """`changed` false: it was so already."""

    instance_id: str
    status: Status
    current_state: str
    version: int
    changed: bool


class ReasonGiven(Answer):
    """Why somebody ordered or decided something."""

    number: int
    at: datetime
    type: str
    by: str | None
    reason: str


class TriedIncident(Answer):
    """What became of one instance of a bulk order."""

    incident_id: UUID
    instance_id: str
    result: Result
    code: str | None
    message: str | None


class BulkRetried(Answer):
    """Every instance that was tried. `more`: there are further ones of this cause; repeat the order."""

    kind: Kind
    fingerprint: str
    retried: int
    refused: int
    failed: int
    not_tried: int
    more: bool
    results: list[TriedIncident]


class StateFit(Answer):
    """One state of the old version. `passed`: nobody ever waits there."""

    state: str
    to: str
    verdict: Verdict
    reason: str


class MovedInstance(Answer):
    """What became of one instance, or in a dry run would. `code` and `message`: why it stays."""

    instance_id: str
    result: Moving
    state: str
    code: str | None
    message: str | None


class Migrated(Answer):
    """`plan`: state by state. `unknownStates`: that the mapping names and the old version does not have. `lostCompensations`:
    that the new version does not declare. `next`: send it as `after` for the next page."""

    flow: str
    from_version: int
    to_version: int
    dry_run: bool
    plan: list[StateFit]
    unknown_states: list[str]
    lost_compensations: list[str]
    fits: int
    moved: int
    stays: int
    results: list[MovedInstance]
    next: str | None


class DivergenceView(Answer):
    """The first event and field in which the history and the decision part."""

    number: int
    command: str
    expected: str
    found: str
    field: str | None


class ReplayAnswer(Answer):
    """A history decided again. `rowDiffers`: the stored row is not the fold of its history."""

    instance_id: str
    sound: bool
    events: int
    decisions: int
    status: Status | None
    current_state: str | None
    row_differs: bool
    divergence: DivergenceView | None


class ReviewView(Answer):
    """A review task. `itemStatus` null: its work item is still being made."""

    work_item_id: str
    instance_id: str
    task: int
    group: str
    flow: str
    flow_version: int
    current_state: str
    opened_at: datetime
    closed: bool
    item_status: str | None
    assignee_id: str | None


class ReviewPage(Answer):
    """One page of a queue, oldest first."""

    items: list[ReviewView]
    next_cursor: str | None


class ReviewFields(Answer):
    """By name, the fields that the reviewer may edit; null: nothing is known of one."""

    fields: dict[str, Any]
