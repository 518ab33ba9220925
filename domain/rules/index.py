"""Which rules look at an event at all: by tenant, entity type, trigger and field, in the order in which they run.

One UPDATE may match ON_UPDATE, ON_FIELD_CHANGE and ON_STAGE_CHANGE rules (trap 4). What is not a candidate costs nothing, so
a tenant may have thousands of rules of which an event meets a few. Rules that time starts are in no event's way.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from domain.rules.change import Change
from domain.rules.compiling import CompiledRule
from schemas.rules import TriggerType

Candidate = tuple[CompiledRule, TriggerType]
_Order = tuple[int, int, str]


@dataclass(slots=True)
class _Shelf:
    """The rules of one tenant for one entity type. `watchers`: by the field that they watch, for updates."""

    create: list[Candidate] = field(default_factory=list)
    update: list[Candidate] = field(default_factory=list)
    delete: list[Candidate] = field(default_factory=list)
    watchers: dict[str, list[Candidate]] = field(default_factory=dict)

    def place(self, rule: CompiledRule) -> list[Candidate] | None:
        """The list in which a rule stands; None for a rule that no event starts."""
        if rule.watched is not None:
            return self.watchers.setdefault(rule.watched.field, [])
        match rule.trigger:
            case TriggerType.ON_CREATE:
                return self.create
            case TriggerType.ON_UPDATE:
                return self.update
            case TriggerType.ON_DELETE:
                return self.delete
            case _:
                return None


class RuleIndex:
    """Compiled rules by what starts them. `add` and `remove` keep it in step with edits; a lookup sees whole lists only."""

    def __init__(self, rules: Iterable[CompiledRule] = ()) -> None:
        self._shelves: dict[tuple[str, str], _Shelf] = {}
        self._rules: dict[tuple[str, str], CompiledRule] = {}
        for rule in rules:
            self.add(rule)

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, rule: CompiledRule) -> None:
        """Takes a rule, in place of its older version if there is one."""
        self.remove(rule.tenant_id, rule.rule_id)
        self._rules[rule.tenant_id, rule.rule_id] = rule
        shelf = self._shelves.setdefault((rule.tenant_id, rule.entity_type), _Shelf())
        place = shelf.place(rule)
        if place is not None:
            place.insert(bisect_left(place, rule.order, key=_order), (rule, rule.trigger))

    def remove(self, tenant_id: str, rule_id: str) -> None:
        """Forgets a rule; one that is not there is forgotten already."""
        rule = self._rules.pop((tenant_id, rule_id), None)
        if rule is None:
            return
        place = self._shelves[tenant_id, rule.entity_type].place(rule)
        if place is not None:
            del place[bisect_left(place, rule.order, key=_order)]

    def get(self, tenant_id: str, rule_id: str) -> CompiledRule | None:
        """The rule by its id."""
        return self._rules.get((tenant_id, rule_id))

    def candidates(self, tenant_id: str, change: Change) -> Sequence[Candidate]:
        """The rules that the event starts if their conditions are met, in the order in which they run. Not to be changed."""
        shelf = self._shelves.get((tenant_id, change.entity_type))
        if shelf is None:
            return ()
        if change.change_type == "CREATE":
            return shelf.create
        if change.change_type == "DELETE":
            return shelf.delete
        return _with_watchers(shelf, change) if shelf.watchers else shelf.update


def _with_watchers(shelf: _Shelf, change: Change) -> Sequence[Candidate]:
    watching = [
        candidate
        for name in _changed_and_watched(shelf, change)
        for candidate in shelf.watchers[name]
        if _has_changed(candidate[0], change)
    ]
    return sorted([*shelf.update, *watching], key=_order) if watching else shelf.update


def _changed_and_watched(shelf: _Shelf, change: Change) -> Iterable[str]:
    if change.changed_fields or len(shelf.watchers) > _FEW:
        return shelf.watchers.keys() & change.changed_roots
    # Where the event does not say what changed, to compare a few fields is cheaper than to compare all.
    return change.differing(shelf.watchers)


def _has_changed(rule: CompiledRule, change: Change) -> bool:
    return rule.watched is not None and change.has_changed(rule.watched)


def _order(candidate: Candidate) -> _Order:
    return candidate[0].order


_FEW = 20
