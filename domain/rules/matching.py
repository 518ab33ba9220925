"""Which rules want to run because of something that happened. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.rules.change import Change
from domain.rules.compiling import CompiledRule
from domain.rules.index import RuleIndex
from domain.rules.starting import Match
from schemas.rules import TriggerType

# How far a sender's clock may be behind ours before an event counts as older than the rule.
TOLERANCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Direct:
    """One rule was named: by a schedule, a date, or another rule."""

    rule_id: str
    trigger: TriggerType
    conditions_hold: bool


@dataclass(frozen=True, slots=True)
class Occasion:
    """A message as rules see it. `name`: the same whenever it is delivered; `sent_at`: by the broker's record; `replayed`: what
    was to be made of it was made when it first came."""

    change: Change
    name: str
    subject_id: str
    sent_at: datetime
    direct: Direct | None = None
    replayed: bool = False

    @property
    def token(self) -> tuple[str, str]:
        """Tells occasions of one entity apart: two schedules may be due at the same instant."""
        return (self.name, self.direct.rule_id if self.direct else "")

    @property
    def key(self) -> tuple[str, str, str]:
        """The entity."""
        return (self.change.tenant_id, self.change.entity_type, self.change.entity_id)


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A compiled rule and since when its tenant wants it to fire."""

    rule: CompiledRule
    active_since: datetime


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Active rules by tenant and id, the index of which of them an event meets, and, by tenant and entity type, those that
    hang on a date field."""

    rules: Mapping[tuple[str, str], ActiveRule]
    index: RuleIndex
    dated: Mapping[tuple[str, str], Mapping[str, CompiledRule]]


def matches_of(book: RuleBook, occasion: Occasion) -> Iterable[Match]:
    """The rules that match, in priority order. An event that is older than a rule is none of its business."""
    change = occasion.change
    for rule, trigger in _candidates(book, occasion):
        active = book.rules[change.tenant_id, rule.rule_id]
        if occasion.sent_at < active.active_since - TOLERANCE:
            continue
        trusted = occasion.direct is not None and occasion.direct.conditions_hold
        if trusted or rule.matches(change, occasion.sent_at):
            yield Match(rule, trigger, change, occasion.name, occasion.subject_id, occasion.sent_at)


def _candidates(book: RuleBook, occasion: Occasion) -> Iterable[tuple[CompiledRule, TriggerType]]:
    direct, tenant = occasion.direct, occasion.change.tenant_id
    if direct is not None:
        named = book.rules.get((tenant, direct.rule_id))
        return [(named.rule, direct.trigger)] if named else []
    return book.index.candidates(tenant, occasion.change)
