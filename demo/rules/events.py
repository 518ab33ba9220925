"""How an upstream tells a change: the whole entity before and after, counted, as the publish door takes it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Event = dict[str, Any]
Values = Mapping[str, Any]


class Upstream:
    """Tells the changes of one tenant's entities; it knows their last values. The same `run` gives the same events."""

    def __init__(self, tenant_id: str, run: str) -> None:
        self._tenant_id, self._run = tenant_id, run
        self._known: dict[str, tuple[int, Values]] = {}

    def id_of(self, name: str) -> str:
        """An entity's id: other runs have others."""
        return f"{name}-{self._run}"

    def tell(self, entity_type: str, name: str, values: Values, at: datetime) -> Event:
        """The first time a creation, then updates."""
        entity = self.id_of(name)
        version, before = self._known.get(entity, (0, None))
        self._known[entity] = (version + 1, values)
        return {
            "eventId": f"{entity}-{version + 1}",
            "tenantId": self._tenant_id,
            "entityType": entity_type,
            "entityId": entity,
            "entityVersion": version + 1,
            "changeType": "UPDATE" if version else "CREATE",
            "oldValues": before and {**before, "run": self._run},
            "newValues": {**values, "run": self._run},
            "timestamp": at.astimezone(UTC).isoformat(),
        }
