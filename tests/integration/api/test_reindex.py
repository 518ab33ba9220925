"""Rebuilds over HTTP: ordered, watched, moved, refused with a reason, audited."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.api.conftest import Served
from tests.integration.api.serving import Listening

PATH = "/api/v1/reindex"
OPERATOR = ("projection-operator",)


async def ordered(served: Served, **body: Any) -> dict[str, Any]:
    answer = await served.client.post(
        PATH, json={"name": "work_item_board", **body}, headers=served.headers(OPERATOR, idempotency_key=str(uuid4()))
    )
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{PATH}/{answer.json()['rebuildId']}"
    found: dict[str, Any] = answer.json()
    return found


async def move(served: Served, rebuild: str, verb: str, **body: Any) -> Any:
    return await served.client.post(f"{PATH}/{rebuild}/{verb}", json=body, headers=served.headers(OPERATOR))


async def at(served: Served, rebuild: str, state: str, version: int = 2) -> None:
    """What the conductor would have done by then."""
    await served.rows(
        "insert into projection_versions (name, version, fingerprint, source, state, created_by)"
        " values ('work_item_board', $1, 'builtin', 'topic', 'ready', 'test') on conflict do nothing",
        version,
    )
    await served.rows(
        "update rebuilds set version = $2, state = $3, paused_from = case $3 when 'paused' then 'catching-up' end"
        " where rebuild_id = $1::uuid",
        rebuild,
        version,
        state,
    )


@pytest.mark.requirement("CD-13")
async def test_an_order_is_accepted_once_shown_and_listed(served: Served) -> None:
    rebuild = await ordered(served, source="topic", reason="a new column")
    again = await served.client.post(PATH, json={"name": "work_item_board"}, headers=served.headers(OPERATOR))
    assert (again.status_code, again.json()["error"]) == (409, "RebuildRunning")
    assert again.json()["rebuildId"] == rebuild["rebuildId"]

    shown = (await served.client.get(f"{PATH}/{rebuild['rebuildId']}", headers=served.headers(OPERATOR))).json()
    assert (shown["state"], shown["percent"], shown["orders"]) == ("ordered", 0.0, [])
    page = (await served.client.get(PATH, headers=served.headers(("projection-reader",), tenant="south"))).json()
    assert [row["rebuildId"] for row in page["items"]] == [rebuild["rebuildId"]]
    (entry,) = await served.rows("select tenant_id, actor, action, reason from audit_log where action = 'rebuild.order'")
    assert tuple(entry) == ("north", "an", "rebuild.order", "a new column")


@pytest.mark.requirement("CD-13")
async def test_a_tenants_admin_may_not_rebuild_what_all_tenants_read(served: Served) -> None:
    for roles in (("admin",), ("operator",), ("projection-reader",)):
        answer = await served.client.post(PATH, json={"name": "work_item_board"}, headers=served.headers(roles))
        assert answer.status_code == 403


@pytest.mark.requirement("CD-13")
async def test_paused_is_resumed_and_a_cancelled_version_is_retired(served: Served) -> None:
    rebuild = (await ordered(served))["rebuildId"]
    early = await move(served, rebuild, "resume")
    assert (early.status_code, early.json()["error"], early.json()["state"]) == (409, "RebuildNotThere", "ordered")
    await at(served, rebuild, "paused")
    assert (await move(served, rebuild, "resume")).json()["state"] == "catching-up"
    assert (await move(served, rebuild, "cancel", reason="not needed")).json()["state"] == "cancelled"
    (order,) = await served.rows("select kind, name, version from projection_orders")
    assert tuple(order) == ("retire", "work_item_board", 2)


@pytest.mark.requirement("CD-13")
async def test_a_version_is_compared_and_switched_to_only_then(served: Served) -> None:
    rebuild = (await ordered(served))["rebuildId"]
    early = await move(served, rebuild, "switch")
    assert early.json()["error"] == "VersionNotReady"
    await at(served, rebuild, "ready")
    assert (await move(served, rebuild, "switch")).json()["error"] == "ParityMissing"
    compared = await move(served, rebuild, "verify")
    assert (compared.status_code, compared.json()["state"], compared.json()["against"]) == (202, "ordered", 1)
    await served.rows(
        "update projection_orders set state = 'done', verdict = 'equal', compared_at = now() where kind = 'verify' returning 1"
    )
    switched = await move(served, rebuild, "switch")
    assert (switched.status_code, switched.json()["kind"]) == (202, "switch")
    assert (await move(served, rebuild, "switch-back")).json()["error"] == "NothingToSwitchBackTo"
    assert (await move(served, rebuild, "verify", whole=True)).json()["error"] == "NothingToCompareWith"


@pytest.mark.requirement("CD-13")
async def test_progress_comes_as_events_until_the_end(served: Served, listening: Listening) -> None:
    rebuild = (await ordered(served))["rebuildId"]
    await at(served, rebuild, "catching-up")
    await served.rows("update rebuilds set total = 100, applied = 25, speed = 5 where rebuild_id = $1::uuid", rebuild)
    events: list[dict[str, Any]] = []
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.port}", timeout=20) as client,
        client.stream("GET", f"{PATH}/{rebuild}/events", headers=served.headers(OPERATOR)) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line[6:]))
                if len(events) == 1:
                    await at(served, rebuild, "ready")
    first, last, end = events
    assert (first["state"], first["percent"], first["etaSeconds"]) == ("catching-up", 25.0, 15.0)
    assert (last["state"], last["percent"]) == ("ready", 100.0)
    assert end == {}


async def test_what_is_not_there_is_not_found(served: Served) -> None:
    for path in (f"{PATH}/{uuid4()}", f"{PATH}/{uuid4()}/events"):
        answer = await served.client.get(path, headers=served.headers(OPERATOR))
        assert (answer.status_code, answer.json()["error"]) == (404, "RebuildNotFound")
