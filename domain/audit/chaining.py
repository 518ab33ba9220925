"""Links waiting entries of one tenant and signs the chain's head, in the caller's transaction. One leased chainer calls it.

Entries are linked in the order of their time as far as they are there; one that committed late comes later in the chain.
Positions are a primary key and every write names the lease's term, so a chainer that lost its lease forks nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.audit.chain import Entry, Head, genesis, linked
from domain.audit.signing import SignedHead, SigningKey
from domain.outbox import Outbox, OutboxEvent
from runtime.sql import Connection, load_queries
from schemas.audit import AuditHeadSigned

queries = load_queries(__file__)

TOPIC = "audit.heads.v1"
AGGREGATE = "audit_chain"
ACTOR = "system:audit-chainer"
# An event must name a tenant; the chain of no tenant is told apart by its aggregate id, which no tenant can have.
_OF_NO_TENANT = "system"


@dataclass(frozen=True, slots=True)
class Held:
    """The lease under which is written."""

    lease: str
    term: int


async def list_waiting_tenants(conn: Any) -> list[str]:
    """Tenants with entries to link, '' among them. Asked as cs_scan."""
    return [row["tenant_id"] for row in await queries.list_waiting_tenants(conn)]


async def link_entries(conn: Connection, tenant_id: str, held: Held, most: int) -> int:
    """Append links for at most so many entries; how many. 0 also when the lease is another's."""
    rows = await queries.list_unchained(conn, tenant_id=tenant_id, most=most)
    if not rows:
        return 0
    length, before = await _end(conn, tenant_id)
    links = list(linked(before, length, [Entry(**row) for row in rows]))
    made: int = await queries.insert_links(
        conn,
        tenant_id=tenant_id,
        positions=[link.position for link in links],
        audit_ids=[link.audit_id for link in links],
        hashes=[link.hash for link in links],
        lease=held.lease,
        term=held.term,
    )
    return made


async def sign_head(conn: Connection, outbox: Outbox, key: SigningKey, tenant_id: str, held: Held) -> SignedHead | None:
    """Sign the chain's end, keep it, and publish it; None when nothing was linked since the last one."""
    last = await queries.find_last_head(conn, tenant_id=tenant_id)
    length, head = await _end(conn, tenant_id)
    if length == (last["length"] or 0):
        return None
    signed, number = key.sign(Head(tenant_id, length, head, last["now"])), (last["number"] or 0) + 1
    kept = await queries.insert_head(
        conn,
        tenant_id=tenant_id,
        number=number,
        length=length,
        head=head,
        signed_at=signed.head.signed_at,
        key_id=signed.key_id,
        signature=signed.signature,
        lease=held.lease,
        term=held.term,
    )
    if kept is None:
        return None
    await outbox.append(conn, [_told(signed, number)])
    return signed


async def _end(conn: Connection, tenant_id: str) -> tuple[int, bytes]:
    end = await queries.find_end(conn, tenant_id=tenant_id)
    return (end["position"], end["hash"]) if end else (0, genesis(tenant_id))


def _told(signed: SignedHead, number: int) -> OutboxEvent:
    head = signed.head
    return OutboxEvent(
        topic=TOPIC,
        tenant_id=head.tenant_id or _OF_NO_TENANT,
        aggregate=AGGREGATE,
        aggregate_id=head.chain,
        payload=AuditHeadSigned(
            chain=head.chain,
            length=head.length,
            head=head.head.hex(),
            signed_at=head.signed_at,
            key_id=signed.key_id,
            signature=signed.signature.hex(),
        ),
        occurred_at=head.signed_at,
        created_by=ACTOR,
        sequence=number,
    )


def heads_of(payloads: Sequence[AuditHeadSigned]) -> list[SignedHead]:
    """Heads as their events tell them."""
    return [
        SignedHead(
            Head("" if one.chain == "-" else one.chain, one.length, bytes.fromhex(one.head), one.signed_at),
            one.key_id,
            bytes.fromhex(one.signature),
        )
        for one in payloads
    ]
