"""A database, a worker and a flow of trivial steps; journeys that are seen to their end."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from domain.effects.wiring import Wiring
from domain.onboarding import batch
from domain.onboarding.calls import KIND, OWNER
from domain.onboarding.definitions import FollowedFlows
from domain.onboarding.flow import FlowKey
from domain.onboarding.folding import InstanceFold
from domain.onboarding.handlers import StepCall
from domain.onboarding.recording import StepRecording
from domain.outbox import Outbox
from runtime.ids import uuid7
from runtime.keys.local_keks import LocalKeks
from runtime.keys.ring import KeyCache, KeyRing
from runtime.postgres import open_pool, tenants_transaction
from runtime.settings import EffectSettings, KeySettings, Settings
from schemas.flows import FlowDefinition
from schemas.onboarding import StartInstance
from tests.infrastructure import databases, servers
from workers.effects.running import EffectsWorker
from workers.senders.step_python import PythonSteps

TENANT, FLOW = "acme", "ten-steps"
# Any rate: the limits are for calls to others.
UNBOUNDED = EffectSettings(
    tenant_per_second=0, channel_per_second=0, tenant_in_flight=1000, channel_in_flight=1000, endpoint_in_flight=1000,
    poll_min_ms=1, poll_max_ms=20,
)  # fmt: skip
_LOOK_SECONDS = 0.001


def definition(steps: int) -> FlowDefinition:
    """So many automatic steps, one after the other."""
    states = [{"name": f"S{number}"} for number in range(steps)]
    moves = [
        {"from": f"S{number}", "action": "NEXT", "to": f"S{number + 1}" if number + 1 < steps else "DONE",
         "actors": ["SYSTEM"], "handler": "nothing"}
        for number in range(steps)
    ]  # fmt: skip
    return FlowDefinition.model_validate(
        {
            "flow": FLOW,
            "version": 1,
            "initial": "S0",
            "states": [*states, {"name": "DONE", "end": "completed"}],
            "transitions": moves,
            "handlers": [{"name": "nothing", "effects": False}],
        }
    )


class Ground:
    """Starts instances as a door does."""

    def __init__(
        self, pool: asyncpg.Pool, owner: asyncpg.Connection, keys: KeyRing, flows: FollowedFlows, outbox: Outbox
    ) -> None:
        self._pool, self._owner, self._keys, self._flows, self._outbox = pool, owner, keys, flows, outbox
        self._open: dict[str, asyncio.Future[None]] = {}

    async def journey(self) -> None:
        """One instance, from its start until its row says COMPLETED."""
        command = StartInstance(instance_id=str(uuid7()), flow=FLOW, flow_version=1, user_id="ann")
        message = batch.Message(TENANT, command, "ann", frozenset({"USER"}), command.instance_id)
        over = self._open[command.instance_id] = asyncio.get_running_loop().create_future()
        async with tenants_transaction(self._pool, [TENANT]) as conn:
            now: datetime = await conn.fetchval("select cs_now()")
            states = await batch.load(conn, self._keys, self._flows, [message])
            ruling = batch.decide(states[message.key], message, now)
            await batch.save(conn, self._outbox, self._keys, self._flows, [ruling], now)
        await over

    async def watch(self, until: float) -> None:
        """Look at the rows of open instances until the time is over and none is open."""
        loop = asyncio.get_running_loop()
        while loop.time() < until or self._open:
            if self._open:
                rows = await self._owner.fetch(
                    "select instance_id from onboarding_instance where tenant_id = $1 and instance_id = any ($2)"
                    " and status = 'COMPLETED'",
                    TENANT,
                    list(self._open),
                )
                for row in rows:
                    self._open.pop(row["instance_id"]).set_result(None)
            await asyncio.sleep(_LOOK_SECONDS)


async def _nothing(call: StepCall) -> None:
    """The work."""


@asynccontextmanager
async def opened(steps: int) -> AsyncIterator[Ground]:
    """Everything, until the block ends."""
    server = servers.provide_postgres()
    try:
        database = await databases.clone(server.address, await databases.make_template(server.address))
        keys_database = await databases.clone_keys(database, await databases.make_keys_template(server.address))
        settings = Settings.model_validate(
            {"database_url": database.url("migrate"), "kafka_bootstrap_servers": "127.0.0.1:9", "effects": UNBOUNDED}
        )
        owner = await asyncpg.connect(database.url("migrate"))
        await owner.execute("insert into tenants (tenant_id, name) values ($1, 'Acme')", TENANT)
        async with asyncpg.create_pool(keys_database.url("keys"), min_size=1, max_size=2) as keys_pool:
            ring = KeyRing(keys_pool, LocalKeks({"kek-1": os.urandom(32)}), KeyCache(KeySettings()))
            async with _working(settings, owner, ring, steps) as ground:
                yield ground
        await owner.close()
    finally:
        server.close()


@asynccontextmanager
async def _working(settings: Settings, owner: asyncpg.Connection, ring: KeyRing, steps: int) -> AsyncIterator[Ground]:
    flows, outbox = FollowedFlows({FlowKey(FLOW, 1): definition(steps)}), Outbox("casestream")
    scan = await open_pool(settings, "scan", size=5)
    worker = await open_pool(settings, "worker", size=16)
    wiring = Wiring(
        {OWNER: InstanceFold(outbox, ring, flows)},
        discreet=frozenset({OWNER}),
        followed=frozenset({KIND["python"]}),
        recordings={OWNER: StepRecording(outbox, ring, flows)},
    )
    stop = asyncio.Event()
    working = EffectsWorker(settings, scan, worker, [PythonSteps({"nothing": _nothing}, ring)], wiring)
    running = asyncio.create_task(working.run(stop))
    try:
        yield Ground(worker, owner, ring, flows, outbox)
    finally:
        stop.set()
        await running
        await scan.close()
        await worker.close()
