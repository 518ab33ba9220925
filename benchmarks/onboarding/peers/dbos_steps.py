"""DBOS: a workflow of ten steps, called where it is decorated, which is its quickest form; PostgreSQL with fsync."""

import asyncio
import json
import os
import sys
from urllib.parse import urlsplit, urlunsplit

from dbos import DBOS, DBOSConfig

from benchmarks.onboarding.sides import STEPS, measured

_WARM_SECONDS = 2.0


@DBOS.step()
async def nothing(number: int) -> None:
    """The work."""


@DBOS.workflow()
async def ten_steps() -> None:
    for number in range(STEPS):
        await nothing(number)


async def main(concurrency: int, seconds: float) -> None:
    url = urlunsplit(urlsplit(os.environ["PEER_DATABASE_URL"])._replace(path="/dbos_steps"))
    config: DBOSConfig = {
        "name": "steps",
        "system_database_url": url,
        "run_admin_server": False,
        "log_level": "ERROR",
        "sys_db_pool_size": 20,
    }
    DBOS(config=config)
    DBOS.launch()
    await measured(ten_steps, concurrency, _WARM_SECONDS)
    print(json.dumps(await measured(ten_steps, concurrency, seconds)), flush=True)
    DBOS.destroy()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
