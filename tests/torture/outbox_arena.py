"""Where a torture of the outbox takes place: one database, one cell of topics, the relays' settings, and their logs."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from runtime.postgres import role_url
from runtime.settings import Settings
from tests.infrastructure.topics import FreshKafka
from tests.torture.outbox_load import TOPIC, Oracle
from tests.torture.outbox_relays import RelayProcess, relay_process
from tests.torture.outbox_verdict import Verdict, judge, read_topic
from tests.waiting import until


@dataclass
class Arena:
    """`database_url` is role cs_migrate's. The lease is short, so that a killed relay costs a second, not six."""

    database_url: str
    kafka: FreshKafka
    folder: Path
    lease_seconds: float = 1.0
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "CASESTREAM_TOPIC_PREFIX": self.kafka.prefix,
            "CASESTREAM_RELAY__LEASE_SECONDS": str(self.lease_seconds),
            "CASESTREAM_RELAY__RENEW_SECONDS": str(self.lease_seconds / 3),
            **self.extra,
        }

    @property
    def settings(self) -> Settings:
        return Settings.load(self.environment)

    @property
    def worker_url(self) -> str:
        return role_url(self.settings, "worker")

    @property
    def scan_url(self) -> str:
        return role_url(self.settings, "scan")

    @property
    def log(self) -> Path:
        return self.folder / "relays.log"

    @asynccontextmanager
    async def relay(self, failpoint: str = "") -> AsyncIterator[RelayProcess]:
        async with relay_process(self.environment, self.log, failpoint) as relay:
            yield relay

    async def drained(self, deadline: float = 60.0) -> float:
        """Waits until the outbox is empty; returns the seconds that took."""
        began = time.monotonic()
        conn = await asyncpg.connect(self.scan_url)
        try:
            await until(lambda: conn.fetchval("select not exists (select from outbox_events)"), deadline, "the empty outbox")
        finally:
            await conn.close()
        return time.monotonic() - began

    async def verdict(self, oracle: Oracle) -> Verdict:
        return judge(oracle.committed, await read_topic(self.settings, TOPIC))
