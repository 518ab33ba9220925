"""Rules that time starts (SCHEDULED, ON_DATE_FIELD): which timers they have, and what is done when one is due (trap 24).

A scheduled rule has one timer. When it is due, the entities of its type are read in pages, one page per firing, and for each
that meets the conditions an order to start the rule goes to the rules group, which begins every run. The order's occurrence
names the instant for which the rule was scheduled, so two schedulers, a crash between two pages and a page that is read
again start it once per entity and instant.

    due --> which instants (catch-up) --> page of entities --> orders ... --> next instant

A rule that hangs on a date has a timer per entity (domain/rules/dating.py), and, when it is made or changed, one that goes
over the entities that exist. So it does when the tenant's zone or holidays change, and schedules in the tenant's zone move.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.directory.people import CALENDAR_CHANGED
from domain.entities.candidates import candidates
from domain.entities.entity import Entity
from domain.entities.store import find_entities
from domain.incidents import Incident, open_incidents
from domain.outbox import Outbox, OutboxEvent
from domain.rules.admission import link
from domain.rules.calendar import Calendar
from domain.rules.calendars import read_calendars
from domain.rules.change import Change
from domain.rules.compiling import CompiledRule
from domain.rules.date_fields import due_of
from domain.rules.dating import KIND as DATE
from domain.rules.dating import date_timer, timer_key
from domain.rules.followed_rules import FollowedRules
from domain.rules.known_names import calendar_of
from domain.rules.publishing import start_ordered
from domain.rules.store import Edit
from domain.timers.commands import arm, disarm, find_armed, hold_armed
from domain.timers.cron import due_fires, next_fire
from domain.timers.timer import Fired, Handler, Timer
from runtime.sql import Connection, load_queries
from schemas.registry import MAX_EVENT_BYTES
from schemas.rule_events import StartRule
from schemas.rules import TriggerType

queries = load_queries(__file__, "store.sql")
SCHEDULE, SCAN = "rule-schedule", "rule-date-scan"
PAGE = 500
# Headers and the rest of the row take what is left.
MAX_ORDER_BYTES = MAX_EVENT_BYTES - 20_000
# Of missed instants, with `catchUp: all`, as many fire.
MOST_CAUGHT_UP = 24


async def follow_edit(conn: Connection, edit: Edit, version: int) -> None:
    """Give a rule's version the timer that it needs, and take away what an older one had."""
    told = edit.definition
    runs = edit.is_active and not edit.removed
    now: datetime = await queries.read_now(conn)
    schedule, scan = f"{SCHEDULE}|{edit.id}", f"{SCAN}|{edit.id}"
    if runs and told.trigger_type is TriggerType.SCHEDULED:
        zone = told.schedule_timezone or (await calendar_of(conn, edit.tenant_id)).zone.key
        assert told.cron_expression is not None, "a rule without it is refused when it is saved"
        due = next_fire(told.cron_expression, zone, now)
        command = {"ruleId": edit.id, "zone": zone, "cron": told.cron_expression, "last": now.isoformat()}
        kept = await find_armed(conn, edit.tenant_id, schedule)
        # What an unchanged schedule has still to do is done by the new version.
        if kept is not None and all(kept.command[name] == command[name] for name in ("zone", "cron")):
            due, command = kept.due_at, dict(kept.command)
        await arm(conn, [Timer(edit.tenant_id, schedule, SCHEDULE, due, command, version)])
    else:
        await disarm(conn, {(edit.tenant_id, schedule): None})
    if runs and told.trigger_type is TriggerType.ON_DATE_FIELD:
        await arm(conn, [Timer(edit.tenant_id, scan, SCAN, now, {"ruleId": edit.id, "after": ""}, version)])
    else:
        await disarm(conn, {(edit.tenant_id, scan): None})


@dataclass(frozen=True, slots=True)
class _Page:
    """Where a schedule stands: the instants still to do, the entity behind which the first goes on."""

    instants: tuple[datetime, ...]
    after: str
    next_due: datetime


class Schedules:
    """The handlers of rules' timers, for one process."""

    def __init__(self, outbox: Outbox, rules: FollowedRules) -> None:
        self._outbox, self._rules = outbox, rules

    @property
    def handlers(self) -> dict[str, Handler]:
        """By kind of timer."""
        return {SCHEDULE: self.on_schedule, DATE: self.on_dates, SCAN: self.on_scan, CALENDAR_CHANGED: self.on_calendars}

    async def on_schedule(self, conn: Connection, timers: Sequence[Timer], now: datetime) -> Sequence[Fired]:
        """A page of entities for each due schedule."""
        return [await self._schedule(conn, timer, now) for timer in timers]

    async def on_dates(self, conn: Connection, timers: Sequence[Timer], now: datetime) -> Sequence[Fired]:
        """Orders for entities whose date has come, with their values of now."""
        wanted = [(timer.tenant_id, timer.command["entityType"], timer.command["entityId"]) for timer in timers]
        known = await find_entities(conn, wanted)
        book = await self._rules.read(conn, {timer.tenant_id for timer in timers})
        calendars = await read_calendars(conn, {timer.tenant_id for timer in timers})
        fired, orders = list[Fired](), list[OutboxEvent]()
        for timer, key in zip(timers, wanted, strict=True):
            active, entity = book.rules.get((timer.tenant_id, timer.command["ruleId"])), known.get(key)
            calendar = calendars.get(timer.tenant_id, Calendar())
            due = _due_now(active.rule, entity, calendar) if active is not None else None
            if active is None or entity is None or due is None:
                fired.append(Fired(timer.key, outdated=True))
            elif due > now:
                # The rule was changed, or the date, and the timer did not hear of it: it is not the time yet.
                fired.append(Fired(timer.key, next_due=due))
            else:
                fired.append(Fired(timer.key))
                occurrence = f"date|{due.isoformat()}"
                orders.append(_order(active.rule, entity, TriggerType.ON_DATE_FIELD, occurrence, due, holds=False))
        await self._append(conn, orders)
        return fired

    async def on_scan(self, conn: Connection, timers: Sequence[Timer], now: datetime) -> Sequence[Fired]:
        """A page of entities that existed before the rule did: their dates are armed."""
        return [await self._scan(conn, timer, now) for timer in timers]

    async def on_calendars(self, conn: Connection, timers: Sequence[Timer], now: datetime) -> Sequence[Fired]:
        """Tenants whose days are others now: their dates are counted again, their schedules move."""
        return [await self._follow_calendar(conn, timer, now) for timer in timers]

    async def _follow_calendar(self, conn: Connection, timer: Timer, now: datetime) -> Fired:
        tenant_id, held = timer.tenant_id, False
        book = await self._rules.read(conn, [tenant_id])
        zone = (await calendar_of(conn, tenant_id)).zone.key
        for rule in [active.rule for (tenant, _), active in book.rules.items() if tenant == tenant_id]:
            told = rule.definition
            if told.trigger_type is TriggerType.ON_DATE_FIELD:
                key = f"{SCAN}|{rule.rule_id}|{timer.entry}"
                await arm(conn, [Timer(tenant_id, key, SCAN, now, {"ruleId": rule.rule_id, "after": ""}, rule.version)])
            elif told.trigger_type is TriggerType.SCHEDULED and told.schedule_timezone is None:
                held = not await _move(conn, tenant_id, f"{SCHEDULE}|{rule.rule_id}", zone) or held
        # Another scheduler is going over a rule's entities: look again when it is done.
        return Fired(timer.key, next_due=now) if held else Fired(timer.key)

    async def _schedule(self, conn: Connection, timer: Timer, now: datetime) -> Fired:
        rule = await self._rule(conn, timer)
        if rule is None:
            return Fired(timer.key, outdated=True)
        place = _place(rule, timer, now)
        if not place.instants:
            return Fired(timer.key, next_due=place.next_due, command={**timer.command, "last": now.isoformat()})
        instant = place.instants[0]
        told = rule.definition
        page = await candidates(conn, timer.tenant_id, told.entity_type, told.inactive_for_days, place.after, PAGE)
        meeting = [entity for entity in page.entities if rule.matches(_as_it_is(entity, instant), now)]
        occurrence = f"cron|{instant.isoformat()}"
        orders = [_order(rule, one, TriggerType.SCHEDULED, occurrence, instant, holds=True) for one in meeting]
        await self._append(conn, orders)
        return _go_on(timer, place, page.next, now)

    async def _scan(self, conn: Connection, timer: Timer, now: datetime) -> Fired:
        rule = await self._rule(conn, timer)
        if rule is None:
            return Fired(timer.key, outdated=True)
        calendar = await calendar_of(conn, timer.tenant_id)
        page = await candidates(conn, timer.tenant_id, rule.definition.entity_type, None, timer.command["after"], PAGE)
        await arm(conn, [one for entity in page.entities if (one := _timer_for(rule, entity, now, calendar))])
        if page.next is None:
            return Fired(timer.key)
        return Fired(timer.key, next_due=now, command={**timer.command, "after": page.next})

    async def _append(self, conn: Connection, orders: Sequence[OutboxEvent]) -> None:
        """The orders that an event can carry; of an entity that is too large a person is told, and the others go on."""
        large = [order for order in orders if len(order.payload.to_json()) > MAX_ORDER_BYTES]
        await open_incidents(conn, [_too_large(order) for order in large])
        await self._outbox.append(conn, [order for order in orders if order not in large])

    async def _rule(self, conn: Connection, timer: Timer) -> CompiledRule | None:
        """The rule in the version that armed the timer; None when another counts now, or none."""
        book = await self._rules.read(conn, [timer.tenant_id])
        active = book.rules.get((timer.tenant_id, timer.command["ruleId"]))
        return active.rule if active is not None and active.rule.version == timer.entry else None


async def _move(conn: Connection, tenant_id: str, key: str, zone: str) -> bool:
    """Let a schedule count by this zone; False when another scheduler holds it. Its instants under way are done to the end."""
    armed = await find_armed(conn, tenant_id, key)
    if armed is None or armed.command["zone"] == zone:
        return True
    timer = await hold_armed(conn, tenant_id, key)
    if timer is None:
        return False
    due = next_fire(timer.command["cron"], zone, datetime.fromisoformat(timer.command["last"]))
    command = {**timer.command, "zone": zone}
    if "instants" in command:
        command["next"], due = due.isoformat(), timer.due_at
    await arm(conn, [Timer(tenant_id, key, SCHEDULE, due, command, timer.entry)])
    return True


def _too_large(order: OutboxEvent) -> Incident:
    return Incident(
        tenant_id=order.tenant_id,
        kind="rule-order-too-large",
        fingerprint="rule-order-too-large",
        object_type=order.aggregate,
        object_id=order.aggregate_id,
        summary="a rule was due for an entity whose values are larger than an event may be: it was not started",
        cure="make the entity smaller, or leave it out by the rule's conditions",
        detail={"rule": order.created_by},
    )


def _place(rule: CompiledRule, timer: Timer, now: datetime) -> _Page:
    command: Mapping[str, Any] = timer.command
    if "instants" in command:
        instants = tuple(datetime.fromisoformat(text) for text in command["instants"])
        return _Page(instants, command["after"], datetime.fromisoformat(command["next"]))
    told = rule.definition
    assert told.cron_expression is not None, "a rule without it is refused when it is saved"
    last = datetime.fromisoformat(command["last"])
    due = due_fires(told.cron_expression, command["zone"], last, now, told.catch_up, MOST_CAUGHT_UP)
    return _Page(due.fire, "", due.next)


def _go_on(timer: Timer, place: _Page, after: str | None, now: datetime) -> Fired:
    """The next page, the next instant, or the next time."""
    rest = place.instants if after is not None else place.instants[1:]
    kept = {name: timer.command[name] for name in ("ruleId", "zone", "cron")}
    if not rest:
        return Fired(timer.key, next_due=place.next_due, command={**kept, "last": place.instants[-1].isoformat()})
    told = {"instants": [instant.isoformat() for instant in rest], "after": after or "", "next": place.next_due.isoformat()}
    return Fired(timer.key, next_due=now, command={**kept, "last": timer.command["last"], **told})


def _due_now(rule: CompiledRule, entity: Entity | None, calendar: Calendar) -> datetime | None:
    """When the rule is due for the entity, as both are now; None where it is not for it, or not any more."""
    if entity is None or entity.removed or rule.definition.trigger_type is not TriggerType.ON_DATE_FIELD:
        return None
    return due_of(rule.definition, entity.values, calendar)


def _timer_for(rule: CompiledRule, entity: Entity, now: datetime, calendar: Calendar) -> Timer | None:
    due = due_of(rule.definition, entity.values, calendar)
    if due is None or due <= now:
        return None
    key = timer_key(rule.rule_id, entity.entity_type, entity.entity_id)
    # The scan moves what older words of the rule have armed; what an event says from now on counts more.
    return date_timer(rule, entity.key, key, due, entity.subject_id, now)


def _as_it_is(entity: Entity, at: datetime) -> Change:
    return Change(entity.tenant_id, entity.entity_type, entity.entity_id, "UPDATE", None, entity.values, (), "WORKFLOW", (), at)


def _order(
    rule: CompiledRule, entity: Entity, trigger: TriggerType, occurrence: str, at: datetime, *, holds: bool
) -> OutboxEvent:
    order = StartRule(
        rule_id=rule.rule_id,
        occurrence=occurrence,
        trigger_type=trigger,
        entity_type=entity.entity_type,
        entity_id=entity.entity_id,
        subject_id=entity.subject_id,
        new_values=dict(entity.values),
        timestamp=at,
        conditions_hold=holds,
    )
    return start_ordered(order, entity.tenant_id, link(rule.rule_id), at)
