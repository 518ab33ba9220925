"""Secrets, message templates and notifications over HTTP."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from domain.secrets.reads import live_secrets
from domain.secrets.sealing import Keys
from runtime.postgres import open_pool, tenants_transaction
from tests.integration.api.conftest import Served

SECRETS, TEMPLATES, NOTIFICATIONS = "/api/v1/secrets", "/api/v1/message-templates", "/api/v1/notifications"
WORDS = {"name": "Welcome", "subject": "Chào {{fullName}}", "text": "Hạng {{tier}}", "html": "<p>{{fullName}}</p>"}
CANARY = "canary-7f3a"


def admin(served: Served, **more: str) -> dict[str, str]:
    return served.headers(("admin",), **more)


async def put(served: Served, path: str, body: dict[str, Any], **more: str) -> httpx.Response:
    return await served.client.put(path, json=body, headers=admin(served, **more))


async def live(served: Served, name: str) -> tuple[str, ...]:
    """What a sender would use."""
    keys = served.app.state.door.keys
    assert keys is not None
    ring: Keys = keys
    pool = await open_pool(served.settings, "worker", size=1)
    try:
        async with tenants_transaction(pool, ["north"]) as conn:
            found = await live_secrets(conn, ring, "north", [name])
            return found[name].values if name in found else ()
    finally:
        await pool.close()


@pytest.mark.requirement("trap-33")
async def test_a_secret_goes_in_and_never_comes_out(served: Served) -> None:
    first = await put(served, f"{SECRETS}/crm_token", {"value": CANARY})
    second = await put(served, f"{SECRETS}/crm_token", {"value": CANARY + "2", "previousLivesSeconds": 60})
    assert [answer.json() for answer in (first, second)] == [{"name": "crm_token", "version": number} for number in (1, 2)]
    assert await live(served, "crm_token") == (CANARY + "2", CANARY)
    listed = await served.client.get(SECRETS, headers=admin(served))
    (item,) = listed.json()["items"]
    assert (item["name"], item["version"], item["createdBy"], item["updatedBy"]) == ("crm_token", 2, "an", "an")
    assert item["previousLiveUntil"] is not None
    assert (await served.client.delete(f"{SECRETS}/crm_token", headers=admin(served))).status_code == 204
    gone = await served.client.delete(f"{SECRETS}/crm_token", headers=admin(served))
    assert (gone.status_code, gone.json()["error"]) == (404, "SecretNotFound")
    assert await live(served, "crm_token") == ()
    answers = [answer.text for answer in (first, second, listed, gone)]
    assert CANARY not in "".join(answers)


@pytest.mark.parametrize(
    ("name", "value"), [("crm-token", "x"), ("1x", "x"), ("x", ""), ("x", "a\r\nb"), ("x", "ă"), ("x", "x" * 4097), ("x", None)]
)
async def test_a_secret_that_fits_no_header_is_refused_without_being_repeated(served: Served, name: str, value: Any) -> None:
    answer = await put(served, f"{SECRETS}/{name}", {"value": value})
    assert (answer.status_code, answer.json()["error"]) == (422, "ValidationFailed")
    assert not value or len(value) == 1 or value not in answer.text


async def test_a_template_grows_by_versions_that_are_seen_before(served: Served) -> None:
    made = await put(served, f"{TEMPLATES}/123", WORDS)
    assert (made.status_code, made.headers["etag"]) == (200, '"1"')
    assert made.json() == {"templateId": "123", "version": 1, "variables": ["fullName", "tier"]}
    blind = await put(served, f"{TEMPLATES}/123", WORDS)
    assert (blind.status_code, blind.json()["error"]) == (428, "IfMatchRequired")
    stale = await put(served, f"{TEMPLATES}/123", WORDS, if_match='"7"')
    assert (stale.status_code, stale.json()["error"], stale.json()["currentVersion"]) == (412, "ConflictState", 1)
    second = await put(served, f"{TEMPLATES}/123", {**WORDS, "html": None, "reason": "no HTML"}, if_match='"1"')
    assert second.json()["version"] == 2
    shown = await served.client.get(f"{TEMPLATES}/123?version=1", headers=served.headers(("viewer",)))
    assert (shown.headers["etag"], shown.json()["version"], shown.json()["html"]) == ('"2"', 1, WORDS["html"])
    versions = (await served.client.get(f"{TEMPLATES}/123/versions", headers=admin(served))).json()["items"]
    assert [(row["version"], row["reason"], row["author"]) for row in versions] == [(2, "no HTML", "an"), (1, "", "an")]
    listed = (await served.client.get(TEMPLATES, headers=admin(served))).json()["items"]
    assert [(row["templateId"], row["version"]) for row in listed] == [("123", 2)]
    removed = await served.client.delete(f"{TEMPLATES}/123", headers=admin(served, if_match='"2"'))
    assert removed.status_code == 204
    assert (await served.client.get(f"{TEMPLATES}/123", headers=admin(served))).json()["error"] == "TemplateNotFound"


@pytest.mark.requirement("trap-33", "trap-34")
async def test_every_fault_of_a_template_is_told_at_once(served: Served) -> None:
    answer = await put(served, f"{TEMPLATES}/1", {"name": "x", "subject": "{{env.TOKEN}}", "text": "{{#each}}", "html": "{{x"})
    assert (answer.status_code, answer.json()["error"]) == (422, "TemplateRefused")
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [
        ("/subject", "env"),
        ("/text", "logic"),
        ("/html", "unclosed"),
    ]


@pytest.mark.requirement("trap-34")
async def test_a_preview_fills_escapes_and_names_what_is_missing(served: Served) -> None:
    await put(served, f"{TEMPLATES}/123", WORDS)

    async def preview(**values: Any) -> httpx.Response:
        return await served.client.post(
            f"{TEMPLATES}/123/preview", json={"values": values}, headers=served.headers(("viewer",))
        )

    shown = (await preview(fullName="<An>")).json()
    assert (shown["subject"], shown["text"], shown["html"]) == ("Chào <An>", "Hạng ", "<p>&lt;An&gt;</p>")
    assert (shown["version"], shown["missing"]) == (1, ["tier"])
    refused = await preview(fullName="An\r\nBcc: x")
    assert (refused.status_code, refused.json()["error"]) == (422, "RenderRefused")
    assert "Bcc" not in refused.text


async def notify(served: Served, user: str, count: int) -> list[str]:
    ids = [str(uuid4()) for _ in range(count)]
    for number, one in enumerate(ids):
        await served.rows(
            "insert into notifications (tenant_id, user_id, notification_id, title, message, priority, created_at)"
            " values ('north', $1, $2, 'Deal', 'm', 'HIGH', now() - make_interval(mins => $3))",
            user,
            UUID(one),
            number,
        )
    return ids


async def test_notifications_are_ones_own_in_pages_with_a_count(served: Served) -> None:
    mine = await notify(served, "an", 3)
    theirs = await notify(served, "binh", 1)
    page = (await served.client.get(f"{NOTIFICATIONS}?limit=2", headers=served.headers())).json()
    assert ([row["notificationId"] for row in page["items"]], page["unreadCount"]) == (mine[:2], 3)
    rest = (
        await served.client.get(NOTIFICATIONS, params={"limit": 2, "cursor": page["nextCursor"]}, headers=served.headers())
    ).json()
    assert ([row["notificationId"] for row in rest["items"]], rest["nextCursor"]) == (mine[2:], None)
    foreign = await served.client.post(f"{NOTIFICATIONS}/{theirs[0]}/read", headers=served.headers())
    assert (foreign.status_code, foreign.json()["error"]) == (404, "NotificationNotFound")
    read = await served.client.post(f"{NOTIFICATIONS}/{mine[0]}/read", headers=served.headers())
    again = await served.client.post(f"{NOTIFICATIONS}/{mine[0]}/read", headers=served.headers())
    assert read.json()["readAt"] == again.json()["readAt"] is not None
    unread = (await served.client.get(f"{NOTIFICATIONS}?unread=true", headers=served.headers())).json()
    assert [row["notificationId"] for row in unread["items"]] == mine[1:]
    everything = await served.client.post(f"{NOTIFICATIONS}/read-all", headers=served.headers())
    assert everything.json() == {"readCount": 2, "unreadCount": 0}
    other = (await served.client.get(NOTIFICATIONS, headers=served.headers(user="binh"))).json()
    assert other["unreadCount"] == 1


async def test_two_who_put_a_secret_at_once_get_two_numbers(served: Served) -> None:
    answers = await asyncio.gather(*(put(served, f"{SECRETS}/token", {"value": str(number)}) for number in range(4)))
    assert sorted(answer.json()["version"] for answer in answers) == [1, 2, 3, 4]
