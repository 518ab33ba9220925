"""What a rule would do, without doing it (trap 42). Pure: whoever calls it runs in a read-only transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from domain.fields.sensitive import NOTHING, Sensitive
from domain.message_templates.wording import Wording
from domain.rules.calendar import Calendar
from domain.rules.change import Change
from domain.rules.compiling import CompiledRule
from domain.rules.index import RuleIndex
from domain.rules.requests import Request, Subject, Unmakeable, request_of
from domain.rules.tracing import Trace
from schemas.rules import ActionSpec, ActionType


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a trial needs beside the rule and the change. `sensitive`: values that it must not show."""

    calendar: Calendar
    templates: Mapping[str, Wording] = field(default_factory=dict)
    sensitive: Sensitive = NOTHING


@dataclass(frozen=True, slots=True)
class TriedAction:
    """What an action would ask for, sensitive values masked, or the code with which it would fail."""

    type: ActionType
    request: Request | Unmakeable


@dataclass(frozen=True, slots=True)
class Trial:
    """How the rule looked at a change. `triggered`: its trigger is for such a change at all."""

    triggered: bool
    trace: Trace
    actions: Sequence[TriedAction]
    sensitive: Sensitive = NOTHING

    @property
    def fires(self) -> bool:
        return self.triggered and self.trace.matched


def try_rule(rule: CompiledRule, change: Change, now: datetime, surroundings: Surroundings) -> Trial:
    """The verdict and the trace; what would be asked for is told only where the rule fires."""
    candidates = RuleIndex([rule]).candidates(change.tenant_id, change)
    trace = rule.trace(change, now)
    # What time starts is tried as if its time had come.
    triggered = bool(candidates) or rule.definition.trigger_type in _TIMED
    subject = Subject(rule.rule_id, change, now, surroundings.calendar, surroundings.templates)
    fires = triggered and trace.matched
    actions = [_tried(spec, subject, surroundings.sensitive) for spec in rule.definition.ordered_actions if fires]
    return Trial(triggered, trace, actions, surroundings.sensitive)


def _tried(spec: ActionSpec, subject: Subject, sensitive: Sensitive) -> TriedAction:
    request = request_of(spec, subject)
    if sensitive.fields and isinstance(request, Request):
        shown = request_of(spec, replace(subject, change=_masked(subject.change, sensitive)))
        # Masked values may not make the action; that it can be made is told all the same.
        request = shown if isinstance(shown, Request) else replace(request, body={})
    return TriedAction(spec.action_type, request)


def _masked(change: Change, sensitive: Sensitive) -> Change:
    old = None if change.old is None else sensitive.masked(change.old)
    new = None if change.new is None else sensitive.masked(change.new)
    return replace(change, old=old, new=new)


_TIMED = frozenset({"SCHEDULED", "ON_DATE_FIELD"})


def action_row(action: TriedAction) -> dict[str, Any]:
    """For answers."""
    if isinstance(action.request, Unmakeable):
        return {"type": action.type, "code": action.request.code}
    return {"type": action.type, "kind": action.request.kind, "request": dict(action.request.body)}
