"""What a rule would do, without doing it (trap 42). Pure: whoever calls it runs in a read-only transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.message_templates.wording import Wording
from domain.rules.calendar import Calendar
from domain.rules.change import Change
from domain.rules.compiling import CompiledRule
from domain.rules.index import RuleIndex
from domain.rules.requests import Request, Subject, Unmakeable, request_of
from domain.rules.tracing import Trace
from schemas.rules import ActionType


@dataclass(frozen=True, slots=True)
class TriedAction:
    """What an action would ask for, or the code with which it would fail."""

    type: ActionType
    request: Request | Unmakeable


@dataclass(frozen=True, slots=True)
class Trial:
    """How the rule looked at a change. `triggered`: its trigger is for such a change at all."""

    triggered: bool
    trace: Trace
    actions: Sequence[TriedAction]

    @property
    def fires(self) -> bool:
        return self.triggered and self.trace.matched


def try_rule(rule: CompiledRule, change: Change, now: datetime, calendar: Calendar, templates: Mapping[str, Wording]) -> Trial:
    """The verdict and the trace; what would be asked for is told only where the rule fires."""
    candidates = RuleIndex([rule]).candidates(change.tenant_id, change)
    trace = rule.trace(change, now)
    # What time starts is tried as if its time had come.
    triggered = bool(candidates) or rule.definition.trigger_type in _TIMED
    subject = Subject(rule.rule_id, change, now, calendar, templates)
    fires = triggered and trace.matched
    actions = [TriedAction(spec.action_type, request_of(spec, subject)) for spec in rule.definition.ordered_actions if fires]
    return Trial(triggered, trace, actions)


_TIMED = frozenset({"SCHEDULED", "ON_DATE_FIELD"})


def action_row(action: TriedAction) -> dict[str, Any]:
    """For answers."""
    if isinstance(action.request, Unmakeable):
        return {"type": action.type, "code": action.request.code}
    return {"type": action.type, "kind": action.request.kind, "request": dict(action.request.body)}
