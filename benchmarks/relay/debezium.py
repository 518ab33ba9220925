"""The peer: Debezium's outbox event router in Kafka Connect (standalone), tuned, in a JVM that stays warm between runs.

Its jars are copied by Maven into the cache folder and are no part of the project.
"""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks.relay.ground import Ground
from runtime.stack.home import default_home
from runtime.stack.java import find_java
from runtime.stack.ports import free_ports

VERSIONS = {"debezium": "3.7.0.Final", "connect": "4.3.1"}
_POM = Path(__file__).with_name("pom.xml")
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_NAME = "peer"


def jars() -> Path:
    """The folder with Debezium, Connect and a logging binding (the broker's)."""
    cache = default_home().cache
    folder = cache / "debezium"
    if not folder.exists():
        draft = cache / "debezium.draft"
        shutil.rmtree(draft, ignore_errors=True)
        command = ["mvn", "-q", "-B", "-f", str(_POM), _GOAL, f"-DoutputDirectory={draft}", "-DincludeScope=runtime"]
        subprocess.run(command, check=True)
        draft.rename(folder)
    return folder


@dataclass(frozen=True)
class Debezium:
    """A running Connect worker with one connector, which can be stopped and resumed without stopping the JVM."""

    pid: int
    rest: str

    async def stop(self) -> None:
        await self._put("stop")
        await self._until("STOPPED")

    async def resume(self) -> None:
        await self._put("resume")
        await self._until("RUNNING")

    async def _put(self, order: str) -> None:
        async with httpx.AsyncClient() as client:
            (await client.put(f"{self.rest}/connectors/{_NAME}/{order}")).raise_for_status()

    async def _until(self, state: str) -> None:
        async with httpx.AsyncClient() as client:
            for _ in range(600):
                try:
                    found = (await client.get(f"{self.rest}/connectors/{_NAME}/status")).json()
                    states = [found["connector"]["state"], *[task["state"] for task in found["tasks"]]]
                    if set(states) == {state} and (state == "STOPPED" or len(states) > 1):
                        return
                    if "FAILED" in states:
                        raise RuntimeError(str(found)[:2000])
                except (httpx.HTTPError, KeyError, ValueError):
                    pass
                await asyncio.sleep(0.1)
        raise TimeoutError(f"the connector did not become {state}")


@asynccontextmanager
async def debezium(ground: Ground) -> AsyncIterator[Debezium]:
    """A worker with the tuned connector, running. Rows of `peer_outbox` go to the topic that `aggregatetype` names."""
    [port] = free_ports(1)
    folder = ground.folder / "connect"
    folder.mkdir(exist_ok=True)
    (folder / "worker.properties").write_text(_lines(_worker(ground, port, folder)))
    (folder / "connector.properties").write_text(_lines(_connector(ground)))
    java = find_java()
    broker_jars = next(path for path in default_home().cache.glob("kafka-*") if path.is_dir())
    binding = [str(path) for path in broker_jars.glob("log4j-*.jar")]
    (folder / "log4j2.properties").write_text(_LOG4J)
    command = [
        str(java.program),
        f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
        "-cp",
        ":".join([f"{jars()}/*", *binding]),
        "org.apache.kafka.connect.cli.ConnectStandalone",
        str(folder / "worker.properties"),
        str(folder / "connector.properties"),
    ]
    with (folder / "connect.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    peer = Debezium(process.pid, f"http://127.0.0.1:{port}")
    try:
        await peer._until("RUNNING")
        yield peer
    finally:
        process.kill()
        await process.wait()


def _worker(ground: Ground, port: int, folder: Path) -> dict[str, str]:
    return {
        "bootstrap.servers": ground.bootstrap,
        "listeners": f"http://127.0.0.1:{port}",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        "offset.storage.file.filename": str(folder / "offsets"),
        "offset.flush.interval.ms": "5000",
        "connector.client.config.override.policy": "All",
        "producer.compression.type": "lz4",
        "producer.linger.ms": "5",
        "producer.batch.size": "262144",
    }


def _connector(ground: Ground) -> dict[str, str]:
    address = urlsplit(ground.superuser_url)
    return {
        "name": _NAME,
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": str(address.hostname),
        "database.port": str(address.port),
        "database.user": str(address.username),
        "database.password": str(address.password),
        "database.dbname": address.path.lstrip("/"),
        "topic.prefix": "peer",
        "plugin.name": "pgoutput",
        "publication.autocreate.mode": "filtered",
        "slot.name": "peer",
        "snapshot.mode": "no_data",
        "table.include.list": "public.peer_outbox",
        "tombstones.on.delete": "false",
        "binary.handling.mode": "bytes",
        "poll.interval.ms": "10",
        "max.batch.size": "8192",
        "max.queue.size": "32768",
        "transforms": "outbox",
        "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
        "transforms.outbox.route.topic.replacement": "${routedByValue}",
    }


def _lines(properties: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in properties.items())


_LOG4J = """
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c %m%n
# It warns once per event that its own measuring queue is full, which would cost the peer dearly.
logger.measuring.name = io.debezium.metrics
logger.measuring.level = error
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""
