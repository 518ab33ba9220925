"""Which rules want to run because of something that happened. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from domain.rules.calendar import Calendar
from domain.rules.change import Change
from domain.rules.compiling import CompiledRule
from domain.rules.index import RuleIndex
from domain.rules.starting import Match
from schemas.rules import TriggerType

# How far a sender's clock may be behind ours before an event counts as older than the rule.
TOLERANCE = timedelta(seconds=60)

# `inactive`: an order names a rule that is off, or gone. `replayed` counts messages, the others rules.
SkipReason = Literal["conditions", "older-event", "inactive", "replayed"]


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
        return token_of(self.name, self.direct.rule_id if self.direct else "")

    @property
    def key(self) -> tuple[str, str, str]:
        """The entity."""
        return (self.change.tenant_id, self.change.entity_type, self.change.entity_id)


def token_of(name: str, rule_id: str = "") -> tuple[str, str]:
    """See `Occasion.token`; `rule_id`: of the rule that is named."""
    return (name, rule_id)


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A compiled rule and since when its tenant wants it to fire."""

    rule: CompiledRule
    active_since: datetime


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Active rules by tenant and id, the index of which of them an event meets, and, by tenant and entity type, those that
    hang on a date field. `youngest`: by tenant, no rule of its is active since later than this; `calendars`:
    of the tenants that were asked for."""

    rules: Mapping[tuple[str, str], ActiveRule]
    index: RuleIndex
    dated: Mapping[tuple[str, str], Mapping[str, CompiledRule]]
    youngest: Mapping[str, datetime]
    calendars: Mapping[str, Calendar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Looked:
    """What rules make of an occasion: those that match, and how many do not, by reason."""

    occasion: Occasion
    matches: tuple[Match, ...] = ()
    skipped: Mapping[SkipReason, int] = field(default_factory=dict)


def look(book: RuleBook, occasion: Occasion) -> Looked:
    """Which rules match, in priority order. An event that is older than a rule is none of its business."""
    if occasion.replayed:
        return Looked(occasion, skipped={"replayed": 1})
    change, candidates, rules = occasion.change, _candidates(book, occasion), book.rules
    trusted = occasion.direct is not None and occasion.direct.conditions_hold
    tenant, sent_at, latest = change.tenant_id, occasion.sent_at, _latest_beginning(occasion)
    # Nearly always every rule is older than the event: that is one look, and none for each rule.
    some_are_younger = bool(candidates) and book.youngest[tenant] > latest
    matches, older = list[Match](), 0
    for rule, trigger in candidates:
        if some_are_younger and rules[tenant, rule.rule_id].active_since > latest:
            older += 1
        elif trusted or rule.matches(change, sent_at):
            matches.append(_match(occasion, rule, trigger))
    unmet = len(candidates) - older - len(matches)
    skipped: dict[SkipReason, int] = {}
    if unmet:
        skipped["conditions"] = unmet
    if older:
        skipped["older-event"] = older
    if occasion.direct is not None and not candidates:
        skipped["inactive"] = 1
    return Looked(occasion, tuple(matches), skipped)


def skipped_of(book: RuleBook, occasion: Occasion) -> list[tuple[Match, SkipReason]]:
    """The rules that looked at an occasion and do not match, as if they did, with why they do not."""
    matching = {match.rule.rule_id for match in look(book, occasion).matches}
    latest = _latest_beginning(occasion)
    return [
        (
            _match(occasion, rule, trigger),
            "older-event" if book.rules[rule.tenant_id, rule.rule_id].active_since > latest else "conditions",
        )
        for rule, trigger in _candidates(book, occasion)
        if rule.rule_id not in matching
    ]


def _match(occasion: Occasion, rule: CompiledRule, trigger: TriggerType) -> Match:
    return Match(rule, trigger, occasion.change, occasion.name, occasion.subject_id, occasion.sent_at)


def _latest_beginning(occasion: Occasion) -> datetime:
    """Since when a rule may be active at the latest for the occasion to be its business."""
    return occasion.sent_at + TOLERANCE


def _candidates(book: RuleBook, occasion: Occasion) -> Sequence[tuple[CompiledRule, TriggerType]]:
    direct, tenant = occasion.direct, occasion.change.tenant_id
    if direct is not None:
        named = book.rules.get((tenant, direct.rule_id))
        return [(named.rule, direct.trigger)] if named else []
    return book.index.candidates(tenant, occasion.change)
