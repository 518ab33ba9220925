"""A pool that keeps its plans makes them anew now and then: one made for an empty table must not serve for a minute."""

import json

import pytest

from runtime import postgres
from runtime.postgres import KEY_LOOKUPS, open_pool
from runtime.settings import Settings
from tests.infrastructure.databases import ClonedDatabase


@pytest.mark.hole("look-ups-start-from-the-keys")
@pytest.mark.parametrize(("seconds", "anew"), [(0.0, True), (3600.0, False)], ids=["over", "not yet"])
async def test_plans_are_made_anew_when_their_time_is_over(
    seconds: float, anew: bool, database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.load({"DATABASE_URL": database.url("migrate"), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    monkeypatch.setattr(postgres, "PLANS_SECONDS", seconds)
    pool = await open_pool(settings, "worker", size=1, reset=False, planner=KEY_LOOKUPS)
    try:
        async with pool.acquire() as conn:
            await conn.execute("select set_config('app.tenants', '{acme}', false)")
            await conn.execute("prepare sought as select 1 from timers where tenant_id = $1 and timer_key = $2")
            assert await _scan(conn) == "Index Only Scan"
            # What the planner would choose now is another plan; nothing has told the server to forget the old one.
            for setting in ("enable_indexscan = off", "enable_indexonlyscan = off", "enable_seqscan = on"):
                await conn.execute(f"set {setting}")
            assert await _scan(conn) == "Index Only Scan"
        async with pool.acquire() as conn:
            assert (await _scan(conn) == "Seq Scan") is anew
    finally:
        await pool.close()


async def _scan(conn: object) -> str:
    plan = await conn.fetchval("explain (format json) execute sought('acme', 'k')")  # type: ignore[attr-defined]
    node = json.loads(plan)[0]["Plan"]
    while node.get("Plans"):
        node = node["Plans"][0]
    return str(node["Node Type"])
