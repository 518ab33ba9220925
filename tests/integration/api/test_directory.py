"""The directory and incidents over HTTP."""

import pytest

from api.transactions import transaction
from domain.incidents import open_incident
from tests.integration.api.conftest import Served

DIRECTORY, INCIDENTS = "/api/v1/directory", "/api/v1/incidents"
ADMIN = ("admin",)


async def test_an_admin_keeps_the_directory(served: Served) -> None:
    admin = served.headers(ADMIN)
    tenant = {"name": "North", "zone": "Asia/Ho_Chi_Minh", "holidays": ["2026-04-30"]}
    put = await served.client.put(f"{DIRECTORY}/tenant", json=tenant, headers=admin)
    assert {name: put.json()[name] for name in tenant} == tenant
    user = await served.client.put(f"{DIRECTORY}/users/dung", json={"displayName": "Dũng", "roles": ["agent"]}, headers=admin)
    team = await served.client.put(f"{DIRECTORY}/teams/night", json={"name": "Night", "memberIds": ["dung"]}, headers=admin)
    assert (user.status_code, team.status_code) == (200, 200)
    members = await served.client.get(f"{DIRECTORY}/users?teamId=night", headers=served.headers(("viewer",)))
    assert [row["displayName"] for row in members.json()["items"]] == ["Dũng"]
    gone = await served.client.delete(f"{DIRECTORY}/teams/night/members/dung", headers=admin)
    again = await served.client.delete(f"{DIRECTORY}/teams/night/members/dung", headers=admin)
    assert (gone.status_code, again.status_code, again.json()["error"]) == (204, 404, "MemberNotFound")
    audited = await served.rows("select distinct action from audit_log where tenant_id = 'north' and actor = 'an'")
    assert {row["action"] for row in audited} == {"directory.put", "directory.remove-members"}


async def test_a_user_who_is_switched_off_cannot_be_assigned(served: Served) -> None:
    off = await served.client.put(
        f"{DIRECTORY}/users/binh", json={"displayName": "Bình", "active": False}, headers=served.headers(ADMIN)
    )
    assert off.status_code == 200
    item = (await served.create())["workItemId"]
    assert (await served.act(item, "Assign", newAssigneeId="binh")).json()["error"] == "InactiveAssignee"
    off_now = await served.client.get(f"{DIRECTORY}/users?active=false", headers=served.headers())
    assert [row["userId"] for row in off_now.json()["items"]] == ["binh", "chi"]


async def test_people_are_listed_in_pages(served: Served) -> None:
    found, following = [], f"{DIRECTORY}/users?limit=2"
    while following:
        answer = await served.client.get(following, headers=served.headers())
        found += [row["userId"] for row in answer.json()["items"]]
        following = answer.links["next"]["url"] if "next" in answer.links else ""
    assert found == ["an", "binh", "chi"]
    teams = (await served.client.get(f"{DIRECTORY}/teams", headers=served.headers())).json()
    assert [(team["teamId"], team["memberIds"]) for team in teams["items"]] == [("desk", ["an"])]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("teams/desk", {"name": "Desk", "memberIds": ["nobody"]}, 400, "UnknownMember"),
        ("users/x", {"displayName": "X", "roles": ["emperor"]}, 422, "ValidationFailed"),
        ("users/a%7Cb", {"displayName": "X"}, 422, "ValidationFailed"),
        ("users/%00", {"displayName": "X"}, 422, "ValidationFailed"),
        ("tenant", {"name": "N", "zone": "Mars/Olympus"}, 422, "ValidationFailed"),
        ("tenant", {"name": ""}, 422, "ValidationFailed"),
    ],
)
async def test_what_the_directory_refuses(served: Served, path: str, body: object, status: int, code: str) -> None:
    answer = await served.client.put(f"{DIRECTORY}/{path}", json=body, headers=served.headers(ADMIN))
    assert (answer.status_code, answer.json()["error"]) == (status, code)


async def test_a_tenant_that_nobody_imported_is_refused(served: Served) -> None:
    nowhere = served.headers(ADMIN, tenant="nowhere")
    put = await served.client.put(f"{DIRECTORY}/users/x", json={"displayName": "X"}, headers=nowhere)
    assert (put.status_code, put.json()["error"]) == (403, "UnknownTenant")
    assert (await served.client.get(f"{DIRECTORY}/tenant", headers=nowhere)).json()["error"] == "TenantNotFound"


async def incident(served: Served, fingerprint: str = "f", tenant: str = "north") -> str:
    async with transaction(served.pool, tenant) as conn:
        return str(await open_incident(conn, tenant_id=tenant, kind="stuck", fingerprint=fingerprint, summary="Stuck."))


@pytest.mark.requirement("SP-9")
async def test_an_operator_sees_and_resolves_his_tenants_incidents(served: Served) -> None:
    operator = served.headers(("operator",))
    first, _ = await incident(served), await incident(served, "g")
    await incident(served, "h", tenant="south")
    listed = (await served.client.get(f"{INCIDENTS}?limit=1", headers=operator)).json()
    following = await served.client.get(f"{INCIDENTS}?limit=1&cursor={listed['nextCursor']}", headers=operator)
    assert [row["fingerprint"] for row in listed["items"] + following.json()["items"]] == ["g", "f"]
    path = f"{INCIDENTS}/{first}"
    resolved = await served.client.post(f"{path}/resolve", json={"resolution": "Mended."}, headers=operator)
    assert (resolved.json()["state"], resolved.json()["resolvedBy"]) == ("resolved", "an")
    again = await served.client.post(f"{path}/resolve", json={"resolution": "Again."}, headers=operator)
    assert again.json()["resolution"] == "Mended."
    left = (await served.client.get(INCIDENTS, headers=operator)).json()["items"]
    assert [row["fingerprint"] for row in left] == ["g"]
    everything = (await served.client.get(f"{INCIDENTS}?state=all", headers=operator)).json()["items"]
    assert len(everything) == 2


async def test_only_a_kind_with_a_handler_can_be_retried(served: Served) -> None:
    operator = served.headers(("operator",))
    path = f"{INCIDENTS}/{await incident(served)}/retry"
    refused = await served.client.post(path, headers=operator)
    assert (refused.status_code, refused.json()["error"]) == (409, "NotRetryable")

    async def handler(_conn: object, _incident: object, actor: str) -> str:
        return f"ordered by {actor}"

    served.app.state.door.retries["stuck"] = handler
    assert (await served.client.post(path, headers=operator)).json()["outcome"] == "ordered by an"
