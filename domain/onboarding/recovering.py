"""Taking up again what is stuck, by the decider that everything goes through: a RECOVERY event and the orders anew (0028).

    1. hold the subjects, lock the instances and look again: what is stuck under the lock is stuck
    2. `Recover` tells RECOVERY and orders all that is wanted; what is there stays as it is (decision 0023)
    3. an outcome that the instance never got is folded by the owner of calls, as when it was recorded; a call whose answer was
       to come and whose limit is lost has failed, and nobody knows: a success that comes later still counts

The caller's transaction, one tenant.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from domain.effects.effect import ClaimedEffect, Outcome
from domain.incidents import Incident, open_incidents
from domain.keys.guard import hold_subjects
from domain.onboarding import batch
from domain.onboarding.engine import Engine
from domain.onboarding.folding import InstanceFold
from domain.onboarding.performing import OBJECT
from domain.onboarding.store import find_named, lock_instances, queries
from domain.onboarding.stuck import Damage, damage_of, load_standing
from domain.onboarding.turn import Decided
from domain.onboarding.waiting import NO_ANSWER, is_waiting
from runtime.ids import uuid7
from runtime.sql import Connection
from schemas.onboarding import Recover

LEASE_EXPIRED = "lease-expired"
QUARANTINED = "instance-unreadable"


class Recovery:
    """What takes instances up again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._fold = InstanceFold(engine)

    async def repair(self, conn: Connection, tenant_id: str, ids: Collection[str], grace: timedelta) -> list[str]:
        """Take up again those of these instances that are stuck; the causes, one for each."""
        keys = sorted((tenant_id, id_) for id_ in ids)
        subjects = sorted({one.subject for one in (await find_named(conn, keys)).values()})
        # The ring fetches what a persist point may need before anything is locked.
        await self._engine.keys.current(subjects)
        await hold_subjects(conn, subjects)
        instances = [held.instance for held in (await lock_instances(conn, keys)).values()]
        standing = await load_standing(conn, tenant_id, instances, grace)
        damaged = {one.id: damage for one in instances if (damage := damage_of(one, standing)) is not None}
        now: datetime = await queries.read_clock(conn)
        taken_up = await self._tell(
            conn, tenant_id, [Recover(instance_id=id_, cause=damage.cause) for id_, damage in damaged.items()], now
        )
        unheard = [outcome for id_ in taken_up if (outcome := _unheard(damaged[id_])) is not None]
        if unheard:
            await self._fold(conn, unheard, now)
        return [damaged[id_].cause for id_ in taken_up]

    async def take_over(self, conn: Connection, effects: Sequence[ClaimedEffect]) -> None:
        """Tell of calls of one tenant whose worker fell silent and that another one makes again (effects' `Takeover`)."""
        now: datetime = await queries.read_clock(conn)
        commands = [
            Recover(instance_id=one.owner_id, cause=LEASE_EXPIRED, step=one.index, attempt=int(one.occurrence))
            for one in effects
        ]
        await self._tell(conn, effects[0].tenant_id, commands, now)

    async def _tell(self, conn: Connection, tenant_id: str, commands: Sequence[Recover], now: datetime) -> list[str]:
        """Those that the decider took up again."""
        messages = [batch.engine_message(tenant_id, command, str(uuid7())) for command in commands]
        states = await batch.load(conn, self._engine, messages)
        rulings = []
        for message in messages:
            ruling = batch.decide(states[message.key], message, now)
            states[message.key] = ruling.state
            rulings.append(ruling)
        await batch.save(conn, self._engine, rulings, now)
        return [one.message.command.instance_id for one in rulings if isinstance(one.outcome, Decided)]


async def quarantine(conn: Connection, tenant_id: str, ids: Sequence[str]) -> None:
    """What is no instance, or cannot be decided: the scan leaves it alone until a person has looked; others go on."""
    await open_incidents(conn, [_unreadable(tenant_id, id_) for id_ in ids])


def _unheard(damage: Damage) -> Outcome | None:
    if damage.unheard is None or not is_waiting(damage.unheard):
        return damage.unheard
    return replace(damage.unheard, result="failed", code=NO_ANSWER, detail={"retryable": True, "unknown": True})


def _unreadable(tenant_id: str, instance_id: str) -> Incident:
    return Incident(
        tenant_id=tenant_id,
        kind=QUARANTINED,
        fingerprint=OBJECT,
        summary="an onboarding cannot be read or decided, and it is left alone",
        object_type=OBJECT,
        object_id=instance_id,
        cure=f"casestream instance replay {instance_id} folds its history; a row that is not the fold was changed by hand",
    )
