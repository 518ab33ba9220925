"""Instances on a real database, moved by the functions that every door calls: what the tests of this folder speak in."""

import itertools
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from domain.cases.followed_classes import FollowedClasses
from domain.cases.mapping_store import released_files
from domain.effects.effect import Sender
from domain.effects.wiring import Wiring
from domain.onboarding import batch
from domain.onboarding.calls import KIND, OWNER
from domain.onboarding.definitions import FollowedFlows, released_flows
from domain.onboarding.engine import Engine
from domain.onboarding.folding import InstanceFold
from domain.onboarding.handlers import Handler
from domain.onboarding.recording import StepRecording
from domain.onboarding.recovering import Recovery
from runtime.keys.ring import KeyRing
from runtime.settings import EffectSettings, Settings
from schemas.flows import Actor
from schemas.onboarding import Advance, Command, StartInstance
from tests.integration.domain.world import OUTBOX, World
from workers.effects.running import EffectsWorker
from workers.senders.sample_steps import HANDLERS
from workers.senders.step_journal import StepJournal
from workers.senders.step_python import PythonSteps

USER: frozenset[Actor] = frozenset({"USER"})
ENGINE: frozenset[Actor] = frozenset({"SYSTEM", "OPERATOR", "REVIEWER"})
QUICK = EffectSettings(poll_min_ms=2, poll_max_ms=10, lease_seconds=2, renew_seconds=0.5, circuit_failures=1000)


@dataclass
class Journeys:
    """One process's view: commands in a transaction of a processor, handlers in a worker."""

    world: World
    ring: KeyRing
    handlers: dict[str, Handler] = field(default_factory=lambda: dict(HANDLERS))
    flows: FollowedFlows = field(default_factory=lambda: FollowedFlows(released_flows()))
    code_versions: dict[str, int] = field(default_factory=dict)
    outside: list[Sender] = field(default_factory=list)
    classes: FollowedClasses = field(default_factory=lambda: FollowedClasses(released_files()))
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def engine(self) -> Engine:
        return Engine(OUTBOX, self.ring, self.flows, self.classes, self.code_versions)

    async def tell(self, *commands: Command, by: str = "ann", actors: frozenset[Actor] = USER) -> list[batch.Ruling]:
        """What a shell does with one batch of commands of tenant north."""
        messages = [batch.Message("north", command, by, actors, str(next(self._ids))) for command in commands]
        await batch.warm_keys(self.ring, messages)
        async with self.world.worker() as conn:
            now: datetime = await conn.fetchval("select cs_now()")
            states = await batch.load(conn, self.engine, messages)
            rulings = []
            for message in messages:
                ruling = batch.decide(states[message.key], message, now)
                states[message.key] = ruling.state
                rulings.append(ruling)
            await batch.save(conn, self.engine, rulings, now)
        return rulings

    async def start(self, instance_id: str, flow: str = "card-onboarding", data: dict[str, Any] | None = None) -> batch.Ruling:
        (ruling,) = await self.tell(StartInstance(instance_id=instance_id, flow=flow, flow_version=1, user_id="ann", data=data))
        return ruling

    async def act(self, instance_id: str, action: str = "NEXT", data: dict[str, Any] | None = None) -> batch.Ruling:
        (ruling,) = await self.tell(Advance(instance_id=instance_id, action=action, data=data))
        return ruling

    def wiring(self) -> Wiring:
        return Wiring(
            {OWNER: InstanceFold(self.engine)},
            discreet=frozenset({OWNER}),
            followed=frozenset({KIND["python"]}),
            recordings={OWNER: StepRecording(self.engine)},
            takeovers={OWNER: self.recovery().take_over},
        )

    def recovery(self) -> Recovery:
        return Recovery(self.engine)

    async def worker(self, settings: EffectSettings = QUICK, wiring: Wiring | None = None) -> EffectsWorker:
        scan: asyncpg.Pool = await self.world.pool("scan")
        worker: asyncpg.Pool = await self.world.pool("worker")
        told = replace_settings(settings)
        journal = StepJournal(worker, self.engine)
        senders = [PythonSteps(self.handlers, self.ring, journal), *self.outside]
        return EffectsWorker(told, scan, worker, senders, wiring or self.wiring())

    async def pass_time(self, interval: str) -> None:
        """Move the one clock that SQL reads."""
        pool = await self.world.pool("superuser")
        await pool.execute(
            "create or replace function cs_now() returns timestamptz language sql stable parallel safe"
            f" return statement_timestamp() + interval '{interval}'"
        )

    async def row(self, instance_id: str) -> dict[str, Any]:
        (row,) = await self.world.look("select * from onboarding_instance where instance_id = $1", instance_id)
        return row

    async def status(self, instance_id: str) -> str:
        return str((await self.row(instance_id))["status"])

    async def history(self, instance_id: str) -> list[str]:
        rows = await self.world.look(
            "select event_type from workflow_event where instance_id = $1 order by sequence_number", instance_id
        )
        return [row["event_type"] for row in rows]


def replace_settings(settings: EffectSettings) -> Settings:
    return Settings.model_construct(instance="test", ce_source="casestream", effects=settings)
