"""What the world hears of an outcome: an event with ids and codes, and an incident where a person can mend something."""

from collections.abc import Sequence
from datetime import datetime

from domain.effects.decisions import ERASED, fingerprint_of
from domain.effects.effect import ClaimedEffect, Outcome
from domain.incidents import Incident, open_incidents
from domain.outbox import Outbox, OutboxEvent
from runtime.sql import Connection
from schemas.effects import EffectFailed, EffectSucceeded

TOPIC = "effects.events.v1"
AGGREGATE = "owner"
INCIDENT_KIND = "effect-failed"


async def tell(conn: Connection, outbox: Outbox, ended: Sequence[tuple[ClaimedEffect, Outcome]], now: datetime) -> None:
    """Events and incidents of these outcomes. An erased subject's effect is no trouble: that was ordered."""
    told = [one for one in ended if one[1].result in ("succeeded", "failed")]
    await outbox.append(conn, [_event(effect, outcome, now) for effect, outcome in told])
    await open_incidents(
        conn, [_incident(effect, outcome) for effect, outcome in ended if outcome.result == "failed" and outcome.code != ERASED]
    )


def _event(effect: ClaimedEffect, outcome: Outcome, now: datetime) -> OutboxEvent:
    named = {
        "effect_id": str(effect.id),
        "owner_kind": effect.owner_kind,
        "owner_id": effect.owner_id,
        "action_index": effect.index,
        "kind": effect.kind,
    }
    payload = EffectFailed(**named, code=outcome.code or "unclear") if outcome.result == "failed" else EffectSucceeded(**named)
    return OutboxEvent(
        topic=TOPIC,
        tenant_id=effect.tenant_id,
        aggregate=AGGREGATE,
        aggregate_id=effect.owner_id,
        payload=payload,
        occurred_at=now,
        created_by="system:effects",
    )


def _incident(effect: ClaimedEffect, outcome: Outcome) -> Incident:
    whom = f" to {effect.endpoint}" if effect.endpoint != effect.kind else ""
    return Incident(
        tenant_id=effect.tenant_id,
        kind=INCIDENT_KIND,
        fingerprint=fingerprint_of(effect.kind, effect.endpoint, outcome.code),
        summary=f"effects of kind {effect.kind}{whom} failed for good: {outcome.code}",
        object_type="endpoint",
        object_id=effect.endpoint,
        cure="mend the cause, then `casestream incident retry` does all of them again under the same ids",
        detail={"effect": str(effect.id), "owner": f"{effect.owner_kind}/{effect.owner_id}", "attempt": effect.attempt},
    )
