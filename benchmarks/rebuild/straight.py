"""The peer: read, decrypt, parse, COPY. One part of the store into one table, in a straight line and nothing else.

    python -m benchmarks.rebuild.straight FIRST LAST

No guard, no ledger, no policies, no total conversions, no progress, no second attempt: what a person writes for one evening.
It reads pages of 5,000 ahead while it writes, and looks keys up once. The table and its primary key are there before.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
import orjson

from runtime.keys.ring import open_key_ring
from runtime.settings import Settings
from runtime.snapshots import Context, key_id_of, open_sealed

TABLE = "straight_orders"
PAGE = 5_000
_READ = (
    "select seq, tenant_id, case_id, version, class_name, subject_id, snapshot from sys_case_data_store "
    "where seq > $1 and seq <= $2 order by seq limit $3"
)


async def main(first: int, last: int) -> None:
    settings = Settings.load(os.environ)
    url = os.environ["BENCH_DATABASE_URL"]
    reading, writing = await asyncpg.connect(url), await asyncpg.connect(url)
    async with open_key_ring(settings) as ring:
        began, rows = time.time(), 0
        page = await reading.fetch(_READ, first - 1, last, PAGE)
        while page:
            following = asyncio.ensure_future(reading.fetch(_READ, page[-1]["seq"], last, PAGE))
            places = {(row["tenant_id"], row["subject_id"], key_id_of(row["snapshot"])) for row in page}
            secrets = await ring.secrets(list(places))
            await writing.copy_records_to_table(TABLE, records=_rows(page, secrets))
            rows += len(page)
            page = await following
        ended = time.time()
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak, cpu = round(used.ru_maxrss / 1024, 1), used.ru_utime + used.ru_stime
    print(json.dumps({"rows": rows, "began": began, "ended": ended, "peak_mb": peak, "cpu": cpu}))


def _rows(page: Sequence[Any], secrets: Any) -> list[tuple[Any, ...]]:
    rows = []
    for _, tenant, case_id, version, class_name, subject, sealed in page:
        key_id = key_id_of(sealed)
        d = orjson.loads(open_sealed(secrets[key_id], Context(tenant, class_name, case_id, version, subject, key_id), sealed))
        rows.append(
            (
                tenant,
                case_id,
                version,
                subject,
                None,
                d["className"],
                datetime.fromisoformat(d["createTime"]),
                d["startUserId"],
                datetime.fromisoformat(d["lastUpdated"]),
                d["lastUpdateUserId"],
                d["caseInstanceId"],
                d["businessKey"],
                d["state"],
                Decimal(repr(d["total"])),
                d["items"][0]["sku"],
            )
        )
    return rows


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
