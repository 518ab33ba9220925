"""Outcomes of calls become the next step of their instances, in the transaction that records them (effects' owner fold).

No step waits for Kafka: what a handler gave is folded here, and the next call is planned here.
"""

from base64 import b64decode
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.effects.effect import Outcome
from domain.onboarding import batch
from domain.onboarding.calls import command_of
from domain.onboarding.engine import Engine
from domain.onboarding.sealing import RESULT, Keys, key_place, open_words
from domain.onboarding.waiting import Waits, begin_waiting, is_waiting, unsendable
from runtime.keys.ring import KeyPlace
from runtime.sql import Connection
from schemas.errors import DecryptionFailed


class InstanceFold:
    """The owner of steps' calls."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(self, conn: Connection, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Fold these outcomes into their instances, in order."""
        secrets = await secrets_of(self._engine.keys, outcomes)
        ended, waits = _sorted(outcomes, secrets)
        messages = [message_of(one, secrets) for one in ended]
        states = await batch.load(conn, self._engine, messages)
        rulings = []
        for message in messages:
            ruling = batch.decide(states[message.key], message, now)
            states[message.key] = ruling.state
            rulings.append(ruling)
        await batch.save(conn, self._engine, rulings, now)
        await begin_waiting(conn, self._engine.outbox, waits, now)


def _sorted(outcomes: Sequence[Outcome], secrets: dict[UUID, bytes]) -> tuple[list[Outcome], list[Waits]]:
    """Those that ended, and those whose answer is still to come."""
    ended, waits = list[Outcome](), list[Waits]()
    for one in outcomes:
        if not is_waiting(one):
            ended.append(one)
        elif _place(one) is None:
            waits.append(Waits(one))
        elif (said := _given(one, secrets)) is None:
            ended.append(unsendable(one))
        else:
            waits.append(Waits(one, said))
    return ended, waits


async def secrets_of(keys: Keys, outcomes: Sequence[Outcome]) -> dict[UUID, bytes]:
    """What opens what handlers gave."""
    return await keys.secrets([place for one in outcomes if (place := _place(one)) is not None])


def message_of(outcome: Outcome, secrets: dict[UUID, bytes]) -> batch.Message:
    """An outcome as the engine tells it to its instance."""
    return batch.engine_message(outcome.tenant_id, command_of(outcome, _given(outcome, secrets)), str(outcome.effect_id))


def _place(outcome: Outcome) -> KeyPlace | None:
    detail = outcome.detail or {}
    if outcome.result != "succeeded" or "sealed" not in detail:
        return None
    return key_place((outcome.tenant_id, detail["subject"]), b64decode(detail["sealed"]))


def _given(outcome: Outcome, secrets: dict[UUID, bytes]) -> dict[str, Any] | None:
    """What the handler gave; None when it gave nothing, or its subject was erased meanwhile."""
    if _place(outcome) is None:
        return None
    detail = outcome.detail or {}
    subject, sealed = (outcome.tenant_id, str(detail["subject"])), b64decode(detail["sealed"])
    try:
        given: dict[str, Any] = open_words(secrets, subject, RESULT, str(outcome.effect_id), 0, sealed)
        return given
    except DecryptionFailed:
        return None
