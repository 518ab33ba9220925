"""Running the group's batch as the shell does, without Kafka."""

from collections.abc import Sequence
from typing import Any

from domain.entities import batch
from domain.entities.batch import Message, Ruling
from domain.entities.decisions import Command
from domain.entities.kinds import put_kind
from runtime.sql import Connection
from schemas.entities import EntityChangeEvent
from tests.integration.domain.world import OUTBOX, World
from tests.unit.domain.entities.changes import ENGINE


def message(payload: EntityChangeEvent | Command, source: str = "crm", **more: Any) -> Message:
    return Message(payload, ENGINE, source, source == OUTBOX.source, more.get("sent_at"))


async def run(conn: Connection, messages: Sequence[Message]) -> list[Ruling]:
    """Load, decide each in order, save; as the shell does."""
    states = await batch.load(conn, messages)
    now = await conn.fetchval("select cs_now()")
    rulings = []
    for one in messages:
        ruling = batch.decide(states[one.key], one, now)
        states[one.key] = ruling.state
        rulings.append(ruling)
    await batch.save(conn, OUTBOX, rulings, now)
    return rulings


async def apply(world: World, *messages: Message) -> list[Ruling]:
    """One batch, one transaction."""
    async with world.worker() as conn:
        return await run(conn, messages)


async def manage(world: World, *entity_types: str) -> None:
    async with world.worker() as conn:
        for name in entity_types:
            await put_kind(conn, "north", name, managed=True, actor="an")
