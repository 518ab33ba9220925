"""Interactions over HTTP (S0): start, submit a step, look, and the engine's callback. Parse, one transaction, one command.

Only the owner sees an interaction; to everybody else it does not exist. A kept answer is the first one: where a step is waited
for, it becomes the outcome in the moment that it is given.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from starlette.responses import Response

from api import interaction_showing as showing
from api.door import DoorRequest, json_answer
from api.idempotency import IdempotencyKey, amend_answer, answer_once, read_key
from api.interaction_inputs import InteractionBody, InteractionId, NoticeBody, StepName, SubmitBody, Wait
from api.onboarding import engine_of
from api.problems import Problem
from api.transactions import transaction
from domain.interactions import commands, refusals
from domain.interactions.commands import Submission
from domain.interactions.interaction import Tag, read_tag
from domain.keys.guard import hold_subjects
from domain.onboarding.commands import warm
from runtime.sql import Connection
from schemas.errors import DecryptionFailed, Rejected

PATH = showing.PATH
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.1


async def start_interaction(request: DoorRequest, body: InteractionBody) -> Response:
    """Begin a journey of one's own: an interaction, its case and its instance, or nothing."""
    engine, caller = engine_of(request), request.caller()
    await warm(engine.keys, caller.tenant_id, caller.user_id)

    async def effect(conn: Connection) -> Response:
        begun = await commands.start(conn, engine, caller, body.flow, body.data)
        if isinstance(begun, Rejected):
            return request.refuse(begun)
        return await showing.kept(request, conn, engine.keys, begun, 201)

    return await _once(request, await _key(request, required=False), effect)


async def submit_step(request: DoorRequest, interaction_id: InteractionId, step_name: StepName, body: SubmitBody) -> Response:
    """Submit a step. Needs an Idempotency-Key: the same key and body get the first answer, another body is refused. With
    If-Match only if the front end saw what is there now; 412 says what changed."""
    engine, caller = engine_of(request), request.caller()
    given = _tag_of(request, "if-match")
    said = Submission(step_name, body.action, body.data, *_seen(given))
    await warm(engine.keys, caller.tenant_id, caller.user_id)
    key = await _key(request, required=True)
    assert key is not None, "a request without a key was refused"

    async def effect(conn: Connection) -> Response:
        begun = await commands.submit(conn, engine, caller, str(interaction_id), said)
        if isinstance(begun, Rejected):
            return request.refuse(begun, if_match=None if given is None else 0)
        return await showing.kept(request, conn, engine.keys, begun, 202 if begun.interaction.status == "RUNNING" else 200)

    first = await _once(request, key, effect)
    if first.status_code != 202 or "idempotency-replayed" in first.headers:
        return first
    return await _outcome(request, str(interaction_id), key) or first


async def get_interaction(request: DoorRequest, interaction_id: InteractionId, wait: Wait = 0) -> Response:
    """Where the interaction stands. If-None-Match with the ETag of an earlier answer: 304 while nothing else is to be seen,
    with `wait` not before so many seconds. Nobody holds a connection to the database while he waits."""
    tenant_id = request.principal.tenant_id
    seen, deadline = read_tag(_tag_of(request, "if-none-match") or ""), time.monotonic() + wait
    while True:
        answer = await _look(request, str(interaction_id), seen)
        left = deadline - time.monotonic()
        if answer.status_code != 304 or left <= 0:
            return answer
        known = read_tag(answer.headers["etag"])
        assert known is not None, "304 names what is there"
        if not await request.door.waiters.wait(tenant_id, str(interaction_id), known.version, left):
            return answer


async def _look(request: DoorRequest, interaction_id: str, seen: Tag | None) -> Response:
    engine, caller = engine_of(request), request.caller()

    async def effect(conn: Connection) -> Response:
        begun = await commands.find_mine(conn, engine, caller, interaction_id)
        if isinstance(begun, Rejected):
            return request.refuse(begun)
        if seen is not None and seen.same_as(begun.interaction.tag):
            return Response(status_code=304, headers={"ETag": str(begun.interaction.tag)})
        try:
            case = await showing.shown_case(request, conn, engine.keys, begun)
        except DecryptionFailed:
            return request.refuse(refusals.erased())
        await commands.record(conn, caller, begun, "read", case)
        return showing.answer(begun, case)

    return await _held(request, effect)


async def notice_interaction(request: DoorRequest, interaction_id: InteractionId, body: NoticeBody) -> Response:
    """The engine tells that a backend step ended (S0's notifyInteraction). The first notice of a call counts; the same again
    changes nothing (`applied: false`), and neither does news that names no call: the status is the instance's own."""
    engine, caller = engine_of(request), request.caller()
    ended = body.model_dump(exclude={"effect_id", "status"})

    async def effect(conn: Connection) -> Response:
        found = await commands.notice(conn, engine, caller, str(interaction_id), body.effect_id, ended)
        if isinstance(found, Rejected):
            return request.refuse(found)
        begun, applied = found
        return json_answer({**showing.told(begun), "applied": applied}, headers={"ETag": str(begun.interaction.tag)})

    return await request.in_transaction(effect)


async def _outcome(request: DoorRequest, interaction_id: str, key: IdempotencyKey) -> Response | None:
    """The answer once no step is under way, which is the first answer from now on; None when that takes too long."""
    engine, caller = engine_of(request), request.caller()
    deadline, pause = time.monotonic() + request.door.settings.onboarding.wait_seconds, _FIRST_PAUSE

    async def effect(conn: Connection) -> Response:
        begun = await commands.find_mine(conn, engine, caller, interaction_id)
        if isinstance(begun, Rejected) or begun.interaction.status == "RUNNING":
            return Response(status_code=404)
        stored = await showing.kept(request, conn, engine.keys, begun, 200)
        await amend_answer(conn, key, stored)
        return await showing.opened(request, engine.keys, stored)

    while time.monotonic() < deadline:
        await asyncio.sleep(pause)
        answer = await _held(request, effect)
        if answer.status_code != 404:
            return answer
        pause = min(pause * 2, _LONGEST_PAUSE)
    return None


async def _once(
    request: DoorRequest, key: IdempotencyKey | None, effect: Callable[[Connection], Awaitable[Response]]
) -> Response:
    """The effect, once per key, with the caller's own person held: nothing of an erased one is shown, kept or begun."""
    ttl = request.door.settings.idempotency_ttl_seconds

    async def work(conn: Connection) -> Response:
        stored = await answer_once(conn, key, ttl, lambda: effect(conn))
        return await showing.opened(request, engine_of(request).keys, stored)

    return await _held(request, work)


async def _held(request: DoorRequest, work: Callable[[Connection], Awaitable[Response]]) -> Response:
    who = request.principal
    async with transaction(request.door.pool, who.tenant_id) as conn:
        if await hold_subjects(conn, [(who.tenant_id, who.user_id)]):
            return request.refuse(refusals.erased())
        return await work(conn)


async def _key(request: DoorRequest, *, required: bool) -> IdempotencyKey | None:
    who = request.principal
    return read_key(request, who.tenant_id, who.user_id, await request.body(), required=required)


def _tag_of(request: DoorRequest, header: str) -> str | None:
    """The one tag of a header; None without it or with `*`. Raises Problem InvalidIfMatch: several."""
    given = request.headers.getlist(header)
    if len(given) > 1:
        raise Problem("InvalidIfMatch", "Send one entity tag as the ETag header gave it.")
    return None if not given or given == ["*"] else given[0]


def _seen(given: str | None) -> tuple[Tag | None, bool]:
    """A tag that is none of ours matches nothing."""
    tag = None if given is None else read_tag(given)
    return tag, given is not None and tag is None
