"""What the tests of entities begin with: events, commands, callers, and the fold of a whole history."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.entities.entity import Entity
from domain.entities.folding import fold
from schemas.caller import Caller
from schemas.entities import EntityChangeEvent

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ENGINE = Caller("north", "rule:r1", frozenset({"engine"}), "WORKFLOW_ENGINE", internal=True)


def change(kind: str, new: dict[str, Any] | None = None, **fields: Any) -> EntityChangeEvent:
    given: dict[str, Any] = {"event_id": "e", "entity_type": "LEAD", "entity_id": "42", "tenant_id": "north", "timestamp": NOW}
    return EntityChangeEvent(change_type=kind, new_values=new, **(given | fields))


def folded(events: Iterable[EntityChangeEvent], known: Entity | None = None) -> Entity | None:
    """The state after all of them."""
    for event in events:
        known = fold(known, event) or known
    return known


def known(**values: Any) -> Entity:
    """A lead that is there."""
    found = folded([change("CREATE", values)])
    assert found is not None
    return found


def minutes(count: float) -> datetime:
    return NOW + timedelta(minutes=count)
