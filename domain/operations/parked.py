"""Parked messages: list by cause, show one, order a redrive or a discard. Only the partition's owner carries an order out.

A redrive orders ALL rows of the affected keys, because a key's messages can only be applied in order; a discard marks the
named rows as given up (they count as seen) and redrives the rest of their keys. A message without a key stands alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from domain.audit import append
from runtime.sql import Connection, load_queries
from schemas.errors import NotFound
from schemas.headers import unpack_headers

queries = load_queries(__file__)

Order = Literal["redrive", "discard"]
# Headers whose values are ours and hold ids, names and times only.
_SHOWN_HEADERS = ("ce_", "traceparent", "content-type")
_CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which parked messages of a group: all that match everything given."""

    group: str
    fingerprint: str | None = None
    tenant_id: str | None = None
    key: bytes | None = None
    position: tuple[str, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Affected:
    """What an order touches: the named messages, and the keys that they belong to."""

    group: str
    positions: tuple[tuple[str, int, int], ...]
    keys: tuple[tuple[str, int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """`ordered`: not yet done. `remaining`: rows of the affected keys that are still parked."""

    ordered: int
    remaining: int


async def list_causes(
    conn: Connection, group: str | None = None, fingerprint: str | None = None, tenant_id: str | None = None
) -> list[Mapping[str, Any]]:
    """One row per group, topic and fingerprint; what follows a poisoned message has the reason `follows`."""
    return await queries.list_parked(conn, group_name=group, fingerprint=fingerprint, tenant_id=tenant_id)  # type: ignore[no-any-return]


async def list_messages(
    conn: Connection, group: str | None, fingerprint: str | None, tenant_id: str | None, most: int
) -> list[dict[str, Any]]:
    """The messages themselves, oldest first, never their contents; a key only as its hash."""
    rows = await queries.list_parked_positions(conn, group_name=group, fingerprint=fingerprint, tenant_id=tenant_id, most=most)
    return [{**row, "key": key_hash(row["key"])} for row in rows]


async def show(conn: Connection, group: str, topic: str, partition: int, offset: int) -> dict[str, Any]:
    """One message without its contents: headers of ours, sizes, the key's hash. Raises NotFound."""
    row = await _find(conn, group, topic, partition, offset)
    headers = unpack_headers(row["headers"])
    shown = ("group_name", "topic", "partition", "offset", "tenant_id", "reason", "fingerprint", "error", "attempts", "ordered")
    return {
        **{name: row[name] for name in shown},
        "parked_at": row["parked_at"],
        "timestamp_ms": row["timestamp"],
        "key_hash": key_hash(row["key"]),
        "value_bytes": None if row["value"] is None else len(row["value"]),
        "headers": {name: _shown_header(name, value) for name, value in headers},
    }


async def read_payload(
    conn: Connection, group: str, topic: str, partition: int, offset: int, *, actor: str, reason: str
) -> bytes | None:
    """The message's value, audited with the reason. Raises NotFound. The message's tenant must be set on the connection."""
    row = await _find(conn, group, topic, partition, offset)
    await append(
        conn,
        tenant_id=row["tenant_id"],
        actor=actor,
        action="parked.read-payload",
        object_type="message",
        object_id=f"{group}/{topic}-{partition}@{offset}",
        reason=reason,
    )
    value: bytes | None = row["value"]
    return value


async def select(conn: Connection, selection: Selection) -> Affected:
    """What an order on this selection would touch. Raises NotFound when nothing is parked that matches."""
    topic, partition, offset = selection.position or (None, None, None)
    rows = await queries.select_parked(
        conn,
        group_name=selection.group,
        fingerprint=selection.fingerprint,
        tenant_id=selection.tenant_id,
        key=selection.key,
        topic=topic,
        partition=partition,
        offset=offset,
    )
    if not rows:
        raise NotFound(f"find parked messages of group {selection.group}: none matches; see `casestream dlt list`")
    keys = {(row["topic"], row["partition"], row["key"]): None for row in rows if row["key"] is not None}
    return Affected(selection.group, tuple((row["topic"], row["partition"], row["offset"]) for row in rows), tuple(keys))


async def order(
    conn: Connection, affected: Affected, what: Order, *, actor: str, reason: str | None = None, tenant_id: str = ""
) -> int:
    """Order it, in the caller's transaction; how many rows are ordered. Discards need a reason.

    `tenant_id` is whose audit log it goes to; an operator's order concerns the system.
    """
    assert what == "redrive" or reason, "a discard says why"
    ordered: int = 0
    for keys in _chunks(affected.keys):
        ordered += await queries.order_keys(
            conn,
            group_name=affected.group,
            topics=[topic for topic, _, _ in keys],
            partitions=[partition for _, partition, _ in keys],
            keys=[key for _, _, key in keys],
        )
    named = 0
    for positions in _chunks(affected.positions):
        named += await queries.order_messages(conn, group_name=affected.group, ordered=what, **_positions(positions))
    await append(
        conn,
        tenant_id=tenant_id,
        actor=actor,
        action=f"parked.{what}",
        object_type="group",
        object_id=affected.group,
        reason=reason,
        detail={"messages": len(affected.positions), "keys": len(affected.keys), "first": list(affected.positions[:20])},
    )
    return max(ordered, named)


async def progress(conn: Connection, affected: Affected) -> Progress:
    """How far the owners are."""
    row = await queries.count_orders(
        conn,
        group_name=affected.group,
        key_topics=[topic for topic, _, _ in affected.keys],
        key_partitions=[partition for _, partition, _ in affected.keys],
        keys=[key for _, _, key in affected.keys],
        **_positions(affected.positions),
    )
    return Progress(row["ordered"], row["remaining"])


async def retry_parked(conn: Connection, incident: Mapping[str, Any], actor: str) -> str:
    """Retry handler of incidents of kind `parked-messages`: order the redrive of what was parked for that cause."""
    selection = Selection(incident["object_id"], fingerprint=incident["fingerprint"], tenant_id=incident["tenant_id"])
    try:
        affected = await select(conn, selection)
    except NotFound:
        return "nothing of this cause is parked any more"
    why = f"retry of incident {incident['incident_id']}"
    count = await order(conn, affected, "redrive", actor=actor, reason=why, tenant_id=incident["tenant_id"])
    return f"ordered the redrive of {count} message(s) of {len(affected.keys)} key(s); the group's running members do it"


def key_hash(key: bytes | None) -> str | None:
    """A key as people may see it: enough to compare, nothing to read."""
    return None if key is None else sha256(key).hexdigest()[:16]


async def _find(conn: Connection, group: str, topic: str, partition: int, offset: int) -> Any:
    row = await queries.find_parked(conn, group_name=group, topic=topic, partition=partition, offset=offset)
    if row is None:
        raise NotFound(f"show parked message {topic}-{partition}@{offset} of group {group}: there is none")
    return row


def _shown_header(name: str, value: bytes | None) -> str:
    if value is None:
        return "(null)"
    if name.lower().startswith(_SHOWN_HEADERS):
        return value.decode(errors="replace")[:300]
    return f"({len(value)} bytes)"


def _positions(positions: Sequence[tuple[str, int, int]]) -> dict[str, list[Any]]:
    return {
        "topics": [topic for topic, _, _ in positions],
        "partitions": [partition for _, partition, _ in positions],
        "offsets": [offset for _, _, offset in positions],
    }


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
