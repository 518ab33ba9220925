"""What an event does to the timers of rules that hang on a date field. Pure.

A timer belongs to a rule and an entity. It is armed for an instant that lies ahead, moved when the field changes, and taken
away when the field has no date any more, when its date is past, or when the entity is gone. A date that was past when it was
written fires nothing. An event that does not touch the field leaves a timer that is due alone: it is about to fire.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from domain.fields.paths import parse_path
from domain.rules.calendar import Calendar
from domain.rules.compiling import CompiledRule
from domain.rules.date_fields import due_of
from domain.rules.matching import Occasion
from domain.timers.timer import Timer, entry_at

KIND = "rule-date"


@dataclass(frozen=True, slots=True)
class Dates:
    """Timers to arm or move, and of those to take away tenant and key, and when that was told."""

    armed: tuple[Timer, ...] = ()
    disarmed: tuple[tuple[tuple[str, str], int], ...] = ()


def timer_key(rule_id: str, entity_type: str, entity_id: str) -> str:
    """One per rule and entity."""
    return f"{KIND}|{rule_id}|{entity_type}/{entity_id}"


def dates_of(rules: Iterable[CompiledRule], occasion: Occasion, now: datetime, calendar: Calendar) -> Dates:
    """What the event does to the timers of these rules, which are all of its entity type."""
    armed, disarmed = list[Timer](), list[tuple[tuple[str, str], int]]()
    # A sender whose clock runs ahead must not keep what is said later from counting.
    told_at = min(occasion.sent_at, now)
    for rule in rules:
        due = None if occasion.change.change_type == "DELETE" else due_of(rule.definition, occasion.change.current, calendar)
        key = timer_key(rule.rule_id, occasion.change.entity_type, occasion.change.entity_id)
        if due is not None and due > now:
            armed.append(date_timer(rule, occasion.key, key, due, occasion.subject_id, told_at))
        elif due is None or _touched(rule, occasion):
            disarmed.append(((occasion.change.tenant_id, key), entry_at(told_at)))
    return Dates(tuple(armed), tuple(disarmed))


def date_timer(
    rule: CompiledRule, entity: tuple[str, str, str], key: str, due: datetime, subject_id: str, at: datetime
) -> Timer:
    """`at`: when the date was told; what was told later counts."""
    tenant, entity_type, entity_id = entity
    command = {"ruleId": rule.rule_id, "entityType": entity_type, "entityId": entity_id}
    return Timer(tenant, key, KIND, due, command, entry_at(at), subject_id)


def _touched(rule: CompiledRule, occasion: Occasion) -> bool:
    assert rule.definition.date_field is not None, "a rule without it is refused when it is saved"
    return not occasion.change.is_update or occasion.change.has_changed(parse_path(rule.definition.date_field))
