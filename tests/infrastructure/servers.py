"""The one PostgreSQL and the one Kafka of a test session: which they are, and how they end.

The order: an address given by the environment, Docker, the local stack. One that cannot be had is an error, never a
skipped test.
"""

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runtime.stack.home import default_home
from runtime.stack.java import find_java
from runtime.stack.kafka import BrokerPrograms, KafkaCluster, NodeAddress, build_cluster, new_cluster_id
from runtime.stack.kafka_jars import fetch_jars
from runtime.stack.ports import free_ports
from runtime.stack.postgres import PostgresServer
from runtime.stack.postgres_programs import find_postgres
from tests.infrastructure import docker
from tests.infrastructure.scratch import new_scratch


@dataclass(frozen=True)
class Server:
    """A server that tests use: its address, one line about where it comes from, and how to end it."""

    address: str
    origin: str
    close: Callable[[], object]


# For a server whose databases come and go by the thousand and which nobody crashes: each is made in a fifth of the time.
NEVER_CRASHED = {"fsync": "off", "full_page_writes": "off"}


def provide_postgres(settings: dict[str, str] | None = None) -> Server:
    """A PostgreSQL of which the address is a superuser's URL. `settings` are for one of the local stack."""
    if given := os.environ.get("DATABASE_URL"):
        return Server(given, f"address given by DATABASE_URL ({urlsplit(given).hostname})", _leave_alone)
    if docker.daemon_answers():
        url, stop = docker.start_postgres(secrets.token_hex(16))
        return Server(url, f"Docker ({docker.POSTGRES_IMAGE})", stop)
    scratch = new_scratch()
    server = new_postgres(scratch, settings)
    _start(server.start, server.stop, scratch)
    return Server(server.url(), f"local stack ({find_postgres().version}, {scratch})", _end(server.stop, scratch))


def provide_kafka() -> Server:
    """A Kafka of which the address is a bootstrap address."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return Server(given, f"address given by KAFKA_BOOTSTRAP_SERVERS ({given})", _leave_alone)
    if docker.daemon_answers():
        bootstrap, stop = docker.start_kafka()
        return Server(bootstrap, f"Docker ({docker.KAFKA_IMAGE})", stop)
    scratch = new_scratch()
    cluster = new_kafka(scratch)
    # Its data is thrown away: there is nothing to shut down in order.
    _start(cluster.start, cluster.kill, scratch)
    return Server(cluster.bootstrap_servers, f"local stack ({scratch})", _end(cluster.kill, scratch))


def new_postgres(folder: Path, settings: dict[str, str] | None = None) -> PostgresServer:
    """A server of the tests' own that ends with this process, not yet started."""
    password = secrets.token_hex(16)
    log = folder / "logs" / "postgres.log"
    return PostgresServer(folder / "postgres", log, free_ports(1)[0], password, settings or {}, tied=True)


def new_kafka(folder: Path, nodes: int = 1, settings: dict[str, str] | None = None, heap: str = "512m") -> KafkaCluster:
    """A cluster of the tests' own that ends with this process, not yet started."""
    java, ports = find_java(), free_ports(2 * nodes)
    jars = fetch_jars(default_home().cache, java)
    addresses = [NodeAddress(n + 1, ports[2 * n], ports[2 * n + 1]) for n in range(nodes)]
    programs = BrokerPrograms(java, jars, heap)
    return build_cluster(folder / "kafka", folder / "logs", addresses, new_cluster_id(), programs, settings, tied=True)


def password_of(url: str) -> str:
    return unquote(urlsplit(url).password or "")


def _start(start: Callable[[], object], stop: Callable[[], object], scratch: Path) -> None:
    try:
        start()
    except BaseException:
        _end(stop, scratch)()
        raise


def _end(stop: Callable[[], object], scratch: Path) -> Callable[[], None]:
    def close() -> None:
        try:
            stop()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    return close


def _leave_alone() -> None:
    """What was given to us is not ours to end."""
