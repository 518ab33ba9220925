"""The servers that tests use, started when the first test asks for one and ended with the session.

A unit test that asks for none starts none. How the session's servers are found: tests/infrastructure/servers.py.
"""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest

from runtime.stack.asking import ask
from runtime.stack.kafka import KafkaCluster
from runtime.stack.postgres import PostgresServer
from tests.infrastructure import databases, servers
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.scratch import new_scratch
from tests.infrastructure.topics import FreshKafka

# The same examples in every run, however long each takes: what fails, fails again. `--hypothesis-profile=default` tries others.
hypothesis.settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")

_TAKEN = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TAKEN] = {}


def pytest_report_header() -> str:
    return "servers: addresses given, else Docker, else the local stack; the summary says which were taken"


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Only a worker of pytest-xdist has these two: what it says there reaches the process that prints the summary.
    config: Any = session.config
    if hasattr(config, "workeroutput"):
        worker = config.workerinput["workerid"]
        config.workeroutput["servers"] = {f"{name} of {worker}": origin for name, origin in config.stash[_TAKEN].items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended: its servers are named in the one summary."""
    node.config.stash[_TAKEN].update(getattr(node, "workeroutput", {}).get("servers", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, origin in sorted(config.stash[_TAKEN].items()):
        terminalreporter.write_line(f"{name}: {origin}")


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[str]:
    """The session's PostgreSQL: a superuser's URL. A test that crashes a server has one of its own, with fsync on."""
    server = servers.provide_postgres(servers.NEVER_CRASHED)
    pytestconfig.stash[_TAKEN]["PostgreSQL"] = server.origin
    yield server.address
    server.close()


@pytest.fixture(scope="session")
def template_database(postgres_server: str) -> Iterator[str]:
    """Name of a database with the roles and all migrations, to be cloned; never connect to it."""
    name = ask(databases.make_template(postgres_server))
    yield name
    ask(databases.drop(postgres_server, name))


@pytest.fixture
def database(postgres_server: str, template_database: str) -> Iterator[ClonedDatabase]:
    """A migrated database of this test's own; `.url(role)` for migrate, api, worker, scan, superuser."""
    cloned = ask(databases.clone(postgres_server, template_database))
    yield cloned
    ask(databases.drop(postgres_server, cloned.name))


@pytest.fixture(scope="session")
def template_keys_database(postgres_server: str) -> Iterator[str]:
    """Name of a migrated keys database, to be cloned; never connect to it."""
    name = ask(databases.make_keys_template(postgres_server))
    yield name
    ask(databases.drop(postgres_server, name))


@pytest.fixture
def keys_database(database: ClonedDatabase, template_keys_database: str) -> Iterator[ClonedDatabase]:
    """The keys database beside this test's `database`; `.url("keys")`. Whoever starts processes that use keys takes it too."""
    cloned = ask(databases.clone_keys(database, template_keys_database))
    yield cloned
    ask(databases.drop(cloned.server_url, cloned.name))


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[str]:
    """The session's broker: its bootstrap address. Tests that use topics take `fresh_kafka` instead."""
    server = servers.provide_kafka()
    pytestconfig.stash[_TAKEN]["Kafka"] = server.origin
    yield server.address
    server.close()


@pytest.fixture
def fresh_kafka(kafka: str) -> Iterator[FreshKafka]:
    """The session's broker with a topic prefix of this test's own; `await fresh_kafka.create_topics([...])`."""
    fresh = FreshKafka(kafka)
    yield fresh
    ask(fresh.delete_topics())


@pytest.fixture
def own_postgres() -> Iterator[Callable[..., PostgresServer]]:
    """Makes PostgreSQL servers that only this test uses and may kill: `own_postgres(settings={...})`, started."""
    scratch, made = new_scratch(), list[PostgresServer]()

    def make(settings: dict[str, str] | None = None) -> PostgresServer:
        server = servers.new_postgres(scratch / f"server-{len(made)}", settings)
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        server.stop()
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture
def own_kafka() -> Iterator[Callable[..., KafkaCluster]]:
    """Makes Kafka clusters that only this test uses and may kill: `own_kafka(nodes=3)`, started."""
    scratch, made = new_scratch(), list[KafkaCluster]()

    def make(nodes: int = 1, settings: dict[str, str] | None = None, heap: str = "512m") -> KafkaCluster:
        cluster = servers.new_kafka(scratch / f"cluster-{len(made)}", nodes, settings, heap)
        made.append(cluster)
        cluster.start()
        return cluster

    yield make
    for cluster in made:
        cluster.kill()
    shutil.rmtree(scratch, ignore_errors=True)
