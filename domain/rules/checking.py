"""Everything that is wrong with a rule, all at once, when it is saved; what passes can be compiled and run.

| where | what |
|---|---|
| shape | pydantic's errors, domain/rules/shapes.py |
| trigger | which fields it needs and which are not for it; cron by cronsim, zones by zoneinfo |
| conditions | domain/rules/conditions.py reads them; here unknown fields, what can never be met, mixed joining |
| actions | domain/rules/checking_actions.py: configuration, templates, and whatever they name |
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import ValidationError

from domain.fields.paths import PathRefused, parse_path
from domain.rules.checking_actions import action_problems
from domain.rules.conditions import leaves_of, read_conditions
from domain.rules.known import KnownNames
from domain.rules.operators import may_hold
from domain.rules.problems import Problem
from domain.rules.shapes import shape_problems
from domain.rules.showing import shown
from schemas.rules import ActionSpec, Condition, RuleDefinition, TriggerType


def check(definition: RuleDefinition, known: KnownNames, zone: tzinfo = UTC) -> list[Problem]:
    """All problems of a rule, by place; warnings too."""
    found = [
        *trigger_problems(definition, known),
        *condition_problems(definition, known, zone),
        *action_problems(definition.actions, definition.entity_type, known),
    ]
    if not definition.actions:
        found.append(Problem("/actions", "no-actions"))
    return found


def check_document(document: Any, known: KnownNames, zone: tzinfo = UTC) -> tuple[RuleDefinition | None, list[Problem]]:
    """A rule as somebody sent it: the definition, unless its shape is wrong, and all problems.

    Where the shape of one part is wrong, the others are checked all the same, so that nobody has to mend twice.
    """
    try:
        definition = RuleDefinition.model_validate(document)
    except ValidationError as error:
        return None, [*shape_problems(error), *_problems_of_parts(document, known, zone)]
    return definition, check(definition, known, zone)


def _problems_of_parts(document: Any, known: KnownNames, zone: tzinfo) -> Iterator[Problem]:
    if not isinstance(document, dict):
        return
    head = _whole({name: value for name, value in document.items() if name not in ("conditions", "actions")})
    if head is not None:
        yield from trigger_problems(head, known)
    stand_in = head or RuleDefinition(name="?", trigger_type=TriggerType.ON_UPDATE, entity_type="X")
    for name in ("conditions", "actions"):
        parts = document.get(name)
        for at, part in enumerate(parts if isinstance(parts, list) else []):
            yield from _problems_of_part(stand_in, name, at, part, known, zone)


def _problems_of_part(
    head: RuleDefinition, name: str, at: int, part: Any, known: KnownNames, zone: tzinfo
) -> Iterator[Problem]:
    try:
        if name == "actions":
            found: Iterable[Problem] = action_problems((ActionSpec.model_validate(part),), head.entity_type, known)
        else:
            only = head.model_copy(update={"conditions": (Condition.model_validate(part),)})
            found = condition_problems(only, known, zone)
    except ValidationError:
        return
    for problem in found:
        # It was alone in its list, and so the first.
        yield Problem(problem.pointer.replace(f"/{name}/0", f"/{name}/{at}", 1), problem.code, problem.params)


def _whole(head: Any) -> RuleDefinition | None:
    try:
        return RuleDefinition.model_validate(head)
    except ValidationError:
        return None


# -- conditions


def condition_problems(definition: RuleDefinition, known: KnownNames, zone: tzinfo = UTC) -> Iterator[Problem]:
    """What reading finds, and what a sensible author would not have meant."""
    found = read_conditions(definition, zone)
    yield from found.problems
    for leaf in leaves_of(found.tree):
        if not known.has_field(definition.entity_type, leaf.path.field):
            names = {"entity_type": definition.entity_type, "field": leaf.path.field}
            yield Problem(f"{leaf.pointer}/fieldName", "unknown-field", names)
        if not may_hold(leaf.operator, definition.trigger_type):
            yield Problem(leaf.pointer, "never-true", {"operator": leaf.operator, "trigger": definition.trigger_type})
    for place in found.mixed:
        yield Problem(place, "mixed-joining", {"shown": shown(found.tree)})


# -- trigger


def trigger_problems(definition: RuleDefinition, known: KnownNames) -> Iterator[Problem]:
    """What the trigger needs, what is not for it, and whether path, cron and zone can be read."""
    trigger = definition.trigger_type
    for name in definition.model_fields_set & FOR_TRIGGERS.keys():
        value = getattr(definition, name)
        if value not in (None, False) and trigger not in FOR_TRIGGERS[name]:
            alias = RuleDefinition.model_fields[name].alias or name
            yield Problem(f"/{alias}", "not-for-trigger", {"name": alias, "trigger": trigger})
    if trigger is TriggerType.ON_FIELD_CHANGE and definition.trigger_field is None:
        yield Problem("/triggerField", "trigger-field", {"trigger": trigger})
    if trigger is TriggerType.ON_DATE_FIELD and definition.date_field is None:
        yield Problem("/dateField", "date-field-missing")
    if trigger is TriggerType.SCHEDULED and definition.cron_expression is None:
        yield Problem("/cronExpression", "cron-missing")
    for alias, text in (("triggerField", definition.trigger_field), ("dateField", definition.date_field)):
        if text is not None:
            yield from _path_problems(f"/{alias}", text, definition.entity_type, known)
    if definition.cron_expression is not None:
        yield from _cron_problems(definition.cron_expression)
    if definition.schedule_timezone is not None and zone_of(definition.schedule_timezone) is None:
        yield Problem("/scheduleTimezone", "zone", {"text": definition.schedule_timezone})


def zone_of(name: str) -> ZoneInfo | None:
    """The zone of a name of the tz database, None where there is none. A path or a file's name is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _path_problems(pointer: str, text: str, entity_type: str, known: KnownNames) -> Iterable[Problem]:
    try:
        path = parse_path(text)
    except PathRefused as error:
        return [Problem(pointer, "path", {"text": text, "reason": str(error)})]
    if known.has_field(entity_type, path.field):
        return []
    return [Problem(pointer, "unknown-field", {"entity_type": entity_type, "field": path.field})]


def _cron_problems(text: str) -> Iterable[Problem]:
    try:
        # Five fields: cronsim would read a sixth as seconds, which no schedule of ours keeps.
        fires = len(text.split()) == CRON_FIELDS and next(CronSim(text, _ANY_DAY), None) is not None
    except CronSimError:
        fires = False
    return [] if fires else [Problem("/cronExpression", "cron", {"text": text})]


CRON_FIELDS = 5
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_ON_UPDATES = frozenset({TriggerType.ON_UPDATE, TriggerType.ON_FIELD_CHANGE, TriggerType.ON_STAGE_CHANGE})
_SCHEDULED = frozenset({TriggerType.SCHEDULED})
_DATED = frozenset({TriggerType.ON_DATE_FIELD})

# The fields of a rule that only some triggers look at.
FOR_TRIGGERS: dict[str, frozenset[TriggerType]] = {
    "trigger_field": frozenset({TriggerType.ON_FIELD_CHANGE, TriggerType.ON_STAGE_CHANGE}),
    "on_becoming_true": _ON_UPDATES,
    "cron_expression": _SCHEDULED,
    "inactive_for_days": _SCHEDULED,
    "schedule_timezone": _SCHEDULED | _DATED,
    "date_field": _DATED,
    "offset": _DATED,
    "time_of_day": _DATED,
}
