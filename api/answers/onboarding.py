"""Answers about journeys."""

from datetime import datetime
from uuid import UUID

from api.answers.building_blocks import Answer
from schemas.workflow_events import Status


class OnboardingMoved(Answer):
    """WF-14: where the journey stands after a start or an action."""

    instance_id: str
    current_state: str
    status: Status
    version: int
    message: str


class OnboardingStatus(Answer):
    """Where a journey stands. `nextActions`: what the caller can do from here."""

    instance_id: str
    current_state: str
    status: Status
    version: int
    flow: str
    flow_version: int
    started_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    next_actions: list[str]


class StepAnswered(Answer):
    """A call of a step and whether this answer counted: `applied` is false when it had one before."""

    effect_id: UUID
    instance_id: str
    step: int
    attempt: int
    applied: bool
