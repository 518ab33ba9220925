"""Which shards this relay may empty: leases in `relay_shards` with a term, by database time (SP-7).

Owns the held leases and their fair split between live relays. A lease is not what makes the relay safe: Kafka knows no
terms, so a relay that slept past its lease may send old events once more (consumers drop them). The term makes sure
that it deletes nothing and moves no floor; `trusted` keeps it from sending when it can know better.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.outbox.append import SHARDS
from runtime.sql import Connection, load_queries

queries = load_queries(__file__)

# On our side a lease ends earlier: a statement spends time between the two clocks, and a send takes its own.
_TRUSTED_SHARE = 5 / 6


@dataclass(slots=True)
class Lease:
    """One shard as this relay holds it. `floor` is the committed one, never a candidate."""

    shard: int
    term: int
    floor: int
    leaving: bool = False


def fair_share(live_relays: int) -> int:
    """The most shards that one of so many relays may hold."""
    return -(-SHARDS // max(1, live_relays))


class ShardLeases:
    """The shards held by `owner`. One instance per set of connections: new connections read term and floor again."""

    def __init__(self, owner: str, lease_seconds: float) -> None:
        self.owner = owner
        self.held: dict[int, Lease] = {}
        self._life = timedelta(seconds=lease_seconds)
        self._trusted_until = 0.0

    @property
    def trusted(self) -> bool:
        """Our own clock says that the leases cannot have run out."""
        return time.monotonic() < self._trusted_until

    async def resume(self, conn: Connection) -> None:
        """Take again, under new terms, what this owner still holds from before its connections broke."""
        asked = time.monotonic()
        self._add(await queries.resume_shards(conn, owner=self.owner, lease=self._life))
        self._trust_since(asked)

    async def renew(self, conn: Connection) -> set[int]:
        """Prolong everything that is held. Returns the shards that somebody else has taken meanwhile."""
        asked = time.monotonic()
        shards, terms = self._terms(list(self.held.values()))
        kept = await queries.renew_shards(conn, shards=shards, terms=terms, lease=self._life)
        lost = set(self.held) - {row["shard"] for row in kept}
        self.forget([self.held[shard] for shard in lost])
        self._trust_since(asked)
        return lost

    async def split(self, conn: Connection) -> int:
        """Announce this relay, take free shards up to the fair share, mark surplus as leaving. Returns the share."""
        await queries.announce_relay(conn, owner=self.owner, lease=self._life)
        share = fair_share(await queries.count_live_relays(conn))
        staying = sorted(shard for shard, lease in self.held.items() if not lease.leaving)
        for shard in staying[share:]:
            self.held[shard].leaving = True
        if len(self.held) < share:
            wanted = share - len(self.held)
            self._add(await queries.take_expired_shards(conn, owner=self.owner, lease=self._life, wanted=wanted))
        return share

    async def release(self, conn: Connection, shards: Sequence[int]) -> None:
        """Give these shards back. The caller has no page of theirs under way."""
        given = [self.held[shard] for shard in shards if shard in self.held]
        if given:
            numbers, terms = self._terms(given)
            await queries.release_shards(conn, shards=numbers, terms=terms)
            self.forget(given)

    async def withdraw(self, conn: Connection) -> None:
        """The end of this relay: every shard back, and its name off the list."""
        await self.release(conn, list(self.held))
        await queries.withdraw_relays(conn, owner=self.owner)

    def forget(self, leases: Sequence[Lease]) -> None:
        """These are not ours any more; a shard that was taken anew meanwhile is."""
        for lease in leases:
            if self.held.get(lease.shard) is lease:
                del self.held[lease.shard]

    def _add(self, rows: Sequence[dict[str, int]]) -> None:
        for row in rows:
            self.held[row["shard"]] = Lease(row["shard"], row["term"], row["floor"])

    def _trust_since(self, asked: float) -> None:
        self._trusted_until = asked + self._life.total_seconds() * _TRUSTED_SHARE

    @staticmethod
    def _terms(leases: Sequence[Lease]) -> tuple[list[int], list[int]]:
        return [lease.shard for lease in leases], [lease.term for lease in leases]
