"""The OpenAPI 3.1 document: FastAPI's, plus security, problems, and the headers that routes take and give."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.answers import ProblemBody
from api.door import DoorRoute, Route
from api.problems import CATALOGUE, MEDIA_TYPE

TITLE, VERSION = "Casestream", "1"
_SUMMARY = "Work items, their state machine and what stands around them. Every error is a problem of RFC 9457."
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_BODY_CODES = ("MalformedBody", "BodyTooDeep", "BodyTooLarge", "UnsupportedMediaType")


def problem_codes(route: Route) -> tuple[str, ...]:
    """Every code that the route may answer with: its own, and those of the layers before it."""
    codes = ["ValidationFailed", *route.problems, *([route.missing] if route.missing else [])]
    if route.roles is not None:
        codes += ["NotAuthenticated", "PermissionDenied", "TemporarilyUnavailable"]
    if route.method in ("POST", "PUT", "PATCH"):
        codes += _BODY_CODES
    codes += [code for name in route.takes for code in _CODES_OF_HEADER[name]]
    return tuple(dict.fromkeys(codes))


def responses(route: Route) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` of a route: its own answer's headers, then one entry per status of its problems."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in problem_codes(route):
        by_status[CATALOGUE[code].status].append(code)
        if any(name.startswith("If-Match") for name in route.takes):
            for status in CATALOGUE[code].also:
                by_status[status].append(code)
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": ", ".join(codes), "content": _PROBLEM, "headers": _headers(_given_with(codes))}
        for status, codes in sorted(by_status.items())
    }
    described[route.status] = {"headers": _headers(route.gives)} if route.gives else {}
    for status, extra in route.responses.items():
        described[status] = dict(extra)
    return described


def extra(route: Route) -> dict[str, Any]:
    """What FastAPI cannot see: the headers a route takes, and that it needs a token."""
    parameters = [_TAKEN[name] for name in route.takes]
    return {
        **({"parameters": parameters} if parameters else {}),
        "security": [] if route.roles is None else [{"bearer": []}],
        "x-roles": sorted(route.roles or ()),
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """The document, built once per application."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=TITLE, version=VERSION, summary=_SUMMARY, routes=[r for r in app.routes if isinstance(r, DoorRoute)]
        )
        parts = document.setdefault("components", {}).setdefault("schemas", {})
        parts["Problem"] = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
        parts |= parts["Problem"].pop("$defs", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            parts.pop(unused, None)
        document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        app.openapi_schema = document
    return app.openapi_schema


def _given_with(codes: Iterable[str]) -> tuple[str, ...]:
    names = [name for code in codes for name in CATALOGUE[code].headers or {}]
    return tuple(dict.fromkeys(names))


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"description": _GIVEN[name], "schema": {"type": "string"}} for name in names}


_CODES_OF_HEADER: Mapping[str, tuple[str, ...]] = {
    "Idempotency-Key": ("InvalidIdempotencyKey", "IdempotencyKeyInUse", "IdempotencyKeyReused"),
    "Idempotency-Key required": (
        "IdempotencyKeyRequired",
        "InvalidIdempotencyKey",
        "IdempotencyKeyInUse",
        "IdempotencyKeyReused",
    ),
    "If-Match": ("InvalidIfMatch", "ConflictState"),
    "If-Match of an interaction": ("InvalidIfMatch", "ConflictState"),
    "If-None-Match": ("InvalidIfMatch",),
    "If-Match required": ("InvalidIfMatch", "ConflictState", "IfMatchRequired"),
    "Access-Reason": ("ReasonRequired",),
}
_KEY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9_.:~+/=-]+$"}
_TAG_SCHEMA = {"type": "string", "pattern": '^("[1-9][0-9]{0,17}"|\\*)$'}
_INTERACTION_TAG = {"type": "string", "pattern": '^("[1-9][0-9]{0,17}[.][0-9]{1,18}[.][0-9]{1,18}[.][A-Z_]{1,20}"|\\*)$'}
_TAKEN: Mapping[str, dict[str, Any]] = {
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "The same key with the same body has one effect and one answer.",
        "schema": _KEY_SCHEMA,
    },
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": "The ETag that the caller has seen; another current version is 412.",
        "schema": _TAG_SCHEMA,
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "The ETag of an earlier answer; 304 while nothing else is to be seen.",
        "schema": _INTERACTION_TAG,
    },
    "Access-Reason": {
        "name": "Access-Reason",
        "in": "header",
        "required": False,
        "description": "Why the data is read, if the query does not say it; it goes to the audit log.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 500, "pattern": "^[ -~]*[!-~][ -~]*$"},
    },
}
_TAKEN = {
    **_TAKEN,
    "Idempotency-Key required": {**_TAKEN["Idempotency-Key"], "required": True},
    "If-Match required": {**_TAKEN["If-Match"], "required": True},
    "If-Match of an interaction": {**_TAKEN["If-Match"], "schema": _INTERACTION_TAG},
}
_GIVEN = {
    "ETag": "The object's version, for If-Match.",
    "Location": "The new object's address.",
    "Link": 'The next page, `rel="next"`.',
    "Idempotency-Replayed": "`true` when this is the stored answer of an earlier request.",
    "Retry-After": "Seconds to wait before the same request.",
    "WWW-Authenticate": "The scheme that is asked for.",
}
