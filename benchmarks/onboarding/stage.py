"""A database, a worker and a flow of trivial steps; journeys that are followed to their end."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from domain.cases.followed_classes import FollowedClasses
from domain.cases.mapping_store import released_files
from domain.effects.decisions import Finished
from domain.effects.effect import ClaimedEffect
from domain.effects.wiring import Recorded, Taking, Wiring
from domain.onboarding import batch
from domain.onboarding.calls import KIND, OWNER
from domain.onboarding.definitions import FollowedFlows
from domain.onboarding.engine import Engine
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
from runtime.sql import Connection
from schemas.flows import FlowDefinition
from schemas.onboarding import StartInstance
from tests.infrastructure import databases
from workers.effects.running import SEARCHES, EffectsWorker
from workers.senders.step_python import PythonSteps

TENANT, FLOW = "acme", "ten-steps"
# Any rate: the limits are for calls to others.
UNBOUNDED = EffectSettings(
    tenant_per_second=0, channel_per_second=0, tenant_in_flight=1000, channel_in_flight=1000, endpoint_in_flight=1000,
    poll_min_ms=1, poll_max_ms=4,
)  # fmt: skip
# How often what ended in the general way, and so told nobody here, is looked for.
_LOOK_SECONDS = 0.05
_COMMIT_SECONDS = 2.0


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

    def __init__(self, pool: asyncpg.Pool, owner: asyncpg.Connection, engine: Engine) -> None:
        self._pool, self._owner, self._engine = pool, owner, engine
        self._open: dict[str, asyncio.Future[None]] = {}
        self._first: dict[str, float] = {}
        self._begun = 0
        self.from_first_call: list[float] = []

    def forget(self) -> None:
        """What follows is what counts."""
        self.from_first_call.clear()

    async def check(self) -> None:
        """Every journey that began is COMPLETED in its row, with all its events. Raises AssertionError."""
        rows = await self._owner.fetch(
            "select i.status, count(*) as journeys, min(i.version) as least from onboarding_instance i group by 1"
        )
        assert [(row["status"], row["journeys"]) for row in rows] == [("COMPLETED", self._begun)], rows
        missing = await self._owner.fetchval(
            "select count(*) from onboarding_instance i where version <> (select count(*) from workflow_event e"
            " where e.tenant_id = i.tenant_id and e.instance_id = i.instance_id)"
        )
        assert missing == 0, f"{missing} histories have gaps"

    async def nothing(self, call: StepCall) -> None:
        """The work."""
        if call.step == 1:
            self._first[call.instance_id] = time.perf_counter()

    def ended(self, instance_id: str) -> None:
        """The last step is durable."""
        over = self._open.pop(instance_id, None)
        if over is not None:
            self.from_first_call.append(time.perf_counter() - self._first.pop(instance_id))
            over.set_result(None)

    async def journey(self) -> None:
        """One instance, from its start until its last step is committed."""
        command = StartInstance(instance_id=str(uuid7()), flow=FLOW, flow_version=1, user_id="ann")
        message = batch.Message(TENANT, command, "ann", frozenset({"USER"}), command.instance_id)
        self._begun += 1
        over = self._open[command.instance_id] = asyncio.get_running_loop().create_future()
        async with tenants_transaction(self._pool, [TENANT]) as conn:
            now: datetime = await conn.fetchval("select cs_now()")
            states = await batch.load(conn, self._engine, [message])
            ruling = batch.decide(states[message.key], message, now)
            await batch.save(conn, self._engine, [ruling], now)
        await over

    async def look(self) -> None:
        """Find those that ended unheard, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._open:
                rows = await self._owner.fetch(
                    "select instance_id from onboarding_instance where tenant_id = $1 and instance_id = any ($2)"
                    " and status = 'COMPLETED'",
                    TENANT,
                    list(self._open),
                )
                for row in rows:
                    self.ended(row["instance_id"])


async def commits_per_second(server: str) -> float:
    """A bare insert and its commit, one after the other on one connection."""
    database = await databases.clone(server, await databases.make_template(server))
    conn = await asyncpg.connect(database.url("superuser"))
    await conn.execute(
        "create table commits (id bigint generated always as identity primary key, at timestamptz default now())"
    )
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < _COMMIT_SECONDS:
        await conn.fetch("insert into commits default values")
        count += 1
    await conn.close()
    return count / _COMMIT_SECONDS


@asynccontextmanager
async def opened(server: str, steps: int) -> AsyncIterator[Ground]:
    """Everything on a database of its own, until the block ends."""
    database = await databases.clone(server, await databases.make_template(server))
    keys_database = await databases.clone_keys(database, await databases.make_keys_template(server))
    settings = Settings.model_validate(
        {"database_url": database.url("migrate"), "kafka_bootstrap_servers": "127.0.0.1:9", "effects": UNBOUNDED}
    )
    owner = await asyncpg.connect(database.url("superuser"))
    await owner.execute("insert into tenants (tenant_id, name) values ($1, 'Acme')", TENANT)
    async with asyncpg.create_pool(keys_database.url("keys"), min_size=1, max_size=2) as keys_pool:
        ring = KeyRing(keys_pool, LocalKeks({"kek-1": os.urandom(32)}), KeyCache(KeySettings()))
        async with _working(settings, owner, ring, steps) as ground:
            yield ground
    await owner.close()


@asynccontextmanager
async def _working(settings: Settings, owner: asyncpg.Connection, ring: KeyRing, steps: int) -> AsyncIterator[Ground]:
    flows = FollowedFlows({FlowKey(FLOW, 1): definition(steps)})
    engine = Engine(Outbox("casestream"), ring, flows, FollowedClasses(released_files()))
    scan = await open_pool(settings, "scan", size=5, reset=False, planner=SEARCHES)
    worker = await open_pool(settings, "worker", size=16, reset=False)
    ground, recording = Ground(worker, owner, engine), StepRecording(engine)

    async def noting(conn: Connection, finished: Sequence[tuple[ClaimedEffect, Finished]], taking: Taking) -> Recorded:
        recorded = await recording(conn, finished, taking)
        for outcome in recorded.outcomes:
            if outcome.index == steps:
                ground.ended(outcome.owner_id)
        return recorded

    wiring = Wiring(
        {OWNER: InstanceFold(engine)},
        discreet=frozenset({OWNER}),
        followed=frozenset({KIND["python"]}),
        recordings={OWNER: noting},
    )
    stop = asyncio.Event()
    working = EffectsWorker(settings, scan, worker, [PythonSteps({"nothing": ground.nothing}, ring)], wiring)
    running, looking = asyncio.create_task(working.run(stop)), asyncio.create_task(ground.look())
    try:
        yield ground
    finally:
        looking.cancel()
        stop.set()
        await running
        await scan.close()
        await worker.close()
