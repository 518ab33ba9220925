"""What the monitor tells operators: counts that passed a limit within a window, by tenant. Ids and counts only."""

from typing import ClassVar, Literal

from schemas.models import Code, Count, Identifier, Instant, Payload

AlertKind = Literal["recoveries", "failed-runs", "sla-breaches", "throughput"]


class OpsAlert(Payload):
    """In this window a tenant passed a limit. `about`: the rule, the flow or the topic that is counted.

    The event's id is made of tenant, kind, what it is about and the window, so that a repeated alert is known as one.
    """

    TYPE: ClassVar[str] = "OPS_ALERT"
    kind: AlertKind
    about: Code | None = None
    tenant_id: Identifier
    count: Count
    limit: Count
    window_from: Instant
    window_to: Instant
