"""The stack of one home as a whole: up, down, and what runs.

Up, in steps: 1. take the home's lock; 2. find Java, jars and PostgreSQL; 3. choose ports and passwords, or remember
them; 4. start both servers and ask until they answer; 5. make the databases, their roles, the development's
key-encryption key and the token issuer. Every step may be repeated.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.stack import processes
from runtime.stack.asking import ask
from runtime.stack.audit_key import ensure_audit_key
from runtime.stack.home import Home
from runtime.stack.issuer import create_issuer
from runtime.stack.java import find_java
from runtime.stack.kafka import STOP_STEPS, BrokerPrograms, KafkaCluster, NodeAddress, build_cluster, new_cluster_id
from runtime.stack.kafka_jars import fetch_jars, missing_jars
from runtime.stack.keks import ensure_kek
from runtime.stack.parts import MissingPart
from runtime.stack.ports import LOOPBACK, free_ports, is_free
from runtime.stack.postgres import PostgresServer
from runtime.stack.postgres_programs import find_postgres
from runtime.stack.roles import DATABASE, KEYS_DATABASE, apply_keys_roles, apply_roles, create_database
from runtime.stack.state import (
    NodePorts,
    StackSecrets,
    StackState,
    ensure_secrets,
    read_secrets,
    read_state,
    write_state,
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server as people ask about it; `data_bytes` is what its data takes on disk."""

    server: str
    running: bool
    pid: int | None
    address: str | None
    uptime_seconds: float | None
    data_bytes: int


def up(home: Home, say: Say) -> StackState:
    """Starts what is not running and returns the addresses; twice is harmless. Raises MissingPart, TransientError."""
    with _locked(home):
        programs = _programs(home, say)
        _refuse_lost_secrets(home)
        known = ensure_secrets(home)
        state = _state_with_usable_ports(home, known, say)
        write_state(home, state)
        postgres, kafka = postgres_of(home, state, known), kafka_of(home, state, programs)
        say(f"starting PostgreSQL {find_postgres().version} and Kafka")
        # The broker takes seconds, so it starts first and is waited for last.
        for broker in kafka.nodes.values():
            broker.launch()
        postgres.start()
        say(f"PostgreSQL answers on {LOOPBACK}:{postgres.port}")
        ask(create_database(postgres.url(), DATABASE))
        ask(apply_roles(postgres.url(DATABASE), known.roles))
        ask(create_database(postgres.url(), KEYS_DATABASE))
        ask(apply_keys_roles(postgres.url(KEYS_DATABASE), known.roles))
        ensure_kek(home)
        ensure_audit_key(home)
        create_issuer(home)
        kafka.start()
        say(f"Kafka answers on {kafka.bootstrap_servers}")
        return state


def down(home: Home, say: Say) -> int:
    """Stops whatever runs, also when only half does or the state file is gone; returns how many servers ran."""
    if not home.root.exists():
        return 0
    with _locked(home):
        brokers = _live_brokers(home)
        postgres = _postgres_without_state(home)
        ran = len(brokers) + (postgres.process is not None)
        if brokers and not processes.end(brokers, STOP_STEPS):
            say("Kafka did not end when asked and was killed; the next start recovers its logs")
        postgres.stop()
        for pid_file in _broker_pid_files(home):
            pid_file.unlink()
        return ran


def status(home: Home) -> list[ServerStatus]:
    """Each server of this home, running or not."""
    state = read_state(home)
    answer = [_status("postgresql", _postgres_without_state(home).process, _postgres_address(state), home.postgres)]
    nodes = state.kafka_ports if state else (None,)
    for number, ports in enumerate(nodes, start=1):
        folder = home.kafka / f"node-{number}"
        name = "kafka" if len(nodes) == 1 else f"kafka-{number}"
        address = f"{LOOPBACK}:{ports.broker}" if ports else None
        answer.append(_status(name, processes.running(folder / "kafka.pid"), address, folder))
    return answer


def postgres_of(home: Home, state: StackState, known: StackSecrets) -> PostgresServer:
    return PostgresServer(home.postgres, home.logs / "postgres.log", state.postgres_port, known.superuser)


def kafka_of(home: Home, state: StackState, programs: BrokerPrograms) -> KafkaCluster:
    addresses = [NodeAddress(n, ports.broker, ports.controller) for n, ports in enumerate(state.kafka_ports, start=1)]
    return build_cluster(home.kafka, home.logs, addresses, state.kafka_cluster_id, programs)


def _programs(home: Home, say: Say) -> BrokerPrograms:
    find_postgres()
    java = find_java()
    if missing_jars(home.cache) != []:
        say("fetching Kafka's jars with Maven (once)")
    return BrokerPrograms(java, fetch_jars(home.cache, java))


def _refuse_lost_secrets(home: Home) -> None:
    """New passwords would not open old data."""
    if (home.postgres / "data").exists() and read_secrets(home.secrets) is None:
        raise MissingPart(
            f"{home.secrets} is gone or broken, so the data in {home.postgres} cannot be opened",
            f"restore it, or give the data up: casestream down && rm -r {home.root}",
        )


def _state_with_usable_ports(home: Home, known: StackSecrets, say: Say) -> StackState:
    """The remembered state; a port that somebody else has taken meanwhile is replaced."""
    postgres, brokers = _postgres_without_state(home), _live_brokers(home)
    state = read_state(home)
    if state is None:
        _end_strays(home, postgres, brokers, say)
        return _fresh_state(known)
    if not postgres.process and not is_free(state.postgres_port):
        say(f"port {state.postgres_port} is taken by another program; PostgreSQL gets a new one")
        state = _with_postgres_port(state, known, free_ports(1)[0])
    if not brokers and not all(is_free(p.broker) and is_free(p.controller) for p in state.kafka_ports):
        say("a port of Kafka is taken by another program; it gets new ones")
        state = replace(state, kafka_ports=_node_ports(len(state.kafka_ports)))
    return state


def _end_strays(home: Home, postgres: PostgresServer, brokers: list[processes.Process], say: Say) -> None:
    """Servers that run without a state file answer on ports that nobody remembers."""
    if postgres.process or brokers:
        say(f"{home.state} is gone while servers run; they are started again")
        processes.end(brokers, STOP_STEPS)
        postgres.stop()


def _fresh_state(known: StackSecrets) -> StackState:
    state = StackState(0, _node_ports(1), new_cluster_id(), "")
    return _with_postgres_port(state, known, free_ports(1)[0])


def _with_postgres_port(state: StackState, known: StackSecrets, port: int) -> StackState:
    url = PostgresServer(Path(), Path(), port, known.superuser).url(DATABASE)
    return replace(state, postgres_port=port, superuser_url=url)


def _node_ports(nodes: int) -> tuple[NodePorts, ...]:
    ports = free_ports(2 * nodes)
    return tuple(NodePorts(ports[2 * n], ports[2 * n + 1]) for n in range(nodes))


def _postgres_without_state(home: Home) -> PostgresServer:
    """Enough of the server to find and stop it; it cannot be started or asked with this."""
    return PostgresServer(home.postgres, home.logs / "postgres.log", 0, "")


def _broker_pid_files(home: Home) -> list[Path]:
    return sorted(home.kafka.glob("node-*/kafka.pid"))


def _live_brokers(home: Home) -> list[processes.Process]:
    return [process for pid_file in _broker_pid_files(home) if (process := processes.running(pid_file))]


def _postgres_address(state: StackState | None) -> str | None:
    return f"{LOOPBACK}:{state.postgres_port}" if state else None


def _status(server: str, process: processes.Process | None, address: str | None, folder: Path) -> ServerStatus:
    uptime = processes.uptime_seconds(process) if process else None
    return ServerStatus(server, process is not None, process.pid if process else None, address, uptime, _size(folder))


def _size(folder: Path) -> int:
    """Bytes on disk, not apparent ones: Kafka's index files are sparse."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).lstat().st_blocks * 512
            except OSError:  # removed by its server while we looked
                continue
    return total


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    """One command at a time changes a home; another one waits for it."""
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        lock = (home.root / "lock").open("w")
    except OSError as error:
        raise MissingPart(
            f"the stack's home {home.root} cannot be written ({error.strerror})",
            "make the folder writable, or name another one with CASESTREAM_HOME",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
