"""One API process of the comparison: the door or the peer, on uvloop, with the same uvicorn settings and pool size."""

import asyncio
import sys
from pathlib import Path

import asyncpg
import uvloop

from api.server import listen, run, serve
from benchmarks.http.peer import create_peer
from runtime.logging import configure
from runtime.postgres import role_url
from runtime.settings import Settings


async def _door(settings: Settings) -> None:
    listener = listen(settings)
    print(listener.getsockname()[1], flush=True)
    await run(settings, asyncio.Event(), listener=listener)


async def _peer(settings: Settings) -> None:
    listener = listen(settings)
    print(listener.getsockname()[1], flush=True)
    async with asyncpg.create_pool(role_url(settings, "api"), min_size=1, max_size=settings.pool.max_size) as pool:
        await serve(create_peer(pool, Path(settings.jwt_issuers[0].jwks)), listener, asyncio.Event())


def main() -> None:
    """`serving.py door|peer`: prints the port, then serves until it is killed."""
    settings = Settings.load()
    configure(settings.log)
    uvloop.run({"door": _door, "peer": _peer}[sys.argv[1]](settings))


if __name__ == "__main__":
    main()
