"""Who asks: the identity that every command receives, whichever door it came through. It is proved by the door."""

from dataclasses import dataclass

from schemas.work_items import Source


@dataclass(frozen=True, slots=True)
class Caller:
    """Tenant, principal and roles come from the token or from the registered sender, never from a body or a path."""

    tenant_id: str
    user_id: str
    roles: frozenset[str]
    source: Source
    internal: bool = False
    traceparent: str | None = None
    causation: tuple[str, ...] = ()
