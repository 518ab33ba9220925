"""`/livez`, `/readyz` and `/metrics` of a process that serves no HTTP otherwise.

Alive: the event loop turns; nobody else is asked, so a broker or database that is away restarts nothing. Ready: every
part is (a member holds its partitions), PostgreSQL answers within a second and has our schema. Changes nothing.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from runtime.logging import get_logger
from runtime.postgres import TRANSIENT, Role
from runtime.settings import Settings
from schemas.errors import ConfigurationError

log = get_logger(__name__)
_PATIENCE_SECONDS = 1.0

Ready = Callable[[], bool]
Answer = tuple[int, bytes, bytes]


class HealthPage:
    """The three answers, as an ASGI application."""

    def __init__(self, settings: Settings, parts: Mapping[str, Ready], role: Role) -> None:
        self._settings, self._parts, self._role = settings, parts, role

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        status, content_type, body = await self._answer(scope["path"])
        headers = [(b"content-type", content_type), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, path: str) -> Answer:
        match path:
            case "/livez":
                return _json(200, {"status": "ok"})
            case "/readyz" | "/healthz":
                return await self._readiness()
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST.encode(), generate_latest()
            case _:
                return _json(404, {"status": "there are /livez, /readyz and /metrics"})

    async def _readiness(self) -> Answer:
        checks = {name: ready() for name, ready in self._parts.items()}
        checks |= await self._database()
        ready = all(checks.values())
        words = {name: "ok" if passed else "failed" for name, passed in checks.items()}
        return _json(200 if ready else 503, {"status": "ok" if ready else "unavailable", "checks": words})

    async def _database(self) -> dict[str, bool]:
        from runtime.running.schema import ask_schema

        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return {"database": True, "schema": not await ask_schema(self._settings, self._role, _PATIENCE_SECONDS)}
        except (*TRANSIENT, ConfigurationError):
            return {"database": False}


@asynccontextmanager
async def serving(settings: Settings, parts: Mapping[str, Ready], role: Role) -> AsyncIterator[int]:
    """Serve the page while the body runs; yields the port. Raises OSError when a port that was asked for is taken."""
    listener = socket.create_server((settings.health.host, settings.health.port))
    server = _Server(_config(HealthPage(settings, parts, role)))
    task = asyncio.create_task(server.serve(sockets=[listener]), name="health")
    host, port = listener.getsockname()[:2]
    log.info("health page", host=host, port=port)
    try:
        yield port
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """Without signal handlers: the process owns its signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: HealthPage) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        loop="none",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


def _json(status: int, body: Mapping[str, object]) -> Answer:
    return status, b"application/json", orjson.dumps(body)
