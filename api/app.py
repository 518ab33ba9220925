"""The HTTP application, put together from what it is given; importing or creating it connects to nothing."""

import os
from collections.abc import Iterable, Mapping
from functools import partial

import asyncpg
from fastapi import FastAPI

from api import description, failures
from api.auth import Verifier
from api.door import Door, DoorRoute, Route, StatementsOf
from api.edge import Edge
from api.interaction_waiters import InteractionWaiters
from api.pages import Cursors
from api.request_log import RequestLog
from api.routes import ROUTES
from domain.cases.check_path.checking import CHILD
from domain.cases.followed_classes import FollowedClasses
from domain.cases.mapping.model import Graph
from domain.cases.mapping_store import released_files
from domain.cases.sealing import Keys
from domain.incidents.resolve import RetryHandler
from domain.onboarding.definitions import FollowedFlows, released_flows
from domain.onboarding.engine import Engine
from domain.onboarding.troubles import retry_handlers
from domain.outbox import Outbox
from runtime.enclosure import Enclosure
from runtime.settings import Settings


def create_app(
    settings: Settings,
    pool: asyncpg.Pool,
    verifier: Verifier,
    *,
    cursor_key: bytes | None = None,
    retries: Mapping[str, RetryHandler] | None = None,
    keys: Keys | None = None,
    classes: Graph | None = None,
    statements_of: StatementsOf | None = None,
    code_versions: Mapping[str, int] | None = None,
    routes: Iterable[Route] = ROUTES,
) -> FastAPI:
    """The application. `pool` logs in as cs_api. `cursor_key` is shared by processes that continue each other's
    pages; `retries` do what an operator orders, by kind of incident. `keys` open snapshots; `classes` are the case classes
    of the files, by default the release's; `statements_of` tells the DDL of a table version, `code_versions` which changes
    the handlers' code knows.
    """
    app = FastAPI(title=description.TITLE, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    cursors = Cursors(cursor_key or os.urandom(32))
    outbox, flows = Outbox(settings.ce_source), FollowedFlows(released_flows())
    files = released_files() if classes is None else classes
    known_classes = FollowedClasses(files)
    versions = code_versions or {}
    of_steps = retry_handlers(Engine(outbox, keys, flows, known_classes, versions)) if keys is not None else {}
    app.state.door = Door(
        settings,
        pool,
        verifier,
        outbox,
        cursors,
        {**(retries or {}), **of_steps},
        keys,
        known_classes,
        flows,
        files,
        Enclosure(CHILD),
        statements_of,
        versions,
        InteractionWaiters(pool),
    )
    for route in routes:
        app.router.routes.append(
            DoorRoute.of(
                route,
                operation_id=route.endpoint.__name__,
                tags=[route.endpoint.__module__.rpartition(".")[2]],
                responses=description.responses(route),
                openapi_extra=description.extra(route),
            )
        )
    app.openapi = partial(description.describe, app)  # type: ignore[method-assign]
    failures.register(app)
    app.add_middleware(Edge, log=RequestLog(settings.log))
    return app
