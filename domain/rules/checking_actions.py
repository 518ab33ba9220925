"""What is wrong with a rule's actions: configurations, templates, and the names that they mention."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC
from typing import Any

from pydantic import ValidationError

from domain.fields.paths import Path, PathRefused, parse_path
from domain.rules.change import BUILT_IN_VARIABLES
from domain.rules.expectations import EXAMPLES
from domain.rules.known import KnownNames
from domain.rules.problems import Problem, pointer_to
from domain.rules.shapes import shape_problems
from domain.rules.values import UNFIT, converter
from domain.templating import TemplateRefused, parse
from schemas.rule_actions import (
    TEMPLATES,
    AssignTo,
    CallWebhook,
    Configuration,
    CreateActivity,
    CreateTask,
    SendEmail,
    SendNotification,
    Target,
    TriggerWorkflow,
    UpdateField,
    configuration_of,
)
from schemas.rules import ActionSpec

Place = tuple[str | int, ...]


def action_problems(actions: Sequence[ActionSpec], entity_type: str, known: KnownNames) -> list[Problem]:
    """All problems of the actions, each with its place in the rule."""
    found: list[Problem] = []
    for at, action in enumerate(actions):
        place: Place = ("actions", at, "configuration")
        try:
            configuration = configuration_of(action)
        except ValidationError as error:
            found += shape_problems(error, place)
            continue
        found += _template_problems(configuration, place, entity_type, known)
        for kind, look in LOOKS.items():
            if isinstance(configuration, kind):
                found += look(configuration, place, entity_type, known)
    return found


# -- templates


def _template_problems(configuration: Configuration, place: Place, entity_type: str, known: KnownNames) -> Iterator[Problem]:
    for name, target in TEMPLATES.get(type(configuration), {}).items():
        alias = type(configuration).model_fields[name].alias or name
        for steps, text in texts_in(getattr(configuration, name), (alias,)):
            # What a reader may keep secret is meant for the headers of a webhook and for nothing else that is a header.
            secrets = target == "header" and isinstance(configuration, CallWebhook)
            yield from _problems_of_template(text, (*place, *steps), target, secrets, entity_type, known)


def texts_in(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Every text of a JSON structure with its place; keys are no templates."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_in(item, (*place, key))
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from texts_in(item, (*place, at))


def _problems_of_template(
    text: str, place: Place, target: Target, secrets: bool, entity_type: str, known: KnownNames
) -> Iterator[Problem]:
    pointer = pointer_to(*place)
    try:
        template = parse(text)
    except TemplateRefused as error:
        if error.fault == "env":
            yield Problem(pointer, "template-env", {"text": f"{{{{{error.detail}}}}}"})
        else:
            reason = str(error).rsplit(" at character ", 1)[0]
            yield Problem(pointer, "template", {"reason": reason, "position": str(error.position + 1)})
        return
    for name in template.secrets:
        if not secrets:
            yield Problem(pointer, "secret-place", {"name": name, "place": "/".join(map(str, place[3:]))})
        elif known.secrets is not None and name not in known.secrets:
            yield Problem(pointer, "secret-unknown", {"name": name})
    for path in template.paths:
        if not _known_variable(path, entity_type, known):
            names = {"path": path.text, "entity_type": entity_type, "field": _field_of(path)}
            yield Problem(pointer, "variable-unknown", names)
    if target == "header" and _CONTROL.search(text):
        yield Problem(pointer, "header-text")


def _known_variable(path: Path, entity_type: str, known: KnownNames) -> bool:
    if path.field == "old" and not path.plain:
        return known.has_field(entity_type, _field_of(path))
    return path.field in BUILT_IN_VARIABLES or known.has_field(entity_type, path.field)


def _field_of(path: Path) -> str:
    return str(path.steps[1]) if path.field == "old" and not path.plain else path.field


# -- what each type names


def _email(email: SendEmail, place: Place, entity_type: str, known: KnownNames) -> Iterator[Problem]:
    yield from _field_problems(email.to_field, (*place, "toField"), entity_type, known)
    if known.templates is None:
        return
    if (needed := known.templates.get(email.template_id)) is None:
        yield Problem(pointer_to(*place, "templateId"), "mail-template-unknown", {"id": email.template_id})
        return
    for name in sorted(needed - email.variables.keys()):
        # A template may also read the entity's own fields by their names.
        if name not in BUILT_IN_VARIABLES and not known.has_field(entity_type, name):
            yield Problem(pointer_to(*place, "variables"), "mail-variable-missing", {"id": email.template_id, "name": name})


def _notification(told: SendNotification, place: Place, entity_type: str, known: KnownNames) -> Iterator[Problem]:
    for at, user in enumerate(told.to_users):
        if "{{" not in user:
            yield from _unknown(known.users, user, "user-unknown", (*place, "toUsers", at))


def _update(update: UpdateField, place: Place, entity_type: str, known: KnownNames) -> Iterator[Problem]:
    yield from _field_problems(update.field_name, (*place, "fieldName"), entity_type, known)
    value = update.value
    if value is None or (isinstance(value, str) and "{{" in value):
        return
    # Which zone a day is in does not decide whether it is a day.
    if converter(update.value_type, UTC)(value) is UNFIT:
        names = {"value": str(value)[:100], "type": str(update.value_type), "example": EXAMPLES[update.value_type]}
        yield Problem(pointer_to(*place, "value"), "value-unfit", names)


def _work(work: CreateTask | CreateActivity, place: Place, entity_type: str, known: KnownNames) -> Iterator[Problem]:
    if work.assign_to_field is not None:
        yield from _field_problems(work.assign_to_field, (*place, "assignToField"), entity_type, known)
    if work.assign_to is not None:
        yield from _unknown(known.users, work.assign_to, "user-unknown", (*place, "assignTo"))


def _assign(assign: AssignTo, place: Place, entity_type: str, known: KnownNames) -> Iterator[Problem]:
    if assign.user_id is not None:
        yield from _unknown(known.users, assign.user_id, "user-unknown", (*place, "userId"))
    for at, user in enumerate(assign.user_ids):
        yield from _unknown(known.users, user, "user-unknown", (*place, "userIds", at))
    if assign.team_id is not None:
        yield from _unknown(known.teams, assign.team_id, "team-unknown", (*place, "teamId"))


def _webhook(webhook: CallWebhook, place: Place, entity_type: str, known: KnownNames) -> Iterator[Problem]:
    if not _URL.match(webhook.url):
        yield Problem(pointer_to(*place, "url"), "url")
    for name in webhook.headers:
        if name.lower() in RESERVED_HEADERS or name.lower().startswith("webhook-"):
            yield Problem(pointer_to(*place, "headers", name), "header-reserved", {"name": name})


def _trigger(trigger: TriggerWorkflow, place: Place, entity_type: str, known: KnownNames) -> Iterator[Problem]:
    yield from _unknown(known.rules, trigger.rule_id, "rule-unknown", (*place, "ruleId"))


def _field_problems(text: str, place: Place, entity_type: str, known: KnownNames) -> Iterator[Problem]:
    try:
        path = parse_path(text)
    except PathRefused as error:
        yield Problem(pointer_to(*place), "path", {"text": text, "reason": str(error)})
        return
    if not known.has_field(entity_type, path.field):
        yield Problem(pointer_to(*place), "unknown-field", {"entity_type": entity_type, "field": path.field})


def _unknown(known: frozenset[str] | None, id_: str, code: str, place: Place) -> Iterator[Problem]:
    if known is not None and id_ not in known:
        yield Problem(pointer_to(*place), code, {"id": id_})


# A host without placeholders, user or password, then a path, query or nothing.
_URL = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?][^\s\x00-\x1f]*)?$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
RESERVED_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type", "idempotency-key"})

Look = Callable[[Any, Place, str, KnownNames], Iterable[Problem]]
LOOKS: dict[type[Configuration], Look] = {
    SendEmail: _email,
    SendNotification: _notification,
    UpdateField: _update,
    CreateTask: _work,
    CreateActivity: _work,
    AssignTo: _assign,
    CallWebhook: _webhook,
    TriggerWorkflow: _trigger,
}
