"""Idempotency-Key (IETF draft): the same request sent twice has one effect and one answer (trap 57).

The key belongs to tenant, principal, method and path. Key, effect and answer commit together: a second request waits in
its insert until the first has ended, then replays the stored answer, or begins anew when the first had no effect.
Only answers of effects are kept; a refusal changes nothing, so its repetition is decided anew.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.problems import Problem
from runtime.sql import Connection, load_queries

queries = load_queries(__file__)

_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"')
_TOKEN = re.compile(r"[A-Za-z0-9_.:~+/=-]{1,255}")
_KEPT_HEADERS = ("etag", "location")
MEDIA_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key in its scope, with the fingerprint of the request that carries it."""

    tenant_id: str
    principal: str
    route: str
    key: str
    fingerprint: bytes

    @property
    def scope(self) -> dict[str, str]:
        return {"tenant_id": self.tenant_id, "principal": self.principal, "route": self.route, "key": self.key}


def read_key(request: Request, tenant_id: str, principal: str, body: bytes, *, required: bool) -> IdempotencyKey | None:
    """The request's key: a structured-field string in double quotes, or the bare token that many clients send.

    Raises Problem IdempotencyKeyRequired or InvalidIdempotencyKey.
    """
    given = request.headers.getlist("idempotency-key")
    if not given:
        if required:
            raise Problem("IdempotencyKeyRequired", "Send an Idempotency-Key header, for instance a fresh UUID.")
        return None
    text = given[0].strip()
    string = _STRING.fullmatch(text)
    if len(given) > 1 or not (string or _TOKEN.fullmatch(text)):
        raise Problem("InvalidIdempotencyKey", 'Send one Idempotency-Key of 1 to 255 characters, like "8e03978e".')
    key = re.sub(r"\\(.)", r"\1", string[1]) if string else text
    # A precondition is part of the request: the same body under another If-Match asks something else.
    fingerprint = hashlib.sha256(request.headers.get("if-match", "").encode("latin-1") + b"\n" + body).digest()
    return IdempotencyKey(tenant_id, principal, f"{request.method} {request.url.path}", key, fingerprint)


async def answer_once(
    conn: Connection,
    key: IdempotencyKey | None,
    ttl_seconds: int,
    effect: Callable[[], Awaitable[Response]],
) -> Response:
    """The effect's answer, or the stored answer of the request that had this key first. Runs in the caller's transaction."""
    if key is None:
        return await effect()
    if not await _claim(conn, key, ttl_seconds):
        return await _replay(conn, key)
    answer = await effect()
    if answer.status_code < 300:
        await queries.store_answer(conn, **key.scope, status=answer.status_code, answer=_packed(answer))
    else:
        await queries.release_key(conn, **key.scope)
    return answer


async def amend_answer(conn: Connection, key: IdempotencyKey, answer: Response) -> None:
    """Keep another answer of the same effect: the outcome that its caller waited for and is given now."""
    await queries.store_answer(conn, **key.scope, status=answer.status_code, answer=_packed(answer))


async def _claim(conn: Connection, key: IdempotencyKey, ttl_seconds: int) -> bool:
    try:
        claimed = await queries.claim_key(conn, **key.scope, fingerprint=key.fingerprint, ttl_seconds=ttl_seconds)
    except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError):
        raise Problem("IdempotencyKeyInUse", "The first request with this key has not ended; repeat this one later.") from None
    except asyncpg.ForeignKeyViolationError:
        raise Problem("UnknownTenant", "The token's tenant is not known here; an operator must import it first.") from None
    return bool(claimed)


async def _replay(conn: Connection, key: IdempotencyKey) -> Response:
    row = await queries.find_key(conn, **key.scope)
    if row is None or row["status"] is None:
        raise Problem("IdempotencyKeyInUse", "The first request with this key has not ended; repeat this one later.")
    if row["fingerprint"] != key.fingerprint:
        raise Problem("IdempotencyKeyReused", "This key came with another body; use a fresh key for a new request.")
    kept, body = orjson.loads(row["answer"])
    return Response(body, row["status"], {**kept, "Idempotency-Replayed": "true"}, MEDIA_TYPE)


def _packed(answer: Response) -> bytes:
    kept = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
    return orjson.dumps([kept, bytes(answer.body).decode()])
