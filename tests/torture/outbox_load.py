"""Writers that make an outbox's life hard, and the oracle of what they committed.

They write straight SQL as role cs_worker, as DESIGN asks of any writer: lock the aggregate's row, draw the event's number in
it, insert, commit. Some take their transaction id long before, some sleep with rows drawn, some roll back. The oracle
is kept here, at the commit's answer, and knows nothing of the relay.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

import asyncpg

from domain.outbox.append import shard_of
from schemas.headers import pack_headers
from tests.waiting import until

TOPIC = "work-items.events.v1"

_SCHEMA = """
create table if not exists load_aggregates (name text primary key, sequence bigint not null default 0);
grant select, update on load_aggregates to cs_worker"""
_INSERT = """
insert into outbox_events (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers,
                           payload, occurred_at, created_by)
select e.event_id, 'acme', $2, 'work_item', $3, e.sequence, $4, $5, 'Tortured', $6, e.payload, cs_now(), 'load'
from unnest($1::uuid[], $7::bigint[], $8::bytea[]) with ordinality as e (event_id, sequence, payload, position)
order by e.position"""
_HEADERS = pack_headers([("ce_specversion", b"1.0"), ("ce_source", b"torture"), ("content-type", b"application/json")])
# The last is asyncpg's own confusion about a connection that broke in the middle of an answer.
_BROKEN = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    OSError,
    asyncpg.InternalClientError,
)


@dataclass(frozen=True)
class Load:
    """How much and how unkind. Shares are of transactions; `pace` is the writers' events per second, None for all."""

    events: int
    writers: int = 16
    keys: int = 60
    rollbacks: float = 0.05
    early_xids: float = 0.3
    sleepers: float = 0.05
    longest_sleep: float = 0.02
    pace: float | None = None
    seed: int = 1


@dataclass
class Oracle:
    """The highest committed number per key: drawn in the locked row, so everything from 1 to it is committed too."""

    committed: Counter[str] = field(default_factory=Counter)
    rolled_back: int = 0
    unclear: int = 0

    def note(self, name: str, number: int) -> None:
        self.committed[name] = max(self.committed[name], number)

    @property
    def events(self) -> int:
        return self.committed.total()


async def prepare(url: str, load: Load) -> None:
    """The aggregates' table, as role cs_migrate."""
    conn = await asyncpg.connect(url)
    await conn.execute(_SCHEMA)
    names = [f"item-{number}" for number in range(load.keys)]
    await conn.execute("insert into load_aggregates (name) select unnest($1::text[]) on conflict do nothing", names)
    await conn.close()


async def write(url: str, load: Load, oracle: Oracle, stop: asyncio.Event | None = None) -> None:
    """Commit `load.events` events (or until `stop`), as role cs_worker; survives a database that goes away."""
    writers = [_Writer(url, load, oracle, number, stop or asyncio.Event()) for number in range(load.writers)]
    async with asyncio.TaskGroup() as group:
        for writer in writers:
            group.create_task(writer.run())


class _Writer:
    def __init__(self, url: str, load: Load, oracle: Oracle, number: int, stop: asyncio.Event) -> None:
        self._url, self._load, self._oracle, self._stop = url, load, oracle, stop
        self._chance = random.Random(load.seed * 1000 + number)

    async def run(self) -> None:
        conn = await asyncpg.connect(self._url)
        while self._oracle.events < self._load.events and not self._stop.is_set():
            name, count = f"item-{self._chance.randrange(self._load.keys)}", self._chance.randint(1, 4)
            try:
                self._oracle.note(name, await self._transaction(conn, name, count))
            except _BROKEN:
                self._oracle.unclear += 1
                conn = await until(partial(self._settled, name), deadline=60, what="the database")
            if self._load.pace:
                await asyncio.sleep(count * self._load.writers / self._load.pace * self._chance.uniform(0.5, 1.5))
        await conn.close()

    async def _transaction(self, conn: asyncpg.Connection, name: str, count: int) -> int:
        """The last number that it committed, 0 when it rolled back. Like any writer it holds its locks to the end."""
        transaction = conn.transaction()
        await transaction.start()
        if self._chance.random() < self._load.early_xids:
            await conn.fetchval("select pg_current_xact_id()::text")
            await self._maybe_sleep()
        last = await conn.fetchval(
            "update load_aggregates set sequence = sequence + $2 where name = $1 returning sequence", name, count
        )
        await self._insert(conn, name, range(last - count + 1, last + 1))
        await self._maybe_sleep()
        if self._chance.random() < self._load.rollbacks:
            await transaction.rollback()
            self._oracle.rolled_back += count
            return 0
        await transaction.commit()
        return int(last)

    async def _insert(self, conn: asyncpg.Connection, name: str, numbers: range) -> None:
        key = f"acme|work_item|{name}".encode()
        payloads = [b'{"number":%d}' % number for number in numbers]
        ids = [uuid4() for _ in numbers]
        await conn.execute(_INSERT, ids, shard_of(key), name, TOPIC, key, _HEADERS, list(numbers), payloads)

    async def _maybe_sleep(self) -> None:
        if self._chance.random() < self._load.sleepers:
            await asyncio.sleep(self._chance.uniform(0, self._load.longest_sleep))

    async def _settled(self, name: str) -> Any:
        """A new connection, once the locked counter said what was committed; None while the database is away."""
        try:
            conn = await asyncpg.connect(self._url, timeout=2)
            self._oracle.note(name, await conn.fetchval("select sequence from load_aggregates where name = $1", name))
        except (*_BROKEN, TimeoutError):
            return None
        return conn
