"""From exceptions to problems: our own, FastAPI's validation errors, unknown addresses and methods, transient faults."""

from typing import cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from api.door import DoorRoute
from api.problems import Problem, respond, validation_errors
from runtime.logging import get_logger
from schemas.errors import ConcurrencyConflict, NotFound, TransientError

log = get_logger(__name__)


def _answer(request: Request, problem: Problem) -> Response:
    return respond(problem, instance=request.url.path, trace_id=request.scope["trace"].trace_id)


async def on_problem(request: Request, error: Exception) -> Response:
    return _answer(request, cast(Problem, error))


async def on_validation_error(request: Request, error: Exception) -> Response:
    """Every finding with its place; the document answers a missing or empty `action` with InvalidAction (S3 7.1.1)."""
    found = validation_errors(cast(RequestValidationError, error).errors())
    if request.url.path.endswith("/actions") and any(item.get("pointer") == "/action" for item in found):
        return _answer(request, Problem("InvalidAction", "Name the action as text.", members={"errors": found}))
    text = "Some fields or parameters are not valid; see errors."
    return _answer(request, Problem("ValidationFailed", text, members={"errors": found}))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """What the frameworks raise themselves: an unknown address, an unknown method, a body they cannot take."""
    status = cast(HTTPException, error).status_code
    if status == 405:
        allowed = {"Allow": ", ".join(sorted(_methods_of(request)))}
        return _answer(request, Problem("MethodNotAllowed", "See the Allow header.", headers=allowed))
    if status == 404:
        return _answer(request, Problem("NotFound", "No route has this address; see /openapi.json."))
    return _answer(request, Problem("MalformedBody", "The request cannot be read."))


async def on_not_found(request: Request, error: Exception) -> Response:
    """The route says what it looked for; another tenant's object is not found either."""
    return _answer(request, Problem(request.scope["route"].spec.missing or "NotFound", str(error)))


async def on_conflict(request: Request, error: Exception) -> Response:
    """Somebody wrote between a command's load and its save."""
    return _answer(request, Problem("ConflictState", "The object changed while this was decided; read it again and repeat."))


async def on_transient(request: Request, error: Exception) -> Response:
    log.warning("answered 503", error=error, trace_id=request.scope["trace"].trace_id)
    text = "Something that this needs is away for the moment; repeat the request, with the same Idempotency-Key if it has one."
    return _answer(request, Problem("TemporarilyUnavailable", text))


def _methods_of(request: Request) -> set[str]:
    """Every method that some route takes at this address."""
    routes = [route for route in request.app.routes if isinstance(route, DoorRoute)]
    return {route.spec.method for route in routes if route.matches(request.scope)[0] != Match.NONE}


def register(app: FastAPI) -> None:
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)


HANDLERS = {
    Problem: on_problem,
    RequestValidationError: on_validation_error,
    HTTPException: on_http_exception,
    NotFound: on_not_found,
    ConcurrencyConflict: on_conflict,
    TransientError: on_transient,
}
