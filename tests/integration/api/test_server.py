"""The server process: loopback, a chosen port, a graceful end; and what it writes to its log."""

import asyncio
import gc
import io
import json
from uuid import uuid4

import httpx
import pytest

from api.app import create_app
from api.server import listen, run, serve
from runtime import logging
from runtime.settings import LogSettings
from schemas.errors import ConfigurationError
from tests.integration.api.conftest import ITEMS, Served, settings_for
from tests.integration.api.serving import Listening, asgi_client
from tests.waiting import until


async def test_it_listens_on_loopback_and_ends_when_it_is_told_to(served: Served) -> None:
    stop, listener = asyncio.Event(), listen(served.settings)
    host, port = listener.getsockname()
    assert host == "127.0.0.1"
    running = asyncio.create_task(run(served.settings, stop, listener=listener))
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
        alive = await client.get("/livez")
        assert (alive.json(), "server" in alive.headers) == ({"status": "ok"}, False)
        # No issuer is configured here: ready is another matter than alive.
        assert (await client.get("/readyz")).status_code == 503
    stop.set()
    await asyncio.wait_for(running, 60)


async def test_no_full_collection_walks_over_the_application(served: Served) -> None:
    stop, listener = asyncio.Event(), listen(served.settings)
    frozen = gc.get_freeze_count()
    running = asyncio.create_task(run(served.settings, stop, listener=listener))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
        await client.get("/livez")
    assert gc.get_freeze_count() > max(frozen, 50_000)
    gc.unfreeze()
    stop.set()
    await asyncio.wait_for(running, 60)


async def test_a_request_under_way_is_finished_before_the_end(served: Served) -> None:
    stop, listener = asyncio.Event(), listen(served.settings)

    running = asyncio.create_task(serve(served.app, listener, stop))
    blocker = await served.pool.acquire()
    async with blocker.transaction():
        await blocker.execute("select set_config('app.tenant', 'north', true)")
        await blocker.execute("select from tenants where tenant_id = 'north' for update")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            headers = served.headers(idempotency_key="k")
            call = asyncio.create_task(client.post(ITEMS, json={"title": "x"}, headers=headers))
            await until(lambda: blocker.fetchval("select count(*) from pg_locks where not granted"), what="a waiting request")
            stop.set()
            await blocker.execute("rollback")
            assert (await call).status_code == 201
    await asyncio.wait_for(running, 60)
    await served.pool.release(blocker)


async def test_processes_that_share_the_key_continue_each_others_pages(served: Served) -> None:
    for _ in range(2):
        await served.create()
    apps = [create_app(served.settings, served.pool, served.world.verifier(), cursor_key=b"k" * 32) for _ in range(2)]
    async with asgi_client(apps[0]) as one, asgi_client(apps[1]) as other:
        first = (await one.get(f"{ITEMS}?limit=1", headers=served.headers())).json()
        second = await other.get(f"{ITEMS}?limit=1&cursor={first['nextCursor']}", headers=served.headers())
        assert (second.status_code, second.json()["nextCursor"]) == (200, None)


def test_beyond_loopback_only_when_that_is_said(database: object) -> None:
    with pytest.raises(ConfigurationError, match="ALLOW_REMOTE"):
        settings_for(database, CASESTREAM_HTTP__HOST="0.0.0.0")  # type: ignore[arg-type]


@pytest.mark.requirement("SP-8", "SP-9")
async def test_the_log_names_who_asked_what_and_never_what_was_said(listening: Listening, served: Served) -> None:
    canary, written = f"canary{uuid4().hex}", io.StringIO()
    logging.configure(LogSettings.model_validate({"level": "debug"}), written)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.port}") as client:
            headers = served.headers(idempotency_key=canary, x_other=canary)
            body = {"title": canary, "description": canary, "note": canary}
            item = (await client.post(ITEMS, json=body, headers=headers)).json()["workItemId"]
            await client.post(f"{ITEMS}/{item}/actions", json={"action": canary, "note": canary}, headers=headers)
            await client.post(f"{ITEMS}/{item}/comments", json={"body": canary, canary: 1}, headers=headers)
            await client.get(f"{ITEMS}/{canary}?status={canary}", headers=headers)
            await client.get(f"/{canary}?{canary}={canary}", headers={"authorization": f"Bearer {canary}"})
    finally:
        logging.configure(LogSettings.model_validate({}))
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert canary not in written.getvalue()
    requests = [line for line in lines if line["event"] == "request"]
    created = next(line for line in requests if line["http_status"] == 201)
    assert (created["tenant_id"], created["principal"], created["route"]) == ("north", "an", ITEMS)
    assert len(created["trace_id"]) == 32
    assert len(requests) == 5
