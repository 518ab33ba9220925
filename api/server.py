"""The HTTP process: pool, verifier and application, served by uvicorn until it is told to stop."""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.auth import Verifier
from api.door import StatementsOf
from domain.operations.retries import RETRIES
from runtime.keys.ring import open_key_ring
from runtime.logging import get_logger
from runtime.postgres import open_pool
from runtime.running.process import freeze_what_is_loaded
from runtime.settings import Settings

log = get_logger(__name__)

GRACE_SECONDS = 15
_BACKLOG = 1024


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process that runs us owns the signals, and ends us by `stop`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run(
    settings: Settings,
    stop: asyncio.Event,
    *,
    listener: socket.socket | None = None,
    statements_of: StatementsOf | None = None,
    code_versions: Mapping[str, int] | None = None,
) -> None:
    """Serve until `stop` is set, then finish the requests under way (at most 15 s). Raises OSError: the port is taken."""
    listener = listener or listen(settings)
    pool = await open_pool(settings, "api", size=settings.pool.max_size, min_size=0, reset=False)
    try:
        key = settings.cursor_key.get_secret_value().encode() if settings.cursor_key else None
        async with open_key_ring(settings) as keys:
            app = create_app(
                settings,
                pool,
                Verifier(settings.jwt_issuers),
                cursor_key=key,
                retries=RETRIES,
                keys=keys,
                statements_of=statements_of,
                code_versions=code_versions,
            )
            freeze_what_is_loaded()
            host, port = listener.getsockname()[:2]
            log.info("listening", host=host, port=port)
            await serve(app, listener, stop)
    finally:
        await pool.close()


def listen(settings: Settings) -> socket.socket:
    """The bound socket: loopback unless the settings say otherwise; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in settings.http.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.http.host, settings.http.port))
        # From here on clients may connect; they wait until the server is up.
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(app: FastAPI, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve the application on the socket until `stop` is set."""
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="none",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    waiting = asyncio.create_task(stop.wait(), name="http-stop")
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    app.state.door.waiters.close()
    waiting.cancel()
    try:
        await serving
    finally:
        await app.state.door.enclosure.close()
