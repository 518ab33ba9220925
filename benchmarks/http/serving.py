"""One API process of the comparison: the door or the peer, on uvloop, with the same uvicorn settings and pool size.

The door is built as `api.server.run` builds it, but for the key ring: work items need none.
"""

import asyncio
import sys
from pathlib import Path

import asyncpg
import uvloop

from api.app import create_app
from api.auth import Verifier
from api.server import listen, serve
from benchmarks.http.peer import create_peer
from domain.operations.retries import RETRIES
from runtime.logging import configure
from runtime.postgres import open_pool, role_url
from runtime.running.process import freeze_what_is_loaded
from runtime.settings import Settings


async def _door(settings: Settings) -> None:
    listener = listen(settings)
    print(listener.getsockname()[1], flush=True)
    pool = await open_pool(settings, "api", size=settings.pool.max_size, min_size=0, reset=False)
    app = create_app(settings, pool, Verifier(settings.jwt_issuers), retries=RETRIES)
    freeze_what_is_loaded()
    await serve(app, listener, asyncio.Event())


async def _peer(settings: Settings) -> None:
    listener = listen(settings)
    print(listener.getsockname()[1], flush=True)
    async with asyncpg.create_pool(role_url(settings, "api"), min_size=1, max_size=settings.pool.max_size) as pool:
        peer = create_peer(pool, Path(settings.jwt_issuers[0].jwks))
        freeze_what_is_loaded()
        await serve(peer, listener, asyncio.Event())


def main() -> None:
    """`serving.py door|peer`: prints the port, then serves until it is killed."""
    settings = Settings.load()
    configure(settings.log)
    uvloop.run({"door": _door, "peer": _peer}[sys.argv[1]](settings))


if __name__ == "__main__":
    main()
