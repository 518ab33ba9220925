"""One API process as `casestream run api` makes it: prints its port, then serves until it is killed."""

import asyncio

import uvloop

from api.server import listen, run
from runtime.logging import configure
from runtime.settings import Settings


async def _door(settings: Settings) -> None:
    listener = listen(settings)
    print(listener.getsockname()[1], flush=True)
    await run(settings, asyncio.Event(), listener=listener)


if __name__ == "__main__":
    given = Settings.load()
    configure(given.log)
    uvloop.run(_door(given))
