"""An order to start a rule, as the change that the rule sees. Pure."""

from domain.rules.change import Change
from schemas.rule_events import StartRule


def change_ordered(order: StartRule, tenant_id: str, causation: tuple[str, ...]) -> Change:
    """`causation`: what led to the order, from its envelope."""
    return Change(
        tenant_id=tenant_id,
        entity_type=order.entity_type,
        entity_id=order.entity_id,
        change_type=order.change_type,
        old=order.old_values,
        new=order.new_values,
        changed_fields=order.changed_fields,
        source="WORKFLOW",
        causation=causation,
        occurred_at=order.timestamp,
        event_id=order.occurrence,
        changed_by=order.changed_by,
    )
