"""The database away, slow or gone in mid-transaction: 503 with Retry-After, and everything again when it is back."""

import asyncio

import asyncpg
import pytest

from api.app import create_app
from runtime.postgres import open_pool
from runtime.settings import Settings
from tests.integration.api.conftest import ITEMS, Served
from tests.integration.api.serving import asgi_client
from tests.unit.api.tokens import Published, World, token
from tests.waiting import until

HEADERS = {"authorization": f"Bearer {token()}"}


@pytest.mark.requirement("SP-9")
async def test_without_a_database_the_door_says_503_and_stays_alive() -> None:
    given = {"DATABASE_URL": "postgresql://x:y@127.0.0.1:1/nothing", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    settings = Settings.load(given)
    pool = await open_pool(settings, "api", min_size=0, reset=False)
    async with asgi_client(create_app(settings, pool, World().verifier())) as client:
        answer = await client.get(ITEMS, headers=HEADERS)
        assert (answer.status_code, answer.json()["error"]) == (503, "TemporarilyUnavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get("/livez")).status_code == 200
        ready = await client.get("/readyz?verbose")
        assert (ready.status_code, ready.json()["checks"]) == (503, {"database": "failed", "keys": "ok"})
        assert (await client.get("/readyz")).json() == {"status": "unavailable"}
    await pool.close()


@pytest.mark.requirement("SP-9")
async def test_the_door_is_ready_when_database_and_keys_are(served: Served) -> None:
    assert (await served.client.get("/healthz")).json() == {"status": "ok", "checks": {"database": "ok", "keys": "ok"}}
    keyless = World(published=Published())
    keyless.published.away = True
    async with asgi_client(create_app(served.settings, served.pool, keyless.verifier())) as client:
        assert (await client.get("/healthz")).json()["checks"] == {"database": "ok", "keys": "failed"}
        assert (await client.get(ITEMS, headers=HEADERS)).status_code == 503


async def test_killed_connections_cost_one_answer_and_heal_by_themselves(served: Served) -> None:
    item = (await served.create())["workItemId"]
    killer = await asyncpg.connect(served.database.url("superuser"))
    await killer.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cs_api' and datname = current_database()"
    )
    await killer.close()

    async def acted() -> bool:
        answer = await served.client.get(f"{ITEMS}/{item}", headers=served.headers())
        assert answer.status_code in (200, 503)
        return answer.status_code == 200

    assert await until(acted, what="an answer after the connections died")


async def test_a_transaction_that_is_killed_leaves_nothing_and_its_repetition_succeeds(served: Served) -> None:
    blocker = await asyncpg.connect(served.database.url("superuser"))
    async with blocker.transaction():
        await blocker.execute("select from tenants where tenant_id = 'north' for update")
        headers = served.headers(idempotency_key="k")
        call = asyncio.create_task(served.client.post(ITEMS, json={"title": "x"}, headers=headers))
        await until(lambda: blocker.fetchval("select count(*) from pg_locks where not granted"), what="the request to wait")
        await blocker.execute("select pg_terminate_backend(pid) from pg_locks where not granted")
        answer = await call
    await blocker.close()
    assert (answer.status_code, answer.json()["error"]) == (503, "TemporarilyUnavailable")
    again = await served.client.post(ITEMS, json={"title": "x"}, headers=headers)
    assert (again.status_code, "idempotency-replayed" in again.headers) == (201, False)


async def test_alternating_tenants_on_pooled_connections_see_their_own_rows(served: Served) -> None:
    """Pooled connections carry nothing from one tenant to the next."""
    for tenant in ("north", "south"):
        await served.create({"title": f"of {tenant}"}, tenant=tenant)
    wrong = 0

    async def look(tenant: str, times: int) -> int:
        headers, seen = served.headers(tenant=tenant), 0
        for _ in range(times):
            items = (await served.client.get(ITEMS, headers=headers)).json()["items"]
            seen += [row["title"] for row in items] != [f"of {tenant}"]
        return seen

    wrong = sum(await asyncio.gather(*(look(tenant, 25) for tenant in ("north", "south") * 8)))
    assert wrong == 0
