"""Answers of the operators' pages of onboarding (WF-15)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from api.answers.building_blocks import Answer
from domain.onboarding.reads import Lane
from domain.onboarding.supervising import Operation
from schemas.workflow_events import Status


class TenantCount(Answer):
    """One tenant: the caller's."""

    tenant_id: str
    live: int
    ended_last_day: int


class StatusCount(Answer):
    """Live instances in a status."""

    status: Status
    count: int


class FlowCount(Answer):
    """Live instances of a version of a flow."""

    flow: str
    flow_version: int
    count: int


class StateCount(Answer):
    """Live instances in a state."""

    flow: str
    state: str
    count: int


class EndedCount(Answer):
    """Instances that ended within a day."""

    flow: str
    status: Status
    count: int


class TroubleCount(Answer):
    """Open incidents of one cause: what a bulk retry names."""

    kind: str
    fingerprint: str
    count: int


class HourCount(Answer):
    """One hour of the last day in which something was."""

    hour: datetime
    recoveries: int
    incidents: int


class OnboardingDashboard(Answer):
    """`complete` false: there is more of something than is counted."""

    at: datetime
    tenants: list[TenantCount]
    statuses: list[StatusCount]
    flows: list[FlowCount]
    states: list[StateCount]
    ended: list[EndedCount]
    open_incidents: list[TroubleCount]
    hours: list[HourCount]
    recoveries_last_hour: int
    incidents_last_hour: int
    recovery_alert: bool
    complete: bool


class InstanceSummary(Answer):
    """One line of the list."""

    instance_id: str
    flow: str
    flow_version: int
    user_id: str
    status: Status
    current_state: str
    version: int
    started_at: datetime
    entered_at: datetime | None
    expires_at: datetime | None
    ended_at: datetime | None


class InstancePage(Answer):
    """Newest first; pages count from 0. `more`: there is a next page."""

    items: list[InstanceSummary]
    page: int
    size: int
    more: bool


class AttemptView(Answer):
    """One attempt of a step; `undoes` names the step that it compensates."""

    step: int
    attempt: int
    state: str
    action: str
    handler: str
    undoes: int | None
    status: str
    code: str | None
    started_at: datetime
    due_at: datetime | None
    ended_at: datetime | None


class StepView(Answer):
    """The step under way."""

    step: int
    attempt: int
    state: str
    action: str
    handler: str
    status: str
    undoes: int | None
    attempt_due: datetime | None
    retry_due: datetime | None
    total_due: datetime | None


class ReviewTaskOfInstance(Answer):
    """The task that is open."""

    task: int
    group: str
    step: int | None
    work_item_id: str
    editable: list[str]


class ProposalView(Answer):
    """Other input for a compensation that failed, in the event of this number."""

    proposal: int
    by: str


class InstanceIncident(Answer):
    """An incident about an instance."""

    incident_id: UUID
    kind: str
    fingerprint: str
    instance_id: str
    summary: str
    cure: str
    state: str
    first_seen: datetime
    last_seen: datetime
    seen_count: int
    resolved_at: datetime | None
    resolved_by: str | None
    detail: dict[str, Any]


class InstanceIncidentPage(Answer):
    """One page of incidents."""

    items: list[InstanceIncident]
    next_cursor: str | None


class InstanceDetail(InstanceSummary):
    """One instance, without anything that a person said. `toUndo`: steps that an ending would compensate, in that order."""

    work_item_id: str | None
    cycle: int
    step: StepView | None
    to_undo: list[str]
    review: ReviewTaskOfInstance | None
    proposal: ProposalView | None
    attempts: list[AttemptView]
    incidents: list[InstanceIncident]
    allowed_operations: list[Operation]


class TimelineEntry(Answer):
    """One event of the history. `says` is the event without what a person said; a sealed reason is `sealed`."""

    number: int
    at: datetime
    lane: Lane
    type: str
    says: dict[str, Any]


class Timeline(Answer):
    """One page of a history."""

    items: list[TimelineEntry]
    next_cursor: str | None


class GraphNode(Answer):
    """A state. `notes`: review group, SLA, persist point."""

    name: str
    initial: bool
    end: str | None
    notes: str | None


class GraphEdge(Answer):
    """A way between states. `failing`: of an outcome, a failure or a decision other than success."""

    source: str
    target: str
    label: str
    failing: bool


class FlowGraph(Answer):
    """A version of a flow as a graph; `mermaid` is the same as a state diagram."""

    flow: str
    version: int
    title: str | None
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    mermaid: str
