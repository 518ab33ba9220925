"""The OpenAPI document says what the door does: complete, 3.1, and held by generated requests."""

import asyncio

import pytest
from starlette.responses import Response

from api.app import create_app
from api.door import DoorRoute, Route
from api.routes import ROUTES
from schemas.errors import ConcurrencyConflict, TransientError
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.api.conftest import Served, fill, settings_for
from tests.integration.api.contract import door_in_a_thread, try_everything
from tests.integration.api.objects import make_objects
from tests.integration.api.serving import asgi_client


@pytest.mark.requirement("WI-3", "WI-5")
def test_generated_requests_meet_no_server_error_and_no_broken_promise(
    database: ClonedDatabase, keys_database: ClonedDatabase
) -> None:
    asyncio.run(fill(database))
    with door_in_a_thread(settings_for(database)) as address:
        tally = try_everything(address, 5, make_objects(address, database))
    assert tally.failures == {}
    assert tally.server_errors == 0
    assert tally.cases >= 5 * len(ROUTES)
    assert {200, 201, 404, 422} <= set(tally.statuses)


async def test_the_document_describes_every_route_and_nothing_else(served: Served) -> None:
    document = (await served.client.get("/openapi.json")).json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), (method, path)
            problems = [int(status) for status in operation["responses"] if int(status) >= 400]
            assert ("security" in operation, 401 in problems) == (True, bool(operation["security"])), (method, path)


async def test_nothing_is_served_beside_the_table(served: Served) -> None:
    """Whoever registers a route past the table goes past its roles too."""
    assert [type(route).__mro__[1] for route in served.app.routes] == [DoorRoute] * len(ROUTES)


def failing(error: Exception) -> Route:
    """A route whose command fails like this."""

    async def fail() -> Response:
        raise error

    return Route("GET", "/fails", fail, frozenset({"agent"}), None)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ConcurrencyConflict(1, "canary-5512"), 409, "ConflictState"),
        (TransientError("canary-5512"), 503, "TemporarilyUnavailable"),
        (ZeroDivisionError("canary-5512"), 500, "InternalError"),
    ],
)
async def test_what_a_command_raises_is_a_problem_without_detail(
    served: Served, error: Exception, status: int, code: str
) -> None:
    app = create_app(served.settings, served.pool, served.world.verifier(), routes=[failing(error)])
    async with asgi_client(app) as client:
        answer = await client.get("/fails", headers=served.headers())
    assert (answer.status_code, answer.json()["error"], "canary" in answer.text) == (status, code, False)
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_unknown_addresses_and_methods_are_problems(served: Served) -> None:
    unknown = await served.client.get("/api/crm/work-item")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "NotFound")
    method = await served.client.delete("/api/crm/work-items")
    assert (method.status_code, method.json()["error"], method.headers["allow"]) == (405, "MethodNotAllowed", "GET, POST")
    assert (await served.client.get("/api/crm/work-items/", headers=served.headers())).status_code in (404, 422)
    for path in ("/docs", "/redoc", "/.env", "//"):
        assert (await served.client.get(path)).status_code == 404


async def test_every_answer_has_the_security_headers(served: Served) -> None:
    for path in ("/livez", "/nowhere", "/api/crm/work-items"):
        headers = (await served.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.requirement("SP-9")
async def test_metrics_name_routes_by_their_template(served: Served) -> None:
    item = (await served.create())["workItemId"]
    await served.client.get(f"/api/crm/work-items/{item}", headers=served.headers())
    await served.client.get("/no/such/address-of-a-stranger")
    page = (await served.client.get("/metrics")).text
    series = 'http_request_seconds_count{method="GET",route="/api/crm/work-items/{work_item_id}",status="200"}'
    assert series in page
    assert item not in page
    assert "stranger" not in page
