"""B2: from a commit's answer to the record in a consumer's hand, at a steady rate of single-row transactions.

Writer and consumer are processes of their own, the same for both relays: only the relay between them changes.
`python -m benchmarks.relay.latency write|consume ...` is one of them.
"""

import asyncio
import json
import secrets
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.relay.debezium import Debezium
from benchmarks.relay.ground import KEYS, PARTITIONS, PAYLOAD_BYTES, TOPIC, Ground
from benchmarks.relay.processes import usage
from domain.outbox.append import shard_of
from schemas.headers import pack_headers
from tests.torture.outbox_relays import relay_process
from tests.waiting import until

CONNECTIONS = 8
WARM_UP_SECONDS = 5
IDLE_SECONDS = 15

_OURS = """
insert into outbox_events (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers,
                           payload, occurred_at, created_by)
values ($1, 'acme', $2, 'work_item', $3, $4, $5, $6, 'WORK_ITEM_STATUS_CHANGED', $7, $8, now(), 'bench')"""
_PEERS = "insert into peer_outbox (id, aggregatetype, aggregateid, type, payload) values ($1, $2, $3, 'X', $4)"
_HEADERS = pack_headers([(f"ce_header{number}", b"a value of some length") for number in range(10)])


async def measure_ours(ground: Ground, rate: int, seconds: int) -> dict[str, Any]:
    prefix = f"ours-{secrets.token_hex(3)}."
    await ground.new_topic(prefix + TOPIC)
    environment = {
        "DATABASE_URL": ground.database_url,
        "KAFKA_BOOTSTRAP_SERVERS": ground.bootstrap,
        "CASESTREAM_TOPIC_PREFIX": prefix,
    }
    async with relay_process(environment, ground.folder / "relay.log") as relay:
        held = "select count(*) = 16 from relay_shards where owner <> ''"
        await until(lambda: ground.value(held), 30, "the relay's shards")
        before = usage(relay.pid).cpu_seconds
        await asyncio.sleep(IDLE_SECONDS)
        after_idle = usage(relay.pid).cpu_seconds
        found = await _both(ground, "ours", prefix + TOPIC, rate, seconds)
        busy = usage(relay.pid)
        await relay.terminate()
    await ground.drop_topic(prefix + TOPIC)
    return {
        **found,
        "idle_cpu_share": round((after_idle - before) / IDLE_SECONDS, 4),
        "busy_cpu_share": round((busy.cpu_seconds - after_idle) / (seconds + WARM_UP_SECONDS), 3),
        "peak_mb": round(busy.peak_mb),
    }


async def measure_peer(ground: Ground, peer: Debezium, rate: int, seconds: int) -> dict[str, Any]:
    topic = f"peer-{secrets.token_hex(3)}"
    await ground.new_topic(topic)
    before = usage(peer.pid).cpu_seconds
    await asyncio.sleep(IDLE_SECONDS)
    after_idle = usage(peer.pid).cpu_seconds
    found = await _both(ground, "peer", topic, rate, seconds)
    busy = usage(peer.pid)
    await ground.drop_topic(topic)
    return {
        **found,
        "idle_cpu_share": round((after_idle - before) / IDLE_SECONDS, 4),
        "busy_cpu_share": round((busy.cpu_seconds - after_idle) / (seconds + WARM_UP_SECONDS), 3),
        "peak_mb": round(busy.peak_mb),
    }


async def _both(ground: Ground, side: str, topic: str, rate: int, seconds: int) -> dict[str, Any]:
    written, arrived = ground.folder / f"{topic}.written", ground.folder / f"{topic}.arrived"
    total = rate * (seconds + WARM_UP_SECONDS)
    consumer = await _process("consume", ground.bootstrap, topic, total, arrived)
    assert consumer.stdout is not None
    assert await asyncio.wait_for(consumer.stdout.readline(), 30) == b"ready\n"
    writer = await _process("write", side, ground.superuser_url, topic, rate, total, written)
    assert await writer.wait() == 0
    assert await asyncio.wait_for(consumer.wait(), 60) == 0
    at, got = json.loads(written.read_text()), json.loads(arrived.read_text())
    first = rate * WARM_UP_SECONDS
    delays = sorted((got[number] - at[number]) / 1e6 for number in map(str, range(first, total)))
    percentiles = statistics.quantiles(delays, n=1000)
    return {
        "events": len(delays),
        "achieved_per_second": round(len(delays) / ((max(at.values()) - at[str(first)]) / 1e9)),
        "p50_ms": round(percentiles[499], 2),
        "p95_ms": round(percentiles[949], 2),
        "p99_ms": round(percentiles[989], 2),
        "worst_ms": round(delays[-1], 1),
    }


async def _process(*arguments: object) -> asyncio.subprocess.Process:
    words = [str(argument) for argument in arguments]
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.relay.latency", *words, stdout=asyncio.subprocess.PIPE
    )


async def write(side: str, url: str, topic: str, rate: int, total: int) -> dict[int, int]:
    """Single-row transactions at fixed instants; when each commit was answered, in nanoseconds of the clock."""
    at: dict[int, int] = {}
    began, turn = time.monotonic() + 0.2, iter(range(total))
    await asyncio.gather(*(_writer(side, url, topic, rate, turn, began, at) for _ in range(CONNECTIONS)))
    return at


async def _writer(side: str, url: str, topic: str, rate: int, turn: Any, began: float, at: dict[int, int]) -> None:
    conn = await asyncpg.connect(url)
    statement = await conn.prepare(_OURS if side == "ours" else _PEERS)
    insert: Callable[..., Awaitable[Any]] = statement.fetch
    for number in turn:
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        name = f"item-{number % KEYS}"
        key, payload = f"acme|work_item|{name}", (b'{"number":%d,"text":"' % number).ljust(PAYLOAD_BYTES - 2, b"x") + b'"}'
        if side == "ours":
            logical = topic[topic.index(".") + 1 :]
            binary = key.encode()
            await insert(uuid4(), shard_of(binary), name, number, logical, binary, _HEADERS, payload)
        else:
            await insert(uuid4(), topic, key, payload)
        at[number] = time.time_ns()
    await conn.close()


async def consume(bootstrap: str, topic: str, total: int) -> dict[int, int]:
    """When each record was handed over; says "ready" when it waits for the first."""
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await reader.start()
    reader.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    print("ready", flush=True)
    got: dict[int, int] = {}
    while len(got) < total:
        batches = await reader.getmany(timeout_ms=1000)
        now = time.time_ns()
        for records in batches.values():
            for record in records:
                got[json.loads(record.value or b"")["number"]] = now
    await reader.stop()
    return got


def main(order: str, *rest: str) -> None:
    *given, out = rest
    if order == "write":
        side, url, topic, rate, total = given
        noted = uvloop.run(write(side, url, topic, int(rate), int(total)))
    else:
        bootstrap, topic, total = given
        noted = uvloop.run(consume(bootstrap, topic, int(total)))
    Path(out).write_text(json.dumps(noted))


if __name__ == "__main__":
    main(*sys.argv[1:])
