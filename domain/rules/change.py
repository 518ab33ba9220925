"""A change of an entity as rules see it: old and new values, and what is known to have changed.

Conditions read `current`: the new values, of a DELETE the old ones (trap 21). `before` is what was: nothing before a CREATE,
None where an UPDATE does not tell its old values, so that nothing is concluded from them; `earlier` is the same with nothing
for None. Missing `changedFields` are derived from old and new values; given ones are believed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from domain.fields.paths import MISSING, Path, PathRefused, Values, parse_path
from domain.rules.values import same
from schemas.entities import EntityChangeEvent

ChangeType = Literal["CREATE", "UPDATE", "DELETE"]
NOTHING: Values = {}


@dataclass(frozen=True, slots=True)
class Change:
    """One event about one entity. Never changed: many rules look at the same one."""

    tenant_id: str
    entity_type: str
    entity_id: str
    change_type: ChangeType
    old: Values | None
    new: Values | None
    changed_fields: tuple[str, ...]
    source: str
    causation: tuple[str, ...]
    occurred_at: datetime
    event_id: str = ""
    changed_by: str | None = None
    current: Values = field(init=False, repr=False, compare=False)
    before: Values | None = field(init=False, repr=False, compare=False)
    earlier: Values = field(init=False, repr=False, compare=False)
    is_update: bool = field(init=False, repr=False, compare=False)
    _changed: frozenset[str] | None = field(init=False, default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        told = self.old if self.change_type == "DELETE" else self.new
        object.__setattr__(self, "current", NOTHING if told is None else told)
        known = NOTHING if self.change_type == "CREATE" or (self.old is None and self.change_type == "DELETE") else self.old
        object.__setattr__(self, "before", known)
        object.__setattr__(self, "earlier", NOTHING if known is None else known)
        object.__setattr__(self, "is_update", self.change_type == "UPDATE")

    @property
    def changed(self) -> frozenset[str]:
        """Names of the fields that an UPDATE changed, as the event says or as its values show; else none."""
        if self._changed is None:
            object.__setattr__(self, "_changed", self._find_changed())
        assert self._changed is not None
        return self._changed

    def _find_changed(self) -> frozenset[str]:
        if not self.is_update:
            return frozenset()
        if self.changed_fields or self.old is None or self.new is None:
            return frozenset(self.changed_fields)
        return frozenset(self.differing(self.old.keys() | self.new.keys()))

    def differing(self, names: Iterable[str]) -> list[str]:
        """Which of the fields differ by value, where an UPDATE tells old and new values."""
        if not self.is_update or self.old is None or self.new is None:
            return []
        old, new = self.old.get, self.new.get
        # Most fields of an update are what they were: that is seen before the values are compared as JSON.
        return [name for name in names if (one := old(name)) is not (other := new(name)) and not same(one, other)]

    @property
    def changed_roots(self) -> frozenset[str]:
        """The entity's own fields among them: an event may name a path into one."""
        return frozenset(_root(name) for name in self.changed) | self.changed if self.changed_fields else self.changed

    def has_changed(self, path: Path) -> bool:
        """Whether the UPDATE changed the value at a path: by name for a field of its own, by value inside one."""
        if path.text in self.changed or (path.plain and path.field in self.changed):
            return True
        if not any(path.touches(name) for name in self.changed):
            return False
        if self.old is None or self.new is None:
            return True
        return not same(_value(path, self.old), _value(path, self.new))

    def as_it_was(self) -> "Change":
        """The entity before, seen as if it had just been created: for `onBecomingTrue`."""
        who = (self.tenant_id, self.entity_type, self.entity_id)
        return Change(*who, "CREATE", None, self.earlier, (), self.source, (), self.occurred_at)

    @property
    def variables(self) -> dict[str, Any]:
        """What templates read: the current values, and `id`, `entityType`, `entityId`, `tenantId`, `changedBy`, `old`."""
        about = {
            "id": self.entity_id,
            "entityType": self.entity_type,
            "entityId": self.entity_id,
            "tenantId": self.tenant_id,
            "changedBy": self.changed_by,
            "old": dict(self.earlier),
        }
        return {**about, **self.current}


# What templates may read beside the entity's own fields.
BUILT_IN_VARIABLES = frozenset({"id", "entityType", "entityId", "tenantId", "changedBy", "old"})

# The field whose change is a change of stage (trap 5); a rule may name another in `triggerField`.
STAGE_FIELDS: Mapping[str, str] = {
    "LEAD": "leadStatus",
    "OPPORTUNITY": "stage",
    "CUSTOMER": "status",
    "CONTACT": "status",
    "ACTIVITY": "status",
}
OTHER_STAGE_FIELD = "status"


def change_of(event: EntityChangeEvent, causation: tuple[str, ...] = ()) -> Change:
    """The change that an event tells of. `causation`: ids of the rules and events that led to it, from the envelope."""
    return Change(
        tenant_id=event.tenant_id,
        entity_type=event.entity_type,
        entity_id=event.entity_id,
        change_type=event.change_type,
        old=event.old_values,
        new=event.new_values,
        changed_fields=event.changed_fields,
        source=event.source,
        causation=causation,
        occurred_at=event.timestamp,
        event_id=event.event_id,
        changed_by=event.changed_by,
    )


def stage_field(entity_type: str, fields: Mapping[str, str] = STAGE_FIELDS) -> str:
    """The stage field of an entity type, also of one that we do not know."""
    return fields.get(entity_type, OTHER_STAGE_FIELD)


def _root(name: str) -> str:
    try:
        return parse_path(name).field
    except PathRefused:
        return name


def _value(path: Path, values: Values) -> Any:
    found = path.read(values)
    return None if found is MISSING else found
