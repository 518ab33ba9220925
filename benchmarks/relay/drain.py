"""B1: a full outbox runs empty. Ours deletes what it sent and the clock runs until the table is empty; the peer's runs
until the last record is on the broker (it deletes nothing). Both clocks start when the first record is on the broker.
"""

import asyncio
import secrets
import time
from typing import Any

from benchmarks.relay.debezium import Debezium
from benchmarks.relay.ground import TOPIC, Ground, watch
from benchmarks.relay.processes import usage
from tests.torture.outbox_relays import relay_process
from tests.waiting import until


async def drain_ours(ground: Ground, rows: int) -> dict[str, Any]:
    prefix = f"ours-{secrets.token_hex(3)}."
    await ground.new_topic(prefix + TOPIC)
    await ground.fill_ours(TOPIC, rows)
    environment = {
        "DATABASE_URL": ground.database_url,
        "KAFKA_BOOTSTRAP_SERVERS": ground.bootstrap,
        "CASESTREAM_TOPIC_PREFIX": prefix,
    }
    async with relay_process(environment, ground.folder / "relay.log") as relay:
        watched = await watch(ground.bootstrap, prefix + TOPIC, rows)
        query = "select not exists (select from outbox_events)"
        await until(lambda: ground.value(query), 60, "the empty outbox")
        emptied = time.monotonic()
        used = usage(relay.pid)
        await relay.terminate()
    await ground.drop_topic(prefix + TOPIC)
    return _result(rows, emptied - watched.first, used.cpu_seconds, used.peak_mb)


async def drain_peer(ground: Ground, peer: Debezium, rows: int) -> dict[str, Any]:
    topic = f"peer-{secrets.token_hex(3)}"
    await ground.new_topic(topic)
    await peer.stop()
    await ground.execute("truncate peer_outbox")
    await ground.fill_peers(topic, rows)
    before = usage(peer.pid).cpu_seconds
    watching = asyncio.create_task(watch(ground.bootstrap, topic, rows))
    await peer.resume()
    watched = await watching
    used = usage(peer.pid)
    await ground.drop_topic(topic)
    return _result(rows, watched.last - watched.first, used.cpu_seconds - before, used.peak_mb)


def _result(rows: int, seconds: float, cpu_seconds: float, peak_mb: float) -> dict[str, Any]:
    return {
        "events_per_second": round(rows / seconds),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "peak_mb": round(peak_mb),
    }
