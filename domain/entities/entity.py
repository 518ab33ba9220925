"""An entity as its writers know it, and what a tenant has decided about its type. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from domain.fields.sensitive import NOTHING, Sensitive

# (tenant, entity type, entity id)
EntityKey = tuple[str, str, str]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entity:
    """The newest state. A removed one is a tombstone without values.

    `version` counts changes: the upstream's `entityVersion`, or ours for a managed type; None: nobody counts. `event_sequence`
    is the number of our last event, 0 when we have written none.
    """

    tenant_id: str
    entity_type: str
    entity_id: str
    values: Values
    removed: bool
    version: int | None
    event_sequence: int
    subject_id: str
    created_at: datetime
    changed_at: datetime

    @property
    def key(self) -> EntityKey:
        return (self.tenant_id, self.entity_type, self.entity_id)


@dataclass(frozen=True, slots=True)
class EntityKind:
    """What a tenant has decided about an entity type. `managed_since`: its commands are applied here from then on."""

    stage_field: str
    status_field: str
    managed_since: datetime | None = None
    sensitive: Sensitive = NOTHING

    @property
    def managed(self) -> bool:
        return self.managed_since is not None


# Where a tenant has said nothing: the stage of an opportunity is its stage, of leads and activities their status (trap 5).
DEFAULT_KIND = EntityKind(stage_field="stage", status_field="status")
BUILT_IN_KINDS: Mapping[str, EntityKind] = MappingProxyType(
    {
        "LEAD": EntityKind(stage_field="leadStatus", status_field="leadStatus"),
        "OPPORTUNITY": DEFAULT_KIND,
        "CUSTOMER": DEFAULT_KIND,
        "CONTACT": DEFAULT_KIND,
        "ACTIVITY": EntityKind(stage_field="status", status_field="status"),
    }
)


def default_kind(entity_type: str) -> EntityKind:
    """What holds for a type that the tenant has not described; types are an open set (RU-1)."""
    return BUILT_IN_KINDS.get(entity_type, DEFAULT_KIND)
