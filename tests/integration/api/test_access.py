"""Every route x every role x a foreign tenant, generated from the table of routes: a new row is in here by itself."""

from typing import Any
from uuid import uuid4

import pytest

from api.door import Route
from api.routes import ROUTES
from domain.work_items.transitions import PERMISSIONS
from tests.integration.api.conftest import ITEMS, Served
from tests.integration.api.objects import known_objects, make_incident, make_notification

ROLES = (
    *PERMISSIONS,
    "operator",
    "case-reader",
    "case-reader-sensitive",
    "entity-publisher",
    "mapping-reader",
    "mapping-editor",
    "projection-reader",
    "projection-operator",
    "rule-reader",
    "rule-editor",
    "customer",
    "step-handler",
    "nonsense",
    "ADMIN",
)
GUARDED = [route for route in ROUTES if route.roles is not None]


def _of_all_tenants(route: Route) -> bool:
    """Mappings and tables are the installation's: test_mappings, test_path_checks and test_reindex show what a foreign tenant
    sees of them. Flows of the release are everybody's."""
    return route.path.startswith(("/api/v1/mappings", "/api/v1/reindex", "/admin/onboarding/definition"))


def _makes_what_is_not_there(route: Route) -> bool:
    """Another tenant's name is simply free in one's own tenant. Ids of rules are given by the server."""
    return route.path.endswith("/snapshots") or (route.method == "PUT" and "/workflows/" not in route.path)


ABOUT_AN_OBJECT = [
    route for route in GUARDED if "{" in route.path and not _makes_what_is_not_there(route) and not _of_all_tenants(route)
]
PUTS = [route for route in GUARDED if route.method == "PUT" and _makes_what_is_not_there(route) and not _of_all_tenants(route)]
# By the last part of the path, where a name is not enough.
PUT_BODIES: dict[str, dict[str, object]] = {
    "{user_id}": {"displayName": "Mallory"},
    "{entity_type}": {"managed": True},
    "{template_id}": {"name": "Mallory", "subject": "x", "text": "x"},
    "{secret_name}": {"value": "Mallory"},
}


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


async def objects(served: Served) -> dict[str, str]:
    assert (await served.store()).status_code == 201
    admin = served.headers(("admin",))
    words = {"name": "Welcome", "subject": "Hi {{name}}", "text": "Printer"}
    for path, body in (("message-templates/123", words), ("secrets/crm_token", {"value": "x"})):
        assert (await served.client.put(f"/api/v1/{path}", json=body, headers=admin)).status_code == 200
    await make_notification(served.database, "an")
    return known_objects((await served.create())["workItemId"], await make_incident(served.database))


def url(route: Route, known: dict[str, str]) -> str:
    """The route's address with these objects; a parameter that nobody listed here fails the test."""
    return route.path.format(**known)


async def send(served: Served, route: Route, address: str, headers: dict[str, str]) -> tuple[int, str]:
    answer = await served.client.request(route.method, address, headers=headers)
    return answer.status_code, answer.json().get("error", "") if answer.content else ""


@pytest.mark.requirement("WI-3", "SP-8")
async def test_every_route_refuses_every_role_that_it_does_not_name(served: Served) -> None:
    known, wrong, cells = await objects(served), [], 0
    for route in GUARDED:
        assert route.roles is not None
        for role in ROLES:
            cells += 1
            answered = await send(served, route, url(route, known), served.headers((role,)))
            refused = answered == (403, "PermissionDenied")
            if refused == (role in route.roles) or answered[0] >= 500:
                wrong.append((name(route), role, answered))
    assert wrong == []
    assert cells == len(GUARDED) * len(ROLES)


@pytest.mark.requirement("SP-8")
async def test_every_route_refuses_a_stranger_before_it_reads_his_request(served: Served) -> None:
    known = await objects(served)
    strangers = [{}, {"authorization": "Bearer x.y.z"}, {"authorization": "Basic YTpi"}, served.headers(tenant="")]
    for route in GUARDED:
        for headers in strangers:
            answer = await served.client.request(
                route.method, url(route, known), headers=headers, content=b"{" if route.method != "GET" else None
            )
            assert (answer.status_code, answer.json()["error"]) == (401, "NotAuthenticated"), name(route)
            assert answer.headers["www-authenticate"] == 'Bearer realm="casestream"'


@pytest.mark.requirement("SP-8", "trap-55")
async def test_an_object_of_another_tenant_does_not_exist(served: Served) -> None:
    known = await objects(served)
    bodies: dict[str, dict[str, Any] | None] = {
        "/actions": {"action": "StartWork"},
        "/action": {"action": "NEXT"},
        "/comments": {"body": "x"},
        "/resolve": {"resolution": "x"},
        "/incidents/{incident_id}/retry": None,
        "/retry": {"reason": "x"},
        "/mark-done": {"reason": "x"},
        "/compensation/input": {"reason": "x", "data": {}},
        "/input/approve": {"proposal": 1},
        "/claim": None,
        "/release": None,
        "/reassign": {"assigneeId": "an"},
        "/approve": {},
        "/reject": {"reason": "x"},
        "/return": {"reason": "x"},
        "/replay/{instance_id}": None,
        "{instance_id}/cancel": {"reason": "x"},
        "/preview": {"values": {}},
        "/activate": {},
        "/deactivate": {},
        "/simulate": {},
        "/explain": {"change": {}},
        "/cancel": None,
        "/workflows/{rule_id}": {"rule": {}},
        "/read": None,
        "/complete": {},
        "/steps/{step_name}": {"data": {}},
        "{interaction_id}/status": {},
    }
    for route in ABOUT_AN_OBJECT:
        assert route.roles is not None
        assert route.missing is not None, f"{name(route)} must say what is missing"
        for role in sorted(route.roles):
            headers = served.headers((role,), tenant="south", if_match="*", access_reason="x", idempotency_key="k")
            body = next((body for end, body in bodies.items() if route.path.endswith(end)), {"priority": "low"})
            sent = None if route.method in ("GET", "DELETE") else body
            answer = await served.client.request(route.method, url(route, known), headers=headers, json=sent)
            expected = {404} if role != "viewer" else {403, 404}
            assert answer.status_code in expected, (name(route), role, answer.text)
            assert known["work_item_id"] not in answer.text or answer.json()["error"] in ("WorkItemNotFound", "ReviewNotFound")
    assert await served.rows("select from work_items where tenant_id = 'south'") == []
    assert await served.rows("select from incidents where state <> 'open'") == []


@pytest.mark.requirement("SP-8")
async def test_what_a_tenant_puts_changes_no_other_tenant(served: Served) -> None:
    known = await objects(served)
    tables = ("tenants", "users", "teams", "team_members", "entity_types", "tenant_secrets", "message_templates")
    before = {table: await served.rows(f"select * from {table} where tenant_id = 'north' order by 1, 2") for table in tables}
    for route in PUTS:
        body = PUT_BODIES.get(route.path.rpartition("/")[2], {"name": "Mallory"})
        headers = served.headers(("admin",), tenant="south")
        answer = await served.client.request(route.method, url(route, known), headers=headers, json=body)
        assert answer.status_code == 200, (name(route), answer.text)
    after = {table: await served.rows(f"select * from {table} where tenant_id = 'north' order by 1, 2") for table in tables}
    assert before == after


@pytest.mark.requirement("SP-8")
async def test_lists_show_their_own_tenant_only(served: Served) -> None:
    await objects(served)
    roles = ("admin", "mapping-reader", "projection-reader")
    own, foreign = served.headers(roles), served.headers(roles, tenant="south")
    for route in GUARDED:
        if route.method == "GET" and "{" not in route.path:
            assert (await served.client.get(route.path, headers=own)).status_code == 200
            assert "Printer" not in (await served.client.get(route.path, headers=foreign)).text, name(route)
    assert len((await served.client.get(ITEMS, headers=own)).json()["items"]) == 1
    assert (await served.client.get(ITEMS, headers=foreign)).json()["items"] == []


@pytest.mark.requirement("SP-8")
async def test_a_body_cannot_name_a_tenant_a_user_or_a_source(served: Served) -> None:
    for field in ("tenantId", "tenant_id", "userId", "requestedBy", "source", "createdBy"):
        headers = served.headers(idempotency_key=str(uuid4()))
        answer = await served.client.post(ITEMS, json={"title": "x", field: "south"}, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (422, "ValidationFailed"), field


def test_every_route_is_in_the_table_with_roles_that_exist() -> None:
    for route in GUARDED:
        assert route.roles, name(route)
        assert route.roles is not None
        assert route.roles <= set(ROLES), name(route)
    assert {route.path for route in ROUTES if route.roles is None} == {
        "/livez",
        "/readyz",
        "/healthz",
        "/metrics",
        "/openapi.json",
    }
