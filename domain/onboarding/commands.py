"""One command at a time, as the HTTP door and the command line give them: a batch of one, so all doors do the same.

The caller's transaction; keys of what a person says should be near before it begins (`warm`).
"""

from datetime import datetime

from domain.onboarding import batch
from domain.onboarding.actors import actors_of_roles
from domain.onboarding.engine import Engine
from domain.onboarding.sealing import Keys
from domain.onboarding.store import queries
from domain.onboarding.turn import Outcome
from runtime.ids import uuid7
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.onboarding import Command


async def warm(keys: Keys, tenant_id: str, subject_id: str) -> None:
    """Let the ring fetch the key that the command's words will be sealed with, before there is a transaction that waits."""
    await keys.current([(tenant_id, subject_id)])


async def give(conn: Connection, engine: Engine, caller: Caller, command: Command) -> Outcome:
    """Give one command to an instance. Raises ConcurrencyConflict: somebody else just started the same id."""
    message = batch.Message(
        tenant_id=caller.tenant_id,
        command=command,
        by=caller.user_id,
        actors=actors_of_roles(caller.roles),
        id=str(uuid7()),
        traceparent=caller.traceparent,
        causation=caller.causation,
    )
    states = await batch.load(conn, engine, [message])
    now: datetime = await queries.read_clock(conn)
    ruling = batch.decide(states[message.key], message, now)
    await batch.save(conn, engine, [ruling], now)
    return ruling.outcome
