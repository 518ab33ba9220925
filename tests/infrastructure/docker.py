"""PostgreSQL and Kafka in containers, where a Docker daemon answers.

The images and settings are those of docker-compose.yml.
"""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from runtime.stack.ports import LOOPBACK, answers, free_ports

POSTGRES_IMAGE = "postgres:18"
KAFKA_IMAGE = "apache/kafka:4.3.0"
PROBE_SECONDS = 2.0
_SOCKETS = ("/var/run/docker.sock", f"/run/user/{os.getuid()}/docker.sock")


def daemon_answers() -> bool:
    """A Docker daemon answered a ping; the whole probe ends within two seconds."""
    deadline = time.monotonic() + PROBE_SECONDS
    return any(_ping(address, deadline) for address in _addresses())


def start_postgres(password: str) -> tuple[str, Callable[[], object]]:
    """A superuser's URL and what ends the container."""
    from testcontainers.postgres import PostgresContainer

    container = PostgresContainer(POSTGRES_IMAGE, username="postgres", password=password, dbname="postgres", driver=None)
    container.with_command("-c wal_level=logical -c max_connections=200")
    container.start()
    return str(container.get_connection_url()), container.stop


def start_kafka() -> tuple[str, Callable[[], object]]:
    """Bootstrap servers and what ends the container."""
    from testcontainers.core.container import DockerContainer

    [port] = free_ports(1)
    container = DockerContainer(KAFKA_IMAGE)
    # with_bind_ports would publish the port on every interface.
    container.ports["9092/tcp"] = (LOOPBACK, port)  # type: ignore[assignment]
    for name, value in _kafka_environment(port).items():
        container.with_env(name, value)
    container.start()
    _await_port(port, seconds=60)
    return f"{LOOPBACK}:{port}", container.stop


def _kafka_environment(port: int) -> dict[str, str]:
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{LOOPBACK}:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_MESSAGE_MAX_BYTES": "5242880",
    }


def _await_port(port: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not answers(port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the container {KAFKA_IMAGE} did not listen on {port} within {seconds:g} s")
        time.sleep(0.1)


def _addresses() -> list[tuple[int, str | tuple[str, int]]]:
    given = os.environ.get("DOCKER_HOST", "")
    if given.startswith("tcp://"):
        host, _, port = given.removeprefix("tcp://").partition(":")
        return [(socket.AF_INET, (host, int(port or 2375)))]
    paths = [given.removeprefix("unix://")] if given else list(_SOCKETS)
    return [(socket.AF_UNIX, path) for path in paths if Path(path).exists()]


def _ping(address: tuple[int, str | tuple[str, int]], deadline: float) -> bool:
    family, target = address
    with socket.socket(family) as client:
        client.settimeout(max(0.05, deadline - time.monotonic()))
        try:
            client.connect(target)
            client.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in client.recv(64)
        except OSError:
            return False
