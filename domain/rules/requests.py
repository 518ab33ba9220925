"""What an action asks for, once its templates are filled with the event's values. Pure.

The values are those of the event that fired the rule, for every action of every rule that it fired: an action that is due
a day later still says what was true then. An action that cannot be made of these values fails with a code, and sends nothing.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from domain.fields.paths import MISSING, Values, parse_path
from domain.message_templates.wording import Wording, rendered
from domain.rules.calendar import Calendar, after
from domain.rules.change import Change
from domain.templating.rendering import RenderRefused, Target, fill, render
from domain.templating.template import parse
from runtime.outbound.targets import endpoint_of
from schemas.errors import Rejected
from schemas.outgoing import EmailRequest, NotificationRequest, WebhookRequest
from schemas.rule_actions import (
    AddTag,
    AssignTo,
    CallWebhook,
    ChangeStage,
    ChangeStatus,
    Configuration,
    CreateActivity,
    CreateTask,
    Delay,
    RemoveTag,
    SendEmail,
    SendNotification,
    TriggerWorkflow,
    UpdateField,
    configuration_of,
)
from schemas.rules import ActionSpec

MAIL = "mail"
_MAX_ADDRESS = 320


@dataclass(frozen=True, slots=True)
class Subject:
    """What a run is about: the change that fired the rule, the tenant's calendar when it did, and the stored messages."""

    rule_id: str
    change: Change
    now: datetime
    calendar: Calendar
    templates: Mapping[str, Wording] = field(default_factory=dict)

    @property
    def shown(self) -> Values:
        """The values as templates see them."""
        return self.change.variables

    @property
    def reference(self) -> dict[str, str]:
        return {"entityType": self.change.entity_type, "entityId": self.change.entity_id}


@dataclass(frozen=True, slots=True)
class Request:
    """One effect to plan. `endpoint`: whom it reaches, for order and limits; internal kinds have none."""

    kind: str
    body: Mapping[str, Any]
    endpoint: str = ""
    delay_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Unmakeable:
    """The values do not give what the action needs."""

    code: str


def request_of(action: ActionSpec, subject: Subject) -> Request | Unmakeable:
    """The action's request with its templates filled."""
    try:
        told = configuration_of(action)
        return MAKERS[type(told)](told, subject)
    except RenderRefused as error:
        return Unmakeable(error.reason)
    except ValidationError:
        # What the values make of the action breaks a limit of its request: an address, a length, a number of recipients.
        return Unmakeable("out-of-limits")


def _email(told: SendEmail, subject: Subject) -> Request | Unmakeable:
    to = parse_path(told.to_field).read(subject.shown)
    if to is MISSING or to is None:
        return Unmakeable("no-recipient")
    if not isinstance(to, str) or "@" not in to or len(to) > _MAX_ADDRESS:
        return Unmakeable("bad-recipient")
    wording = subject.templates.get(told.template_id)
    if wording is None:
        return Unmakeable("no-template")
    # A template may read the entity's own fields too; what the rule sets goes first.
    words = rendered(wording, {**subject.shown, **fill(told.variables, subject.shown)})
    if isinstance(words, Rejected):
        return Unmakeable("bad-template-values")
    cc = [address for template in told.cc_emails if (address := _text(template, subject, "header"))]
    asked = EmailRequest(to=(to,), cc=tuple(cc), subject=words.subject, text=words.text, html=words.html)
    return Request("email", asked.to_request(), MAIL)


def _notification(told: SendNotification, subject: Subject) -> Request | Unmakeable:
    users = [user for template in told.to_users for user in _users(template, subject)]
    if not users:
        return Unmakeable("no-recipient")
    asked = NotificationRequest(
        title=_text(told.title, subject),
        message=_text(told.message, subject),
        to_users=tuple(dict.fromkeys(users)),
        priority=told.priority,
        action_url=_text(told.action_url, subject, "url") if told.action_url else None,
    )
    return Request("notification", asked.to_request())


def _users(template: str, subject: Subject) -> list[str]:
    """One placeholder may name a list of users; anything else is one."""
    named = fill(template, subject.shown)
    return [str(user) for user in (named if isinstance(named, list) else [named]) if user not in (None, "")]


def _webhook(told: CallWebhook, subject: Subject) -> Request | Unmakeable:
    url = _text(told.url, subject, "url")
    endpoint = endpoint_of(url)
    if not endpoint:
        return Unmakeable("bad-url")
    filled = fill(told.body_template, subject.shown)
    asked = WebhookRequest(
        url=url,
        method=told.method,
        headers={name: _text(value, subject, "header") for name, value in told.headers.items()},
        body="" if filled is None else json.dumps(filled, ensure_ascii=False, separators=(",", ":")),
    )
    return Request("webhook", asked.to_request(), endpoint)


def _work(told: CreateTask | CreateActivity, subject: Subject) -> Request | Unmakeable:
    assignee = told.assign_to
    if told.assign_to_field is not None:
        named = parse_path(told.assign_to_field).read(subject.shown)
        assignee = None if named is MISSING or named is None else str(named)
    due = None
    if told.due_date_offset is not None:
        due = after(subject.now, told.due_date_offset, told.due_date_unit, subject.calendar).isoformat()
    title = _text(told.subject, subject).strip()
    if not title:
        return Unmakeable("empty-subject")
    body = {
        "subject": title[:500],
        "description": _text(told.description, subject)[:20_000] if told.description else None,
        "activityType": told.activity_type,
        "priority": told.priority,
        "dueAt": due,
        "assigneeId": assignee,
        "relatedTo": subject.reference,
    }
    return Request("task" if isinstance(told, CreateTask) else "activity", body)


def _worded(command: str, subject: Subject, name: str, template: str) -> Request | Unmakeable:
    text = _text(template, subject).strip()
    return _command(command, subject, **{name: text}) if text else Unmakeable(f"empty-{name}")


def _command(command: str, subject: Subject, **told: Any) -> Request:
    return Request("entity-command", {"command": command, **subject.reference, **told})


def _plain(told: Configuration) -> dict[str, Any]:
    return told.model_dump(mode="json", by_alias=True, exclude_none=True)


def _text(template: str, subject: Subject, target: Target = "text") -> str:
    return render(parse(template), subject.shown, target)


def _assignment(told: AssignTo, subject: Subject) -> Request:
    return Request("assign", {**subject.reference, **_plain(told), "ruleId": subject.rule_id})


def _field(told: UpdateField, subject: Subject) -> Request:
    return _command("UpdateField", subject, field=told.field_name, value=fill(told.value, subject.shown))


def _stage(told: ChangeStage, subject: Subject) -> Request | Unmakeable:
    return _worded("ChangeStage", subject, "stage", told.stage)


def _status(told: ChangeStatus, subject: Subject) -> Request | Unmakeable:
    return _worded("ChangeStatus", subject, "status", told.status)


def _tag(told: AddTag | RemoveTag, subject: Subject) -> Request | Unmakeable:
    return _worded(type(told).__name__, subject, "tag", told.tag)


def _delay(told: Delay, _: Subject) -> Request:
    return Request("delay", {}, delay_seconds=told.seconds)


def _trigger(told: TriggerWorkflow, subject: Subject) -> Request:
    change = subject.change
    seen = {
        "changeType": change.change_type,
        "oldValues": None if change.old is None else dict(change.old),
        "newValues": None if change.new is None else dict(change.new),
        "changedFields": list(change.changed_fields),
        "changedBy": change.changed_by,
        "timestamp": change.occurred_at.isoformat(),
    }
    return Request("trigger", {**subject.reference, **seen, "ruleId": told.rule_id})


Maker = Callable[[Any, Subject], Request | Unmakeable]
MAKERS: dict[type[Configuration], Maker] = {
    SendEmail: _email,
    SendNotification: _notification,
    UpdateField: _field,
    CreateTask: _work,
    CreateActivity: _work,
    AssignTo: _assignment,
    ChangeStage: _stage,
    ChangeStatus: _status,
    AddTag: _tag,
    RemoveTag: _tag,
    CallWebhook: _webhook,
    Delay: _delay,
    TriggerWorkflow: _trigger,
}
