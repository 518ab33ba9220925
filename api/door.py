"""What every route shares: who may call it, what it may answer, and the bounded request that it is handed.

`Route` is a row of the table in `api.routes`; none can be written without its roles. A `DoorRoute` proves the token and
the roles before it reads a byte of the body, so a stranger learns nothing and costs nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import asyncpg
import orjson
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from api.auth import Principal, Verifier, bearer_token
from api.bodies import BoundedRequest
from api.idempotency import answer_once, read_key
from api.interaction_waiters import InteractionWaiters
from api.pages import Cursors
from api.problems import Problem, problem_of, respond
from api.tracing import Trace
from api.transactions import transaction
from domain.cases.followed_classes import FollowedClasses
from domain.cases.mapping.model import Graph
from domain.cases.mapping.specs import TableSpec
from domain.cases.sealing import Keys
from domain.incidents.resolve import RetryHandler
from domain.onboarding.definitions import FollowedFlows
from domain.outbox import Outbox
from runtime.enclosure import Enclosure
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.work_items import Source


@dataclass(frozen=True, slots=True)
class Door:
    """What the process built at start and every request uses."""

    settings: Settings
    pool: asyncpg.Pool
    verifier: Verifier
    outbox: Outbox
    cursors: Cursors
    retries: Mapping[str, RetryHandler]
    # None: a process without keys answers 503 where decrypted data is asked for.
    keys: Keys | None
    case_classes: FollowedClasses
    # Flows of the release, and those that tenants pinned.
    flows: FollowedFlows
    # Case classes of the release; the database's rows lie over them.
    classes: Graph
    # Where paths that callers write are evaluated.
    enclosure: Enclosure
    # The statements of a table version; they are made in another room, so whoever wires the process brings them.
    statements_of: "StatementsOf | None"
    # Of the handlers' changes, the newest that the installed code knows.
    code_versions: Mapping[str, int]
    # Requests that wait until an interaction moves.
    waiters: InteractionWaiters
    # Searches of a topic read much: a few at a time.
    searching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))


StatementsOf = Callable[[TableSpec, int], Sequence[str]]


Endpoint = Callable[..., Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    `roles` None: open to everybody, for probes and the description of the door itself. `takes` and `gives` are headers;
    `missing` is the code for an object that the tenant does not have. `depth_limit` is for a route whose bodies hold
    documents, which have a limit of their own.
    """

    method: str
    path: str
    endpoint: Endpoint
    roles: frozenset[str] | None
    answer: Any
    status: int = 200
    problems: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    missing: str | None = None
    depth_limit: int = 0
    responses: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


class DoorRequest(BoundedRequest):
    """A request of a proven caller (or, on open routes, of anybody)."""

    @property
    def door(self) -> Door:
        return cast(Door, self.app.state.door)

    @property
    def principal(self) -> Principal:
        return cast(Principal, self.scope["principal"])

    @property
    def trace(self) -> Trace:
        return cast(Trace, self.scope["trace"])

    def caller(self, source: Source = "CRM_UI") -> Caller:
        """The identity that commands receive: all of it from the token."""
        who = self.principal
        return Caller(who.tenant_id, who.user_id, who.roles, source, traceparent=self.trace.traceparent)

    def refuse(self, rejected: Rejected, *, if_match: int | None = None) -> Response:
        """The answer to a business "no". It is returned, not raised, so that what the command wrote is committed."""
        problem = problem_of(rejected, if_match=if_match)
        return respond(problem, instance=self.url.path, trace_id=self.trace.trace_id)

    async def in_transaction(
        self, effect: Callable[[Connection], Coroutine[Any, Any, Response]], *, key_required: bool | None = None
    ) -> Response:
        """Run the effect in the tenant's transaction, once per Idempotency-Key; `key_required` None takes no key."""
        who, settings = self.principal, self.door.settings
        key = None
        if key_required is not None:
            key = read_key(self, who.tenant_id, who.user_id, await self.body(), required=key_required)
        async with transaction(self.door.pool, who.tenant_id) as conn:
            return await answer_once(conn, key, settings.idempotency_ttl_seconds, lambda: effect(conn))


class DoorRoute(APIRoute):
    """A route that admits only proven callers with one of its roles, and bounds what they send."""

    spec: Route

    @classmethod
    def of(cls, spec: Route, **described: Any) -> "DoorRoute":
        """The FastAPI route of this row."""
        # FastAPI's constructor asks for the handler, which needs the row.
        kind = type(cls.__name__, (cls,), {"spec": spec})
        return cast(
            DoorRoute,
            kind(
                spec.path,
                spec.endpoint,
                methods=[spec.method],
                response_model=spec.answer,
                status_code=spec.status,
                **described,
            ),
        )

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer, spec = super().get_route_handler(), self.spec
        parameters = frozenset(parameter.alias for parameter in self.dependant.query_params)

        async def handle(request: Request) -> Response:
            door: Door = request.app.state.door
            if spec.roles is not None:
                request.scope["principal"] = await admit(door.verifier, request, spec.roles)
            if request.scope["query_string"]:
                refuse_unknown(request.query_params, parameters)
                refuse_repeated(request.query_params)
            bounded = DoorRequest(request.scope, request.receive)
            bounded.body_limit = door.settings.http.body_limit_bytes
            bounded.depth_limit = max(door.settings.http.json_depth_limit, spec.depth_limit)
            return await answer(bounded)

        return handle


async def admit(verifier: Verifier, request: Request, roles: frozenset[str]) -> Principal:
    """The caller. Raises Problem NotAuthenticated (one shape, whatever is wrong) or PermissionDenied."""
    token = bearer_token(request.scope["headers"])
    principal = await verifier.verify(token) if token else None
    if principal is None:
        raise Problem("NotAuthenticated", "Send a valid token of a trusted issuer as Authorization: Bearer.")
    if roles.isdisjoint(principal.roles):
        raise Problem("PermissionDenied", "None of the token's roles may use this operation.")
    return principal


def refuse_unknown(given: Iterable[str], known: frozenset[str]) -> None:
    """A misspelt filter would otherwise show everything. Raises Problem ValidationFailed."""
    if any(name not in known for name in given):
        found = {
            "parameter": "",
            "in": "query",
            "code": "unknown",
            "message": f"Known here: {', '.join(sorted(known)) or 'none'}.",
        }
        raise Problem("ValidationFailed", "The query has an unknown parameter; see errors.", members={"errors": [found]})


def refuse_repeated(given: QueryParams) -> None:
    """No parameter takes several values: of two filters the second would silently count. Raises Problem ValidationFailed."""
    names = [name for name, _ in given.multi_items()]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        found = [{"parameter": name, "in": "query", "code": "repeated", "message": "Send it once."} for name in repeated]
        raise Problem("ValidationFailed", "The query repeats a parameter; see errors.", members={"errors": found})


def json_answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The answer as JSON; ids and times become text."""
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z, default=str), status, headers, "application/json")
