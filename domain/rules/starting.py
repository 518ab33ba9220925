"""From a rule that matched to a run with its effects. Pure; the same for an event, a schedule and a rule that triggers another.

The run's id is computed from the rule and the occurrence, so that the same occurrence finds the same run, however old it is
and however its inbox and offsets were moved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from domain.effects.effect import NewEffect, RetryPolicy, effect_id
from domain.message_templates.wording import Wording
from domain.rules.admission import Refused
from domain.rules.calendar import Calendar
from domain.rules.change import Change
from domain.rules.compiling import CompiledRule
from domain.rules.requests import Request, Subject, Unmakeable, request_of
from domain.rules.runs import ActionState, Run, begin
from schemas.rules import ActionSpec, TriggerType

OWNER = "rule-run"
# An action that the values do not allow: it falls due like any other, and fails then.
UNMAKEABLE = "unmakeable"
# Never change it: runs that exist are found by ids computed from it.
_NAMESPACE = UUID("6d5b0b8e-2f0b-5f0e-8c39-7e0d2c1f4a90")


def event_occurrence(source: str, event_id: str) -> str:
    """What an event is called, whenever it is told."""
    return f"event|{source}|{event_id}"


def run_id_of(rule_id: str, change: Change, occurrence: str) -> UUID:
    """The id of the run that a rule makes of an occurrence, if it makes one."""
    parts = (change.tenant_id, rule_id, f"{change.entity_type}/{change.entity_id}", occurrence)
    return uuid5(_NAMESPACE, "|".join(f"{len(part)}:{part}" for part in parts))


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that wants to run. `occurrence`: what happened, the same text whenever it is told again; `sent_at`: when it was
    told, by which the rule was judged."""

    rule: CompiledRule
    trigger: TriggerType
    change: Change
    occurrence: str
    subject_id: str
    sent_at: datetime

    @property
    def run_id(self) -> UUID:
        return run_id_of(self.rule.rule_id, self.change, self.occurrence)

    @property
    def entity_key(self) -> str:
        return f"{self.change.entity_type}/{self.change.entity_id}"


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to write: its actions as they stand, and the effect of each."""

    match: Match
    run: Run
    effects: tuple[NewEffect, ...]
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A rule that matched and does not run. Its row makes sure that it does not run later either, when limits have moved."""

    match: Match
    refused: Refused
    at: datetime


def start(match: Match, now: datetime, calendar: Calendar, templates: Mapping[str, Wording]) -> NewRun:
    """The run with all of its effects planned; those that nothing holds back are due."""
    subject = Subject(match.rule.rule_id, match.change, now, calendar, templates)
    asked = [(spec, request_of(spec, subject)) for spec in match.rule.definition.ordered_actions]
    progress = begin(_state(spec, request) for spec, request in asked)
    due = frozenset(progress.promoted)
    effects = tuple(
        _effect(match, index, spec, request, waiting=index not in due) for index, (spec, request) in enumerate(asked)
    )
    return NewRun(match, progress.run, effects, now)


def _state(spec: ActionSpec, request: Request | Unmakeable) -> ActionState:
    own = request.delay_seconds if isinstance(request, Request) else 0
    return ActionState(spec.action_type, spec.stop_on_failure, spec.is_async, spec.delay_seconds + own)


def _effect(match: Match, index: int, spec: ActionSpec, request: Request | Unmakeable, *, waiting: bool) -> NewEffect:
    owner_id = str(match.run_id)
    if isinstance(request, Unmakeable):
        request = Request(UNMAKEABLE, {"code": request.code})
    return NewEffect(
        tenant_id=match.change.tenant_id,
        id=effect_id(OWNER, owner_id, index, ""),
        owner_kind=OWNER,
        owner_id=owner_id,
        index=index,
        occurrence="",
        kind=request.kind,
        request=request.body,
        # Across runs, order holds per entity and endpoint; within a run the outcomes keep it.
        order_key=f"{match.entity_key}|{request.endpoint}" if request.endpoint else None,
        subject_id=match.subject_id,
        retry=RetryPolicy(spec.retry_count, spec.retry_delay_seconds, "fixed"),
        is_async=spec.is_async,
        delay_seconds=spec.delay_seconds + request.delay_seconds,
        waiting=waiting,
        endpoint=request.endpoint,
    )
