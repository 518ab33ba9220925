"""Answers about journeys."""

from datetime import datetime
from typing import Any
from uuid import UUID

from api.answers.building_blocks import Answer
from domain.interactions.interaction import Status as InteractionStatus
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


class InteractionView(Answer):
    """S0: all that a front end is told. `case` is what is known of the person, masked; `stepName` is what to show him."""

    interaction_id: UUID
    step_name: str
    status: InteractionStatus
    case: dict[str, Any]


class InteractionNoticed(Answer):
    """`applied` false: the call had its answer before, or no call was named."""

    interaction_id: UUID
    step_name: str
    status: InteractionStatus
    applied: bool


class DataAccess(Answer):
    """Who viewed or changed which data of a person. `fields` are names; `reason` where one was asked for."""

    access_id: UUID
    at: datetime
    actor: str
    action: str
    object_type: str
    object_id: str
    subject_id: str
    fields: list[str]
    reason: str | None


class DataAccessPage(Answer):
    """Latest first."""

    items: list[DataAccess]
    next_cursor: str | None
