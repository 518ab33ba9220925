"""What the operations about rules share: the rule that is asked for, and a transaction in which nothing can be written."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from starlette.responses import Response

from api.door import DoorRequest
from api.rule_inputs import RuleId
from domain.rules import commands, store
from domain.rules.problems import Language
from domain.rules.store import StoredRule
from runtime.sql import Connection

Answering = Callable[[Connection, StoredRule], Coroutine[Any, Any, Response]]


async def with_rule(request: DoorRequest, rule_id: RuleId, answer: Answering, *, read_only: bool = False) -> Response:
    """Answer about the tenant's rule of this id; RuleNotFound otherwise."""

    async def effect(conn: Connection) -> Response:
        rule = await store.find_rule(conn, request.principal.tenant_id, str(rule_id))
        return await answer(conn, rule) if rule else request.refuse(commands.not_found(str(rule_id)))

    return await (reading(request, effect) if read_only else request.in_transaction(effect))


async def reading(request: DoorRequest, effect: Callable[[Connection], Coroutine[Any, Any, Response]]) -> Response:
    """The effect in a transaction in which the database refuses every write."""

    async def guarded(conn: Connection) -> Response:
        await conn.execute("set transaction read only")
        return await effect(conn)

    return await request.in_transaction(guarded)


async def now_of(conn: Connection) -> datetime:
    """The database's time."""
    now: datetime = await conn.fetchval("select cs_now()")
    return now


def language_of(accept_language: str | None) -> Language:
    """Of the sentences of the answer."""
    return "vi" if (accept_language or "").strip().lower().startswith("vi") else "en"
