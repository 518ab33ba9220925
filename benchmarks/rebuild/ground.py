"""What both stand on: a class with ten columns, a store and a topic with the same encrypted snapshots of 1.1 kB, and a
version of the table that is shown and follows the topic's end.

The snapshots are sealed by the product's own codec under keys of its own ring. They are put into the store by COPY and into
the topic by a producer, since a million commands would measure the doors.
"""

import asyncio
import os
import random
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer, TopicPartition

from domain.cases.mapping.tables import TableSpec
from domain.cases.mapping_store import released_files
from domain.cases.mapping_store.commands import Draft, Editor, Order, publish, save_drafts
from projections import ddl_orders
from projections.rebuild.conductor import queries
from projections.rebuild.specs import present_table
from projections.versions import create_version
from runtime.keys.ring import DataKey, KeyRing, open_key_ring
from runtime.settings import Settings
from runtime.snapshots import Context, seal
from schemas.cases import CaseSnapshotStored
from schemas.envelope import CloudEvent, to_headers
from schemas.errors import Rejected
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka

TENANT, CLASS, TABLE, TOPIC = "bench", "bench.Order", "case_plain_order", "case.snapshots.v1"
PARTITIONS, SUBJECTS, CHUNK = 8, 5_000, 10_000
DOCUMENT_BYTES = 1_100
_START = datetime(2026, 1, 5, 8, tzinfo=UTC)
_BODY = {
    "className": CLASS,
    "parent": "WorkObject",
    "mappings": [
        {"plainColumn": "total", "jsonPath": "$.total", "type": "numeric(12,2)"},
        {"plainColumn": "first_sku", "jsonPath": "$.items[0].sku"},
    ],
}


@dataclass(frozen=True, slots=True)
class Case:
    """One case with its one version."""

    case_id: str
    subject_id: str
    at: datetime
    sealed: bytes


def variables(number: int) -> dict[str, Any]:
    """Of an order: a list, a map, an amount, and a note that brings the document to its size."""
    items = [{"sku": f"SKU-{number % 997:04}-{n}", "quantity": n + 1, "price": 19.9} for n in range(5)]
    found = {"total": number % 100_000 + 0.25, "items": items, "params": {"region": "central", "channel": "web"}, "note": ""}
    # 310: the audit fields.
    found["note"] = "n" * (DOCUMENT_BYTES - 310 - len(orjson.dumps(found)))
    return found


def document(case_id: str, number: int, at: datetime) -> bytes:
    instant = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    audit = {
        "className": CLASS,
        "createTime": instant,
        "startUserId": f"user-{number % 50}",
        "lastUpdated": instant,
        "lastUpdateUserId": f"user-{number % 50}",
        "tenantId": TENANT,
        "caseInstanceId": case_id,
        "businessKey": f"ORD-{number:08}",
        "state": "Active",
    }
    return orjson.dumps({**audit, **variables(number)})


async def prepare(settings: Settings, database: ClonedDatabase, kafka: FreshKafka, snapshots: int) -> int:
    """Mapping, tenant, topic, snapshots, and version 1, shown and at the topic's end. How many bytes a document has."""
    await kafka.create_topics([TOPIC, "work-items.events.v1"], PARTITIONS)
    conn = await asyncpg.connect(database.url("superuser"))
    async with open_key_ring(settings) as ring:
        await conn.execute("insert into tenants (tenant_id, name) values ($1, $1)", TENANT)
        await _publish_mapping(database)
        await _fill(conn, kafka, ring, snapshots)
    await conn.execute("vacuum analyze sys_case_data_store, cases")
    await _serve(conn, kafka)
    await conn.execute("checkpoint")
    await conn.close()
    return len(document("order-00000000", 0, _START))


async def _publish_mapping(database: ClonedDatabase) -> None:
    conn = await asyncpg.connect(database.url("api"))
    editor = Editor(TENANT, "bench")
    async with conn.transaction():
        await conn.execute("select set_config('app.tenant', $1, true)", TENANT)
        for outcome in (
            await save_drafts(conn, released_files(), editor, [Draft(CLASS, _BODY, "benchmark")]),
            await publish(conn, released_files(), editor, [Order(CLASS)], "benchmark"),
        ):
            assert not isinstance(outcome, Rejected), outcome
    await conn.close()


async def _fill(conn: asyncpg.Connection, kafka: FreshKafka, ring: KeyRing, snapshots: int) -> None:
    subjects = [f"subject-{n}" for n in range(SUBJECTS)]
    keys: dict[tuple[str, str], DataKey] = {}
    for at in range(0, SUBJECTS, 1_000):
        keys |= await ring.current([(TENANT, subject) for subject in subjects[at : at + 1_000]])
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, linger_ms=20, max_batch_size=512 * 1024)
    await producer.start()
    try:
        for at in range(0, snapshots, CHUNK):
            cases = list(_cases(range(at, min(at + CHUNK, snapshots)), subjects, keys))
            # Triggers of foreign keys would cost more than the rest of the filling.
            await conn.execute("set session_replication_role = replica")
            await _copy(conn, cases)
            await asyncio.gather(*[await _send(producer, kafka, case) for case in cases])
    finally:
        await conn.execute("reset session_replication_role")
        await producer.stop()


def _cases(numbers: range, subjects: Sequence[str], keys: dict[tuple[str, str], DataKey]) -> Iterator[Case]:
    rng = random.Random(numbers.start)
    for number in numbers:
        case_id, subject, at = f"order-{number:08}", rng.choice(subjects), _START + timedelta(seconds=number)
        key = keys[TENANT, subject]
        context = Context(TENANT, CLASS, case_id, 1, subject, key.key_id)
        plain = document(case_id, number, at)
        yield Case(case_id, subject, at, seal(key.secret, context, plain, salt=os.urandom(32), nonce=os.urandom(12)))


async def _copy(conn: asyncpg.Connection, cases: Sequence[Case]) -> None:
    heads = [(TENANT, c.case_id, CLASS, c.subject_id, 1, False, c.at, "bench", c.at, "bench") for c in cases]
    names = "tenant_id case_id class_name subject_id version removed created_at created_by updated_at updated_by"
    await conn.copy_records_to_table("cases", records=heads, columns=names.split())
    rows = [(TENANT, c.case_id, 1, CLASS, c.subject_id, False, c.sealed, c.at, "bench", "bench") for c in cases]
    names = "tenant_id case_id version class_name subject_id removed snapshot stored_at stored_by source"
    await conn.copy_records_to_table("sys_case_data_store", records=rows, columns=names.split())


async def _send(producer: AIOKafkaProducer, kafka: FreshKafka, case: Case) -> "asyncio.Future[Any]":
    payload = CaseSnapshotStored(
        case_id=case.case_id,
        class_name=CLASS,
        version=1,
        subject_id=case.subject_id,
        snapshot=b64encode(case.sealed).decode(),
    )
    key = f"{TENANT}|case|{case.case_id}"
    event = CloudEvent(
        id=f"{case.case_id}-1",
        source="casestream",
        type=payload.TYPE,
        tenant=TENANT,
        subject=case.case_id,
        time=case.at,
        data=payload.to_json(),
        dataschema=payload.dataschema(),
        partitionkey=key,
        sequence=1,
    )
    sent: asyncio.Future[Any] = await producer.send(kafka.topic(TOPIC), event.data, key.encode(), headers=to_headers(event))
    return sent


async def _serve(conn: asyncpg.Connection, kafka: FreshKafka) -> None:
    """Version 1 as if it had followed the topic for years, with none of the old rows: what it costs to follow is the same."""
    spec = await present_table(conn, TABLE)
    assert isinstance(spec, TableSpec), f"no table {TABLE}"
    assert len(spec.columns) == 10, [column.name for column in spec.columns]
    version = await create_version(conn, spec, by="bench")
    kinds: tuple[Literal["create", "switch"], ...] = ("create", "switch")
    for kind in kinds:
        await ddl_orders.order(conn, kind, TABLE, version, by="bench")
        await ddl_orders.execute_open(conn, development=True)
    ends = await ends_of(kafka)
    await queries.begin_positions(
        conn,
        group_name=f"projections.{TABLE}.v{version}",
        topics=[TOPIC] * len(ends),
        partitions=list(ends),
        nexts=list(ends.values()),
    )


async def ends_of(kafka: FreshKafka) -> dict[int, int]:
    """The topic's end offset in each partition."""
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers)
    await consumer.start()
    try:
        places = [TopicPartition(kafka.topic(TOPIC), number) for number in range(PARTITIONS)]
        return {place.partition: end for place, end in (await consumer.end_offsets(places)).items()}
    finally:
        await consumer.stop()


def environ_of(database: ClonedDatabase, keys: ClonedDatabase, kafka: FreshKafka, home: Path) -> dict[str, str]:
    """The environment of every process of the run."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("CASESTREAM_")}
    return given | {
        "DATABASE_URL": database.url("migrate"),
        "KEYS_DATABASE_URL": keys.url("keys"),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "CASESTREAM_TOPIC_PREFIX": kafka.prefix,
        "CASESTREAM_HOME": str(home),
        "CASESTREAM_KEYS__PROVIDER": "environment",
        "CASESTREAM_KEYS__KEKS": f"bench:{b64encode(bytes(range(32))).decode()}",
        "BENCH_DATABASE_URL": database.url("superuser"),
    }
