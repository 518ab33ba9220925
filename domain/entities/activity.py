"""What counts as activity around an entity: activities that name it in `relatedTo`, never changes of its own (trap 24).

Actions on related work items are read where work items are (`candidates`). Pure.
"""

from datetime import datetime

from domain.entities.entity import EntityKey, Values
from schemas.entities import ACTIVITY, EntityChangeEvent, reference_in

RELATED_TO = "relatedTo"


def activity_of(event: EntityChangeEvent, known: Values, now: datetime) -> tuple[EntityKey, datetime] | None:
    """Whose activity the event is, and when; a removed activity is none. A time ahead of us counts as now.

    `known` are the activity's values after the event: one that changes a field need not repeat the reference.
    """
    if event.entity_type != ACTIVITY or event.change_type == "DELETE":
        return None
    target = reference_in((event.new_values or {}).get(RELATED_TO) or known.get(RELATED_TO))
    if target is None:
        return None
    return (event.tenant_id, target.entity_type, target.entity_id), min(event.timestamp, now)
