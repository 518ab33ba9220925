"""The Faust app: one agent on two topics, one table with a window per kind, alerts as CloudEvents.

The table lives in memory and in its changelog topic, from which a restart reads it again; Faust commits now and then, so a
killed monitor counts some events twice. That is what it is for: a wrong count here wakes somebody once too often.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from processors.monitor.counting import HOUR, MINUTE, Alert, Counted, alert_of, counted_in
from runtime.kafka import physical
from runtime.logging import get_logger
from runtime.settings import MonitorSettings, Settings
from schemas.envelope import CloudEvent, from_kafka, to_headers
from schemas.errors import CasestreamError
from schemas.registry import ALERTS_TOPIC, MONITORED_TOPICS

log = get_logger(__name__)

_KEPT_WINDOWS = 2


class Monitor:
    """The part that `casestream run monitor` runs."""

    def __init__(self, settings: Settings, stop: asyncio.Event) -> None:
        self._settings, self._stop = settings, stop
        self._recovered = False

    @property
    def ready(self) -> bool:
        """Its table was read again and it counts."""
        return self._recovered

    async def run(self) -> None:
        """Count until `stop`."""
        with _folder() as folder:
            app = build(self._settings, folder)
            app.on_rebalance_complete.connect(self._on_assigned)
            async with app:
                await self._stop.wait()

    def _on_assigned(self, *_: object, **__: object) -> None:
        self._recovered = True


def build(settings: Settings, folder: Path) -> Any:
    """The app, unstarted. Faust is imported here and nowhere else: it is heavy, and only this role needs it."""
    import faust

    app = faust.App(
        physical(settings, "monitor"),
        broker=f"kafka://{settings.kafka_bootstrap_servers}",
        datadir=str(folder),
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="latest",
        loop=asyncio.get_running_loop(),
        **_access(settings),
    )
    limits = _limits(settings.monitor)
    # A window's key is the counted thing's with the window's bounds. A tenant's events lie in all partitions, so that its table
    # does not follow theirs: one process counts, and a topic that grows is none of its business.
    in_changelog: Any = faust.Schema(key_serializer="json", value_serializer="json")
    tables = {
        window: app.Table(f"counted-{window}", default=int, schema=in_changelog, partitions=1, use_partitioner=True)
        .tumbling(timedelta(seconds=window), expires=timedelta(seconds=window * _KEPT_WINDOWS))
        .relative_to_stream()
        for window in (MINUTE, HOUR)
    }
    told = app.topic(physical(settings, ALERTS_TOPIC), key_type=bytes, value_type=bytes)
    names = {physical(settings, name): name for name in MONITORED_TOPICS}

    @app.agent(app.topic(*names, key_type=bytes, value_type=bytes))
    async def count(stream: Any) -> None:
        async for event in stream.events():
            for counted in _counted(event, names):
                table = tables[counted.window]
                table[counted.key] += 1
                began = event.message.timestamp // counted.window * counted.window
                alert = alert_of(counted, table[counted.key].value(), limits[counted.kind], began)
                if alert is not None:
                    await _tell(told, settings, counted, alert)

    return app


def _counted(event: Any, names: Mapping[str, str]) -> Iterator[Counted]:
    try:
        read = from_kafka(event.message.value, list(event.headers.items()))
        yield from counted_in(read, names[event.message.topic])
    except (CasestreamError, ValueError) as error:
        # Groups that must not lose it park it; here it is one event less.
        log.warning(
            "an event was not counted", topic=event.message.topic, offset=event.message.offset, error=type(error).__name__
        )


async def _tell(topic: Any, settings: Settings, counted: Counted, alert: Alert) -> None:
    payload = alert.payload
    event = CloudEvent(
        id=alert.id,
        source=f"{settings.ce_source}/monitor",
        type=payload.TYPE,
        tenant=counted.tenant_id,
        subject=counted.tenant_id,
        time=datetime.now(UTC),
        data=b"",
        dataschema=payload.dataschema(),
    )
    await topic.send(key=counted.tenant_id.encode(), value=payload.to_json(), headers=dict(to_headers(event)))
    log.warning("a limit was passed", tenant_id=counted.tenant_id, kind=counted.kind, count=payload.count)


def _limits(settings: MonitorSettings) -> dict[str, int]:
    return {
        "recoveries": settings.recoveries_per_hour,
        "sla-breaches": settings.sla_breaches_per_hour,
        "failed-runs": settings.failed_runs_per_hour,
        "throughput": settings.events_per_minute,
    }


def _access(settings: Settings) -> dict[str, Any]:
    """How we prove who we are, as Faust wants it said."""
    import faust

    from runtime.kafka import tls_context

    kafka = settings.kafka
    tls = tls_context(kafka) if kafka.security_protocol.endswith("SSL") else None
    if kafka.security_protocol.startswith("SASL") and kafka.sasl_password is not None:
        return {
            "broker_credentials": faust.SASLCredentials(
                username=kafka.sasl_username,
                password=kafka.sasl_password.get_secret_value(),
                mechanism=kafka.sasl_mechanism,
                ssl_context=tls,
            )
        }
    return {"broker_credentials": faust.SSLCredentials(context=tls)} if tls else {}


@contextmanager
def _folder() -> Iterator[Path]:
    """Where Faust keeps files of its own; nothing in it outlives the process."""
    folder = Path(tempfile.mkdtemp(prefix=f"casestream-monitor-{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
