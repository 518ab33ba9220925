"""The monitor on the real broker: it tells what passes a limit, by tenant, also after it was killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from schemas.envelope import CloudEvent, from_kafka
from schemas.monitoring import OpsAlert
from schemas.onboarding import WorkflowEventTold
from schemas.registry import ALERTS_TOPIC, MONITORED_TOPICS
from tests.e2e.shell.harness import START, environ_for, event, produce
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

LIMIT = 3


@asynccontextmanager
async def running(database: ClonedDatabase, kafka: FreshKafka, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {**os.environ, **environ_for(database, kafka), "CASESTREAM_MONITOR__RECOVERIES_PER_HOUR": str(LIMIT)}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "runtime.cli", "run", "monitor", env=environment, stderr=log.open("ab")
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            await asyncio.wait_for(child.wait(), 40)


def recoveries(tenant: str) -> list[CloudEvent]:
    """One more than the limit."""
    told = [
        WorkflowEventTold(instance_id=f"i-{number}", event_type="RECOVERY", flow="card-onboarding", at=START)
        for number in range(LIMIT + 1)
    ]
    return [event(one, tenant, partitionkey=f"{tenant}|onboarding|{one.instance_id}", subject=one.instance_id) for one in told]


@pytest.fixture
async def alerts(fresh_kafka: FreshKafka) -> AsyncIterator[AIOKafkaConsumer]:
    await fresh_kafka.create_topics([*MONITORED_TOPICS, ALERTS_TOPIC], 2)
    consumer = AIOKafkaConsumer(
        fresh_kafka.topic(ALERTS_TOPIC), bootstrap_servers=fresh_kafka.bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    yield consumer
    await consumer.stop()


async def read(consumer: AIOKafkaConsumer) -> Sequence[CloudEvent]:
    found = await consumer.getmany(timeout_ms=500)
    return [from_kafka(record.value, record.headers) for records in found.values() for record in records]


async def test_what_passes_a_limit_is_told_once_a_window_and_a_killed_monitor_goes_on(
    database: ClonedDatabase, fresh_kafka: FreshKafka, alerts: AIOKafkaConsumer, tmp_path: Path
) -> None:
    heard: list[CloudEvent] = []

    async def of(tenant: str) -> bool:
        """It counts what comes after it stands, so the same happens again until it was heard."""
        assert child.returncode is None, (tmp_path / "log").read_text(encoding="utf-8")[-2000:]
        await produce(fresh_kafka, "onboarding.events.v1", recoveries(tenant))
        heard.extend(await read(alerts))
        return any(one.tenant == tenant for one in heard)

    async with running(database, fresh_kafka, tmp_path / "log") as child:
        await until(lambda: of("acme"), 40, "the alert of a tenant")
        await until(lambda: of("acme"), 40, "nothing new")
        child.send_signal(signal.SIGKILL)
        await child.wait()
    async with running(database, fresh_kafka, tmp_path / "log") as child:
        await until(lambda: of("other"), 90, "the alert of another tenant, from the next process")
        child.terminate()
        assert await asyncio.wait_for(child.wait(), 40) == 0
    told = {one.id: OpsAlert.model_validate_json(one.data or b"") for one in heard}
    assert {one.type for one in heard} == {"OPS_ALERT"}
    assert {(alert.tenant_id, alert.kind, alert.about) for alert in told.values()} == {
        ("acme", "recoveries", "card-onboarding"),
        ("other", "recoveries", "card-onboarding"),
    }
    assert {(alert.count, alert.limit) for alert in told.values()} == {(LIMIT + 1, LIMIT)}
    windows = [(alert.tenant_id, alert.window_from) for alert in told.values()]
    assert len(windows) == len(set(windows)), "an alert that is told again has the id that it had"
