"""Optimistic locking: ETag is the object's version in quotes, If-Match names the version that the caller has seen."""

import re

from starlette.requests import Request

from api.problems import Problem

_VERSION = re.compile(r'"([1-9][0-9]{0,17})"')
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
# No item lives that long: a tag that cannot be ours matches nothing.
NO_VERSION = 2**62


def etag(version: int) -> str:
    return f'"{version}"'


def if_match(request: Request) -> int | None:
    """The version that If-Match demands; None without the header or with `*` (any existing object).

    Raises Problem InvalidIfMatch for what is not one entity tag. A weak or foreign tag can match nothing.
    """
    given = request.headers.getlist("if-match")
    if not given or given == ["*"]:
        return None
    if len(given) > 1 or not _ENTITY_TAG.fullmatch(given[0].strip()):
        raise Problem("InvalidIfMatch", 'If-Match holds one entity tag as the ETag header gave it, like "7", or *.')
    version = _VERSION.fullmatch(given[0].strip())
    return int(version[1]) if version else NO_VERSION


def require_if_match(request: Request) -> int | None:
    """As `if_match`, where a change without it could overwrite what the caller never saw (428)."""
    if "if-match" not in request.headers:
        raise Problem("IfMatchRequired", "Read the object first and send its ETag as If-Match.")
    return if_match(request)
