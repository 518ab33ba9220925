"""Answers about rebuilds of table versions and what is ordered about them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from api.answers.building_blocks import Answer


class OrderView(Answer):
    """Something that was ordered about a version: a comparison, a switch, a retirement. `report` has ids and counts only."""

    order_id: UUID
    kind: Literal["verify", "switch", "switch-back", "retire"]
    name: str
    version: int
    against: int | None
    whole: bool
    state: Literal["ordered", "running", "done", "refused", "failed"]
    verdict: Literal["equal", "different"] | None
    message: str
    report: dict[str, Any]
    compared_at: datetime | None
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None


class RebuildView(Answer):
    """A rebuild. `percent` and `etaSeconds` are of the moment of `measuredAt`."""

    rebuild_id: UUID
    name: str
    version: int | None
    source: Literal["topic", "store"]
    trial_tenant: str | None
    rate: int | None
    state: Literal[
        "ordered", "planned", "prepared", "scanning", "catching-up", "ready", "paused", "refused", "failed", "cancelled"
    ]
    message: str
    total: int
    applied: int
    errors: int
    per_second: float
    percent: float
    eta_seconds: float | None
    ordered_by: str
    ordered_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    measured_at: datetime | None


class RebuildDetail(RebuildView):
    """A rebuild with what was ordered about its version, newest first."""

    orders: list[OrderView]


class RebuildPage(Answer):
    """Rebuilds, newest first."""

    items: list[RebuildView]
    next_cursor: str | None
