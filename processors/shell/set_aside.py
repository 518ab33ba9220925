"""Writing what is not applied: waiting rows (a number is missing) and parked rows (poison and what follows it).

Runs inside the batch's transaction. Parking advances neither inbox nor sequence; other keys flow.
"""

from collections.abc import Sequence

from domain.incidents import Incident, open_incidents
from processors.shell.messages import MAX_KEY_BYTES, Decoded, OrderKey, Poison, Position, Record
from processors.shell.offsets import queries
from processors.shell.plan import FOLLOWS, Outcome
from runtime.sql import Connection
from schemas.headers import pack_headers


async def wait(conn: Connection, group: str, outcome: Outcome, unwaited: frozenset[Position], items: Sequence[Decoded]) -> None:
    """Insert newly waiting messages, delete those that were let go."""
    if outcome.wait:
        messages = [message for message, _ in outcome.wait.values()]
        await queries.insert_waiting(
            conn,
            group_name=group,
            **_record_columns([message.record for message in messages]),
            **_numbers_of(messages),
            waiting_for=[waiting_for for _, waiting_for in outcome.wait.values()],
        )
    gone = [
        *outcome.released,
        *(item.record.position for item in items if item.record.position in unwaited - outcome.wait.keys()),
    ]
    if gone:
        await queries.delete_waiting(conn, group_name=group, **position_columns(gone))


async def park(conn: Connection, group: str, parked: Sequence[Poison]) -> None:
    """Insert parked messages, mark their keys, and raise one incident per fingerprint and tenant."""
    if not parked:
        return
    records = [poison.record for poison in parked]
    tenants = [poison.tenant_id for poison in parked]
    await queries.park_messages(
        conn,
        group_name=group,
        tenant_ids=tenants,
        reasons=[poison.reason for poison in parked],
        fingerprints=[poison.fingerprint for poison in parked],
        errors=[poison.error for poison in parked],
        **_record_columns(records),
    )
    await queries.mark_keys(
        conn,
        group_name=group,
        topics=[record.position.topic for record in records],
        partitions=[record.position.partition for record in records],
        keys=[record.order_key and record.order_key.key for record in records],
        tenant_ids=tenants,
    )
    await _report(conn, group, parked)


async def _report(conn: Connection, group: str, parked: Sequence[Poison]) -> None:
    await open_incidents(
        conn,
        [
            Incident(
                tenant_id=poison.tenant_id,
                kind="parked-messages",
                fingerprint=poison.fingerprint,
                object_type="group",
                object_id=group,
                summary=f"group {group} parked messages: {poison.reason}: {poison.error}",
                cure=f"casestream dlt list --group {group} --fingerprint {poison.fingerprint}, then redrive or discard",
                detail={"reason": poison.reason, "topic": poison.record.position.topic},
            )
            for poison in parked
            if poison.reason != FOLLOWS
        ],
    )


async def settle_orders(
    conn: Connection, group: str, items: Sequence[Decoded], redriven: frozenset[Position], outcome: Outcome
) -> None:
    """After a redrive: rows that were applied go, keys that are empty flow again, keys that failed lose their order."""
    if not redriven:
        return
    again = {poison.record.position for poison in outcome.parked}
    done = [item.record for item in items if item.record.position in redriven and item.record.position not in again]
    if done:
        await queries.delete_parked(conn, group_name=group, **position_columns([record.position for record in done]))
    failed = {poison.record.order_key for poison in outcome.parked if poison.record.order_key is not None}
    served = {item.record.order_key for item in items if item.record.order_key is not None} - failed
    for keys, statements in (
        (served, (queries.continue_orders, queries.unmark_emptied_keys)),
        (failed, (queries.drop_orders,)),
    ):
        for statement in statements if keys else ():
            await statement(conn, group_name=group, **key_columns(sorted(keys)))


def key_columns(keys: Sequence[OrderKey]) -> dict[str, list[object]]:
    """Array parameters that name the keys."""
    return {
        "topics": [key.topic for key in keys],
        "partitions": [key.partition for key in keys],
        "keys": [key.key for key in keys],
    }


def _record_columns(records: Sequence[Record]) -> dict[str, list[object]]:
    return {
        **position_columns([record.position for record in records]),
        # A key that is refused for its length stays too long to be accepted, and short enough for an index.
        "keys": [record.key and record.key[: MAX_KEY_BYTES + 1] for record in records],
        "values": [record.value for record in records],
        "headers": [pack_headers(record.headers) for record in records],
        "timestamps": [record.timestamp for record in records],
        "replayed": [record.replayed for record in records],
    }


def position_columns(positions: Sequence[Position]) -> dict[str, list[object]]:
    return {
        "topics": [position.topic for position in positions],
        "partitions": [position.partition for position in positions],
        "offsets": [position.offset for position in positions],
    }


def _numbers_of(messages: Sequence[Decoded]) -> dict[str, list[object]]:
    aggregates = [message.aggregate for message in messages]
    return {
        "tenant_ids": [aggregate.tenant_id if aggregate else "" for aggregate in aggregates],
        "sources": [aggregate.source if aggregate else "" for aggregate in aggregates],
        "aggregates": [aggregate.aggregate if aggregate else "" for aggregate in aggregates],
        "sequences": [message.event.sequence if message.event else 0 for message in messages],
    }
