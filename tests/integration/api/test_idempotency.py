"""The same request sent twice has one effect and one answer, also when both arrive at once."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from tests.integration.api.conftest import ITEMS, Served
from tests.waiting import until


async def create(served: Served, key: str, title: str = "Printer is on fire", **who: Any) -> httpx.Response:
    return await served.client.post(ITEMS, json={"title": title}, headers=served.headers(idempotency_key=key, **who))


async def count(served: Served) -> int:
    return int((await served.rows("select count(*) from work_items"))[0][0])


@pytest.mark.requirement("trap-57")
async def test_a_repeated_creation_makes_one_item_and_repeats_the_answer(served: Served) -> None:
    first, second = await create(served, "k"), await create(served, '"k"')
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert [first.headers[name] for name in ("etag", "location")] == [second.headers[name] for name in ("etag", "location")]
    assert ("idempotency-replayed" in first.headers, second.headers["idempotency-replayed"]) == (False, "true")
    assert await count(served) == 1


@pytest.mark.requirement("trap-57")
async def test_a_hundred_equal_requests_at_once_have_one_effect(served: Served) -> None:
    answers = await asyncio.gather(*(create(served, "k") for _ in range(100)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.json()["workItemId"] for answer in made}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in made) == 1
    assert await count(served) == 1
    assert len(await served.rows("select from outbox_events where event_type = 'WORK_ITEM_CREATED'")) == 1


@pytest.mark.requirement("trap-57")
async def test_a_double_click_on_an_action_is_one_step_of_history(served: Served) -> None:
    item = (await served.create())["workItemId"]
    headers = served.headers(("agent",), idempotency_key="click")
    clicks = await asyncio.gather(*(served.act(item, "StartWork", headers) for _ in range(10)))
    assert {click.status_code for click in clicks} == {200}
    assert len({click.content for click in clicks}) == 1
    assert len(await served.rows("select from work_item_state_history where action = 'StartWork'")) == 1


async def test_the_same_key_with_another_body_is_refused(served: Served) -> None:
    await create(served, "k")
    other = await create(served, "k", "Another title")
    assert (other.status_code, other.json()["error"]) == (422, "IdempotencyKeyReused")
    assert await count(served) == 1


async def test_a_key_belongs_to_its_tenant_its_user_and_its_address(served: Served) -> None:
    made = [await create(served, "k"), await create(served, "k", user="binh"), await create(served, "k", tenant="south")]
    assert [answer.status_code for answer in made] == [201, 201, 201]
    assert len({answer.json()["workItemId"] for answer in made}) == 3
    for answer in made[:2]:
        path = f"{ITEMS}/{answer.json()['workItemId']}/comments"
        sent = await served.client.post(path, json={"body": "x"}, headers=served.headers(idempotency_key="k"))
        assert "idempotency-replayed" not in sent.headers


async def test_a_refused_request_leaves_its_key_free(served: Served) -> None:
    item = (await served.create())["workItemId"]
    headers = served.headers(("supervisor",), idempotency_key="k")
    assert (await served.act(item, "Close", headers)).status_code == 400
    assert (await served.act(item, "StartWork", headers)).status_code == 200


async def test_an_expired_key_is_new_again(served: Served) -> None:
    await create(served, "k")
    await served.rows("update idempotency_keys set expires_at = cs_now() - interval '1 second' returning key")
    assert "idempotency-replayed" not in (await create(served, "k")).headers
    assert await count(served) == 2


@pytest.mark.parametrize("key", ["", '"', '""', "a b", '"a', "ä", "x" * 256, '"a";b', "a,b"])
async def test_a_malformed_key_is_refused(served: Served, key: str) -> None:
    headers = {**served.headers(), "idempotency-key": key.encode("latin-1")}
    answer = await served.client.post(ITEMS, json={"title": "x"}, headers=headers)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidIdempotencyKey")


async def test_a_creation_without_a_key_is_refused(served: Served) -> None:
    answer = await served.client.post(ITEMS, json={"title": "x"}, headers=served.headers())
    assert (answer.status_code, answer.json()["error"]) == (400, "IdempotencyKeyRequired")


async def test_a_second_request_waits_for_the_first_and_repeats_its_answer(served: Served) -> None:
    """The first one is held in the middle of its transaction by a lock on the tenant's row."""
    blocker = await asyncpg.connect(served.database.url("migrate"))
    async with blocker.transaction():
        await blocker.execute("select from tenants where tenant_id = 'north' for update")
        key = str(uuid4())
        both = [asyncio.create_task(create(served, key)) for _ in range(2)]
        await until(lambda: _waiting(blocker, 1), what="a request that waits for the lock")
    answers = await asyncio.gather(*both)
    await blocker.close()
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content


async def _waiting(conn: asyncpg.Connection, sessions: int) -> bool:
    waiting = await conn.fetchval("select count(*) from pg_locks where not granted")
    return int(waiting) >= sessions


async def test_an_unknown_tenant_is_refused_before_anything_is_written(served: Served) -> None:
    answer = await create(served, "k", tenant="nowhere")
    assert (answer.status_code, answer.json()["error"]) == (403, "UnknownTenant")


async def test_a_first_request_that_does_not_end_gives_the_second_a_409(served: Served) -> None:
    """The role's time limit ends the wait, here a short one."""
    first = await asyncpg.connect(served.database.url("superuser"))
    await first.execute(f"alter role cs_api in database {served.database.name} set statement_timeout = '200ms'")
    async with first.transaction():
        await first.execute(
            "insert into idempotency_keys (tenant_id, principal, route, key, fingerprint, expires_at)"
            " values ('north', 'an', $1, 'k', '', 'infinity')",
            f"POST {ITEMS}",
        )
        answer = await create(served, "k")
    await first.close()
    assert (answer.status_code, answer.json()["error"]) == (409, "IdempotencyKeyInUse")
    assert int(answer.headers["retry-after"]) > 0
