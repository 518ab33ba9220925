"""The batch form: the same result as one at a time, refusals as events, coupling, and writers that meet on hot items."""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.work_items import batch, commands, coupling
from domain.work_items.decisions import Decided
from domain.work_items.transitions import UI_ACTIONS
from schemas.caller import Caller
from schemas.errors import ConcurrencyConflict, Rejected
from schemas.onboarding import InstanceStatusChanged
from schemas.work_items import ApplyAction, CreateWorkItem
from tests.integration.domain.world import OUTBOX, World, act, caller, create, decided, engine, new_id, path_is_valid
from tests.waiting import until


def _messages(orders: Sequence[batch.Command], who: Caller) -> list[batch.Message]:
    return [batch.Message(command, who, "test", str(position)) for position, command in enumerate(orders)]


async def _run(conn: Any, messages: Sequence[batch.Message]) -> list[batch.Ruling]:
    """What a shell does with one batch, inside its transaction."""
    now: datetime = await conn.fetchval("select cs_now()")
    states = await batch.load(conn, messages)
    rulings = []
    for message in messages:
        ruling = batch.decide(states[message.key], message, now)
        states[message.key] = ruling.state
        rulings.append(ruling)
    await batch.save(conn, OUTBOX, rulings, now)
    return rulings


def _script(seed: int, items: Sequence[str]) -> list[CreateWorkItem | ApplyAction]:
    """A life of these items with everything that goes wrong in one."""
    dice = random.Random(seed)
    orders: list[CreateWorkItem | ApplyAction] = [
        create(item, draft=dice.random() < 0.3, assignee_id=dice.choice([None, "bo", "gone"])) for item in items
    ]
    for _ in range(120):
        action = dice.choice([*UI_ACTIONS, "Assign", "Assign", "Archive", "close"])
        assignee = dice.choice([None, "an", "bo", "gone", "nobody"]) if dice.random() < 0.5 else None
        version = dice.randint(1, 6) if dice.random() < 0.2 else None
        orders.append(act(dice.choice([*items, new_id()]), action, new_assignee_id=assignee, expected_version=version))
    return orders


async def _result(world: World, items: Sequence[str]) -> list[Any]:
    columns = "status, version, event_sequence, history_length, cycle, assignee_id, closed_at is null as is_open, updated_by"
    found: list[Any] = []
    for item in items:
        rows = await world.look(f"select {columns} from work_items where id = $1::uuid", item)
        sent = [event for event in await world.events(item) if event[0] is not None]
        found.append((rows, await world.history(item), sent))
    return found


@pytest.mark.requirement("WI-1", "WI-2", "trap-61")
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_batch_of_any_size_gives_what_one_at_a_time_gives(world: World, size: int) -> None:
    single, batched = [new_id() for _ in range(5)], [new_id() for _ in range(5)]
    refused: list[str] = []
    for order in _script(size, single):
        async with world.api() as conn:
            if isinstance(order, CreateWorkItem):
                outcome = await commands.create_work_item(conn, OUTBOX, caller(), order)
            else:
                outcome = await commands.apply_action(conn, OUTBOX, caller(), order)
        refused += [outcome.code] if isinstance(outcome, Rejected) else []
    messages = _messages(_script(size, batched), caller())
    for start in range(0, len(messages), size):
        async with world.worker() as conn:
            await _run(conn, messages[start : start + size])
    assert await _result(world, single) == await _result(world, batched)
    answers = await world.look(
        "select convert_from(payload, 'UTF8')::jsonb ->> 'code' as code from outbox_events where sequence is null"
    )
    assert Counter(row["code"] for row in answers) == Counter(refused)


@pytest.mark.requirement("WI-3")
async def test_a_refusal_is_an_event_without_number_that_says_what_may_be_done(world: World) -> None:
    item = new_id()
    orders: list[batch.Command] = [
        create(item),
        act(item, "Close", expected_status="open"),
        act("no-uuid", "Close"),
        create("no-uuid"),
    ]
    async with world.worker() as conn:
        await _run(conn, _messages(orders, caller(source="KAFKA")))
    rows = await world.look(
        "select convert_from(payload, 'UTF8') as said from outbox_events where sequence is null order by id"
    )
    said = [json.loads(row["said"]) for row in rows]
    assert [answer["code"] for answer in said] == ["InvalidTransition", "WorkItemNotFound", "InvalidWorkItemId"]
    assert said[0]["allowedNextActions"] == ["Assign", "StartWork", "Cancel", "Reject"]
    assert (said[0]["status"], said[0]["version"], said[0]["action"]) == ("open", 2, "Close")
    assert (said[0]["commandSource"], said[0]["commandId"]) == ("test", "1")


_ENDED_ITEMS = """
insert into work_items (tenant_id, id, status, version, event_sequence, history_length, coupling, title, priority, source,
                        occurred_at, last_action_at, closed_at, created_by, updated_by)
select 'north', gen_random_uuid(), 'closed', 1, 1, 1, 'strong', 't', 'low', 'CRM_UI', now(), now(), now(), 'u', 'u'
from generate_series(1, 3000)"""
_COMPLETED_INSTANCES = """
insert into work_item_instances (tenant_id, work_item_id, instance_id, status, cycle)
select tenant_id, id, 'i', 'completed', 0 from work_items where status = 'closed'"""

CANARY = "Ann Example, 1 January 1970"


@pytest.mark.requirement("WI-3")
async def test_an_id_that_is_no_uuid_is_kept_nowhere(world: World) -> None:
    """Events and incidents are kept for ever, and erasure finds nobody in them."""
    orders: list[batch.Command] = [act(CANARY, "Close"), create(CANARY), _instance_news(CANARY)]
    async with world.worker() as conn:
        await _run(conn, _messages(orders, engine()))
    rows = await world.look("select aggregate_id, key, headers, payload from outbox_events order by id")
    assert [row["aggregate_id"] for row in rows] == [batch.MALFORMED] * 2
    assert [json.loads(row["payload"])["commandId"] for row in rows] == ["0", "1"]
    (incident,) = await world.look("select * from incidents")
    assert (incident["kind"], incident["object_id"]) == ("instance-without-item", batch.MALFORMED)
    kept = b"".join(bytes(row[name]) for row in rows for name in ("key", "headers", "payload"))
    assert CANARY not in kept.decode(errors="replace") + str(incident)


@pytest.mark.requirement("WI-7")
async def test_refused_news_of_an_instance_is_an_incident_and_no_answer(world: World) -> None:
    unknown = new_id()
    async with world.worker() as conn:
        (ruling,) = await _run(conn, _messages([_instance_news(unknown)], engine()))
    assert isinstance(ruling.outcome, Rejected)
    assert await world.events(unknown) == []
    assert [row["object_id"] for row in await world.look("select object_id from incidents")] == [unknown]


def _instance_news(work_item_id: str) -> InstanceStatusChanged:
    return InstanceStatusChanged.model_validate(
        {"instanceId": "i", "workItemId": work_item_id, "cycle": 0, "status": "running", "changedAt": "2026-01-01T00:00:00Z"}
    )


async def test_one_batch_folds_creation_and_actions_of_one_item(world: World) -> None:
    item = new_id()
    orders: list[batch.Command] = [
        create(item),
        act(item, "Assign", new_assignee_id="bo"),
        act(item, "Resolve"),
        act(item, "Close"),
        act(item, "Reopen"),
    ]
    async with world.worker() as conn:
        rulings = await _run(conn, _messages(orders, caller()))
    assert all(isinstance(ruling.outcome, Decided) for ruling in rulings)
    assert path_is_valid(await world.history(item))
    assert [number for number, _ in await world.events(item)] == [1, 2, 3, 4, 5, 6, 7]
    row = await world.item(item)
    assert (row["status"], row["version"], row["cycle"]) == ("in_progress", 6, 1)


@pytest.mark.requirement("SP-8")
async def test_one_batch_of_several_tenants_keeps_them_apart(world: World) -> None:
    item = new_id()
    who = [caller(), caller(tenant_id="south")]
    messages = [batch.Message(create(item, assignee_id="bo"), one, "test", one.tenant_id) for one in who]
    async with world.worker("north", "south") as conn:
        rulings = await _run(conn, messages)
    # The same id in another tenant is another item, and bo is a user of the north only.
    assert isinstance(rulings[0].outcome, Decided)
    assert getattr(rulings[1].outcome, "code", None) == "UnknownAssignee"


class TestCoupling:
    @pytest.mark.requirement("WI-7", "trap-51")
    @pytest.mark.hole("cycle-guards-reopen")
    async def test_an_instances_end_closes_its_item_and_an_older_cycles_end_does_not(self, world: World) -> None:
        item = new_id()
        await self._started(world, item)
        await self._news(world, item, "completed", cycle=0)
        assert (await world.item(item))["status"] == "closed"
        async with world.api() as conn:
            decided(await commands.apply_action(conn, OUTBOX, caller(), act(item, "Reopen")))
        before = await world.events(item)
        await self._news(world, item, "completed", cycle=0)
        assert (await world.item(item))["status"] == "in_progress"
        assert await world.events(item) == before
        await self._news(world, item, "completed", cycle=1)
        assert (await world.item(item))["status"] == "closed"

    @pytest.mark.requirement("WI-6", "trap-53")
    async def test_a_loopback_engine_hears_people_and_never_itself(self, world: World) -> None:
        """The engine does not exist yet: this consumer follows WORK_ITEM_STATUS_CHANGED as it will."""
        item = new_id()
        await self._started(world, item)
        for action in ("Resolve", "Close", "Reopen", "Cancel"):
            async with world.api() as conn:
                decided(await commands.apply_action(conn, OUTBOX, caller(), act(item, action)))
        assert await self._heard(world, item) == [("closed", 0), ("in_progress", 1), ("canceled", 1)]
        own = new_id()
        await self._started(world, own)
        await self._news(world, own, "completed")
        assert await self._heard(world, own) == []

    @pytest.mark.requirement("trap-49")
    async def test_an_end_before_work_began_and_an_unknown_item_are_incidents(self, world: World) -> None:
        item, unknown = new_id(), new_id()
        async with world.api() as conn:
            decided(await commands.create_work_item(conn, OUTBOX, caller(), create(item)))
        await self._news(world, item, "completed")
        await self._news(world, unknown, "running")
        found = await world.look("select kind, object_id from incidents order by kind")
        assert [(row["kind"], row["object_id"]) for row in found] == [
            ("autoclose-refused", item),
            ("instance-without-item", unknown),
        ]

    @pytest.mark.requirement("WI-7")
    async def test_pairs_that_disagree_become_incidents_until_they_agree(self, world: World) -> None:
        running, fine, loose, young = (new_id() for _ in range(4))
        for item in (running, fine, young):
            await self._started(world, item)
            await self._news(world, item, "running")
        await self._started(world, loose, process="aml-watch")
        await self._news(world, loose, "running")
        for item in (running, loose, young):
            async with world.api() as conn:
                decided(await commands.apply_action(conn, OUTBOX, caller(), act(item, "Cancel")))
        await world.look("update work_items set updated_at = updated_at - interval '2 minutes' where id <> $1::uuid", young)
        await world.look("update work_item_instances set since = since - interval '2 minutes'")
        assert await self._reconciled(world) == [running]
        assert await self._reconciled(world) == [running]
        (incident,) = await world.look("select kind, object_id, seen_count, state from incidents")
        assert incident == {"kind": "coupling-disagreement", "object_id": running, "seen_count": 2, "state": "open"}
        await self._news(world, running, "canceled")
        assert await self._reconciled(world, older_than=timedelta(0)) != []
        (incident,) = await world.look("select state, resolved_by from incidents where object_id = $1", running)
        assert incident == {"state": "resolved", "resolved_by": "system:reconciler"}

    @pytest.mark.requirement("WI-7")
    async def test_pages_of_any_size_find_the_same_pairs(self, world: World) -> None:
        items = sorted(new_id() for _ in range(5))
        for item in items:
            await self._started(world, item)
        await self._aged(world, _COMPLETED_INSTANCES.replace("'closed'", "'in_progress'"))
        for size in (1, 2, 5, 6):
            assert await self._reconciled(world, page_size=size) == items

    @pytest.mark.requirement("WI-7")
    @pytest.mark.parametrize("query", ["list_open_items_of_ended_instances", "list_running_instances_of_ended_items"])
    async def test_a_page_touches_what_lives_and_never_what_ended_long_ago(self, world: World, query: str) -> None:
        item = new_id()
        await self._started(world, item)
        await self._news(world, item, "running")
        await world.look(_ENDED_ITEMS)
        await world.look(_COMPLETED_INSTANCES)
        for table in ("work_items", "work_item_instances"):
            await world.look(f"analyze {table}")
        given = (timedelta(seconds=1), "north", coupling.FIRST, UUID(int=2**128 - 1))
        async with world.worker() as conn:
            rows = await conn.fetch(f"explain (analyze, costs off, timing off) {coupling.queries.sql_of(query)}", *given)
        plan = "\n".join(row[0] for row in rows)
        assert "Seq Scan" not in plan, plan
        assert all(int(count) <= 1 for count in re.findall(r"Rows Removed by Filter: (\d+)", plan)), plan

    async def _reconciled(self, world: World, **how: Any) -> list[str]:
        """One round as the reconciler's, in one transaction: the items of the pairs found."""
        found: list[str] = []
        async with world.worker() as conn:
            for walk in coupling.WALKS:
                after: UUID | None = coupling.FIRST
                while after is not None:
                    pairs, after = await coupling.report_disagreements(conn, "north", walk, after, **how)
                    found += [pair.work_item_id for pair in pairs]
            await coupling.resolve_agreements(conn, "north")
        return found

    async def _aged(self, world: World, put: str) -> None:
        await world.look(put)
        await world.look("update work_items set updated_at = updated_at - interval '2 minutes'")
        await world.look("update work_item_instances set since = since - interval '2 minutes'")

    async def _started(self, world: World, item: str, **fields: object) -> None:
        async with world.api() as conn:
            decided(await commands.create_work_item(conn, OUTBOX, caller(), create(item, **fields)))
            decided(await commands.apply_action(conn, OUTBOX, caller(), act(item, "StartWork")))

    async def _news(self, world: World, item: str, status: str, cycle: int = 0) -> None:
        (row,) = await world.look("select cs_now() as now")
        event = InstanceStatusChanged.model_validate(
            {"instanceId": f"of-{item}", "workItemId": item, "cycle": cycle, "status": status, "changedAt": row["now"]}
        )
        async with world.worker() as conn:
            await _run(conn, _messages([event], engine()))

    async def _heard(self, world: World, item: str) -> list[tuple[str, int]]:
        rows = await world.look(
            "select said ->> 'newStatus' as status, (said ->> 'cycle')::integer as cycle "
            "from (select id, convert_from(payload, 'UTF8')::jsonb as said from outbox_events "
            "      where aggregate_id = $1 and event_type = 'WORK_ITEM_STATUS_CHANGED') e "
            "where (said ->> 'notifyWorkflow')::boolean order by id",
            item,
        )
        return [(row["status"], row["cycle"]) for row in rows]


class TestWritersThatMeet:
    """HTTP and two processors on hot items."""

    @pytest.mark.requirement("WI-2", "trap-57")
    @pytest.mark.hole("lock-order")
    async def test_three_writers_lose_no_update_and_never_deadlock(self, world: World) -> None:
        items = [new_id() for _ in range(10)]
        async with world.worker() as conn:
            await _run(conn, _messages([create(item) for item in items], caller()))
        done = await asyncio.gather(
            self._http(world, items), self._processor(world, items, 1), self._processor(world, items, 2)
        )
        accepted = Counter[str]()
        for counts in done:
            accepted.update(counts)
        for item in items:
            history, events = await world.history(item), await world.events(item)
            assert path_is_valid(history)
            assert len(history) == 2 + accepted[item] == (await world.item(item))["version"]
            numbers = [number for number, _ in events if number is not None]
            assert numbers == list(range(1, len(numbers) + 1))
        assert sum(accepted.values()) > 50

    async def _http(self, world: World, items: Sequence[str]) -> Counter[str]:
        dice, accepted = random.Random(0), Counter[str]()
        for order in _orders(dice, items, 150):
            async with world.api() as conn:
                outcome = await commands.apply_action(conn, OUTBOX, caller(), order)
            accepted[order.work_item_id] += isinstance(outcome, Decided)
        return accepted

    async def _processor(self, world: World, items: Sequence[str], seed: int) -> Counter[str]:
        dice, accepted = random.Random(seed), Counter[str]()
        for _ in range(15):
            async with world.worker() as conn:
                rulings = await _run(conn, _messages(_orders(dice, items, 10), caller(source="KAFKA")))
            accepted.update(r.message.work_item_id for r in rulings if isinstance(r.outcome, Decided))
        return accepted

    @pytest.mark.hole("lock-order")
    async def test_a_batch_waits_for_its_first_item_before_it_locks_the_second(self, world: World) -> None:
        """In the order of its messages it would hold the second item here, and both writers would wait for ever."""
        first, second = sorted((new_id(), new_id()))
        async with world.worker() as conn:
            await _run(conn, _messages([create(first), create(second)], caller()))
        backwards = _messages([act(second, "StartWork"), act(first, "StartWork")], caller())

        async def other() -> None:
            async with world.worker() as conn:
                await batch.load(conn, backwards)

        async with world.worker() as conn:
            await batch.load(conn, backwards[1:])
            waiting = asyncio.create_task(other())
            await until(lambda: self._blocked(world), what="the other writer to wait")
            await batch.load(conn, backwards[:1])
        await waiting

    async def _blocked(self, world: World) -> bool:
        return bool(await world.look("select from pg_locks where not granted and locktype in ('transactionid', 'tuple')"))

    @pytest.mark.hole("lock-order")
    async def test_a_writer_that_kept_a_state_beyond_its_lock_is_refused(self, world: World) -> None:
        """The control: two writers that decide on the same state cannot both save; the version finds the second."""
        item = new_id()
        async with world.api() as conn:
            decided(await commands.create_work_item(conn, OUTBOX, caller(), create(item)))
        message = _messages([act(item, "StartWork")], caller())[0]
        async with world.worker() as conn:
            stale = await batch.load(conn, [message])
        async with world.worker() as conn:
            await _run(conn, [message])
        (row,) = await world.look("select cs_now() as now")
        ruling = batch.decide(stale[message.key], message, row["now"])
        async with world.worker() as conn:
            with pytest.raises(ConcurrencyConflict):
                await batch.save(conn, OUTBOX, [ruling], row["now"])
        assert len(await world.history(item)) == 3

    async def test_two_creators_of_one_id_are_one_item(self, world: World) -> None:
        item = new_id()
        message = _messages([create(item)], caller())[0]
        async with world.worker() as conn:
            stale = await batch.load(conn, [message])
        async with world.api() as conn:
            decided(await commands.create_work_item(conn, OUTBOX, caller(), create(item)))
        (row,) = await world.look("select cs_now() as now")
        async with world.worker() as conn:
            with pytest.raises(ConcurrencyConflict):
                await batch.save(conn, OUTBOX, [batch.decide(stale[message.key], message, row["now"])], row["now"])
        assert len(await world.events(item)) == 2


def _orders(dice: random.Random, items: Sequence[str], count: int) -> list[ApplyAction]:
    wanted = ("StartWork", "SetWaitingInternal", "BackToInProgress", "Resolve", "Reopen", "Assign")
    return [act(dice.choice(items), dice.choice(wanted), new_assignee_id=dice.choice(["an", "bo", "cy"])) for _ in range(count)]
