"""One run's world: a PostgreSQL and a Kafka of its own, made ready as an operator would, and our processes on them."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from aiokafka.admin import NewTopic

from runtime import migrations, topics
from runtime.kafka import admin
from runtime.settings import Settings
from runtime.stack.home import Home
from runtime.stack.issuer import create_issuer, sign
from runtime.stack.kafka import KafkaCluster
from runtime.stack.keks import ensure_kek
from runtime.stack.ports import free_ports
from runtime.stack.postgres import PostgresServer
from runtime.stack.roles import apply_keys_roles, apply_roles, create_database
from runtime.stack.state import development_issuer
from tests.infrastructure.scratch import new_scratch
from tests.infrastructure.servers import new_kafka, new_postgres, password_of
from tests.torture.system.fleet import Fleet
from tests.torture.system.lives import PEOPLE, TENANTS

PARTITIONS = 4
SMALL = ("api", "relay", "work-items", "projections", "workers")
DOUBLE = (*SMALL, "relay", "work-items", "projections")

# Beginnings of the names of the topics that these roles use.
TOPICS = ("work-items.", "onboarding.events")

# Where the settings look for it beside the main database.
_KEYS = "postgres_keys"


@dataclass
class World:
    """`fleet` are our processes, `postgres` and `kafka` the servers under them."""

    folder: Path
    postgres: PostgresServer
    kafka: KafkaCluster
    environment: dict[str, str] = field(repr=False)
    url: str
    fleet: Fleet
    tokens: dict[str, str] = field(repr=False)

    @property
    def settings(self) -> Settings:
        return Settings.load(self.environment)

    @property
    def owner_url(self) -> str:
        """For the judge: the schema's owner, who sees every tenant."""
        return self.postgres.url(user="cs_migrate")

    async def connect(self) -> asyncpg.Connection:
        """A connection of the judge's."""
        return await asyncpg.connect(self.owner_url)

    async def value(self, query: str, *arguments: object) -> object:
        """One value, as the owner sees it."""
        conn = await self.connect()
        try:
            return await conn.fetchval(query, *arguments)
        finally:
            await conn.close()


@asynccontextmanager
async def world(
    nodes: int = 1, roles: Sequence[str] = SMALL, topics: tuple[str, ...] = TOPICS, **settings: str
) -> AsyncIterator[World]:
    """A world with `nodes` brokers and a process per role named (a role twice: two processes), all of them ready."""
    scratch = new_scratch()
    postgres, kafka = new_postgres(scratch), new_kafka(scratch, nodes, heap="256m" if nodes > 1 else "512m")
    made: World | None = None
    try:
        await asyncio.gather(asyncio.to_thread(postgres.start), asyncio.to_thread(kafka.start))
        made = _world(scratch, postgres, kafka, settings)
        await _prepare(made, topics)
        for index, role in enumerate(roles):
            made.fleet.add(role, roles[:index].count(role))
        await made.fleet.ready()
        yield made
    finally:
        if made is not None:
            made.fleet.kill()
        await asyncio.to_thread(postgres.stop)
        await asyncio.to_thread(kafka.kill)
        shutil.rmtree(scratch, ignore_errors=True)


def _world(folder: Path, postgres: PostgresServer, kafka: KafkaCluster, settings: dict[str, str]) -> World:
    home, port, copies = Home(folder / "home", folder / "cache"), free_ports(1)[0], len(kafka.nodes)
    issuer = create_issuer(home)
    ensure_kek(home)
    environment = {
        "DATABASE_URL": postgres.url(user="cs_migrate"),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "CASESTREAM_INSTANCE": "torture",
        "CASESTREAM_HOME": str(home.root),
        "CASESTREAM_JWT_ISSUERS": json.dumps([development_issuer(home)]),
        "CASESTREAM_HTTP__PORT": str(port),
        "CASESTREAM_KAFKA__REPLICATION_FACTOR": str(copies),
        "CASESTREAM_KAFKA__MIN_INSYNC_REPLICAS": str(max(1, copies - 1)),
        "CASESTREAM_HOUSEKEEPING__INTERVAL_SECONDS": "5",
        **settings,
    }
    claims = [{"sub": "service:torture", "tenant": tenant, "roles": ["import"]} for tenant in TENANTS]
    tokens = {tenant: sign(each, issuer) for tenant, each in zip(TENANTS, claims, strict=True)}
    fleet = Fleet(environment, folder / "processes")
    return World(folder, postgres, kafka, environment, f"http://127.0.0.1:{port}", fleet, tokens)


async def _prepare(made: World, used: tuple[str, ...]) -> None:
    await apply_roles(made.postgres.url(), password_of(made.postgres.url()))
    await migrations.apply(made.owner_url)
    await create_database(made.postgres.url(), _KEYS)
    await apply_keys_roles(made.postgres.url(_KEYS), password_of(made.postgres.url()))
    await migrations.apply(made.postgres.url(_KEYS, user="cs_migrate"), migrations.KEYS_DIRECTORY)
    conn = await made.connect()
    try:
        await conn.executemany("insert into tenants (tenant_id, name) values ($1, $1)", [(tenant,) for tenant in TENANTS])
        people = [(tenant, person) for tenant in TENANTS for person in PEOPLE]
        await conn.executemany("insert into users (tenant_id, user_id, display_name) values ($1, $2, $2)", people)
    finally:
        await conn.close()
    await _make_topics(made, used)


async def _make_topics(made: World, used: tuple[str, ...]) -> None:
    """What the registry wants of the topics in use, in fewer partitions."""
    wanted = [t for t in topics.wanted_topics(made.settings) if t.name.startswith(used)]
    client = admin(made.settings)
    await client.start()
    try:
        await client.create_topics([NewTopic(t.name, PARTITIONS, t.replication, topic_configs=dict(t.config)) for t in wanted])
        await topics.wait_for_leaders(client, {t.name: PARTITIONS for t in wanted})
    finally:
        await client.close()
