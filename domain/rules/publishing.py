"""What rules say to the world: that a run has ended, and that one rule shall look at one entity. Neither has a number."""

from collections.abc import Sequence
from datetime import datetime

from domain.outbox import OutboxEvent
from schemas.rule_events import RuleRunFinished, StartRule

RUNS = "rules.executions.v1"
ORDERS = "rules.commands.v1"


def run_finished(event: RuleRunFinished, tenant_id: str, created_by: str) -> OutboxEvent:
    """The outcome of a run, under the key of its entity."""
    return OutboxEvent(
        topic=RUNS,
        tenant_id=tenant_id,
        aggregate=event.entity_type,
        aggregate_id=event.entity_id,
        payload=event,
        occurred_at=event.finished_at,
        created_by=created_by,
    )


def start_ordered(
    order: StartRule, tenant_id: str, created_by: str, now: datetime, causation: Sequence[str] = ()
) -> OutboxEvent:
    """An order to the rules group, under the key of its entity."""
    return OutboxEvent(
        topic=ORDERS,
        tenant_id=tenant_id,
        aggregate=order.entity_type,
        aggregate_id=order.entity_id,
        payload=order,
        occurred_at=now,
        created_by=created_by,
        causation=tuple(causation),
    )
