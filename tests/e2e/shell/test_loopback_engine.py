"""Work items coupled with an engine, through real topics only (WI-7): the engine itself comes in its own room.

`Loopback` is the smallest engine that there can be: it reads WORK_ITEM_* events as the relay sent them and answers
INSTANCE_STATUS_CHANGED on the onboarding topic, which the group of the work items reads. Its answers are told apart by
the cycle. A strong pair ends together; a loose instance runs on when a person closes its item.

    command -> work items -> outbox -> relay -> loopback -> onboarding.events.v1 -> work items
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from domain.outbox import Outbox
from outbox_relay import relay
from processors.work_items import WorkItems
from schemas.envelope import CloudEvent, caused_by, from_kafka, to_headers
from schemas.onboarding import InstanceStatus, InstanceStatusChanged
from schemas.senders import SENDERS, Sender
from schemas.work_items import ApplyAction, CreateWorkItem, WorkItemCreated, WorkItemStatusChanged
from tests.e2e.shell.harness import at, create_group_topics, event, execute, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

COMMANDS, TOLD, ANSWERS = "work-items.commands.v1", "work-items.events.v1", "onboarding.events.v1"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
# What becomes of the instance when the item's status changed and the event says that it must follow.
FOLLOWS: dict[str, InstanceStatus] = {
    "Close": "completed",
    "Cancel": "canceled",
    "Reject": "canceled",
    "Reopen": "running",
}


class Loopback:
    """An engine of one rule: an instance runs from the item's creation and follows what it is told to follow."""

    def __init__(self, kafka: FreshKafka) -> None:
        self._kafka = kafka
        self.heard: list[CloudEvent] = []
        self._producer: AIOKafkaProducer
        self._numbers: dict[str, int] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Loopback"]:
        """Listening and answering until the end."""
        self._producer = AIOKafkaProducer(bootstrap_servers=self._kafka.bootstrap_servers, enable_idempotence=True)
        consumer = AIOKafkaConsumer(
            self._kafka.topic(TOLD), bootstrap_servers=self._kafka.bootstrap_servers, auto_offset_reset="earliest"
        )
        async with AsyncExitStack() as stack:
            for client in (self._producer, consumer):
                await client.start()
                stack.push_async_callback(client.stop)
            listening = asyncio.create_task(self._listen(consumer))
            try:
                yield self
            finally:
                listening.cancel()
                (ended,) = await asyncio.gather(listening, return_exceptions=True)
                assert isinstance(ended, asyncio.CancelledError), ended

    async def says(self, item: str, status: InstanceStatus, cycle: int, cause: CloudEvent | None = None) -> None:
        """News of the item's instance, numbered, and caused by what it answers."""
        number = self._numbers[item] = self._numbers.get(item, 0) + 1
        news = InstanceStatusChanged(
            instance_id=f"instance-of-{item}", work_item_id=item, cycle=cycle, status=status, changed_at=at(number)
        )
        answer = event(news, sequence=number, partitionkey=f"acme|onboarding|instance-of-{item}")
        if cause is not None:
            answer = replace(answer, causation=caused_by(cause), traceparent=cause.traceparent)
        key = answer.partitionkey.encode() if answer.partitionkey else None
        await self._producer.send_and_wait(self._kafka.topic(ANSWERS), answer.data, key, headers=to_headers(answer))

    async def _listen(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            one = from_kafka(record.value, record.headers)
            self.heard.append(one)
            if one.type == WorkItemCreated.TYPE:
                await self.says(str(one.subject), "running", 0, one)
            elif one.type == WorkItemStatusChanged.TYPE:
                changed = WorkItemStatusChanged.model_validate_json(one.data or b"")
                if changed.notify_workflow:
                    await self.says(changed.work_item_id, FOLLOWS[changed.action], changed.cycle, one)

    def answers(self, item: str) -> int:
        """How often the item's instance gave news."""
        return self._numbers.get(item, 0)

    def actions(self, item: str) -> list[tuple[str, str, bool]]:
        """Action, source and whether the instance must follow, of every status change of the item, in order."""
        changes = [
            WorkItemStatusChanged.model_validate_json(one.data or b"")
            for one in self.heard
            if one.type == WorkItemStatusChanged.TYPE and one.subject == item
        ]
        return [(change.action, change.source, change.notify_workflow) for change in changes]


class Coupled:
    """One cell with its relay, its group of work items and the loopback engine."""

    def __init__(self, database: ClonedDatabase, kafka: FreshKafka, engine: Loopback) -> None:
        self.database, self.kafka, self.engine = database, kafka, engine

    async def create(self, process: str, **attributes: Any) -> str:
        """An item of the process, when its instance runs."""
        item = str(uuid.uuid4())
        asked = CreateWorkItem(work_item_id=item, title="A case", process=process, assignee_id="u1")
        await produce(self.kafka, COMMANDS, [event(asked, source="desk", **attributes)])
        await self.becomes(item, "open", "running", 0)
        return item

    async def act(self, item: str, *actions: str) -> None:
        """Commands of a person, through a system that may do everything but what is internal."""
        asked = [ApplyAction(work_item_id=item, action=action) for action in actions]
        await produce(self.kafka, COMMANDS, [event(one, source="desk") for one in asked])

    async def becomes(self, item: str, status: str, instance: str, cycle: int) -> None:
        """Waits for the pair to be so."""

        expected = [(status, instance, cycle)]

        async def so() -> bool:
            return bool(await _pair(self.database, item) == expected)

        try:
            await until(so, what="the pair")
        except AssertionError:
            assert await _pair(self.database, item) == expected, self.engine.actions(item)

    async def read(self, item: str) -> None:
        """Waits until the group has read everything that the engine said of the item."""

        async def last() -> bool:
            query = "select sequence from applied_sequences where topic = $1 and aggregate like '%' || $2"
            found = await rows(self.database, query, ANSWERS, item)
            return [row["sequence"] for row in found] == [self.engine.answers(item)]

        await until(last, what="the engine's news to be read")

    async def heard(self, item: str, action: str) -> None:
        """Waits until the engine heard of the action."""
        await until(lambda: action in {name for name, _, _ in self.engine.actions(item)}, what=f"the engine to hear {action}")


async def _pair(database: ClonedDatabase, item: str) -> Any:
    found = await rows(
        database,
        "select w.status, i.status as instance, i.cycle from work_items w "
        "left join work_item_instances i on i.work_item_id = w.id and i.tenant_id = w.tenant_id where w.id::text = $1",
        item,
    )
    return [tuple(row.values()) for row in found]


@pytest.fixture
async def coupled(database: ClonedDatabase, fresh_kafka: FreshKafka, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Coupled]:
    # A system that speaks for supervisors: they may reopen.
    monkeypatch.setitem(SENDERS, "desk", Sender("desk", frozenset({"supervisor"})))
    await execute(database, "insert into tenants (tenant_id, name) values ('acme', 'Acme')")
    await execute(database, "insert into users (tenant_id, user_id, display_name) values ('acme', 'u1', 'U 1')")
    door = WorkItems(Outbox("casestream"))
    await create_group_topics(fresh_kafka, door, 1)
    await fresh_kafka.create_topics([TOLD], 1)
    settings, stop = settings_for(database, fresh_kafka), asyncio.Event()
    async with Loopback(fresh_kafka).running() as engine:
        relaying = asyncio.create_task(relay.run(settings, stop))
        try:
            async with member(settings, door):
                yield Coupled(database, fresh_kafka, engine)
        finally:
            stop.set()
            await asyncio.wait_for(relaying, 60)


@pytest.mark.requirement("WI-6", "WI-7", "trap-51", "trap-53")
@pytest.mark.hole("cycle-guards-reopen")
async def test_a_strong_pair_ends_together_whoever_ends_first(coupled: Coupled) -> None:
    """Fails when Close does not tell the engine, when the engine is told of itself, or when an old cycle's end counts."""
    item = await coupled.create("general")
    await coupled.act(item, "StartWork", "Resolve", "Close")
    await coupled.becomes(item, "closed", "completed", 0)
    await coupled.read(item)
    assert coupled.engine.answers(item) == 2, "started, ended; its own end is told as nothing new"

    await coupled.act(item, "Reopen")
    await coupled.becomes(item, "in_progress", "running", 1)
    await coupled.engine.says(item, "completed", 0)
    await coupled.read(item)
    await coupled.becomes(item, "in_progress", "running", 1)

    await coupled.engine.says(item, "completed", 1)
    await coupled.becomes(item, "closed", "completed", 1)
    await coupled.heard(item, "AutoCloseFromWorkflow")
    assert coupled.engine.actions(item) == [
        ("Submit", "KAFKA", False),
        ("StartWork", "KAFKA", False),
        ("Resolve", "KAFKA", False),
        ("Close", "KAFKA", True),
        ("Reopen", "KAFKA", True),
        ("AutoCloseFromWorkflow", "WORKFLOW_ENGINE", False),
    ]
    assert await rows(coupled.database, "select from work_items where closed_at is null") == []
    assert await rows(coupled.database, "select from parked_messages") == []


@pytest.mark.requirement("WI-7")
async def test_a_loose_instance_runs_on_and_its_end_still_closes_an_item(coupled: Coupled) -> None:
    """Fails when a loose Close ends the instance, when a Cancel does not, or when the instance's own end is not followed."""
    closed, follower, canceled = [await coupled.create("aml-watch") for _ in range(3)]
    await coupled.act(closed, "StartWork", "Resolve", "Close")
    await coupled.heard(closed, "Close")
    assert coupled.engine.actions(closed)[-1] == ("Close", "KAFKA", False)
    assert coupled.engine.answers(closed) == 1
    await coupled.becomes(closed, "closed", "running", 0)
    await coupled.engine.says(closed, "completed", 0)
    await coupled.becomes(closed, "closed", "completed", 0)

    await coupled.act(follower, "StartWork")
    await coupled.heard(follower, "StartWork")
    await coupled.engine.says(follower, "completed", 0)
    await coupled.becomes(follower, "closed", "completed", 0)

    await coupled.act(canceled, "Cancel")
    await coupled.becomes(canceled, "canceled", "canceled", 0)


@pytest.mark.requirement("WI-7", "SP-1")
async def test_a_trace_and_a_chain_of_causes_go_round(coupled: Coupled) -> None:
    """From the command through the outbox, the topic, the engine and back: a link that is dropped on the way is missing."""
    item = await coupled.create("general", traceparent=TRACE, id="the-command", causation=("the-cause",))
    await coupled.engine.says(item, "running", 0)
    await coupled.act(item, "StartWork")
    await coupled.heard(item, "StartWork")
    created, submitted, started = (one for one in coupled.engine.heard if one.subject == item)
    assert [one.traceparent for one in (created, submitted)] == [TRACE, TRACE]
    assert created.causation == ("the-cause", "the-command")
    assert started.traceparent is None, "another command, another trace"
    await coupled.engine.says(item, "completed", 0, created)
    await coupled.heard(item, "AutoCloseFromWorkflow")
    last = coupled.engine.heard[-1]
    assert last.traceparent == TRACE
    assert last.causation[:3] == ("the-cause", "the-command", created.id)
    assert len(last.causation) == 4, "the engine's news is the last link"
