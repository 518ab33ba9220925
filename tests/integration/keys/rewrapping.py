"""A rewrap that is killed and started again while readers go on, and its books: one touch per key, every secret as before."""

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from runtime.ids import uuid7
from runtime.keys.providers import Binding
from runtime.keys.ring import KeyCache, KeyPlace, KeyRing
from runtime.keys.store import queries
from runtime.settings import KeySettings
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.keys import keks
from tests.integration.keys.conftest import provider
from tests.waiting import until

ROOT = Path(__file__).parents[3]
SAMPLE = 1_000
_PAGE = 5_000
# A statement counts what it touched, so the book is as long as the rewrap has batches.
_BOOK = """
create table touched (at bigint generated always as identity, keys bigint not null);
create function count_touched() returns trigger language plpgsql security definer as
    $$ begin insert into touched (keys) select count(*) from rewrapped; return null; end $$;
create trigger count_touched after update on data_keys referencing new table as rewrapped
    for each statement execute function count_touched();
"""


async def rewrapped_though_killed(
    database: ClonedDatabase, keys_database: ClonedDatabase, home: Path, count: int
) -> dict[str, Any]:
    """`casestream keys rewrap` over `count` keys, killed after about a third; the figures of its books."""
    owner = await asyncpg.create_pool(keys_database.url("superuser"), min_size=1, max_size=3)
    readers = await asyncpg.create_pool(keys_database.url("keys"), min_size=1, max_size=2)
    try:
        sample = await _make(owner, count)
        await owner.execute(_BOOK)
        stop = asyncio.Event()
        reading = asyncio.create_task(_read(readers, sample, stop))
        try:
            before = await _killed_on_the_way(database, home, owner, count)
            await _until_ended(_rewrap(database, home))
        finally:
            stop.set()
            reads = await reading
        return {
            "keys": count,
            "rewrapped_before_the_kill": before,
            "left": await owner.fetchval("select count(*) from data_keys where kek_id <> 'kek-2'"),
            "touched": int(await owner.fetchval("select sum(keys) from touched")),
            "reads_meanwhile": reads,
            "secrets_changed": await _changed(readers, sample),
        }
    finally:
        await readers.close()
        await owner.close()


async def _make(owner: asyncpg.Pool, count: int) -> dict[KeyPlace, bytes]:
    """Keys under kek-1; the secrets of some."""
    wrapping = provider("kek-1")
    kept: dict[KeyPlace, bytes] = {}
    for start in range(0, count, _PAGE):
        numbers = range(start, min(start + _PAGE, count))
        bindings = [Binding("acme", f"s{number:07}", uuid7()) for number in numbers]
        secrets = [os.urandom(32) for _ in numbers]
        wrapped = await wrapping.wrap(list(zip(secrets, bindings, strict=True)))
        await queries.insert_keys(
            owner,
            tenants=[one.tenant for one in bindings],
            subjects=[one.subject for one in bindings],
            key_ids=[one.key_id for one in bindings],
            generations=[1 for _ in numbers],
            kek_ids=[one.kek_id for one in wrapped],
            wrapped=[one.blob for one in wrapped],
        )
        every = max(1, count // SAMPLE)
        kept |= {
            (one.tenant, one.subject, one.key_id): secret
            for number, one, secret in zip(numbers, bindings, secrets, strict=True)
            if number % every == 0
        }
    return kept


async def _killed_on_the_way(database: ClonedDatabase, home: Path, owner: asyncpg.Pool, count: int) -> int:
    async def a_third() -> bool:
        return bool(await owner.fetchval("select coalesce(sum(keys), 0) from touched") >= count // 3)

    process = _rewrap(database, home)
    try:
        await until(a_third, 1200, "a third of the keys")
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -9, "it was ended, not finished"
    return int(await owner.fetchval("select sum(keys) from touched"))


def _rewrap(database: ClonedDatabase, home: Path) -> "subprocess.Popen[bytes]":
    environ = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.url("migrate"),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "CASESTREAM_HOME": str(home),
        "CASESTREAM_KEYS__PROVIDER": "environment",
        "CASESTREAM_KEYS__KEKS": keks("kek-2", "kek-1"),
    }
    words = [sys.executable, "-m", "runtime.cli", "--output", "json", "keys", "rewrap"]
    return subprocess.Popen(words, env=environ, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def _until_ended(process: "subprocess.Popen[bytes]") -> None:
    try:
        await until(lambda: process.poll() is not None, 1800, "the rewrap's end")
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0


async def _read(pool: asyncpg.Pool, sample: dict[KeyPlace, bytes], stop: asyncio.Event) -> int:
    """A process without a kept key asks for one again and again; how often. It knows both key-encryption keys."""
    places, dice, reads = list(sample), random.Random(7), 0
    while not stop.is_set():
        place = dice.choice(places)
        assert await _ring(pool, "kek-2", "kek-1").secrets([place]) == {place[2]: sample[place]}
        reads += 1
    return reads


async def _changed(pool: asyncpg.Pool, sample: dict[KeyPlace, bytes]) -> int:
    """How many of the sample another secret opens as, under the new key-encryption key alone."""
    found: dict[UUID, bytes] = await _ring(pool, "kek-2").secrets(list(sample))
    return sum(found.get(place[2]) != secret for place, secret in sample.items())


def _ring(pool: asyncpg.Pool, *names: str) -> KeyRing:
    return KeyRing(pool, provider(*names), KeyCache(KeySettings()))


def check_books(figures: dict[str, Any]) -> None:
    """Nothing is left, each key was touched once, no secret changed, and the kill fell into the work."""
    assert (figures["left"], figures["touched"], figures["secrets_changed"]) == (0, figures["keys"], 0), figures
    assert 0 < figures["rewrapped_before_the_kill"] < figures["keys"], figures
    assert figures["reads_meanwhile"] > 0, figures
