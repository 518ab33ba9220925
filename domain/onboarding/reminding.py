"""Reminders sent: the order Remind becomes effects, in the transaction of its decision, each under an id of its own.

| whom the state waits for | gets |
|---|---|
| a customer whom the directory knows as a user | a notification in the application |
| the members of a group who review | a notification each |
| a customer, where the flow names a template and the address | a mail, which may read the case |

A customer whom the directory does not know and who gets no mail hears from whoever follows `onboarding.events.v1`. A mail that
cannot be written (no address, no such template) is an incident of its flow and cause; the next one may succeed. What was
planned goes its own way: limits, circuits and retries are those of every effect, and the retries are few, since an old reminder
helps nobody.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from domain.directory.lookups import People, look_up, members_of
from domain.effects.answers import RetryPolicy
from domain.effects.commands import plan
from domain.effects.effect import NewEffect, effect_id
from domain.incidents import Incident, open_incidents
from domain.message_templates.reads import find_templates
from domain.message_templates.wording import Wording, rendered
from domain.notifications.performing import KIND as NOTIFICATION
from domain.onboarding.case_words import Words, read_words
from domain.onboarding.engine import Engine
from domain.onboarding.flow import Flow
from domain.onboarding.instance import Instance
from domain.onboarding.orders import Remind
from domain.onboarding.store import Case
from runtime.sql import Connection
from schemas.errors import Rejected
from schemas.flows import Reminder, State
from schemas.instants import format_time
from schemas.outgoing import MOST_RECIPIENTS, EmailRequest, NotificationRequest

OWNER = "onboarding-reminder"
NOT_SENT = "reminder-not-sent"
MAIL, RELAY = "email", "mail"
# Three more tries within some five minutes.
RETRY = RetryPolicy(retries=3, delay_seconds=40.0)
# Under this name a template reads where the journey stands.
WHERE = "onboarding"
_MAX_ADDRESS = 320
# Tenant and group.
Group = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Due:
    """A reminder that was decided: the instance and its sealed case as they were then."""

    instance: Instance
    flow: Flow
    state: State
    number: int
    case: Case = field(repr=False)

    @property
    def reminder(self) -> Reminder:
        """What the flow says of it; a state without an SLA has no reminders."""
        assert self.state.sla is not None, "reminders come from an SLA"
        return self.state.sla.reminder

    @property
    def group(self) -> Group | None:
        """The group that must decide; None: the customer is waited for."""
        review = self.instance.review
        return None if review is None else (self.instance.tenant_id, review.group)

    @property
    def where(self) -> dict[str, Any]:
        """Where the journey stands, without anything that a person said."""
        instance = self.instance
        return {
            "instanceId": instance.id,
            "flow": instance.flow,
            "title": self.flow.definition.title or instance.flow,
            "state": instance.state,
            "step": self.state.step or self.state.name,
            "expiresAt": None if instance.expires_at is None else format_time(instance.expires_at),
            "number": self.number,
        }


def due_of(instance: Instance, flow: Flow, order: Remind, case: Case) -> Due:
    """The reminder of an order."""
    return Due(instance, flow, flow.states[order.state], order.number, case)


async def remind(conn: Connection, engine: Engine, due: Sequence[Due]) -> None:
    """Plan what these reminders send. The caller holds their subjects and instances."""
    if not due:
        return
    groups = await members_of(conn, sorted({one.group for one in due if one.group is not None}))
    people, _ = await look_up(conn, [(one.instance.tenant_id, user) for one in due for user in _heard(one, groups)])
    effects = [effect for one in due for effect in _notifications(one, groups, people)]
    mails = await _mails(conn, engine, [one for one in due if one.reminder.template is not None])
    await plan(conn, effects + [mail for mail in mails if isinstance(mail, NewEffect)])
    await open_incidents(conn, [mail for mail in mails if isinstance(mail, Incident)])


def _heard(one: Due, groups: Mapping[Group, Sequence[str]]) -> Sequence[str]:
    return [one.instance.user_id] if one.group is None else groups.get(one.group, ())


def _notifications(one: Due, groups: Mapping[Group, Sequence[str]], people: People) -> Iterable[NewEffect]:
    users = [user for user in _heard(one, groups) if people.is_active(one.instance.tenant_id, user)]
    where = one.where
    until = f", at the latest by {where['expiresAt']}" if where["expiresAt"] else ""
    words = {
        "title": one.reminder.title or where["title"],
        "message": one.reminder.message or f"{where['step']} is waited for{until}",
    }
    for first in range(0, len(users), MOST_RECIPIENTS):
        asked = NotificationRequest(**words, to_users=tuple(users[first : first + MOST_RECIPIENTS]))
        yield _effect(one, NOTIFICATION, asked.to_request(), f"notification/{first}", NOTIFICATION)


async def _mails(conn: Connection, engine: Engine, due: Sequence[Due]) -> list[NewEffect | Incident | None]:
    """A mail for each, or why there is none. None: the person was erased, and nobody is reminded any more."""
    known: dict[tuple[str, str], Wording] = {}
    for tenant in sorted({one.instance.tenant_id for one in due}):
        names = {str(one.reminder.template) for one in due if one.instance.tenant_id == tenant}
        found = await find_templates(conn, tenant, [(name, None) for name in sorted(names)])
        known |= {(tenant, name): stored.wording for (name, _), stored in found.items()}
    words = await read_words(engine.keys, [(one.instance, one.case) for one in due])
    return [
        None if said is None else _mail(one, said, known.get((one.instance.tenant_id, str(one.reminder.template))))
        for one, said in zip(due, words, strict=True)
    ]


def _mail(one: Due, said: Words, wording: Wording | None) -> NewEffect | Incident:
    if wording is None:
        return _incident(one, "no-template")
    to = said.get(str(one.reminder.email_field))
    if not isinstance(to, str) or "@" not in to or len(to) > _MAX_ADDRESS:
        return _incident(one, "no-address")
    written = rendered(wording, {**said, WHERE: one.where})
    if isinstance(written, Rejected):
        return _incident(one, "bad-template-values")
    try:
        asked = EmailRequest(to=(to,), subject=written.subject, text=written.text, html=written.html)
    except ValidationError:
        return _incident(one, "out-of-limits")
    return _effect(one, MAIL, asked.to_request(), "mail", RELAY)


def _effect(one: Due, kind: str, request: Mapping[str, Any], way: str, endpoint: str) -> NewEffect:
    instance = one.instance
    owner, occurrence = f"{instance.tenant_id}|{instance.id}", f"{instance.entry}/{way}"
    return NewEffect(
        tenant_id=instance.tenant_id,
        id=effect_id(OWNER, owner, one.number, occurrence),
        owner_kind=OWNER,
        owner_id=instance.id,
        index=one.number,
        occurrence=occurrence,
        kind=kind,
        request=request,
        subject_id=instance.user_id,
        endpoint=endpoint,
        retry=RETRY,
    )


def _incident(one: Due, code: str) -> Incident:
    instance = one.instance
    return Incident(
        tenant_id=instance.tenant_id,
        kind=NOT_SENT,
        fingerprint=f"{instance.flow}|{instance.state}|{code}",
        summary="a reminder of an onboarding could not be written",
        object_type="onboarding-flow",
        object_id=f"{instance.flow}.v{instance.flow_version}",
        cure=f"casestream flow lint --tenant {instance.tenant_id}; the template must fit, and the case hold the address",
        detail={"code": code, "state": instance.state, "template": one.reminder.template},
    )
