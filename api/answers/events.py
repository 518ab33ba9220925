"""Answers about published entity changes and entity types."""

from datetime import datetime
from typing import Literal

from api.answers.building_blocks import Answer, ProblemBody


class EventAnswer(Answer):
    """What became of one event, in the order in which they were sent."""

    event_id: str | None
    status: Literal["accepted", "duplicate", "refused"]
    problem: ProblemBody | None = None


class EventsPublished(Answer):
    """What became of all of them."""

    items: list[EventAnswer]
    accepted: int
    duplicates: int
    refused: int


class EntityTypeView(Answer):
    """What a tenant has decided about an entity type."""

    entity_type: str
    stage_field: str
    status_field: str
    managed: bool
    managed_since: datetime | None
    sensitive_fields: list[str]
    updated_at: datetime
    updated_by: str


class EntityTypePage(Answer):
    """A page of a list."""

    items: list[EntityTypeView]
    next_cursor: str | None
