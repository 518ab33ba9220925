"""`python -m benchmarks.shell.bare EVENTS`: the least that writes the same rows, as a loop that nobody would run.

aiokafka, batches of 1,000, one transaction per batch: fence-less offset, last numbers, rows read, folded with plain
tuples, written with the board's own array statement. No envelope checks, no models, no parking, no gaps, no ownership.
"""

import json
import os
import resource
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.shell.ground import PARTITIONS, TENANT, TOPIC
from projections.work_item_board import BoardRow
from runtime.sql import load_queries

BOARD = load_queries(Path(__file__).parents[2] / "projections" / "work_item_board.sql")
SHELL = load_queries(Path(__file__).parents[2] / "processors" / "shell" / "shell.sql")
COLUMNS = list(BoardRow._fields)
AT = {name: place for place, name in enumerate(COLUMNS)}
MOVE = """
insert into bare_offsets (partition, next) select * from unnest($1::int[], $2::bigint[])
on conflict (partition) do update set next = excluded.next
"""


def blank(item: str, event: dict[str, Any]) -> list[Any]:
    row: list[Any] = [None] * len(COLUMNS)
    for name, value in (("tenant_id", TENANT), ("work_item_id", item), ("status", "draft")):
        row[AT[name]] = value
    for name in COLUMNS:
        if name.startswith("seconds_") or name.endswith("_count"):
            row[AT[name]] = 0
    row[AT["status_since"]] = datetime.fromisoformat(event["changedAt"])
    return row


def fold(row: list[Any], event: dict[str, Any], number: int) -> None:
    at = datetime.fromisoformat(event["changedAt"])
    if "newAssigneeId" in event:
        row[AT["assignee_id"]] = event["newAssigneeId"]
        row[AT["assignment_count"]] += 1
    else:
        row[AT["priority"]], row[AT["drafted_at"]] = event["priority"], at
    row[AT["last_change_at"]], row[AT["version"]] = at, event["version"]
    row[AT["ce_source"]], row[AT["ce_sequence"]] = "casestream", number


async def apply(conn: Any, fetched: dict[Any, list[Any]]) -> int:
    records = [record for batch in fetched.values() for record in batch]
    events = [(orjson.loads(record.value), int(dict(record.headers)["ce_sequence"]), record.key.decode()) for record in records]
    items = sorted({event["workItemId"] for event, _, _ in events})
    names = sorted({name for _, _, name in events})
    many = {"tenant_ids": [TENANT] * len(names), "sources": ["casestream"] * len(names), "topics": [TOPIC] * len(names)}
    async with conn.transaction():
        await conn.execute("select set_config('app.tenants', $1, true)", "{" + TENANT + "}")
        await conn.execute(MOVE, [place.partition for place in fetched], [batch[-1].offset + 1 for batch in fetched.values()])
        known = await SHELL.find_sequences(conn, group_name="bare", aggregates=names, **many)
        last = {row["aggregate"]: row["sequence"] for row in known}
        found = await BOARD.lock_rows(conn, tenant_ids=[TENANT] * len(items), work_item_ids=items)
        rows = {row["work_item_id"]: list(row.values()) for row in found}
        for event, number, name in events:
            if number == last.get(name, 0) + 1:
                last[name] = number
                item = event["workItemId"]
                if item not in rows:
                    rows[item] = blank(item, event)
                fold(rows[item], event, number)
        await BOARD.upsert_rows(conn, rows=[tuple(row) for row in rows.values()])
        await SHELL.upsert_sequences(
            conn, group_name="bare", aggregates=names, sequences=[last[name] for name in names], **many
        )
    return len(records)


async def main() -> None:
    pool = await asyncpg.create_pool(os.environ["BARE_DATABASE_URL"], min_size=1, max_size=1)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
        fetch_max_wait_ms=250,
    )
    await consumer.start()
    topic = os.environ["CASESTREAM_TOPIC_PREFIX"] + TOPIC
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    read, first, began = 0, 0.0, 0.0
    async with pool.acquire() as conn:
        while read < int(sys.argv[1]):
            if fetched := await consumer.getmany(timeout_ms=200, max_records=1000):
                read += await apply(conn, fetched)
                first, began = first or time.monotonic(), began or time.process_time()
    last, ended = time.monotonic(), time.process_time()
    await consumer.stop()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"read": read, "first": first, "last": last, "cpu": ended - began, "rss": rss}))


if __name__ == "__main__":
    uvloop.run(main())
