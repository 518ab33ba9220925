"""What counts as activity around an entity: activities that name it in `relatedTo`, never changes of its own (trap 24).

Actions on related work items are read where work items are (`candidates`). Pure.
"""

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from domain.entities.entity import EntityKey, Values
from schemas.entities import ACTIVITY, EntityChangeEvent, EntityReference

RELATED_TO = "relatedTo"


def activity_of(event: EntityChangeEvent, known: Values, now: datetime) -> tuple[EntityKey, datetime] | None:
    """Whose activity the event is, and when; a removed activity is none. A time ahead of us counts as now.

    `known` are the activity's values after the event: one that changes a field need not repeat the reference.
    """
    if event.entity_type != ACTIVITY or event.change_type == "DELETE":
        return None
    target = _target((event.new_values or {}).get(RELATED_TO) or known.get(RELATED_TO))
    return None if target is None else ((event.tenant_id, *target), min(event.timestamp, now))


def _target(related: Any) -> tuple[str, str] | None:
    """A reference as values carry it; ids may be numbers there. What is no reference is the sender's own business."""
    if not isinstance(related, dict):
        return None
    entity_type, entity_id = related.get("entityType"), related.get("entityId")
    if isinstance(entity_id, int) and not isinstance(entity_id, bool):
        entity_id = str(entity_id)
    try:
        found = EntityReference(entity_type=entity_type, entity_id=entity_id)
    except ValidationError:
        return None
    return (found.entity_type, found.entity_id)
