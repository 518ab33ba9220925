"""What of an event is counted, and when a count becomes an alert. Pure; of Faust it knows nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import orjson

from schemas.envelope import CloudEvent
from schemas.monitoring import AlertKind, OpsAlert

MINUTE, HOUR = 60, 3600
# Never change it: alerts are known by it.
_ALERTS = UUID("5d2f4c1e-0b7a-5e43-9a53-1f6f0c1f6a90")
_OF_HISTORY: Mapping[str, AlertKind] = {"RECOVERY": "recoveries", "SLA_EXPIRED": "sla-breaches"}


@dataclass(frozen=True, slots=True)
class Counted:
    """Something that is counted: whose, of which kind, about what, in windows of so many seconds."""

    tenant_id: str
    kind: AlertKind
    about: str
    window: int

    @property
    def key(self) -> str:
        """Its name in a table. A tenant's id has no bar in it."""
        return f"{self.tenant_id}|{self.kind}|{self.about}"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert and the id that every repetition of it has."""

    id: str
    payload: OpsAlert


def counted_in(event: CloudEvent, topic: str) -> Iterator[Counted]:
    """What an event adds one to. Every event counts as throughput of its topic.

    Raises ValueError for data that is no JSON object: the app leaves such an event out.
    """
    yield Counted(event.tenant, "throughput", topic, MINUTE)
    told: Any = orjson.loads(event.data or b"{}")
    if not isinstance(told, dict):
        raise ValueError("the event's data is no JSON object")
    if event.type == "WORKFLOW_EVENT" and (kind := _OF_HISTORY.get(str(told.get("eventType")))):
        yield Counted(event.tenant, kind, str(told.get("flow", "")), HOUR)
    elif event.type == "RuleRunFinished" and told.get("status") == "FAILED":
        yield Counted(event.tenant, "failed-runs", str(told.get("ruleId", "")), HOUR)


def alert_of(counted: Counted, count: int, limit: int, began: float) -> Alert | None:
    """The alert of a count, when this very count is the first above the limit. `began`: the window's start, in seconds."""
    if count != limit + 1:
        return None
    start, end = (datetime.fromtimestamp(second, UTC) for second in (began, began + counted.window))
    payload = OpsAlert(
        kind=counted.kind,
        about=counted.about or None,
        tenant_id=counted.tenant_id,
        count=count,
        limit=limit,
        window_from=start,
        window_to=end,
    )
    return Alert(str(uuid5(_ALERTS, f"{counted.key}|{start.isoformat()}")), payload)
