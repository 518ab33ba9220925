"""Probes and metrics: alive, ready (and why not), and the process's Prometheus page. They change nothing and need no token."""

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api.door import Door, DoorRequest, json_answer
from runtime.postgres import TRANSIENT

_PATIENCE_SECONDS = 1.0


async def livez() -> Response:
    """The process answers. It asks nobody else: a database that is away is no reason to restart this process."""
    return json_answer({"status": "ok"})


async def readyz(request: DoorRequest, verbose: str | None = None) -> Response:
    """Ready to serve: the database answers and the issuers' keys are at hand. `?verbose` names each check."""
    checks = {"database": await _database_answers(request.door), "keys": await request.door.verifier.ready()}
    ready = all(checks.values())
    body: dict[str, object] = {"status": "ok" if ready else "unavailable"}
    if verbose is not None:
        body["checks"] = {name: "ok" if passed else "failed" for name, passed in checks.items()}
    return json_answer(body, 200 if ready else 503, None if ready else {"Retry-After": "2"})


async def healthz(request: DoorRequest) -> Response:
    """The verbose form of readiness, under the name that many probes expect."""
    return await readyz(request, verbose="")


async def metrics() -> Response:
    """The process's metrics in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def openapi(request: DoorRequest) -> Response:
    """The OpenAPI 3.1 document of this door."""
    return json_answer(request.app.openapi())


async def _database_answers(door: Door) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return bool(await door.pool.fetchval("select true"))
    except TRANSIENT:
        return False
