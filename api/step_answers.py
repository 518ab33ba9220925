"""Answers of handlers that take longer (S3 8.1): a service that was asked completes or fails its call by the call's id.

The first answer of a call counts; the same again, and another one, change nothing and are told so. Nobody needs an
Idempotency-Key for that.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Path
from starlette.responses import Response

from api.door import DoorRequest, json_answer
from api.onboarding import engine_of
from api.onboarding_inputs import StepAnswer
from api.problems import Problem
from api.transactions import transaction
from domain.onboarding.asking import CALLBACK, RESULT_BYTES, answered, fault_of
from domain.onboarding.commands import warm
from domain.onboarding.completing import complete, find_call
from domain.onboarding.turn import Decided
from runtime.sql import Connection
from schemas.errors import Rejected
from schemas.steps import StepReplied

PATH = CALLBACK
CallId = Annotated[UUID, Path(description="Id of the call, the request's `effectId`")]


async def complete_step(request: DoorRequest, call_id: CallId, body: StepAnswer) -> Response:
    """Complete a call of a step, or fail it."""
    engine, who = engine_of(request), request.principal
    async with transaction(request.door.pool, who.tenant_id) as conn:
        call = await find_call(conn, who.tenant_id, call_id)
    if isinstance(call, Rejected):
        return request.refuse(call)
    if body.data is not None and fault_of(body.data) is not None:
        raise Problem("ResultTooLarge", f"A journey keeps at most {RESULT_BYTES} bytes of a result, and numbers of 64 bits.")
    if body.data is not None:
        await warm(engine.keys, who.tenant_id, call.subject_id)

    answer = answered(StepReplied(**call.named(), **body.model_dump()))

    async def effect(conn: Connection) -> Response:
        outcome = await complete(conn, engine, request.caller(), answer)
        if isinstance(outcome, Rejected):
            return request.refuse(outcome)
        told = {"effectId": call_id, "instanceId": call.instance_id, "step": call.step, "attempt": call.attempt}
        return json_answer({**told, "applied": isinstance(outcome, Decided)})

    return await request.in_transaction(effect)
