"""Exit code 0 when this process's settings reach the database and a broker: the health check of a role without a port.

`python -m runtime.stack.reachable`, as docker-compose.yml runs it. Changes nothing.
"""

import asyncio
import sys

from runtime.postgres import open_pool
from runtime.settings import Settings
from runtime.stack.kafka import live_brokers


async def unreachable(settings: Settings) -> list[str]:
    """What could not be reached, by name; empty when all is well."""
    try:
        pool = await open_pool(settings, "worker", size=1, wait=False)
        await pool.close()
        missing = []
    except Exception as error:  # noqa: BLE001 - whatever the reason, the answer is its class; the text may hold secrets
        missing = [f"PostgreSQL ({type(error).__name__})"]
    if not await live_brokers(settings.kafka_bootstrap_servers):
        missing.append("Kafka")
    return missing


def main() -> int:
    missing = asyncio.run(unreachable(Settings.load()))
    for name in missing:
        print(f"not reached: {name}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
