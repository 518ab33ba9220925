"""The relay alone as a process, from environment variables: `python -m tests.torture.outbox_relay_process`."""

import asyncio
import signal

import uvloop

from outbox_relay import relay
from runtime import logging
from runtime.settings import Settings


async def main() -> None:
    settings, stop = Settings.load(), asyncio.Event()
    logging.configure(settings.log)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await relay.run(settings, stop)


if __name__ == "__main__":
    uvloop.run(main())
