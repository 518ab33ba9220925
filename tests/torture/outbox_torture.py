"""The tortures of the outbox and its relay, each a function from an arena to figures.

The suite runs each one short, `make torture` in full (tests/torture/test_outbox.py). A figure is a plain value; what must
hold is asserted by the caller, so that a negative control can be run through the same function.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg

from runtime.stack.kafka import KafkaCluster
from runtime.stack.postgres import PostgresServer
from tests.torture import outbox_controls
from tests.torture.outbox_arena import Arena
from tests.torture.outbox_load import Load, Oracle, prepare, write
from tests.torture.outbox_poll_cost import PollCost, idle_snapshot, sample
from tests.torture.outbox_relays import FAILPOINTS
from tests.torture.outbox_verdict import judge
from tests.waiting import until

Figures = dict[str, Any]

# For what needs no figure: a relay that starts on a busy machine. What has a bound (P5) is measured and reported.
PATIENCE = 90.0


@asynccontextmanager
async def under_load(arena: Arena, load: Load) -> AsyncIterator[Oracle]:
    """Writers beside the body; they stop when the body ends, unless they have committed everything before."""
    oracle, stop = Oracle(), asyncio.Event()
    await prepare(arena.database_url, load)
    writing = asyncio.create_task(write(arena.worker_url, load, oracle, stop))
    try:
        yield oracle
    finally:
        stop.set()
        await writing


async def oracle_run(arena: Arena, load: Load, sample_every: float = 0.5) -> Figures:
    """Everything at once against one relay, beside an idle snapshot: what was lost, and what a poll cost."""
    oracle, cost, stop = Oracle(), PollCost(), asyncio.Event()
    await prepare(arena.database_url, load)
    began = time.monotonic()
    async with idle_snapshot(arena.database_url), arena.relay() as relay:
        sampling = asyncio.create_task(sample(arena.scan_url, cost, sample_every, stop))
        await write(arena.worker_url, load, oracle)
        wrote = time.monotonic() - began
        drained = await arena.drained()
        stop.set()
        await sampling
        exit_code = await relay.terminate()
    verdict = await arena.verdict(oracle)
    return {
        **verdict.as_dict(),
        "rolled_back": oracle.rolled_back,
        "writers": load.writers,
        "written_per_second": round(oracle.events / wrote),
        "seconds_to_drain_after_the_last_commit": round(drained, 3),
        "exit_code": exit_code,
        "poll": cost.summary(),
    }


async def control_run(arena: Arena, load: Load) -> dict[str, Figures]:
    """The same load under the two cursors that people use."""
    oracle, done = Oracle(), False
    published: dict[str, list[tuple[str, int]]] = {"id > last": [], "(xid, id)": []}
    await prepare(arena.database_url, load)
    queries = zip((outbox_controls.BY_ID, outbox_controls.BY_XID), published.values(), strict=True)
    following = [
        asyncio.create_task(outbox_controls.follow(arena.scan_url, query, found, lambda: done)) for query, found in queries
    ]
    await write(arena.worker_url, load, oracle)
    done = True
    await asyncio.gather(*following)
    return {name: judge(oracle.committed, found).as_dict() for name, found in published.items()}


async def kills_at_every_step(arena: Arena, load: Load, rounds: int) -> Figures:
    """SIGKILL at each numbered step in turn, `rounds` times; the next relay must take over and go on."""
    kills = 0
    async with under_load(arena, load) as oracle:
        for number in range(rounds):
            for point in FAILPOINTS:
                async with arena.relay(f"{point}:{1 + number % 3}") as relay:
                    assert await relay.ended() == -signal.SIGKILL
                kills += 1
                await _further_commits(oracle, 1)
    async with arena.relay() as relay:
        await arena.drained()
        exit_code = await relay.terminate()
    verdict = await arena.verdict(oracle)
    return {**verdict.as_dict(), "kills": kills, "exit_code": exit_code}


async def _further_commits(oracle: Oracle, count: int) -> None:
    """Waits until the writers have gone on, so that the next victim has something to do."""
    before = oracle.events
    await until(lambda: oracle.events >= before + count, PATIENCE, "further commits")


async def rolling_restarts(arena: Arena, load: Load, rounds: int) -> Figures:
    """SIGTERM under load: each relay finishes its page, gives its shards back and leaves; the next takes them at once."""
    slowest = 0.0
    async with under_load(arena, load) as oracle:
        for _ in range(rounds):
            async with arena.relay() as relay:
                await until(partial(_owned_by, arena, relay.pid), PATIENCE, "the relay's shards")
                await _further_commits(oracle, 20)
                began = time.monotonic()
                assert await relay.terminate() == 0
                slowest = max(slowest, time.monotonic() - began)
    async with arena.relay():
        await arena.drained()
    verdict = await arena.verdict(oracle)
    return {**verdict.as_dict(), "restarts": rounds, "slowest_exit_seconds": round(slowest, 2)}


async def frozen_relays(arena: Arena, load: Load, rounds: int) -> Figures:
    """Of two relays one is frozen past its lease with a page under way, and wakes after the other took over."""
    await _audit_deletes(arena)
    old_term_deletes = 0
    async with under_load(arena, load) as oracle:
        for number in range(rounds):
            point = ("relay.before-send", "relay.after-ack", "relay.before-delete")[number % 3]
            async with arena.relay(f"{point}:{2 + number % 5}:stop") as sleeper:
                await sleeper.frozen()
                backends = await _backends(arena)
                async with arena.relay() as heir:
                    await until(partial(_owned_by, arena, heir.pid), PATIENCE, "the takeover")
                    sleeper.send(signal.SIGCONT)
                    await until(partial(_announced, arena, sleeper.pid), PATIENCE, "the woken relay")
                    old_term_deletes += await _deletes_under_foreign_terms(arena, backends, sleeper.pid)
                    assert await sleeper.terminate() == 0
                    assert await heir.terminate() == 0
    async with arena.relay():
        await arena.drained()
    verdict = await arena.verdict(oracle)
    return {**verdict.as_dict(), "rounds": rounds, "deletes_by_an_old_term": old_term_deletes}


async def database_kills(arena: Arena, server: PostgresServer, load: Load, rounds: int, pause: float) -> Figures:
    """SIGKILL of the postmaster under load, again and again; writers and relay come back by themselves."""
    back = []
    async with arena.relay() as relay:
        async with under_load(arena, load) as oracle:
            for _ in range(rounds):
                await _further_commits(oracle, 50)
                await asyncio.sleep(pause)
                await asyncio.to_thread(server.kill9)
                await asyncio.to_thread(server.start)
                back.append(await _seconds_until_published(arena))
        await arena.drained()
        exit_code = await relay.terminate()
    verdict = await arena.verdict(oracle)
    return {
        **verdict.as_dict(),
        "kills": rounds,
        "unclear_commits": oracle.unclear,
        "slowest_back_seconds": round(max(back), 2),
        "exit_code": exit_code,
    }


async def broker_kills(arena: Arena, cluster: KafkaCluster, load: Load, rounds: int) -> Figures:
    """SIGKILL of the broker while pages are on their way; the relay rebuilds its producer."""
    back = []
    async with arena.relay() as relay:
        async with under_load(arena, load) as oracle:
            for _ in range(rounds):
                await _further_commits(oracle, 50)
                await asyncio.to_thread(cluster.kill)
                await asyncio.to_thread(cluster.start)
                back.append(await _seconds_until_published(arena))
        await arena.drained()
        exit_code = await relay.terminate()
    verdict = await arena.verdict(oracle)
    return {
        **verdict.as_dict(),
        "kills": rounds,
        "slowest_back_seconds": round(max(back), 2),
        "exit_code": exit_code,
    }


async def broker_away(arena: Arena, cluster: KafkaCluster, load: Load, seconds: float) -> Figures:
    """No broker for a while: writers go on, the outbox grows, and drains in order when the broker is back."""
    async with arena.relay() as relay:
        async with under_load(arena, load) as oracle:
            await _further_commits(oracle, 50)
            await asyncio.to_thread(cluster.kill)
            before = oracle.events
            await asyncio.sleep(seconds)
            accepted, waiting, oldest = oracle.events - before, await _unsent(arena), await _oldest(arena)
            await asyncio.to_thread(cluster.start)
            back = await _seconds_until_published(arena)
        drained = await arena.drained(120)
        exit_code = await relay.terminate()
    verdict = await arena.verdict(oracle)
    return {
        **verdict.as_dict(),
        "seconds_away": seconds,
        "accepted_meanwhile": accepted,
        "unsent_at_return": waiting,
        "oldest_unsent_seconds_at_return": round(oldest, 1),
        "back_after_seconds": round(back, 2),
        "seconds_to_drain": round(drained, 2),
        "exit_code": exit_code,
    }


async def _seconds_until_published(arena: Arena) -> float:
    """From now until a row that is in the outbox now has left it."""
    began = time.monotonic()
    conn = await until(lambda: _connected(arena.scan_url), PATIENCE, "the database")
    try:
        [marked] = await conn.fetch("select coalesce(max(id), 0) as id from outbox_events")
        query = "select not exists (select from outbox_events where id <= $1)"
        await until(lambda: conn.fetchval(query, marked["id"]), PATIENCE, "rows of before the kill to leave")
    finally:
        await conn.close()
    return time.monotonic() - began


async def _connected(url: str) -> Any:
    try:
        return await asyncpg.connect(url, timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return None


async def _unsent(arena: Arena) -> int:
    return int(await _value(arena.scan_url, "select count(*) from outbox_events"))


async def _oldest(arena: Arena) -> float:
    """The age that the alarm is set on."""
    query = "select extract(epoch from cs_now() - min(created_at))::float8 from outbox_events"
    return float(await _value(arena.scan_url, query) or 0.0)


async def _value(url: str, query: str, *arguments: object) -> Any:
    conn = await asyncpg.connect(url)
    try:
        return await conn.fetchval(query, *arguments)
    finally:
        await conn.close()


async def _audit_deletes(arena: Arena) -> None:
    """Every deleted row with the backend that deleted it and the owner of its shard at that moment."""
    await _script(
        arena.database_url,
        """
        create table if not exists deleted_rows (id bigint, backend integer, owner text);
        create or replace function note_deleted_row() returns trigger language plpgsql security definer as $$
        begin
            insert into deleted_rows select old.id, pg_backend_pid(), owner from relay_shards where shard = old.shard;
            return null;
        end $$;
        create or replace trigger note_deleted_row after delete on outbox_events
            for each row execute function note_deleted_row()""",
    )


async def _script(url: str, statements: str) -> None:
    conn = await asyncpg.connect(url)
    await conn.execute(statements)
    await conn.close()


async def _backends(arena: Arena) -> list[int]:
    """The connections of relays now."""
    query = "select array_agg(pid) from pg_stat_activity where usename = 'cs_scan' and application_name <> ''"
    return list(await _value(arena.scan_url, query))


async def _owned_by(arena: Arena, pid: int) -> bool:
    query = "select count(*) >= 8 from relay_shards where owner like $1 and expires_at > cs_now()"
    return bool(await _value(arena.scan_url, query, f"%/{pid}/%"))


async def _announced(arena: Arena, pid: int) -> bool:
    query = "select exists (select from leases where name like $1 and expires_at > cs_now())"
    return bool(await _value(arena.scan_url, query, f"relay/%/{pid}/%"))


async def _deletes_under_foreign_terms(arena: Arena, backends: list[int], pid: int) -> int:
    query = "select count(*) from deleted_rows where backend = any ($1) and owner not like $2"
    return int(await _value(arena.database_url, query, backends, f"%/{pid}/%"))
