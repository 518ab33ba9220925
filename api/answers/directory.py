"""Answers about the directory and incidents."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from api.answers.building_blocks import Answer


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


class RetryAnswer(Answer):
    """What the retry did or ordered."""

    incident_id: UUID
    outcome: str
