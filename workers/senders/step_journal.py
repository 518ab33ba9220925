"""What running code asks of its instance: the version of a change that it follows, and values that are computed once.

Each answer is an event of the instance, committed before the handler gets it; an answer that is there already is read, and
nothing is computed. Two workers that run one call (one was thought dead) get one answer: the first that was recorded.
"""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

import asyncpg
import orjson

from domain.incidents import Incident, close_incidents, open_incidents
from domain.keys.guard import hold_subjects
from domain.onboarding import reads
from domain.onboarding.commands import give, warm
from domain.onboarding.engine import Engine
from domain.onboarding.handlers import NotDone, StepCall, VersionUnsupported
from domain.onboarding.instance import Instance, effect_key
from domain.onboarding.marking import version_of
from domain.onboarding.performing import OBJECT
from domain.onboarding.sealing import EVENT, key_place, open_words
from domain.onboarding.store import queries
from domain.onboarding.turn import Decided, Outcome
from runtime.postgres import tenants_transaction
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import DecryptionFailed, Rejected
from schemas.onboarding import RecordSideEffect, RecordVersion

UNSUPPORTED = "version-unsupported"
MOST_BYTES = 64_000
_ABSENT = object()


class StepJournal:
    """The journal of instances, for the handlers of a process. `pool` logs in as cs_worker."""

    def __init__(self, pool: asyncpg.Pool, engine: Engine) -> None:
        self._pool, self._engine = pool, engine

    async def version(self, call: StepCall, change_id: str, lowest: int, highest: int) -> int:
        """The version that the instance follows. Raises VersionUnsupported, with an incident, where this code cannot run it."""
        command = RecordVersion(instance_id=call.instance_id, change_id=change_id, lowest=lowest, highest=highest)
        async with tenants_transaction(self._pool, [call.tenant_id]) as conn:
            outcome = await give(conn, self._engine, _engine_of(call), command)
            if isinstance(outcome, Rejected) and outcome.code == "VersionUnsupported":
                await open_incidents(conn, [_incident(call, change_id, outcome)])
            elif call.attempt > 1:
                over = (call.tenant_id, UNSUPPORTED, OBJECT, call.instance_id)
                await close_incidents(conn, [over], "system:onboarding")
        instance = _going_on(outcome)
        version = version_of(instance, change_id, lowest, highest)
        assert isinstance(version, int), "what was recorded is supported"
        return version

    async def value(self, call: StepCall, name: str, occurrence: int, compute: Callable[[], Any]) -> Any:
        """The value of this name and occurrence: as recorded, or computed now and recorded. Raises TypeError: no JSON."""
        found = await self._recorded(call, effect_key(name, occurrence))
        if found is not _ABSENT:
            return found
        computed = compute()
        text = orjson.dumps(await computed if isawaitable(computed) else computed)
        if len(text) > MOST_BYTES:
            raise TypeError(f"side_effect {name}: the value has {len(text)} bytes as JSON, at most {MOST_BYTES} are kept")
        value = orjson.loads(text)
        command = RecordSideEffect(instance_id=call.instance_id, name=name, occurrence=occurrence, value=value)
        await self._warm(call)
        async with tenants_transaction(self._pool, [call.tenant_id]) as conn:
            outcome = await give(conn, self._engine, _engine_of(call), command)
        _going_on(outcome)
        if isinstance(outcome, Decided):
            return value
        first = await self._recorded(call, effect_key(name, occurrence))
        # Of an erased person nothing is kept, so there is nothing to be the same as.
        return value if first is _ABSENT else first

    async def _warm(self, call: StepCall) -> None:
        async with tenants_transaction(self._pool, [call.tenant_id]) as conn:
            instance = await reads.get_folded(conn, call.tenant_id, call.instance_id)
        await warm(self._engine.keys, call.tenant_id, instance.user_id)

    async def _recorded(self, call: StepCall, key: str) -> Any:
        async with tenants_transaction(self._pool, [call.tenant_id]) as conn:
            instance = await reads.get_folded(conn, call.tenant_id, call.instance_id)
            number = instance.side_effects.get(key)
            sealed = None if number is None else await _said(conn, instance, number)
        if number is None or sealed is None:
            return _ABSENT
        subject = (instance.tenant_id, instance.user_id)
        try:
            secrets = await self._engine.keys.secrets([key_place(subject, sealed)])
            return open_words(secrets, subject, EVENT, instance.id, number, sealed)["value"]
        except DecryptionFailed:
            async with tenants_transaction(self._pool, [call.tenant_id]) as conn:
                if not await hold_subjects(conn, [subject]):
                    # Damaged, or without its key: another value in its place would be a second one.
                    raise
            return _ABSENT


async def _said(conn: Connection, instance: Instance, number: int) -> bytes | None:
    named = {"tenant_ids": [instance.tenant_id], "ids": [instance.id], "numbers": [number]}
    rows = await queries.find_said(conn, **named)
    return rows[0]["data"] if rows else None


def _going_on(outcome: Outcome) -> Instance:
    """The instance, for a call that is still of use."""
    if not isinstance(outcome, Rejected):
        return outcome.instance
    if outcome.code == "VersionUnsupported":
        raise VersionUnsupported(outcome.message)
    # The journey is over: whatever the handler would do now must not be done.
    raise NotDone("instance-ended", retryable=False)


def _engine_of(call: StepCall) -> Caller:
    return Caller(call.tenant_id, "system:onboarding", frozenset({"engine"}), "WORKFLOW_ENGINE", internal=True)


def _incident(call: StepCall, change_id: str, refused: Rejected) -> Incident:
    return Incident(
        tenant_id=call.tenant_id,
        kind=UNSUPPORTED,
        fingerprint=f"{call.flow}|{call.handler}|{change_id}",
        summary=refused.message,
        object_type=OBJECT,
        object_id=call.instance_id,
        cure=f"run a worker whose code knows that version; then `casestream instance retry {call.instance_id}`",
        detail={"handler": call.handler, "changeId": change_id, "step": call.step},
    )
