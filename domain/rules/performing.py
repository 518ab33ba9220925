"""Actions that need no network, performed inside the transaction in which they fall due: each becomes a command in the outbox.

A command's id is the effect's id, so its receiver knows it when it comes again. Who owns the entity, we or an upstream,
makes no difference here: commands go to the topic, and the owner reads it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from domain.effects.effect import ClaimedEffect, Outcome
from domain.effects.wiring import Internal
from domain.entities import publishing as entity_commands
from domain.entities.decisions import Command
from domain.outbox import Outbox, OutboxEvent
from domain.rules import round_robin
from domain.rules.admission import link
from domain.rules.publishing import start_ordered
from domain.rules.run_store import chains_of
from domain.work_items import publishing as work_items
from runtime.sql import Connection
from schemas import entities
from schemas.caller import Caller
from schemas.envelope import MAX_CAUSATION
from schemas.registry import MAX_EVENT_BYTES
from schemas.rule_events import StartRule
from schemas.rules import TriggerType
from schemas.work_items import CreateWorkItem

_PRIORITIES = {
    "LOW": "low",
    "MEDIUM": "medium",
    "NORMAL": "medium",
    "HIGH": "high",
    "CRITICAL": "critical",
    "URGENT": "critical",
}
# What an event may be, without its headers.
MAX_COMMAND_BYTES = MAX_EVENT_BYTES - 20_000
Sent = Command | CreateWorkItem | StartRule
_COMMANDS: Mapping[str, type[Command]] = {
    model.TYPE: model
    for model in (
        entities.UpdateField,
        entities.ChangeStage,
        entities.ChangeStatus,
        entities.AddTag,
        entities.RemoveTag,
    )
}


class Performer:
    """The internal kinds of rules."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @property
    def kinds(self) -> dict[str, Internal]:
        """By the kinds that domain/rules/requests.py gives."""
        return {
            "entity-command": self.command_entities,
            "activity": self.create_activities,
            "task": self.create_tasks,
            "assign": self.assign,
            "trigger": self.trigger,
            "unmakeable": fail,
        }

    async def command_entities(self, conn: Connection, effects: Sequence[ClaimedEffect], now: datetime) -> Sequence[Outcome]:
        """UPDATE_FIELD, CHANGE_STAGE, CHANGE_STATUS, ADD_TAG, REMOVE_TAG."""
        return await self._send(conn, effects, _entity_command, now)

    async def create_activities(self, conn: Connection, effects: Sequence[ClaimedEffect], now: datetime) -> Sequence[Outcome]:
        """CREATE_ACTIVITY: an ACTIVITY entity under the effect's id, made by whoever owns that type."""
        return await self._send(conn, effects, _activity, now)

    async def create_tasks(self, conn: Connection, effects: Sequence[ClaimedEffect], now: datetime) -> Sequence[Outcome]:
        """CREATE_TASK: a work item under the effect's id."""
        return await self._send(conn, effects, _task, now)

    async def assign(self, conn: Connection, effects: Sequence[ClaimedEffect], now: datetime) -> Sequence[Outcome]:
        """ASSIGN_TO: the named one, or whose turn it is among the active ones."""
        chosen = await round_robin.choose(conn, effects)
        given = [effect for effect in effects if chosen[effect.id] is not None]
        failed = [effect.outcome("failed", "nobody-active") for effect in effects if chosen[effect.id] is None]
        return [*await self._send(conn, given, lambda effect: _assignment(effect, str(chosen[effect.id])), now), *failed]

    async def trigger(self, conn: Connection, effects: Sequence[ClaimedEffect], now: datetime) -> Sequence[Outcome]:
        """TRIGGER_WORKFLOW: another rule for the same entity, in the same chain; the rules group starts it."""
        return await self._send(conn, effects, _start, now)

    async def _send(
        self, conn: Connection, effects: Sequence[ClaimedEffect], make: Callable[[ClaimedEffect], Sent], now: datetime
    ) -> Sequence[Outcome]:
        """Send what each effect asks for. One whose values no command may hold fails alone."""
        sends, failed = list[tuple[ClaimedEffect, Sent]](), list[Outcome]()
        for effect in effects:
            try:
                payload = make(effect)
            except ValidationError:
                failed.append(effect.outcome("failed", "out-of-limits"))
                continue
            if len(payload.to_json()) > MAX_COMMAND_BYTES:
                failed.append(effect.outcome("failed", "too-large"))
            else:
                sends.append((effect, payload))
        chains = await chains_of(conn, [(effect.tenant_id, effect.owner_id) for effect, _ in sends])
        events = []
        for effect, payload in sends:
            rule_id, chain = chains[effect.tenant_id, effect.owner_id]
            caused = (*chain, link(rule_id))[-MAX_CAUSATION:]
            sender = Caller(effect.tenant_id, link(rule_id), frozenset(), "RULE", causation=caused)
            events.append(_event(payload, sender, now))
        await self._outbox.append(conn, events)
        return [*(effect.outcome("succeeded") for effect, _ in sends), *failed]


def _event(payload: Sent, sender: Caller, now: datetime) -> OutboxEvent:
    match payload:
        case CreateWorkItem():
            return work_items.ordered(payload, sender, now)
        case StartRule():
            return start_ordered(payload, sender.tenant_id, sender.user_id, now, sender.causation)
        case _:
            return entity_commands.ordered(payload, sender, now)


async def fail(_conn: Connection, effects: Sequence[ClaimedEffect], _now: datetime) -> Sequence[Outcome]:
    """An action whose request could not be made of the event's values."""
    return [effect.outcome("failed", _told(effect)["code"]) for effect in effects]


def _told(effect: ClaimedEffect) -> Mapping[str, Any]:
    assert effect.request is not None, "an effect without request is never performed"
    return effect.request


def _about(effect: ClaimedEffect) -> dict[str, Any]:
    told = _told(effect)
    return {"command_id": str(effect.id), "entity_type": told["entityType"], "entity_id": told["entityId"]}


def _entity_command(effect: ClaimedEffect) -> Command:
    told = dict(_told(effect))
    return _COMMANDS[told.pop("command")].model_validate({"commandId": str(effect.id), **told})


def _assignment(effect: ClaimedEffect, user: str) -> Command:
    return entities.AssignTo(**_about(effect), assignee_id=user)


def _activity(effect: ClaimedEffect) -> Command:
    told = _told(effect)
    return entities.CreateActivity(
        command_id=str(effect.id),
        entity_type="ACTIVITY",
        entity_id=str(effect.id),
        subject=told["subject"],
        description=told["description"],
        activity_type=told["activityType"],
        priority=told["priority"],
        due_date=told["dueAt"],
        assigned_to=told["assigneeId"],
        related_to=entities.EntityReference.model_validate(told["relatedTo"]),
    )


def _task(effect: ClaimedEffect) -> CreateWorkItem:
    told = _told(effect)
    return CreateWorkItem(
        work_item_id=str(effect.id),
        title=told["subject"],
        description=told["description"],
        request_type=told["activityType"],
        priority=_PRIORITIES[told["priority"]],
        due_at=told["dueAt"],
        assignee_id=told["assigneeId"],
        related_to=told["relatedTo"],
    )


def _start(effect: ClaimedEffect) -> StartRule:
    told = dict(_told(effect))
    return StartRule.model_validate(
        {**told, "occurrence": f"run|{effect.owner_id}|{effect.index}", "triggerType": TriggerType.ON_UPDATE}
    )
