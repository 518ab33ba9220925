"""Whether a tenant's audit log is what it was: every link recomputed, every signed head held against the chain.

1. Walk the chain: positions without a gap, an entry behind each link, each hash as computed from the stored one before.
2. Walk the log: an entry that is neither linked nor waiting was slipped in; a waiting one that is gone was deleted.
3. Signed heads, those of the database and those that left it: genuine signatures, numbers without a gap, a chain that is
   at least as long, and the same hash at that length. A chain that is whole in itself and differs here was rewritten.

What was linked after the last signed head and then cut together with its entries cannot be seen: at most a minute's worth.
Reads pages in the caller's transactions or connection; changes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.audit.chain import NO_TENANT, Entry, Head, genesis, hash_of
from domain.audit.signing import SignedHead, TrustedKeys, is_genuine
from runtime.sql import Connection, load_queries

queries = load_queries(__file__)

PAGE = 10_000
# One tampering may break everything behind it; more lines say nothing new.
_MOST = 20
_FIRST_ID = "00000000-0000-0000-0000-000000000000"
# Columns of page_of_chain before those of the entry.
_LINK_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was. `position` is the first bad entry's place in the chain, where it has one."""

    chain: str
    kind: str
    position: int | None
    audit_id: str | None
    message: str


@dataclass(slots=True)
class Verdict:
    """What was looked at, and what was found."""

    chain: str
    entries: int = 0
    heads: int = 0
    signed_length: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, kind: str, position: int | None, audit_id: str | None, message: str) -> None:
        if len(self.findings) < _MOST:
            self.findings.append(Finding(self.chain, kind, position, audit_id, message))


async def list_chains(conn: Connection) -> list[str]:
    """Tenants that may have a chain, '' among them. Asked as cs_scan."""
    found: list[str] = await queries.list_chains(conn)
    return sorted(found)


async def verify_chain(conn: Connection, tenant_id: str, trusted: TrustedKeys, outside: Sequence[SignedHead] = ()) -> Verdict:
    """The verdict on one tenant's log. `outside` are heads from beyond the database's reach, of any tenant."""
    verdict = Verdict(tenant_id or NO_TENANT)
    heads = await _heads(conn, tenant_id, trusted, [one for one in outside if one.head.tenant_id == tenant_id], verdict)
    await _walk_chain(conn, tenant_id, heads, verdict)
    await _walk_log(conn, tenant_id, verdict)
    return verdict


async def _walk_chain(conn: Connection, tenant_id: str, heads: dict[int, set[bytes]], verdict: Verdict) -> None:
    until, position, before, confirmed = await queries.count_links(conn, tenant_id=tenant_id), 0, genesis(tenant_id), 0
    while position < until:
        rows = await queries.page_of_chain(conn, tenant_id=tenant_id, after=position, until=until, page_size=PAGE)
        if not rows:
            break
        for row in rows:
            expected, position = position + 1, row["position"]
            if position != expected:
                verdict.add("gap", expected, None, f"links {expected} to {position - 1} are gone")
            elif row["audit_id"] is None:
                verdict.add("deleted", position, row["link_id"], "the linked entry is gone")
            elif hash_of(before, position, Entry(*row[_LINK_COLUMNS:])) != row["hash"]:
                verdict.add("changed", position, row["link_id"], "the entry is not the one that was linked: edited or swapped")
            before = row["hash"]
            if position in heads:
                if heads[position] == {before}:
                    confirmed = position
                else:
                    text = f"the chain differs from the head signed at {position}, and agreed up to {confirmed}"
                    verdict.add("rewritten", confirmed + 1, None, text)
        verdict.entries += len(rows)
    for length in sorted(length for length in heads if length > position)[:1]:
        verdict.add("cut", position + 1, None, f"a signed head knows {length} entries, the chain has {position}")
    verdict.signed_length = max((length for length in heads if length <= position), default=0)


async def _walk_log(conn: Connection, tenant_id: str, verdict: Verdict) -> None:
    after: str | None = _FIRST_ID
    while after is not None:
        page = await queries.page_of_log(conn, tenant_id=tenant_id, after=after, page_size=PAGE)
        for audit_id in page["loose"]:
            verdict.add("inserted", None, audit_id, "the entry is neither linked nor waiting: slipped in, or its link was cut")
        after = page["last"] if page["entries"] == PAGE else None
    for row in await queries.list_lost(conn, tenant_id=tenant_id):
        verdict.add("deleted", None, row["audit_id"], "the entry was removed before it was linked")


async def _heads(
    conn: Connection, tenant_id: str, trusted: TrustedKeys, outside: Sequence[SignedHead], verdict: Verdict
) -> dict[int, set[bytes]]:
    """Length -> what genuine heads say of it."""
    kept = list(_kept(await queries.list_heads(conn, tenant_id=tenant_id), verdict))
    known = {(one.head.length, one.head.head, one.signature) for one in kept}
    for one in outside:
        if (one.head.length, one.head.head, one.signature) not in known and is_genuine(one, trusted):
            verdict.add("head-removed", one.head.length, None, "a published head is missing in the database")
    found: dict[int, set[bytes]] = {}
    for one in (*kept, *outside):
        if is_genuine(one, trusted):
            found.setdefault(one.head.length, set()).add(one.head.head)
        else:
            verdict.add("forged-head", one.head.length, None, f"the head's signature by key {one.key_id} is not genuine")
    verdict.heads = len(kept)
    return found


def _kept(rows: Sequence[Mapping[str, Any]], verdict: Verdict) -> Iterator[SignedHead]:
    for number, row in enumerate(rows, start=1):
        if row["number"] != number:
            verdict.add("head-removed", None, None, f"signed head {number} is gone")
            break
    for row in rows:
        head = Head(row["tenant_id"], row["length"], row["head"], row["signed_at"])
        yield SignedHead(head, row["key_id"], row["signature"])
